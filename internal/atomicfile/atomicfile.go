// Package atomicfile replaces a file so that a crash at any instant leaves the old content or the new, never a mix.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
)

// Write puts data under name in root, readable by the owner only. When it returns nil the bytes and the directory entry
// are on disk. On an error the old file, if there was one, is untouched.
func Write(root *os.Root, name string, data []byte) (err error) {
	temp := name + ".tmp-" + rand.Text()[:8]
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), ignoreMissing(root.Remove(temp)))
		}
	}()
	if _, err = f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = root.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(root)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
