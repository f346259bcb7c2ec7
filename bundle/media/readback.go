package media

import (
	"fmt"
	"hash/crc32"
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

// worseReadback returns the weaker of two; "" is none at all yet.
func worseReadback(a, b string) string {
	for _, m := range []string{ReadbackNone, ReadbackCached, ReadbackDropped, ReadbackDirect} {
		if a == m || b == m {
			return m
		}
	}
	return ""
}

// checksum is the CRC-32C (RFC 9260, appendix A) of the written part of a file. Read-back
// finds media that do not return what was written. It does not defend against people, who
// could change a medium after the read-back; the digests of the bundle do. A CRC costs a
// tenth of a digest.
type checksum uint32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (c *checksum) add(b []byte) { *c = checksum(crc32.Update(uint32(*c), castagnoli, b)) }

// Write calls add: the sums are an io.Writer.
func (c *checksum) Write(b []byte) (int, error) {
	c.add(b)
	return len(b), nil
}

// readBack reads a file again and requires its checksum. Errors match
// ErrCorrupt, or are the operating system's.
func readBack(root *os.Root, name string, want checksum) (method string, err error) {
	f, method, err := openCold(root, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var got checksum
	if err := copyPieces(&got, f); err != nil {
		return "", err
	}
	if got != want {
		err := fmt.Errorf("%s in %s: read back: checksum mismatch: want CRC-32C %08x, got %08x: %w", name, root.Name(), uint32(want), uint32(got), bundle.ErrCorrupt)
		return "", bundle.About(bundle.AboutTargets, err)
	}
	return method, nil
}

func copyPieces(w io.Writer, r io.Reader) error {
	const piece = 1 << 20 // bytes
	_, err := io.CopyBuffer(onlyWriter{w}, onlyReader{r}, make([]byte, piece))
	return err
}

// onlyReader and onlyWriter keep io.Copy from choosing a way of its own.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)
