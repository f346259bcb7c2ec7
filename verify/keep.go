package verify

import (
	"bytes"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
)

// Keep is a Sink that holds some small blobs in memory, by their digests. It takes no
// blob that is split.
type Keep struct {
	wanted map[bundle.Digest]bool
	limit  int64

	mu   sync.Mutex
	size int64
	kept map[bundle.Digest][]byte
}

// NewKeep makes a Keep of the blobs that are wanted, of at most limit bytes together.
func NewKeep(wanted map[bundle.Digest]bool, limit int64) *Keep {
	return &Keep{wanted: wanted, limit: limit, kept: map[bundle.Digest][]byte{}}
}

// Create is called concurrently.
func (k *Keep) Create(b bundle.Blob) (BlobWriter, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.wanted[b.Digest] || !b.Whole() || k.size+b.Size > k.limit {
		return nil, nil
	}
	k.size += b.Size
	return &keptBlob{keep: k, digest: b.Digest}, nil
}

// Content returns a blob that was streamed, and reports whether it was.
func (k *Keep) Content(d bundle.Digest) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	content, ok := k.kept[d]
	return content, ok
}

type keptBlob struct {
	bytes.Buffer
	keep   *Keep
	digest bundle.Digest
}

func (b *keptBlob) Commit() error {
	b.keep.mu.Lock()
	defer b.keep.mu.Unlock()
	b.keep.kept[b.digest] = b.Bytes()
	return nil
}

func (b *keptBlob) Abort() {}
