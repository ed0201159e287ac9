// Package atomicfile replaces a file so that a crash at any instant leaves the old content or the new, never a mix.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
)

// Suffix names the temporary file of a write. After a crash, a whole one may hold what was to become the content.
const Suffix = ".tmp"

// Write puts data under name in root, readable by the owner only. When it returns nil, the bytes and the directory entry
// are on disk. After an error the old content or the new is there, whole. One writer at a time: the caller's lock sees to
// that, and so a temporary file left by a crash is simply overwritten by the next write.
func Write(root *os.Root, name string, data []byte) error {
	if err := replace(root, name, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func replace(root *os.Root, name string, data []byte) error {
	temp := name + Suffix
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(root)
}
