// Package atomicfile replaces a file so that a crash at any instant leaves the old content or the new, never a mix.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Suffix names the temporary file of a write. After a crash, a whole one may hold what was to become the content.
const Suffix = ".tmp"

// Write puts data under name in root, readable by the owner only. When it returns nil, the bytes and the directory entry
// are on disk. After an error the old content or the new is there, whole. One writer at a time: the caller's lock sees to
// that, and so a temporary file left by a crash is simply removed by the next write.
func Write(root *os.Root, name string, data []byte) error {
	if err := replace(root, name, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func replace(root *os.Root, name string, data []byte) error {
	temp := name + Suffix
	// Whoever could open what was left there would read the new content in it.
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = ours(f); err == nil {
		_, err = f.Write(data)
	}
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

// ours gives the owner back what a umask took away. Where that was nothing, no right is set: not every disk can.
func ours(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o600 == 0o600 {
		return err
	}
	return f.Chmod(0o600)
}
