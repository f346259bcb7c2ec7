package unpack

import (
	"log/slog"
	"os"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/blobstore"
)

// Options are how a mirror is worked with. The zero value is right.
type Options struct {
	// Jobs is how many frames are decoded and blobs stored at a time; 0: GOMAXPROCS.
	Jobs int
	// Progress is told how an import advances; nil: nobody.
	Progress bundle.Progress
	// Now is the local clock; nil: time.Now.
	Now func() time.Time
	// RetryLock is how long to wait for another process to let go of the
	// mirror; 0: not at all.
	RetryLock time.Duration
	// DryRun changes not one byte: what would be done is said.
	DryRun bool
	// Log gets what is worth knowing when something is looked into; nil: nobody.
	Log *slog.Logger
	// Tool is the name and version of the program, Built when it was built:
	// where the clock floor of a new set begins.
	Tool  string
	Built time.Time
}

// Mirror is an open mirror.
type Mirror struct {
	o     Options
	dir   string // absolute
	root  *os.Root
	store *blobstore.Store
	lists *blobstore.Store
}
