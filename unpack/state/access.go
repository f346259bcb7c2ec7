package state

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Modes of the state's folders and files. A group may read them, if the mirror was given
// one, and never write. A private key is for its owner alone in any case.
const (
	privateDirMode = 0o700
	privateMode    = 0o600
	groupDirMode   = 0o750
	groupMode      = 0o640

	// othersReads are the bits of the mode of the state's folder that let others than its
	// owner read it; groupReads is their value if a group may and nobody else.
	othersReads = 0o077
	groupReads  = 0o050

	// NoGroup is in place of the number of a group: nobody but the owner reads the state.
	NoGroup = durable.NoGroup
)

// access is who may read the state besides its owner.
type access struct {
	dir, file fs.FileMode
	group     int // NoGroup: nobody
}

// accessOf reads it off the state's own folder, so that there is no setting that could
// contradict the file system.
func accessOf(root *os.Root) (access, error) {
	info, err := root.Lstat(Dir)
	if err != nil {
		return access{}, err
	}
	if group := groupOf(info); group != NoGroup && info.Mode().Perm()&othersReads == groupReads {
		return access{groupDirMode, groupMode, group}, nil
	}
	return access{privateDirMode, privateMode, NoGroup}, nil
}

// makeDir makes a folder of the state; one that exists is left as it is.
func makeDir(root *os.Root, name string) error {
	a, err := accessOf(root)
	if err != nil {
		return err
	}
	_, there := root.Lstat(name)
	if err := durable.MakeDir(root, name, a.dir); err != nil || there == nil || a.group == NoGroup {
		return err
	}
	return root.Chown(name, -1, a.group)
}

// WriteFile replaces a file of the state durably.
func WriteFile(root *os.Root, name string, content []byte) error {
	return WriteFrom(root, name, func(out io.Writer) error {
		_, err := out.Write(content)
		return err
	})
}

// WriteFrom works like WriteFile, for content that write produces piece by piece.
func WriteFrom(root *os.Root, name string, write func(out io.Writer) error) error {
	a, err := accessOf(root)
	if err != nil {
		return err
	}
	return durable.WriteFor(root, name, a.file, a.group, write)
}

// openFile opens a file of the state for writing, and makes it if it is not there.
func openFile(root *os.Root, name string) (*os.File, error) {
	a, err := accessOf(root)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, a.file)
	if err != nil || a.group == NoGroup {
		return f, err
	}
	if err := a.settle(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// settle assigns an open file to the group, if it does not have it yet.
func (a access) settle(f *os.File) error {
	info, err := f.Stat()
	if err != nil || groupOf(info) == a.group && info.Mode().Perm() == a.file {
		return err
	}
	return errors.Join(f.Chown(-1, a.group), f.Chmod(a.file))
}

// SetGroup lets a group, by its number, read the state: the state's own folder comes last,
// because it decides about what is written from then on. Private keys stay their owner's.
func (w *Writer) SetGroup(group int) error {
	if err := publishReceiptKey(w.root); err != nil {
		return err
	}
	err := fs.WalkDir(w.root.FS(), Dir, func(name string, e fs.DirEntry, err error) error {
		mode := fs.FileMode(groupMode)
		switch {
		case err != nil || name == Dir || name == ReceiptKeyFile:
			return err
		case e.IsDir():
			mode = groupDirMode
		case !e.Type().IsRegular():
			return nil
		}
		if err := errors.Join(w.root.Chown(name, -1, group), w.root.Chmod(name, mode)); err != nil {
			return err
		}
		if name == ListsDir {
			return fs.SkipDir // whoever comes as far as this may read what is in it
		}
		return nil
	})
	if err != nil {
		return err
	}
	return giveDir(w.root, group)
}

// giveDir lets a group read what the state's folder holds from now on.
func giveDir(root *os.Root, group int) error {
	return errors.Join(root.Chown(Dir, -1, group), root.Chmod(Dir, groupDirMode), durable.SyncDir(root, "."))
}

// Group returns the number of the group that may read the state; NoGroup: there is none.
func (s *State) Group() (int, error) {
	a, err := accessOf(s.root)
	return a.group, err
}
