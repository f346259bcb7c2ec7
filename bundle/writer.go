package bundle

import (
	"context"
	"io"
	"os"
)

type WriterOptions struct {
	Set        string
	Sequence   int64
	Targets    []string // directories on media, filled one after the other
	VolumeSize int64    // 0: DefaultVolumeSize
	Jobs       int      // compressors, 0: GOMAXPROCS
	Records    *os.Root // resume records, on the exporter's own disk
	NoReadback bool
	Progress   Progress
	// NextMedium is asked when all targets are full; nil: ErrIncomplete
	NextMedium func(ctx context.Context, need int64) (dir string, err error)
}

type Writer struct{}

func NewWriter(o WriterOptions) (*Writer, error)                     { panic("not yet") }
func (w *Writer) Run(ctx context.Context, r Run) (*RunWriter, error) { panic("not yet") }
func (w *Writer) Abort() error                                       { panic("not yet") }

// Close releases what the Writer holds open and keeps everything on disk, so
// that the same export can go on later. Deferred by callers; a no-op after
// Finish and Abort.
func (w *Writer) Close() error { panic("not yet") }

type Lists struct {
	Files, Evidence func() (io.ReadCloser, error) // nil: not carried
}
type Finished struct {
	Root     Digest
	Dirs     []string
	Volumes  int
	Bytes    int64
	Readback string // "direct", "dropped", "cached", "none"
}

// Finish writes catalogue, README, SHA256SUMS, root, signatures, MEDIUM.txt, renames .partial. The records stay
// (so that a crash before the caller has noted the result is repaired by the same command, giving the same root):
// the caller removes them once it has.
func (w *Writer) Finish(ctx context.Context, m Manifest, lists []Lists, signers []Signer) (*Finished, error) {
	panic("not yet")
}
