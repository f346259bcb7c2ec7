package reindex

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// maxContentsLine bounds a line of a Contents index: in Debian's, a folder's
// worth of packages that share one path has 40 KB.
const maxContentsLine = 1 << 20 // bytes

// Contents copies those lines of a Contents index (Debian repository format,
// "Contents indices") to w that list a file of one of the packages, by name,
// with those packages alone. A header as old archives have it goes with the
// lines that list nothing. Errors match bundle.ErrMalformed or are r's or w's.
func Contents(w io.Writer, r io.Reader, names map[string]bool) error {
	in := bufio.NewReaderSize(r, maxContentsLine)
	out := bufio.NewWriter(w)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("contents: a line of more than %d bytes: %w", maxContentsLine, bundle.ErrMalformed)
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		line = bytes.TrimRight(line, "\n")
		// The path may hold blanks, the list of packages may not.
		if i := bytes.LastIndexAny(line, " \t"); i > 0 {
			writeLocations(out, line[:i+1], line[i+1:], names)
		}
		if err != nil {
			return out.Flush()
		}
	}
}

// writeLocations writes path and those of "section/name,section/name" that
// are wanted; nothing where none is. Flush returns the error of writing.
func writeLocations(out *bufio.Writer, path, locations []byte, names map[string]bool) {
	some := false
	for location := range bytes.SplitSeq(locations, []byte(",")) {
		if !names[string(location[bytes.LastIndexByte(location, '/')+1:])] {
			continue
		}
		if some {
			_ = out.WriteByte(',')
		} else {
			_, _ = out.Write(path)
		}
		_, _ = out.Write(location)
		some = true
	}
	if some {
		_ = out.WriteByte('\n')
	}
}

// contents puts a Contents index. As in archives the plain form is listed, for
// apt to check what it unpacked, and only the compressed one is there: of a
// whole archive the plain one has 500 MB.
func (b *builder) contents(name string, write func(io.Writer) error) error {
	var packed bytes.Buffer
	compressor := gzip.NewWriter(&packed)
	hash := bundle.NewHash()
	plain := &counter{w: io.MultiWriter(compressor, hash)}
	if err := errors.Join(write(plain), compressor.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.release.Files = append(b.release.Files, deb.ReleaseFile{Path: name, Size: plain.n, SHA256: bundle.SumOf(hash).Hex()})
	names := map[string]bool{}
	for _, c := range b.suite.Components {
		for _, p := range c.Packages {
			names[p.Name] = true
		}
	}
	return b.listed(File{name + ".gz", packed.Bytes(), unpacked(bundle.SumOf(hash), readContents(names))})
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
