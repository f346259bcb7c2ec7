package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// Digest is the SHA-256 of some content, the only name that content has in a
// bundle and in a store. It is a comparable value; the zero value stands for
// "not known yet" and is never the digest of anything carried.
type Digest [sha256.Size]byte

const digestPrefix = "sha256:"

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// NewHash starts a digest that is computed piece by piece; SumOf ends it.
func NewHash() hash.Hash { return sha256.New() }

// SumOf returns the digest of what was written to h, which NewHash made.
func SumOf(h hash.Hash) Digest {
	var d Digest
	h.Sum(d[:0])
	return d
}

// ParseDigest reads "sha256:" and 64 lower-case hexadecimal digits, the form
// of the OCI image specification (descriptor.md, "Digests"); nothing else.
// Errors match ErrMalformed.
func ParseDigest(s string) (Digest, error) {
	if len(s) != len(digestPrefix)+2*sha256.Size || s[:len(digestPrefix)] != digestPrefix {
		return Digest{}, fmt.Errorf("digest %.80q: want sha256: and 64 hex digits: %w", s, ErrMalformed)
	}
	return ParseHex(s[len(digestPrefix):])
}

// ParseHex reads 64 lower-case hexadecimal digits. Errors match ErrMalformed.
func ParseHex(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return Digest{}, fmt.Errorf("digest %.80q: want 64 hex digits: %w", s, ErrMalformed)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || !isLower(s) {
		return Digest{}, fmt.Errorf("digest %q: want 64 lower-case hex digits: %w", s, ErrMalformed)
	}
	return d, nil
}

func isLower(s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	return true
}

// IsZero reports whether the digest is not known.
func (d Digest) IsZero() bool { return d == Digest{} }

// Hex returns the digest as 64 lower-case hexadecimal digits: a file name.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String returns "sha256:" and Hex.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// Short returns the first 12 digits, for people.
func (d Digest) Short() string { return d.Hex()[:12] }

// Compare orders digests as their hexadecimal forms are ordered.
func (d Digest) Compare(e Digest) int { return bytes.Compare(d[:], e[:]) }

// MarshalText returns String, so that JSON holds the OCI form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote, as ParseDigest does.
func (d *Digest) UnmarshalText(b []byte) error {
	e, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = e
	return nil
}
