package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/internal/access"
	"github.com/gapbundle/gapbundle/unpack/state"
)

// probeFile is created and removed again to learn which user owns new files of this process.
// Network file systems may map users.
const probeFile = state.Dir + "/.owner"

// guard returns an *access.Error for the folder of the mirror, its state, and everything
// directly in the state that somebody else may write, or may read if it is a private key. dir is
// the mirror's path, for messages. Files that do not exist yet are left out.
func guard(root *os.Root, dir string) error {
	return eachGuarded(root, func(name string, fi fs.FileInfo) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if name == state.ReceiptKeyFile {
			if err := access.Key(path); err != nil {
				return err
			}
		}
		return access.Writers(path, fi)
	})
}

// guardOwner returns an *access.Error if the mirror or its state belongs neither to this user
// nor to root. A network file system may map every user to one; there the owner is right if a
// file that is created now has the same owner.
func guardOwner(root *os.Root, dir string) error {
	return eachGuarded(root, func(name string, fi fs.FileInfo) error {
		err := access.Owner(filepath.Join(dir, filepath.FromSlash(name)), fi)
		if err == nil || name == "." {
			return nil // whose the folder above is decides the administrator
		}
		made, perr := probe(root)
		if perr == nil && access.User(made) == access.User(fi) {
			return nil
		}
		return err
	})
}

// probe looks at a file that this user makes.
func probe(root *os.Root) (fs.FileInfo, error) {
	f, err := root.OpenFile(probeFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	return fi, errors.Join(err, f.Close(), root.Remove(probeFile))
}

func eachGuarded(root *os.Root, check func(name string, fi fs.FileInfo) error) error {
	names := []string{".", state.Dir}
	entries, err := fs.ReadDir(root.FS(), state.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		names = append(names, state.Dir+"/"+e.Name())
	}
	var found []error
	for _, name := range names {
		fi, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = check(name, fi)
		}
		found = append(found, err)
	}
	return errors.Join(found...)
}

// settle logs whose mirror this is, with its sets and its number of keys, when the mirror is
// changed at this path for the first time. Somebody else may have put it there, or it came
// from a backup. Programs that did not record the path count as never having been here.
func (w *writer) settle(root *os.Root) error {
	fi, err := root.Lstat(state.Dir)
	if err != nil {
		return err
	}
	here := state.Home{Dir: w.dir, Folder: access.Inode(fi)}
	before, err := w.state.Home()
	if err != nil || before == here {
		return err
	}
	sets, err := w.state.Ratchets()
	if err != nil {
		return err
	}
	policy, err := w.state.Policy()
	if err != nil {
		return err
	}
	if len(sets)+len(policy.Keys) > 0 { // not one that was just made
		var all []string
		for _, s := range sets {
			all = append(all, fmt.Sprintf("%s (bundle %d)", s.Set, s.Sequence))
		}
		w.o.Log.Info(fmt.Sprintf("%s is a mirror of user %s that was here before; sets: %s; keys that it trusts: %d (gapbundle trust list --mirror %s)",
			w.dir, access.User(fi), strings.Join(all, ", "), len(policy.Keys)+len(policy.OpenPGP), w.dir))
	}
	return w.state.SetHome(here)
}
