package files

import (
	"context"
	"errors"
	"fmt"
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
}

func newFolder(spec sources.Spec, o options) (*folder, error) {
	f := &folder{name: spec.Name, pos: o.Pos, dir: sources.Within(spec.Dir, o.Dir), allowKeys: o.AllowPrivateKeys}
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
	return sources.Repository{
		Name: f.name, Mount: mount,
		Annotations: map[string]string{formKey: formFolder},
		Artifacts:   func() iter.Seq2[sources.Artifact, error] { return f.artifacts(env) },
	}, errors.Join(errs...)
}

// artifacts walks the folder. A file that the base recorded with the same
// validator is not read again.
func (f *folder) artifacts(env *sources.Env) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		root, err := os.OpenRoot(f.dir)
		if err != nil {
			yield(sources.Artifact{}, err)
			return
		}
		defer root.Close()
		base := env.Cursor(f.name)
		defer base.Close()
		names := folderNames{folder: f, yield: yield}
		w := walk{root: root, found: func(name string, info fs.FileInfo) (bool, error) {
			a := f.artifact(name, info)
			recorded, ok, err := base.Lookup(a.File.Path)
			if err != nil {
				return false, err
			}
			if ok && recorded.Validator == a.Validator && recorded.File.Size == a.File.Size {
				a.File.Digest = recorded.File.Digest
			}
			return names.add(a), nil
		}}
		more, err := w.directory(".", nil)
		if err != nil {
			yield(sources.Artifact{}, err)
		} else if more {
			names.end()
		}
	}
}

func (f *folder) artifact(name string, info fs.FileInfo) sources.Artifact {
	p := f.name + "/" + name
	return sources.Artifact{
		File:      bundle.File{Path: p, Size: info.Size()},
		Evidence:  bundle.Evidence{Path: p, Vouched: bundle.VouchedLocal, Reason: "dir"},
		Validator: validatorOf(info),
		Open: func(_ context.Context, at int64, validator string) (*bundle.Content, error) {
			c, err := f.open(name, info, at, validator)
			if err != nil || c.At > 0 || slices.Contains(f.allowKeys, name) {
				return c, err
			}
			return screened(c, path.Join(f.dir, name), refusesKey)
		},
	}
}

// open opens the version of a file that the plan saw; another one is an error
// of the environment, because a list was made of the planned ones.
func (f *folder) open(name string, planned fs.FileInfo, at int64, validator string) (*bundle.Content, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	u := &unchanging{File: file, name: path.Join(f.dir, name), validator: validatorOf(planned)}
	if err := u.check(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if validator != u.validator {
		at = 0
	}
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
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

// walk goes through a folder in the order of bundle.ComparePaths, which is
// that of names within each directory. Links inside are followed; os.Root
// keeps the rest out. It holds the names of the directories it is in, and
// nothing else.
type walk struct {
	root  *os.Root
	found func(name string, info fs.FileInfo) (more bool, err error)
}

// directory walks the directory name; above are those that it is in.
func (w *walk) directory(name string, above []fs.FileInfo) (more bool, err error) {
	d, err := w.root.Open(name)
	if err != nil {
		return false, w.refusedLink(name, err)
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
	for i := range list.at {
		if more, err := w.entry(path.Join(name, list.name(i)), above); !more || err != nil {
			return more, err
		}
	}
	return true, nil
}

func (w *walk) entry(name string, above []fs.FileInfo) (more bool, err error) {
	if err := bundle.CheckPath(name); err != nil {
		return false, fmt.Errorf("%w: %w", err, bundle.ErrUsage)
	}
	info, err := w.root.Stat(name)
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

// maxNamedFiles is how many files of a folder have names of their own. A larger folder
// is one thing.
const maxNamedFiles = 10_000

// folderNames adds to the files of a folder what they are called. It holds the first
// maxNamedFiles of them back, until it is known whether there are more; the last file
// stands for the folder.
type folderNames struct {
	folder *folder
	yield  func(sources.Artifact, error) bool
	held   []sources.Artifact // while there are few
	last   sources.Artifact   // once there are many
	count  int64
	bytes  int64
}

// add takes the next file and reports whether to go on.
func (n *folderNames) add(a sources.Artifact) (more bool) {
	n.count++
	n.bytes += a.File.Size
	if n.count <= maxNamedFiles {
		n.held = append(n.held, a)
		return true
	}
	for i := range n.held {
		if !n.yield(n.held[i], nil) {
			return false
		}
	}
	if n.held == nil && !n.yield(n.last, nil) {
		return false
	}
	n.held, n.last = nil, a
	return true
}

// end hands out what was held back.
func (n *folderNames) end() {
	if n.count == 0 {
		return
	}
	whole := sources.Entry{Name: n.folder.name, Type: bundle.TypeFolder, Size: n.bytes, Summary: fmt.Sprintf("%d files", n.count)}
	if n.count > maxNamedFiles {
		n.last.Entries = sources.NewEntries(whole)
		n.yield(n.last, nil)
		return
	}
	for i := range n.held {
		entries := []sources.Entry{{Name: n.held[i].File.Path, Type: bundle.TypeFile}}
		if i == len(n.held)-1 {
			entries = append(entries, whole)
		}
		n.held[i].Entries = sources.NewEntries(entries...)
		if !n.yield(n.held[i], nil) {
			return
		}
	}
}
