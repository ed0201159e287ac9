//go:build !linux && !darwin && !freebsd

package main

import (
	"errors"
	"io/fs"
)

// ownerOf does not know here.
func ownerOf(fs.FileInfo) (uid int, known bool) { return 0, false }

// freeSpace does not know here.
func freeSpace(string) (uint64, error) { return 0, errors.ErrUnsupported }
