package verify

import (
	"context"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

// Sink takes the blobs of a volume.
type Sink interface {
	// Create is called once for each line of the blob table, concurrently.
	// (nil, nil): the content is not needed; it is checked all the same.
	Create(b bundle.Blob) (BlobWriter, error)
}

// BlobWriter takes the bytes of one blob or segment, from one goroutine.
type BlobWriter interface {
	io.Writer
	// Commit says that everything was written; of a whole blob, that its
	// digest is right. Segments are only authenticated as bytes of the
	// volume: who joins them checks the digest of the whole.
	Commit() error
	// Abort says that it is not going to be committed.
	Abort()
}

// StreamOptions has a zero value that is right for most.
type StreamOptions struct {
	// Jobs is how many frames are decoded at a time; 0: GOMAXPROCS.
	Jobs int
	// Progress is told the bytes of the file as they are done; nil: nobody.
	Progress bundle.Progress
}

// Stream reads volume (an index of Volumes) once, from its first byte to its
// last. Each frame is authenticated before it is decompressed, each blob is
// hashed, and what is right goes to sink (nil: nowhere).
func (b *Bundle) Stream(ctx context.Context, volume int, sink Sink, o StreamOptions) error { panic("") }

// Check streams every volume at hand to nowhere and gives all that is wrong.
func (b *Bundle) Check(ctx context.Context, o StreamOptions) error { panic("") }
