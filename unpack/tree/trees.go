package tree

import (
	"os"

	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// The names of what is published, in the directory of a mirror.
const (
	// BlobsDir holds the store.
	BlobsDir = "blobs"

	currentLink    = "current"
	previousLink   = "previous"
	generationsDir = "generations"
	treesDir       = "trees"

	tempSuffix = ".tmp" // of a generation that is being built, of a link before its rename

	// DirMode is that of folders that web servers read, whatever the umask.
	DirMode = 0o755
)

// Trees are the generations of a mirror. Its methods only read.
type Trees struct {
	root         *os.Root // of the mirror
	dir          string   // absolute
	tool         string   // name and version of the program
	blobs, lists *store.Store
}

// New returns the generations of the mirror in root, whose absolute path
// is dir. blobs and lists are its stores; tool is the name and version of the
// program. All of them stay the caller's to close.
func New(root *os.Root, dir, tool string, blobs, lists *store.Store) *Trees {
	return &Trees{root, dir, tool, blobs, lists}
}

// Builder makes, switches and removes generations. Only the process that holds
// the lock of the mirror may use one, with stores that can be written to.
type Builder struct {
	*Trees
	sync *store.Syncer
	// Fresh makes everything that a publish makes itself again, and takes nothing of it from
	// the generation before.
	Fresh bool
}

// NewBuilder returns a Builder for the mirror of t; sync has to be older than
// anything that is written.
func NewBuilder(t *Trees, sync *store.Syncer) *Builder { return &Builder{Trees: t, sync: sync} }

// Names returns the entries that a new mirror may have already: an interrupted
// Create left them.
func Names() []string { return []string{generationsDir, treesDir, BlobsDir} }

// Create makes what is missing of the folders.
func Create(root *os.Root) error {
	for _, d := range Names() {
		if err := durable.MakeDir(root, d, DirMode); err != nil {
			return err
		}
	}
	return nil
}

// Dir returns the absolute path of the mirror.
func (t *Trees) Dir() string { return t.dir }
