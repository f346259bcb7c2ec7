package keys

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// Pair is what keygen leaves: a private and a public file.
type Pair struct {
	PrivateName, PublicName string
	Private, Public         []byte
}

// WritePair writes both files into dir, which must exist: the private one with
// mode 0600, both by exclusive creation. A key is never written over: what was
// signed with the lost one could not be signed again.
func WritePair(dir string, p Pair) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range []string{p.PrivateName, p.PublicName} {
		if _, err := root.Lstat(name); err == nil {
			return fmt.Errorf("%s/%s: already exists; existing keys are never overwritten: %w", dir, name, bundle.ErrUsage)
		}
	}
	if err := writeNew(root, p.PrivateName, p.Private, 0o600); err != nil {
		return err
	}
	return writeNew(root, p.PublicName, p.Public, 0o644)
}

func writeNew(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = root.Remove(name) // half a key is worse than none
	}
	return err
}
