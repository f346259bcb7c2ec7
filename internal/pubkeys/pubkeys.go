// Package pubkeys reads public keys from files: what both sides of the gap do
// with a key that somebody hands over.
package pubkeys

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/certs"
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
		if what := found(text); what != "" && what != publicKey {
			err = fmt.Errorf("is %s, want a public key in PEM: %w", what, bundle.ErrUsage)
		}
		return nil, id, bundle.About(bundle.AboutPublicKey, fmt.Errorf("%s: %w", path, err))
	}
	return text, id, nil
}

// The beginnings of a file that may be another key than the wanted one. A damaged key of the wanted
// kind keeps its own error.
const (
	publicKey = "a public key in PEM, such as exporter.pub"
	openPGP   = "OpenPGP key"
)

// found returns what a file has by its armour; "": nothing that is known.
func found(text []byte) string {
	block, _ := pem.Decode(text)
	switch {
	case bytes.Contains(text, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")):
		return "a private " + openPGP
	case bytes.Contains(text, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")):
		return "an " + openPGP
	case block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return "a private key in PEM"
	case block != nil && block.Type == "PUBLIC KEY":
		return publicKey
	case block != nil:
		return fmt.Sprintf("a %.60s in PEM", block.Type)
	}
	return ""
}

// maxRing is how many keys a keyring has that is read; Debian's and Ubuntu's have up to 30.
const maxRing = 128

// LoadOpenPGP reads a file with one OpenPGP key, armored or not, and returns
// its fingerprint too. Errors match bundle.ErrUsage, or are the operating
// system's.
func LoadOpenPGP(path string) (*openpgp.Entity, string, error) {
	ring, err := readRing(path)
	if err != nil {
		return nil, "", err
	}
	if len(ring) != 1 {
		return nil, "", fmt.Errorf("%s: %d OpenPGP keys, want 1: %w", path, len(ring), bundle.ErrUsage)
	}
	return ring[0], Fingerprint(ring[0]), nil
}

// Key is a key of a keyring. Weak is what Weak states about it.
type Key struct {
	certs.Certificate
	Weak error
}

// LoadKeyring reads a file with one OpenPGP key or several, armored in one block or in
// several, or not armored. Errors are those of LoadOpenPGP.
func LoadKeyring(path string) ([]Key, error) {
	ring, err := readRing(path)
	if err != nil {
		return nil, bundle.About(bundle.AboutPublicKey, err)
	}
	if len(ring) > maxRing {
		return nil, bundle.About(bundle.AboutPublicKey, fmt.Errorf("%s: %d OpenPGP keys, at most %d: %w", path, len(ring), maxRing, bundle.ErrUsage))
	}
	var all []Key
	for _, e := range ring {
		if e.PrivateKey != nil {
			return nil, bundle.About(bundle.AboutPublicKey, fmt.Errorf("%s: has a secret key, want public keys: %w", path, bundle.ErrUsage))
		}
		k := Key{certs.Of(e), Weak(e)}
		if !slices.ContainsFunc(all, func(have Key) bool { return have.Fingerprint == k.Fingerprint }) {
			all = append(all, k)
		}
	}
	return all, nil
}

// readRing reads the OpenPGP keys of a file, at least one.
func readRing(path string) (openpgp.EntityList, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	ring, err := ParseKeyring(b)
	if what := found(b); err != nil && what != "" && !strings.HasSuffix(what, openPGP) {
		return nil, fmt.Errorf("%s: is %s, want an OpenPGP key: %w", path, what, bundle.ErrUsage)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: OpenPGP key: %w: %w", path, err, bundle.ErrUsage)
	}
	return ring, nil
}

// Armored is what an armored block begins with.
const Armored = "-----BEGIN PGP "

// ParseKeyring reads keys, armored (one block or several) or not.
func ParseKeyring(b []byte) (openpgp.EntityList, error) {
	if err := CheckKeybox(b); err != nil {
		return nil, err
	}
	if !bytes.Contains(b, []byte(Armored)) {
		keys, err := openpgp.ReadKeyRing(bytes.NewReader(b))
		if err == nil && len(keys) == 0 {
			err = errors.New("no key in it")
		}
		return keys, err
	}
	var all openpgp.EntityList
	for _, part := range bytes.SplitAfter(b, []byte("-----END PGP PUBLIC KEY BLOCK-----")) {
		if !bytes.Contains(part, []byte(Armored)) {
			continue
		}
		keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(part))
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	if len(all) == 0 {
		return nil, errors.New("no key in it")
	}
	return all, nil
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

// Fingerprint returns that of the primary key, in upper-case hexadecimal digits.
func Fingerprint(e *openpgp.Entity) string {
	return strings.ToUpper(fmt.Sprintf("%x", e.PrimaryKey.Fingerprint))
}

// ReadFile reads a file that holds a key.
func ReadFile(path string) ([]byte, error) { return bundle.ReadNamed(path, maxFile) }
