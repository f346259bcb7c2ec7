// Package gitsig verifies signatures of git's tags and commits without any
// program: OpenPGP (RFC 9580), and SSH signatures in the namespace "git"
// (OpenSSH's PROTOCOL.sshsig) by the keys of an allowed-signers file
// (ssh-keygen(1)).
//
// A signature covers the object without itself: for a tag all before the
// armor at its end, for a commit all but the header "gpgsig".
package gitsig

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
)

// MaxSigned bounds a tag or commit whose signature is checked, in bytes.
const MaxSigned = 1 << 20

const (
	pgpArmor = "-----BEGIN PGP SIGNATURE-----\n"
	sshArmor = "-----BEGIN SSH SIGNATURE-----\n"
)

// Keys are those that may sign.
type Keys struct {
	// Weak reports whether a weak key counts, by its fingerprint: 40 or 64 hexadecimal digits,
	// or SHA256:... of a key for SSH. nil: none does.
	Weak func(fingerprint string) bool

	pgp openpgp.EntityList
	ssh []allowed
}

// Add reads a file of keys: an OpenPGP keyring, armored or not, or an
// allowed-signers file. Errors have no class.
func (k *Keys) Add(content []byte) error {
	if isKeyring(content) {
		keys, err := pgpkeys.Parse(content)
		k.pgp = append(k.pgp, keys...)
		return err
	}
	signers, err := parseAllowed(content)
	k.ssh = append(k.ssh, signers...)
	return err
}

// isKeyring reports whether content is an OpenPGP keyring and not lines of text.
// A binary keyring begins with a packet's tag, whose highest bit is set.
func isKeyring(content []byte) bool {
	return bytes.Contains(content, []byte(pgpkeys.Armored)) || len(content) > 0 && content[0]&0x80 != 0
}

// Verify checks the signature of a tag or a commit (kind) and returns who made
// it, in the form of bundle.Evidence.Vouched. Errors match fetch.ErrRefused.
func (k *Keys) Verify(kind string, object []byte, now time.Time) (vouched string, err error) {
	payload, signature := splitTag(object)
	if kind == "commit" {
		payload, signature = splitCommit(object)
	}
	switch {
	case len(signature) == 0:
		return "", fmt.Errorf("no signature: %w", bundle.About(bundle.AboutSigner, fetch.ErrRefused))
	case bytes.HasPrefix(signature, []byte(sshArmor)):
		vouched, err = k.verifySSH(payload, signature, now)
	case bytes.HasPrefix(signature, []byte(pgpArmor)):
		vouched, err = k.verifyPGP(payload, signature, now)
	default:
		err = errors.New("a signature that is neither OpenPGP nor SSH (X.509 is not supported)")
	}
	if err != nil {
		return "", fmt.Errorf("signature: %w: %w", err, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
	}
	return vouched, nil
}

func (k *Keys) verifyPGP(payload, armored []byte, now time.Time) (string, error) {
	if len(k.pgp) == 0 {
		return "", errors.New("by OpenPGP, and the spec names no OpenPGP key")
	}
	signature, err := pgpkeys.Dearmor(armored)
	if err != nil {
		return "", err
	}
	signers, err := pgpkeys.Signers(payload, signature, k.pgp, now)
	if err != nil {
		return "", err
	}
	strong, weak := pubkeys.Strong(signers, k.Weak)
	if len(strong) == 0 {
		return "", fmt.Errorf("by a key that does not count: %w", errors.Join(weak...))
	}
	return bundle.VouchedOpenPGP + pgpkeys.Fingerprint(strong[0]), nil
}

// splitTag cuts a tag where its signature begins: the last line that begins an
// armor, as git has it.
func splitTag(object []byte) (payload, signature []byte) {
	at := -1
	for _, armor := range []string{pgpArmor, sshArmor} {
		if bytes.HasPrefix(object, []byte(armor)) {
			at = max(at, 0)
		}
		if i := bytes.LastIndex(object, []byte("\n"+armor)); i >= 0 {
			at = max(at, i+1)
		}
	}
	if at < 0 {
		return object, nil
	}
	return object[:at], object[at:]
}

// splitCommit takes the header gpgsig off a commit. Its further lines begin
// with a blank, which is not part of the signature.
func splitCommit(object []byte) (payload, signature []byte) {
	rest, inside, found := object, false, false
	for len(rest) > 0 && rest[0] != '\n' {
		line, after := rest, []byte(nil)
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, after = rest[:i+1], rest[i+1:]
		}
		rest = after
		if inside && line[0] == ' ' {
			signature = append(signature, line[1:]...)
			continue
		}
		value, isSignature := bytes.CutPrefix(line, []byte("gpgsig "))
		if inside = isSignature && !found; inside {
			found = true
			signature = append(signature, value...)
			continue
		}
		payload = append(payload, line...)
	}
	return append(payload, rest...), signature
}
