package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// walk goes through a folder in the order of bundle.ComparePaths, which is
// that of names within each directory. Links inside are followed; os.Root
// keeps the rest out. It holds the names of the directories it is in, and
// nothing else.
type walk struct {
	root  *os.Root
	found func(name string, info fs.FileInfo) (more bool, err error)
}

// openDirectories is how many directories, each in the one before, are open at a time.
// Files of deeper ones are looked at by their whole paths.
const openDirectories = 64

// directory walks the directory name; above are those that it is in.
func (w *walk) directory(name string, above []fs.FileInfo) (more bool, err error) {
	dir, err := w.root.OpenRoot(name)
	if err != nil {
		return false, w.refusedLink(name, err)
	}
	defer func() {
		if dir != nil {
			err = errors.Join(err, dir.Close())
		}
	}()
	d, err := dir.Open(".")
	if err != nil {
		return false, err
	}
	info, err := d.Stat()
	if err == nil {
		for _, a := range above {
			if os.SameFile(a, info) {
				err = fmt.Errorf("%s: a link to a folder that it is in: %w", name, bundle.ErrUsage)
			}
		}
	}
	var list names
	if err == nil {
		list, err = readNames(d)
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return false, err
	}
	above = append(above[:len(above):len(above)], info)
	if len(above) > openDirectories {
		err := dir.Close()
		if dir = nil; err != nil {
			return false, err
		}
	}
	for i := range list.at {
		if more, err := w.entry(dir, name, list.name(i), above); !more || err != nil {
			return more, err
		}
	}
	return true, nil
}

// entry looks at one name of the directory in, which dir has open or nil stands for.
func (w *walk) entry(dir *os.Root, in, base string, above []fs.FileInfo) (more bool, err error) {
	name := path.Join(in, base)
	if err := bundle.CheckPath(name); err != nil {
		return false, fmt.Errorf("%w: %w", err, bundle.ErrUsage)
	}
	info, err := w.stat(dir, name, base)
	switch {
	case err != nil:
		return false, w.refusedLink(name, err)
	case info.IsDir():
		return w.directory(name, above)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s: neither a file nor a folder (%s): %w", name, info.Mode().Type(), bundle.ErrUsage)
	}
	return w.found(name, info)
}

// stat costs one system call for what is no link; from the root it costs two more for
// each directory on the way.
func (w *walk) stat(dir *os.Root, name, base string) (fs.FileInfo, error) {
	if dir != nil {
		info, err := dir.Lstat(base)
		if err == nil && info.Mode().Type() != fs.ModeSymlink {
			return info, nil
		}
	}
	return w.root.Stat(name)
}

// refusedLink turns the error about a link that leads out of the folder, or
// nowhere, into one about the request; all others stay the system's.
func (w *walk) refusedLink(name string, err error) error {
	info, lerr := w.root.Lstat(name)
	if lerr != nil || info.Mode().Type() != fs.ModeSymlink {
		return err
	}
	return fmt.Errorf("%s: a link has to lead to something inside the folder, by a relative path: %w: %w", name, bundle.ErrUsage, err)
}

// names are the sorted names of a directory, packed: a flat directory of a
// million files costs 30 MB here, and 150 MB as fs.DirEntry values.
type names struct {
	text []byte
	at   []span
}

type span struct {
	start  uint32
	length uint16
}

// maxNames bounds the names of one directory to what a span can address.
const maxNames = 1<<32 - 1 // bytes

func readNames(d *os.File) (names, error) {
	var n names
	for {
		batch, err := d.Readdirnames(4096)
		for _, name := range batch {
			if len(n.text)+len(name) > maxNames {
				return n, fmt.Errorf("%s: too many files in one folder: %w", d.Name(), bundle.ErrUsage)
			}
			n.at = append(n.at, span{uint32(len(n.text)), uint16(len(name))})
			n.text = append(n.text, name...)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
	}
	slices.SortFunc(n.at, func(a, b span) int { return slices.Compare(n.of(a), n.of(b)) })
	return n, nil
}

func (n *names) of(s span) []byte { return n.text[s.start : s.start+uint32(s.length)] }

func (n *names) name(i int) string { return string(n.of(n.at[i])) }
