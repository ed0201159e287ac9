//go:build !windows

package atomicfile

import (
	"errors"
	"os"
)

// syncDir makes the rename itself last: without it a power cut may bring the old name back.
func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
