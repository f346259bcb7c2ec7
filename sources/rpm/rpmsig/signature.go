package rpmsig

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

// streamed is a signature over content that passes by.
type streamed struct {
	in      *io.PipeWriter
	settled chan struct{}
	signer  *openpgp.Entity
	err     error
}

// stream begins to check a signature. Its bytes are checked by a
// goroutine, which close or verdict ends.
func stream(sig []byte, keys openpgp.EntityList, at time.Time) *streamed {
	r, w := io.Pipe()
	s := &streamed{in: w, settled: make(chan struct{})}
	go func() {
		defer close(s.settled)
		s.signer, s.err = check(sig, r, keys, at)
		_ = r.CloseWithError(errSettled) // what comes still is not wanted
	}()
	return s
}

// errSettled ends writing to a check that has its result.
var errSettled = errors.New("settled")

func (s *streamed) write(p []byte) {
	_, _ = s.in.Write(p) // fails only with errSettled
}

func (s *streamed) verdict() (*openpgp.Entity, error) {
	_ = s.in.Close() // never fails
	<-s.settled
	return s.signer, s.err
}

func (s *streamed) close() {
	_ = s.in.CloseWithError(errSettled) // never fails
	<-s.settled
}

func checkSignature(sig, content []byte, keys openpgp.EntityList, at time.Time) (*openpgp.Entity, error) {
	return check(sig, bytes.NewReader(content), keys, at)
}

// check returns the key whose signature over content holds. There has to be one
// signature, alone: rpm takes no more.
func check(sig []byte, content io.Reader, keys openpgp.EntityList, at time.Time) (*openpgp.Entity, error) {
	if len(sig) > pgpkeys.MaxSignature {
		return nil, errors.New("not readable")
	}
	if body, ok := version3(sig); ok {
		return check3(body, content, keys, at)
	}
	r := bytes.NewReader(sig)
	p, err := packet.Read(r)
	parsed, ok := p.(*packet.Signature)
	if err != nil || !ok || r.Len() > 0 {
		return nil, errors.New("not readable")
	}
	if parsed.SigType != packet.SigTypeBinary {
		return nil, fmt.Errorf("by %s: a signature of text, which leaves line ends open", pgpkeys.Issuer(parsed))
	}
	if err := pgpkeys.Forgeable(parsed); err != nil {
		return nil, fmt.Errorf("by %s: %w", pgpkeys.Issuer(parsed), err)
	}
	signer, err := openpgp.CheckDetachedSignature(keys, content, bytes.NewReader(sig), &packet.Config{Time: func() time.Time { return at }})
	if err != nil {
		return nil, fmt.Errorf("by %s: %w", pgpkeys.Issuer(parsed), err)
	}
	return signer, nil
}

// version3 returns the body of a signature of version 3 (RFC 4880 section 5.2.2),
// which rpmsign made until it no longer asked gpg for them: packages of EL7 have it.
// The OpenPGP library has given them up.
func version3(sig []byte) (body []byte, ok bool) {
	if len(sig) < 4 {
		return nil, false
	}
	var n, at int
	switch tag := sig[0]; {
	case tag == 0xc2 && sig[1] < 192: // new format, tag 2
		n, at = int(sig[1]), 2
	case tag == 0xc2 && sig[1] < 224:
		n, at = (int(sig[1])-192)<<8+int(sig[2])+192, 3
	case tag == 0x88: // old format, tag 2, length of one byte
		n, at = int(sig[1]), 2
	case tag == 0x89: // and of two
		n, at = int(binary.BigEndian.Uint16(sig[1:])), 3
	default:
		return nil, false
	}
	if n != len(sig)-at || n < 1 || sig[at] != 3 {
		return nil, false
	}
	return sig[at:], true
}

// check3 checks a signature of version 3 by RSA; others were not in use.
func check3(body []byte, content io.Reader, keys openpgp.EntityList, at time.Time) (*openpgp.Entity, error) {
	// version, length of what is hashed, type, time, key, algorithms, first
	// bytes of the digest, one number
	const fixed = 19
	if len(body) < fixed+2 || body[1] != 5 {
		return nil, errors.New("not readable")
	}
	hashed, keyID := body[2:7], binary.BigEndian.Uint64(body[7:15])
	made := time.Unix(int64(binary.BigEndian.Uint32(body[3:7])), 0)
	issuer := fmt.Sprintf("by %016X", keyID)
	bits := int(binary.BigEndian.Uint16(body[fixed:]))
	number := body[fixed+2:]
	h := hash3(body[16])
	switch {
	case body[2] != 0 || body[15] != 1 && body[15] != 3 || (bits+7)/8 != len(number):
		return nil, fmt.Errorf("%s: version 3, and not of the form that packages have", issuer)
	case h == 0:
		return nil, fmt.Errorf("%s: digest of algorithm %d is not trusted", issuer, body[16])
	}
	sum := h.New()
	if _, err := io.Copy(sum, content); err != nil {
		return nil, err
	}
	sum.Write(hashed)
	digest := sum.Sum(nil)
	cause := errors.New("key is not among those that are trusted")
	for _, key := range keys.KeysByIdUsage(keyID, packet.KeyFlagSign) {
		public, ok := key.PublicKey.PublicKey.(*rsa.PublicKey)
		if !ok || len(number) > public.Size() {
			continue
		}
		padded := append(make([]byte, public.Size()-len(number)), number...)
		if cause = rsa.VerifyPKCS1v15(public, h, digest, padded); cause != nil {
			continue
		}
		if cause = valid(&key, made, at); cause == nil {
			return key.Entity, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", issuer, cause)
}

// hash3 returns the digests that count; 0: none of them.
func hash3(algorithm byte) crypto.Hash {
	switch algorithm {
	case 8:
		return crypto.SHA256
	case 9:
		return crypto.SHA384
	case 10:
		return crypto.SHA512
	case 11:
		return crypto.SHA224
	}
	return 0
}

// valid reports what is wrong with a key for a signature of the time made.
func valid(key *openpgp.Key, made, at time.Time) error {
	if err := lapsed(key.Entity, at); err != nil {
		return err
	}
	switch {
	case key.Revoked(at):
		return errors.New("key is revoked")
	case key.SelfSignature != nil && key.PublicKey.KeyExpired(key.SelfSignature, at):
		return errors.New("key has expired")
	case made.Before(key.PublicKey.CreationTime) || made.After(at):
		return errors.New("made before the key existed, or in the future")
	}
	return nil
}

// lapsed reports why a key as a whole counts for nothing.
func lapsed(e *openpgp.Entity, at time.Time) error {
	self, id := e.PrimarySelfSignature()
	switch {
	case e.Revoked(at) || id != nil && id.Revoked(at):
		return errors.New("key is revoked")
	case e.PrimaryKey.CreationTime.After(at):
		return errors.New("key was made in the future")
	case self == nil || e.PrimaryKey.KeyExpired(self, at):
		return errors.New("key has expired")
	}
	return nil
}

// Lapsed lists what of a key counts for nothing at a time, by fingerprints: all
// of it, which has a cause, or subkeys that sign.
func Lapsed(e *openpgp.Entity, at time.Time) (some []string, cause error) {
	if err := lapsed(e, at); err != nil {
		return []string{pgpkeys.Fingerprint(e)}, err
	}
	for i := range e.Subkeys {
		k := &e.Subkeys[i]
		if k.Sig != nil && k.Sig.FlagsValid && k.Sig.FlagSign && (k.Revoked(at) || k.PublicKey.KeyExpired(k.Sig, at)) {
			some = append(some, fmt.Sprintf("%X", k.PublicKey.Fingerprint))
		}
	}
	return some, nil
}
