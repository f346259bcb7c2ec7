package pgpkeys

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
)

// Signer signs with the site's key, the same content with the same bytes.
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

// earliest returns when the key and all its self-signatures existed: gpgv refuses a
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

// at returns how a signature of date is made: of the key's own time, where that is later.
func (s *Signer) at(date time.Time) (*packet.Config, time.Time) {
	if earliest := s.earliest(); date.Before(earliest) {
		date = earliest
	}
	salted := false // by a notation; the same content has to have the same signature
	return &packet.Config{
		DefaultHash:                           crypto.SHA512,
		Time:                                  func() time.Time { return date },
		NonDeterministicSignaturesViaNotation: &salted,
	}, date
}

// ClearSign signs text within itself, as of date or, where that is later, of the key.
func (s *Signer) ClearSign(text []byte, date time.Time) ([]byte, error) {
	var b bytes.Buffer
	err := s.ClearSignTo(&b, bytes.NewReader(text), date)
	return b.Bytes(), err
}

// ClearSignTo works like ClearSign, for a text that is not in memory.
func (s *Signer) ClearSignTo(out io.Writer, text io.Reader, date time.Time) error {
	config, date := s.at(date)
	key, ok := s.entity.SigningKey(date)
	if !ok || key.PrivateKey == nil {
		return fmt.Errorf("site key %X: does not sign at %s: %w", s.entity.PrimaryKey.Fingerprint, date.UTC().Format(time.RFC3339), bundle.ErrUsage)
	}
	w, err := clearsign.Encode(out, key.PrivateKey, config)
	if err != nil {
		return fmt.Errorf("site key %X: %w", s.entity.PrimaryKey.Fingerprint, err)
	}
	if _, err := io.Copy(w, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("site key %X: %w", s.entity.PrimaryKey.Fingerprint, err)
	}
	_, err = out.Write([]byte{'\n'})
	return err
}

// CheckClear reads a clear-signed text of ClearSign back: it has to be text, signed by
// the key as of date.
func (s *Signer) CheckClear(text, signed []byte, date time.Time) error {
	block, rest := clearsign.Decode(signed)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("not one signed text")
	}
	if !bytes.Equal(bytes.TrimRight(block.Plaintext, "\n"), bytes.TrimRight(text, "\n")) {
		return errors.New("the signed text is another one")
	}
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(block.ArmoredSignature.Body); err != nil {
		return err
	}
	return s.check(block.Bytes, raw.Bytes(), date)
}

// CheckDetached reads a signature of Detach back: it has to be one of content by the
// key, as of date.
func (s *Signer) CheckDetached(content, signature []byte, date time.Time) error {
	if bytes.Count(signature, []byte(Armored)) != 1 {
		return errors.New("not one armored signature")
	}
	raw, err := Dearmor(signature)
	if err != nil {
		return err
	}
	return s.check(content, raw, date)
}

func (s *Signer) check(content, raw []byte, date time.Time) error {
	_, date = s.at(date)
	_, err := Signers(content, raw, openpgp.EntityList{s.entity}, date)
	return err
}

// Detach makes an armored signature of content, as of date or, where that is
// later, of the key.
func (s *Signer) Detach(content []byte, date time.Time) ([]byte, error) {
	config, date := s.at(date)
	if key, ok := s.entity.SigningKey(date); !ok || key.PrivateKey == nil {
		return nil, fmt.Errorf("site key %X: does not sign at %s: %w", s.entity.PrimaryKey.Fingerprint, date.UTC().Format(time.RFC3339), bundle.ErrUsage)
	}
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, s.entity, bytes.NewReader(content), config); err != nil {
		return nil, fmt.Errorf("site key %X: %w", s.entity.PrimaryKey.Fingerprint, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
