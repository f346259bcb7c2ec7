package upstream

import (
	"crypto/sha1" //nolint:gosec // old repositories have no other checksums
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// Sum is a checksum by which an index names content. The zero Sum is none.
type Sum struct {
	// Algorithm is sha512, sha384, sha256, sha224, or sha1, which rpm metadata
	// calls sha. Any other one, MD5 above all, is not trusted: two files with one
	// MD5 are made in seconds.
	Algorithm string
	Hex       string // lower-case hexadecimal digits
}

// SHA256 returns the sum of a digest; of the zero digest it is none.
func SHA256(d bundle.Digest) Sum {
	if d.IsZero() {
		return Sum{}
	}
	return Sum{"sha256", d.Hex()}
}

// IsZero reports whether there is no checksum.
func (s Sum) IsZero() bool { return s == Sum{} }

// Digest returns the sum as a digest; ok is false for another algorithm.
func (s Sum) Digest() (d bundle.Digest, ok bool) {
	if s.Algorithm != "sha256" {
		return d, false
	}
	d, err := bundle.ParseHex(s.Hex)
	return d, err == nil
}

func (s Sum) String() string {
	if s.IsZero() {
		return "no checksum"
	}
	return s.Algorithm + ":" + s.Hex
}

// Check refuses a checksum that nothing can be checked by: of an algorithm that is
// not trusted (matches fetch.ErrRefused), or with digits that are none (matches
// fetch.ErrUpstream). what names the file in the error.
func (s Sum) Check(what string) error {
	size := s.size()
	if size == 0 {
		return &fault{fmt.Sprintf("%s: checksum of type %.40s: not trusted", what, s.Algorithm), fetch.ErrRefused}
	}
	if len(s.Hex) != 2*size || strings.Trim(s.Hex, "0123456789abcdef") != "" {
		return &fault{fmt.Sprintf("%s: checksum %.150s: want %s", what, s.Hex, bundle.Count(2*size, "lower-case hexadecimal digit")), fetch.ErrUpstream}
	}
	return nil
}

// Of returns the checksum of content by the same algorithm, which is trusted.
func (s Sum) Of(content []byte) Sum {
	h := s.hash()
	_, _ = h.Write(content) // never fails
	return s.of(h)
}

func (s Sum) of(h hash.Hash) Sum { return Sum{s.Algorithm, hex.EncodeToString(h.Sum(nil))} }

// size returns how many bytes a checksum of the algorithm has: 0 if it is not trusted. A list
// of packages has one for each, so no hash is made to find out.
func (s Sum) size() int {
	switch s.Algorithm {
	case "sha512":
		return sha512.Size
	case "sha384":
		return sha512.Size384
	case "sha256":
		return sha256.Size
	case "sha224":
		return sha256.Size224
	case "sha", "sha1":
		return sha1.Size
	}
	return 0
}

// hash returns nil for an algorithm that is not trusted.
func (s Sum) hash() hash.Hash {
	switch s.Algorithm {
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	case "sha256":
		return sha256.New()
	case "sha224":
		return sha256.New224()
	case "sha", "sha1":
		return sha1.New() //nolint:gosec // a second file of a given SHA-1 is out of reach
	}
	return nil
}
