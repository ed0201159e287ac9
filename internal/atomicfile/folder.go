package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFile bounds what Load reads back; what is kept here is a few kilobytes.
const maxFile = 4 << 20

// Folder keeps small files in one directory, which it cannot leave.
type Folder struct{ root *os.Root }

// OpenFolder opens dir, and makes it, readable by its owner only, if it is not there.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Load returns the content of name, or nil if there is no such file.
func (f *Folder) Load(name string) ([]byte, error) {
	file, err := f.root.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return data, nil
}

// Save replaces name by data, durably.
func (f *Folder) Save(name string, data []byte) error { return Write(f.root, name, data) }

// Close lets go of the directory.
func (f *Folder) Close() error { return f.root.Close() }
