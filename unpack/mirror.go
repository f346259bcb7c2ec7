package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// The names in the directory of a mirror.
const (
	currentLink    = "current"
	previousLink   = "previous"
	generationsDir = "generations"
	treesDir       = "trees"
	blobsDir       = "blobs"
	stateDir       = "state"

	listsDir   = stateDir + "/lists"       // file and evidence lists, by digest
	setsDir    = stateDir + "/sets"        // what was accepted, by set
	recordsDir = stateDir + "/generations" // what each generation publishes
	receiptDir = stateDir + "/receipts"
	pendingDir = stateDir + "/pending" // bundles that wait for volumes
	rootsDir   = stateDir + "/bundles" // signed roots of what was accepted

	settingsFile   = stateDir + "/mirror.json"
	policyFile     = stateDir + "/trust.json"
	journalFile    = stateDir + "/journal.jsonl"
	lockFile       = stateDir + "/lock"
	receiptKeyFile = stateDir + "/receipt.key"
	intentFile     = stateDir + "/publishing.json"

	tempSuffix = ".tmp" // of a generation that is being built, of a link before its rename

	publicDirMode  = 0o755
	privateDirMode = 0o700
	stateFileMode  = 0o600
)

// Options are how a mirror is worked with. The zero value is right.
type Options struct {
	// Jobs is how many frames are decoded at a time; 0: GOMAXPROCS.
	Jobs int
	// Progress is told how an import advances; nil: nobody.
	Progress bundle.Progress
	// Now is the local clock; nil: time.Now.
	Now func() time.Time
	// RetryLock is how long to wait for another process to let go of the
	// mirror; 0: not at all.
	RetryLock time.Duration
	// DryRun changes not one byte; results say what would be done.
	DryRun bool
	// Log gets what is worth knowing when something is looked into; nil: nobody.
	Log *slog.Logger
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
	// blobs and catalog are the roots of store and lists, which only read.
	blobs, catalog *os.Root
	store, lists   *store.Store
}

// Create opens the mirror in dir and makes it where there is none: dir itself
// and nothing above it. A folder that holds other things is refused, so that a
// slip of the hand does not spread a mirror over somebody's home; the error
// matches bundle.ErrUsage.
func Create(dir string, o Options) (*Mirror, error) {
	if o.DryRun {
		return Open(dir, o)
	}
	if err := os.Mkdir(dir, publicDirMode); err == nil {
		err = os.Chmod(dir, publicDirMode) // whatever the umask: web servers read here
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
	if err := layOut(root); err != nil {
		return nil, errors.Join(fmt.Errorf("mirror %s: %w", dir, err), root.Close())
	}
	return open(dir, root, o)
}

// layOut makes what is missing of a mirror; the settings, whose presence says
// that it is one, come last.
func layOut(root *os.Root) error {
	if _, err := root.Lstat(settingsFile); !errors.Is(err, fs.ErrNotExist) {
		return err // also where it cannot be seen: it may be one, with settings
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains([]string{generationsDir, treesDir, blobsDir, stateDir, "lost+found"}, e.Name()) {
			return fmt.Errorf("holds %q and is no mirror: want an empty or new folder: %w", e.Name(), bundle.ErrUsage)
		}
	}
	for _, d := range []string{generationsDir, treesDir, blobsDir} {
		if err := store.MakeDir(root, d, publicDirMode); err != nil {
			return err
		}
	}
	for _, d := range []string{stateDir, listsDir, setsDir, recordsDir, receiptDir, pendingDir, rootsDir} {
		if err := store.MakeDir(root, d, privateDirMode); err != nil {
			return err
		}
	}
	return writeState(root, settingsFile, settings{Format: mirrorFormat})
}

// Open opens the mirror in dir; where there is none the error matches
// bundle.ErrIncomplete.
func Open(dir string, o Options) (*Mirror, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("mirror %s: does not exist: %w", dir, bundle.ErrIncomplete)
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
	s, err := m.settings()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("mirror %s: no mirror there (no %s): %w", dir, settingsFile, bundle.ErrIncomplete)
	}
	if err != nil {
		return nil, err
	}
	if s.Format != mirrorFormat {
		return nil, fmt.Errorf("mirror %s: layout %d, this program knows %d: %w", dir, s.Format, mirrorFormat, bundle.ErrUnsupported)
	}
	if m.blobs, err = root.OpenRoot(blobsDir); err != nil {
		return nil, err
	}
	if m.catalog, err = root.OpenRoot(listsDir); err != nil {
		return nil, err
	}
	m.store, m.lists = store.View(m.blobs), store.View(m.catalog)
	return m, nil
}

// Close releases the mirror; what its methods opened stays open.
func (m *Mirror) Close() error {
	var errs []error
	for _, s := range []*store.Store{m.store, m.lists} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	for _, r := range []*os.Root{m.blobs, m.catalog, m.root} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(errs...)
}

// Dir is the absolute path of the mirror.
func (m *Mirror) Dir() string { return m.dir }

func (m *Mirror) now() time.Time { return m.o.Now().UTC().Truncate(time.Second) }
