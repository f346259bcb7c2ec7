package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// errDamaged is content of a mirror that is not what it was.
var errDamaged = bundle.About(bundle.AboutMirror, bundle.ErrCorrupt)

// Options are how a mirror is worked with. The zero value is right.
type Options struct {
	// Jobs is how many frames are decoded at a time; 0: GOMAXPROCS.
	Jobs int
	// Progress learns how an import advances; nil: nobody.
	Progress bundle.Progress
	// Now is the local clock; nil: time.Now.
	Now func() time.Time
	// RetryLock is how long to wait for another process to let go of the
	// mirror; 0: not at all.
	RetryLock time.Duration
	// DryRun writes nothing; results describe what would be done.
	DryRun bool
	// Free returns what is free on the file system of the mirror, -1: not known; nil: the
	// operating system is asked.
	Free func(dir string) (bytes, inodes int64, err error)
	// Log gets what is worth knowing when something is looked into; nil: nobody.
	Log *slog.Logger
	// Group is the number of the group that may read the state of a mirror that is made; 0:
	// nobody but its owner.
	Group int
	// Tool is the name and version of the program, Built when it was built:
	// where the clock floor of a set begins.
	Tool  string
	Built time.Time
}

// Mirror is an open mirror. Methods that write take its lock for as long as
// they run; errors match bundle.ErrBusy where another process has it. Methods
// that read take none, and see the mirror as it was last published.
type Mirror struct {
	o    Options
	dir  string // absolute
	root *os.Root
	// blobsRoot and listsRoot are the folders of blobs and lists, which are
	// for reading.
	blobsRoot, listsRoot *os.Root
	blobs, lists         *store.Store
	state                *state.State
	trees                *tree.Trees
}

// Create opens the mirror in dir and makes it where there is none: dir itself
// and nothing above it. A folder that holds other things is refused, so that a
// slip of the hand does not spread a mirror over somebody's home; the error
// matches bundle.ErrUsage.
func Create(dir string, o Options) (*Mirror, error) {
	if o.DryRun {
		return Open(dir, o)
	}
	if err := os.Mkdir(dir, tree.DirMode); err == nil {
		err = os.Chmod(dir, tree.DirMode) // whatever the umask: web servers read here
		if err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := layOut(root, o.group()); err != nil {
		return nil, errors.Join(fmt.Errorf("mirror %s: %w", dir, err), root.Close())
	}
	m, err := open(dir, root, o)
	if err != nil {
		return nil, err
	}
	if group, err := m.state.Group(); err != nil || o.Group != 0 && group != o.Group {
		if err == nil {
			err = &OtherGroupError{dir}
		}
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// OtherGroupError means that a mirror exists and its state is not readable for the group
// that Options name. It matches bundle.ErrUsage.
type OtherGroupError struct{ Dir string }

func (e *OtherGroupError) Error() string {
	return "mirror " + e.Dir + ": exists, and its state is not that group's to read"
}

// Is makes it bundle.ErrUsage.
func (e *OtherGroupError) Is(target error) bool { return target == bundle.ErrUsage }

func (o *Options) group() int {
	if o.Group == 0 {
		return state.NoGroup
	}
	return o.Group
}

// SetGroup lets a group, by its number, read the state of the mirror, private keys
// excepted. what goes into the journal.
func SetGroup(ctx context.Context, m *Mirror, group int, what string) error {
	if m.o.DryRun {
		return nil
	}
	return m.write(ctx, func(w *writer) error {
		if err := w.state.Note(state.Entry{Time: w.state.Now(), What: "config", Detail: what}); err != nil {
			return err
		}
		return w.state.SetGroup(group)
	})
}

// layOut creates the missing parts of a mirror. The settings come last, because a folder
// counts as a mirror once it has them.
func layOut(root *os.Root, group int) error {
	if _, err := root.Lstat(state.SettingsFile); !errors.Is(err, fs.ErrNotExist) {
		return err // also where it cannot be seen: it may be one, with settings
	}
	if err := errors.Join(guard(root, root.Name()), guardOwner(root, root.Name())); err != nil {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	if kept, err := fs.ReadDir(root.FS(), state.GenerationsDir); err == nil && len(kept) > 0 {
		return &StateError{state.SettingsFile, "gone, and there are generations"}
	}
	for _, e := range entries {
		if !slices.Contains(append(tree.Names(), state.Dir, "lost+found"), e.Name()) {
			return fmt.Errorf("holds %q and is no mirror: want an empty or new folder: %w", e.Name(), bundle.ErrUsage)
		}
	}
	if err := tree.Create(root); err != nil {
		return err
	}
	return state.Create(root, group)
}

// NoMirrorError means that there is no mirror in a folder. It matches
// bundle.ErrIncomplete.
type NoMirrorError struct {
	Dir string
	// Lacks is the file that every mirror has and this folder lacks; empty: the folder does
	// not exist.
	Lacks string
}

func (e *NoMirrorError) Error() string {
	if e.Lacks == "" {
		return "mirror " + e.Dir + ": does not exist"
	}
	return "mirror " + e.Dir + ": no mirror there (no " + e.Lacks + ")"
}

// Unwrap returns bundle.ErrIncomplete.
func (e *NoMirrorError) Unwrap() error { return bundle.ErrIncomplete }

// Open opens the mirror in dir. A folder that does not exist is a *NoMirrorError.
func Open(dir string, o Options) (*Mirror, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NoMirrorError{Dir: dir}
	}
	if err != nil {
		return nil, err
	}
	return open(dir, root, o)
}

func open(dir string, root *os.Root, o Options) (_ *Mirror, err error) {
	m := &Mirror{o: o, root: root}
	if o.Progress == nil {
		m.o.Progress = bundle.NoProgress
	}
	if o.Now == nil {
		m.o.Now = time.Now
	}
	if o.Log == nil {
		m.o.Log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	m.state = state.New(root, m.dir, state.Options{Now: m.o.Now, RetryLock: o.RetryLock, Tool: o.Tool, Built: o.Built})
	s, err := m.state.Settings()
	if errors.Is(err, fs.ErrNotExist) {
		if kept, kerr := fs.ReadDir(root.FS(), state.GenerationsDir); kerr == nil && len(kept) > 0 {
			return nil, fmt.Errorf("mirror %s: %w", dir, &StateError{state.SettingsFile, "gone, and there are generations"})
		}
		return nil, &NoMirrorError{dir, state.SettingsFile}
	}
	if damaged(err) {
		err = &StateError{state.SettingsFile, err.Error()}
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, bundle.About(bundle.AboutMirrorState, fmt.Errorf("mirror %s: %w", dir, err))
	}
	if err != nil {
		return nil, err
	}
	if s.Format != state.Format {
		return nil, fmt.Errorf("mirror %s: layout %d, this program knows %d: %w", dir, s.Format, state.Format, bundle.ErrUnsupported)
	}
	if m.blobsRoot, err = root.OpenRoot(tree.BlobsDir); err != nil {
		return nil, err
	}
	if m.listsRoot, err = root.OpenRoot(state.ListsDir); err != nil {
		return nil, err
	}
	m.blobs, m.lists = store.View(m.blobsRoot), store.View(m.listsRoot)
	m.trees = tree.New(root, m.dir, o.Tool, m.blobs, m.lists)
	return m, nil
}

// Close releases the mirror; what its methods opened stays open.
func (m *Mirror) Close() error {
	var errs []error
	for _, s := range []*store.Store{m.blobs, m.lists} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	for _, r := range []*os.Root{m.blobsRoot, m.listsRoot, m.root} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(errs...)
}

// Dir returns the absolute path of the mirror.
func (m *Mirror) Dir() string { return m.dir }

// Receipt returns the signed receipt of the newest bundle that was imported of a
// set; the error matches bundle.ErrIncomplete where there is none.
func (m *Mirror) Receipt(set string) ([]byte, error) { return m.state.Receipt(set) }

// History returns the journal from its beginning. A line that does not continue the
// one before ends it with an error that matches bundle.ErrCorrupt; the lines
// before it are returned all the same.
func (m *Mirror) History() ([]state.Entry, error) { return m.state.History() }

// Current returns the generation that is published; where nothing was published yet
// the error matches bundle.ErrIncomplete.
func (m *Mirror) Current() (*tree.Generation, error) { return m.trees.Current() }

// Generations returns all that are still here, in the order of their numbers; the
// last is the current one.
func (m *Mirror) Generations() ([]tree.Generation, error) { return m.trees.Generations() }

// Tree returns the published part of a kind; of all kinds for "". Where two
// sets have a repository of one name, it is called "<set>/<name>" there.
func (m *Mirror) Tree(kind string) (*tree.View, error) { return m.trees.View(kind) }

// Check compares what is published with its lists: every file is there, is a
// file, has its size, and there is nothing else. With o.Data, some or all of
// the content is hashed. It names everything that is wrong, in the result and,
// in short, in the error, which matches bundle.ErrCorrupt.
func (m *Mirror) Check(ctx context.Context, o tree.CheckOptions) (*tree.CheckResult, error) {
	return m.trees.Check(ctx, o)
}
