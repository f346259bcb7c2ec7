package keys

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/access"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
)

// s2kCount is the number of bytes hashed to turn a passphrase into a key: the
// most that OpenPGP can encode (RFC 9580, section 3.7.1.3). Argon2 would be
// better, and GnuPG 2.2 and 2.4 do not read it.
const s2kCount = 65011712

// SigningConfig returns how the site key signs at time now. Without the random
// notation that go-crypto adds by default the same content signed at the same
// time has the same bytes, so that an unchanged repository stays unchanged.
// (The notation is a guard against fault injection while signing.)
func SigningConfig(now time.Time) *packet.Config {
	salted := false
	return &packet.Config{
		Algorithm:                             packet.PubKeyAlgoEdDSA,
		Curve:                                 packet.Curve25519,
		Time:                                  func() time.Time { return now },
		S2KConfig:                             &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, S2KCount: s2kCount},
		NonDeterministicSignaturesViaNotation: &salted,
	}
}

// GenerateSite makes the OpenPGP key with which the site re-signs what it
// rebuilt: one Ed25519 primary key that signs, no subkeys, no expiry (inside
// the gap nobody could renew it in time). private is armored and encrypted,
// public the armored certificate, fingerprint 40 upper-case hex digits.
func GenerateSite(name string, passphrase []byte, now time.Time) (private, public []byte, fingerprint string, err error) {
	config := SigningConfig(now.UTC().Truncate(time.Second))
	e, err := openpgp.NewEntity(name, "", "", config)
	if err != nil {
		return nil, nil, "", fmt.Errorf("site key %q: %w: %w", name, bundle.ErrUsage, err)
	}
	e.Subkeys = nil // go-crypto always makes one for encryption
	if public, err = armored(openpgp.PublicKeyType, e.Serialize); err != nil {
		return nil, nil, "", fmt.Errorf("site key: %w", err)
	}
	if err := e.EncryptPrivateKeys(passphrase, config); err != nil {
		return nil, nil, "", fmt.Errorf("site key: %w", err)
	}
	private, err = armored(openpgp.PrivateKeyType, func(w io.Writer) error {
		return e.SerializePrivateWithoutSigning(w, config)
	})
	if err != nil {
		return nil, nil, "", fmt.Errorf("site key: %w", err)
	}
	return private, public, pubkeys.Fingerprint(e), nil
}

// LoadSite opens the site's private key. Errors match bundle.ErrUsage, or are
// the operating system's.
func LoadSite(path string, pass PassphraseFunc) (*openpgp.Entity, error) {
	e, err := loadSite(path, pass)
	if err != nil {
		return nil, &bundle.AboutError{Thing: bundle.AboutKey, Name: KeySite, Err: err}
	}
	return e, nil
}

func loadSite(path string, pass PassphraseFunc) (*openpgp.Entity, error) {
	e, _, err := pubkeys.LoadOpenPGP(path)
	if err != nil {
		return nil, err
	}
	if err := pubkeys.Weak(e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case e.PrivateKey == nil:
		return nil, fmt.Errorf("%s: is a public key, want the private one: %w", path, bundle.ErrUsage)
	case !e.PrivateKey.Encrypted:
		return nil, fmt.Errorf("%s: the private key is not encrypted: %w", path, bundle.ErrUsage)
	}
	if err := access.Key(path); err != nil {
		return nil, err
	}
	if err := opened(KeySite, path, pass, e.DecryptPrivateKeys); err != nil {
		return nil, err
	}
	return e, nil
}

func armored(kind string, write func(io.Writer) error) ([]byte, error) {
	var buf bytes.Buffer
	w, err := armor.Encode(&buf, kind, nil)
	if err != nil {
		return nil, err
	}
	if err := write(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	buf.WriteByte('\n')
	return buf.Bytes(), nil
}
