package bundle

import (
	"io"
	"iter"
)

// Sum is a line of SHA256SUMS.
type Sum struct {
	Digest Digest
	Name   string
}

// ReadSums reads the SHA256SUMS of a bundle: strict, sorted by name, streaming.
func ReadSums(r io.Reader) iter.Seq2[Sum, error] { panic("not yet") }
