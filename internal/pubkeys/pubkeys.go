// Package pubkeys reads public keys from files: what both sides of the gap do
// with a key that somebody hands over.
package pubkeys

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxFile bounds a key file that is read; real ones are under 10 KiB.
const maxFile = 1 << 20 // bytes

// Load reads a public key in PEM, once: the text that has this identity. Errors match
// bundle.ErrUsage, or are the operating system's.
func Load(path string) (text []byte, id bundle.Digest, err error) {
	if text, err = ReadFile(path); err != nil {
		return nil, id, err
	}
	if _, id, err = bundle.ParsePublicKey(text); err != nil {
		return nil, id, fmt.Errorf("%s: %w", path, err)
	}
	return text, id, nil
}

// LoadOpenPGP reads a file with one OpenPGP key, armored or not, and returns
// its fingerprint too. Errors match bundle.ErrUsage, or are the operating
// system's.
func LoadOpenPGP(path string) (*openpgp.Entity, string, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	if err := CheckKeybox(b); err != nil {
		return nil, "", fmt.Errorf("%s: %w: %w", path, err, bundle.ErrUsage)
	}
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("-----BEGIN")) {
		read = openpgp.ReadArmoredKeyRing
	}
	ring, err := read(bytes.NewReader(b))
	if err != nil {
		return nil, "", fmt.Errorf("%s: OpenPGP key: %w: %w", path, bundle.ErrUsage, err)
	}
	if len(ring) != 1 {
		return nil, "", fmt.Errorf("%s: %d OpenPGP keys, want 1: %w", path, len(ring), bundle.ErrUsage)
	}
	return ring[0], Fingerprint(ring[0]), nil
}

// CheckKeybox refuses a keybox (GnuPG, doc/KEYFORMAT and kbx/keybox-blob.c): its first blob has
// the magic "KBXf" at offset 8. It is GnuPG's own database, which nothing else reads, apt
// and rpm included.
func CheckKeybox(b []byte) error {
	if len(b) >= 12 && string(b[8:12]) == "KBXf" {
		return errors.New("is a keybox, which GnuPG alone reads: gpg --no-default-keyring --keyring ./FILE --export --armor > FILE.asc makes a keyring of it")
	}
	return nil
}

// Fingerprint is the primary key's, in upper-case hexadecimal digits.
func Fingerprint(e *openpgp.Entity) string {
	return strings.ToUpper(fmt.Sprintf("%x", e.PrimaryKey.Fingerprint))
}

// ReadFile reads a file that holds a key.
func ReadFile(path string) ([]byte, error) { return bundle.ReadNamed(path, maxFile) }
