package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// folder is a source of local files: the contents of a folder, and nothing of
// its names above, modes, owners and times.
type folder struct {
	name      string
	pos       strictyaml.Pos
	dir       string
	allowKeys []string // paths in dir
	walked    walked
	near      near
}

func newFolder(spec sources.Spec, o options) (*folder, error) {
	f := &folder{name: spec.Name, pos: o.Pos, dir: sources.Within(spec.Dir, o.Dir), allowKeys: o.AllowPrivateKeys}
	f.near.dir = f.dir
	if len(o.URLs) > 0 || o.List != "" || len(o.Checksums) > 0 || o.Keyring != "" {
		return f, o.Pos.Errorf("source %s: dir: no urls, list, checksums or keyring next to it", spec.Name)
	}
	for _, p := range f.allowKeys {
		if err := bundle.CheckPath(p); err != nil {
			return f, o.Pos.Errorf("allow-private-keys: %w", err)
		}
	}
	return f, nil
}

func (f *folder) plan(env *sources.Env) (sources.Repository, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return sources.Repository{}, f.pos.Errorf("dir: %w", err)
	}
	defer root.Close()
	var errs []error
	for _, p := range f.allowKeys {
		if _, err := root.Stat(p); err != nil {
			errs = append(errs, f.pos.Errorf("allow-private-keys: %w", err))
		}
	}
	if len(errs) == 0 {
		w := walk{root: root, found: func(string, fs.FileInfo) (bool, error) { return false, nil }}
		if empty, err := w.directory(".", nil); err == nil && empty {
			errs = append(errs, f.pos.Errorf("source %s: dir %s: no file is in it", f.name, f.dir))
		}
	}
	return sources.Repository{
		Name: f.name, Mount: mount,
		Annotations: map[string]string{formKey: formFolder},
		Artifacts:   func() iter.Seq2[sources.Artifact, error] { return f.artifacts(env) },
	}, errors.Join(errs...)
}

// artifacts returns the files of the folder as the first walk found them.
func (f *folder) artifacts(env *sources.Env) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		names := folderNames{folder: f, yield: yield}
		more, err := f.walked.each(env.Scratch, func(found func(seen) (bool, error)) (bool, error) {
			return f.walk(env, found)
		}, func(s seen) (bool, error) { return names.add(s), nil })
		if err != nil {
			yield(sources.Artifact{}, err)
		} else if more {
			names.end()
		}
	}
}

// walk walks the folder. A file that the base recorded with the same validator is not
// read again.
func (f *folder) walk(env *sources.Env, found func(seen) (bool, error)) (more bool, err error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	base := env.Cursor(f.name)
	defer base.Close()
	w := walk{root: root, found: func(name string, info fs.FileInfo) (bool, error) {
		s := seen{name: name, size: info.Size(), validator: validatorOf(info)}
		recorded, ok, err := base.Lookup(f.name + "/" + name)
		if err != nil {
			return false, err
		}
		if ok && recorded.Validator == s.validator && recorded.File.Size == s.size {
			s.digest = recorded.File.Digest
		}
		return found(s)
	}}
	return w.directory(".", nil)
}

func (f *folder) artifact(s seen) sources.Artifact {
	p, name := f.name+"/"+s.name, s.name
	return sources.Artifact{
		File:      bundle.File{Path: p, Size: s.size, Digest: s.digest},
		Evidence:  bundle.Evidence{Path: p, Vouched: bundle.VouchedLocal, Reason: "dir"},
		Validator: s.validator,
		Open: func(_ context.Context, at int64, validator string) (*bundle.Content, error) {
			c, err := f.open(name, s.validator, at, validator)
			if err != nil || c.At > 0 || slices.Contains(f.allowKeys, name) {
				return c, err
			}
			return screened(c, path.Join(f.dir, name), s.size, refusesKey)
		},
	}
}

// open opens the version of a file that the plan saw; another one is an error
// of the environment, because a list was made of the planned ones.
func (f *folder) open(name, planned string, at int64, validator string) (*bundle.Content, error) {
	file, err := f.near.open(name)
	if err != nil {
		return nil, err
	}
	u := &unchanging{File: file, name: path.Join(f.dir, name), validator: planned}
	if err := u.check(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if validator != u.validator {
		at = 0
	}
	if at > 0 {
		if _, err := file.Seek(at, io.SeekStart); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return &bundle.Content{Body: u, At: at, Validator: u.validator}, nil
}

// unchanging is a file that has to be the same from the plan to its last byte.
type unchanging struct {
	*os.File
	name      string
	validator string
}

// errChanged: the operating system gave no error, and the content is no use.
var errChanged = errors.New("changed while it was read")

func (u *unchanging) check() error {
	info, err := u.Stat()
	if err != nil {
		return err
	}
	if validatorOf(info) != u.validator {
		return &fs.PathError{Op: "read", Path: u.name, Err: errChanged}
	}
	return nil
}

// Read looks at the file once more at its end.
func (u *unchanging) Read(p []byte) (int, error) {
	n, err := u.File.Read(p)
	if err == io.EOF {
		if changed := u.check(); changed != nil {
			return n, changed
		}
	}
	return n, err
}

// maxNamedFiles is how many files of a folder have names of their own. A larger folder
// is one thing.
const maxNamedFiles = 10_000

// folderNames adds to the files of a folder what they are called. It holds the first
// maxNamedFiles of them back, packed, until it is known whether there are more; the last
// file stands for the folder.
type folderNames struct {
	folder *folder
	yield  func(sources.Artifact, error) bool
	held   []byte // while there are few: as seen.append writes them, some 100 bytes each
	last   seen   // once there are many
	count  int64
	bytes  int64
}

// add takes the next file and reports whether to go on.
func (n *folderNames) add(s seen) (more bool) {
	n.count++
	n.bytes += s.size
	if n.count <= maxNamedFiles {
		n.held = s.append(n.held)
		return true
	}
	if n.count == maxNamedFiles+1 {
		more = n.release(func(*sources.Artifact) {})
	} else {
		more = n.yield(n.folder.artifact(n.last), nil)
	}
	n.last = s
	return more
}

// release hands out what was held back, after name has given each its names, until nobody
// wants more.
func (n *folderNames) release(name func(*sources.Artifact)) (more bool) {
	r := bufio.NewReader(bytes.NewReader(n.held))
	n.held = nil
	for {
		s, err := readSeen(r)
		if err == io.EOF {
			return true
		}
		a := sources.Artifact{}
		if err == nil {
			a = n.folder.artifact(s)
			name(&a)
		}
		if !n.yield(a, err) || err != nil {
			return false
		}
	}
}

// end hands out what was held back.
func (n *folderNames) end() {
	if n.count == 0 {
		return
	}
	whole := sources.Entry{Name: n.folder.name, Type: bundle.TypeFolder, Size: n.bytes, Summary: bundle.Count(n.count, "file")}
	if n.count > maxNamedFiles {
		last := n.folder.artifact(n.last)
		last.Entries = sources.NewEntries(whole)
		n.yield(last, nil)
		return
	}
	left := n.count
	n.release(func(a *sources.Artifact) {
		entries := []sources.Entry{{Name: a.File.Path, Type: bundle.TypeFile}}
		if left--; left == 0 {
			entries = append(entries, whole)
		}
		a.Entries = sources.NewEntries(entries...)
	})
}
