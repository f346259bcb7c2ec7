package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/access"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
)

// The names of the files that keygen writes.
const (
	ExporterPrivateName = "exporter.key"
	ExporterPublicName  = "exporter.pub"
	SitePrivateName     = "site.key"
	SitePublicName      = "site.asc"
)

// GenerateExporter makes an ECDSA P-256 key pair for signing bundles. The
// private key is encrypted with the passphrase, even with an empty one, so
// that it has cosign's form in any case. id is what people compare.
func GenerateExporter(passphrase []byte) (privatePEM, publicPEM []byte, id bundle.Digest, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, bundle.Digest{}, fmt.Errorf("exporter key: %w", err)
	}
	return encodePair(key, key.Public(), passphrase)
}

// GenerateExporterEd25519 works like GenerateExporter, with an Ed25519 key.
func GenerateExporterEd25519(passphrase []byte) (privatePEM, publicPEM []byte, id bundle.Digest, err error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, bundle.Digest{}, fmt.Errorf("exporter key: %w", err)
	}
	return encodePair(key, public, passphrase)
}

func encodePair(key crypto.PrivateKey, public crypto.PublicKey, passphrase []byte) (privatePEM, publicPEM []byte, id bundle.Digest, err error) {
	if passphrase == nil {
		passphrase = []byte{} // nil asks sigstore for an unencrypted key
	}
	der, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(key, cryptoutils.StaticPasswordFunc(passphrase))
	if err != nil {
		return nil, nil, bundle.Digest{}, fmt.Errorf("exporter key: %w", err)
	}
	if publicPEM, err = cryptoutils.MarshalPublicKeyToPEM(public); err != nil {
		return nil, nil, bundle.Digest{}, fmt.Errorf("exporter key: %w", err)
	}
	if id, err = bundle.KeyID(public); err != nil {
		return nil, nil, bundle.Digest{}, fmt.Errorf("exporter key: %w", err)
	}
	return cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, der), publicPEM, id, nil
}

// LoadSigner opens an exporter's or approver's private key. pass is called again after a
// wrong passphrase. A key that is not encrypted is refused: a file with which everybody can
// sign who has read it once must not come about by accident. So is one that others may read.
// Errors match bundle.ErrUsage or bundle.ErrUntrusted, or are the operating system's.
func LoadSigner(path string, pass PassphraseFunc) (*bundle.Signer, error) {
	s, err := loadSigner(path, pass)
	return s, bundle.About(bundle.AboutKey, err)
}

func loadSigner(path string, pass PassphraseFunc) (*bundle.Signer, error) {
	b, err := pubkeys.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	switch {
	case block == nil:
		return nil, fmt.Errorf("%s: not a PEM file: %w", path, bundle.ErrUsage)
	case block.Type == string(cryptoutils.PrivateKeyPEMType), block.Type == string(cryptoutils.ECPrivateKeyPEMType):
		return nil, fmt.Errorf("%s: the private key is not encrypted: %w", path, bundle.ErrUsage)
	case block.Type == string(cryptoutils.PublicKeyPEMType):
		return nil, fmt.Errorf("%s: is a public key, want the private one: %w", path, bundle.ErrUsage)
	}
	if err := access.Key(path); err != nil {
		return nil, err
	}
	var key crypto.PrivateKey
	err = opened(KeyExporter, path, pass, func(passphrase []byte) (err error) {
		if passphrase == nil {
			passphrase = []byte{}
		}
		key, err = cryptoutils.UnmarshalPEMToPrivateKey(b, cryptoutils.StaticPasswordFunc(passphrase))
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := bundle.SignerOf(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
