package reindex

import (
	"bytes"
	"crypto"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
)

// Signer signs with the site's key.
type Signer struct{ entity *openpgp.Entity }

// NewSigner signs with e, whose private key is open. Only keys whose
// signatures are a function of what is signed will do: Ed25519 and RSA.
// Errors match bundle.ErrUsage.
func NewSigner(e *openpgp.Entity) (*Signer, error) {
	if e == nil || e.PrivateKey == nil || e.PrivateKey.Encrypted {
		return nil, fmt.Errorf("site key: without its private key: %w", bundle.ErrUsage)
	}
	s := &Signer{e}
	key, ok := e.SigningKey(s.earliest())
	if !ok || key.PrivateKey == nil {
		return nil, fmt.Errorf("site key %X: has no key that signs: %w", e.PrimaryKey.Fingerprint, bundle.ErrUsage)
	}
	switch key.PublicKey.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return s, nil
	}
	return nil, fmt.Errorf("site key %X: signatures of algorithm %d differ each time, want Ed25519 or RSA: %w",
		e.PrimaryKey.Fingerprint, key.PublicKey.PubKeyAlgo, bundle.ErrUsage)
}

// earliest is when the key and all it says of itself stood: gpgv refuses a
// signature that is older than its key.
func (s *Signer) earliest() time.Time {
	latest := s.entity.PrimaryKey.CreationTime
	later := func(t time.Time) {
		if t.After(latest) {
			latest = t
		}
	}
	for _, id := range s.entity.Identities {
		if id.SelfSignature != nil {
			later(id.SelfSignature.CreationTime)
		}
	}
	for _, k := range s.entity.Subkeys {
		later(k.PublicKey.CreationTime)
		if k.Sig != nil {
			later(k.Sig.CreationTime)
		}
	}
	return latest
}

// sign makes InRelease (clear-signed) and Release.gpg (detached) of a
// Release, as of date or, where that is later, of the key.
func (s *Signer) sign(release []byte, date time.Time) (inRelease, detached []byte, err error) {
	if earliest := s.earliest(); date.Before(earliest) {
		date = earliest
	}
	salted := false // by a notation; the same content has to give the same bytes
	config := &packet.Config{
		DefaultHash:                           crypto.SHA512,
		Time:                                  func() time.Time { return date },
		NonDeterministicSignaturesViaNotation: &salted,
	}
	key, ok := s.entity.SigningKey(date)
	if !ok || key.PrivateKey == nil {
		return nil, nil, fmt.Errorf("site key %X: does not sign at %s: %w", s.entity.PrimaryKey.Fingerprint, date.UTC().Format(time.RFC3339), bundle.ErrUsage)
	}
	var clear, apart bytes.Buffer
	w, err := clearsign.Encode(&clear, key.PrivateKey, config)
	if err == nil {
		if _, err = w.Write(release); err == nil {
			err = w.Close()
		}
	}
	if err == nil {
		err = openpgp.ArmoredDetachSign(&apart, s.entity, bytes.NewReader(release), config)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("site key %X: %w", s.entity.PrimaryKey.Fingerprint, err)
	}
	clear.WriteByte('\n')
	apart.WriteByte('\n')
	return clear.Bytes(), apart.Bytes(), nil
}

// sign puts Release with its signatures; without a signer, Release alone.
func (b *builder) sign(signer *Signer) error {
	content := b.release.Marshal()
	if signer == nil {
		return b.put(File{"Release", content})
	}
	inRelease, detached, err := signer.sign(content, b.release.Date)
	if err != nil {
		return err
	}
	for _, f := range []File{{"Release", content}, {"Release.gpg", detached}, {"InRelease", inRelease}} {
		if err := b.put(f); err != nil {
			return err
		}
	}
	return nil
}
