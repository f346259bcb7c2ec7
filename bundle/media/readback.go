package media

import (
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// How a file was read back, from best to worst. Reading what was just written
// proves nothing about the medium as long as it comes out of the page cache.
const (
	ReadbackDirect  = "direct"  // past the cache
	ReadbackDropped = "dropped" // after the cache was seen to hold nothing of it
	ReadbackCached  = "cached"  // it may have come from the cache
	ReadbackNone    = "none"    // not read back
)

// worseReadback is the weaker of two; "" is none at all yet.
func worseReadback(a, b string) string {
	for _, m := range []string{ReadbackNone, ReadbackCached, ReadbackDropped, ReadbackDirect} {
		if a == m || b == m {
			return m
		}
	}
	return ""
}

// readBack reads a file again and requires its digest. Errors match
// ErrCorrupt, or are the operating system's.
func readBack(root *os.Root, name string, want bundle.Digest) (method string, err error) {
	f, method, err := openCold(root, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := bundle.NewHash()
	if err := copyToHash(h, f); err != nil {
		return "", err
	}
	if got := bundle.SumOf(h); got != want {
		return "", fmt.Errorf("%s in %s: read back: digest mismatch: want %s, got %s: %w", name, root.Name(), want, got, bundle.ErrCorrupt)
	}
	return method, nil
}

func copyToHash(h hash.Hash, r io.Reader) error {
	const piece = 1 << 20 // bytes
	_, err := io.CopyBuffer(onlyWriter{h}, onlyReader{r}, make([]byte, piece))
	return err
}

// onlyReader and onlyWriter keep io.Copy from choosing a way of its own.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)
