package sourcetest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/keys"
)

const passphrase = "x"

// keyPair is a pair as its files have it.
type keyPair struct{ private, public []byte }

// exporterKey is the exporter's key in all tests of a process. Encrypting and opening it is slow on
// purpose. Both are done once, and exports are given the open key; package keys tests that files are opened.
type exporterKey struct {
	keyPair
	id   bundle.Digest
	open *bundle.Signer
}

var makeExporterKey = sync.OnceValues(func() (k exporterKey, err error) {
	if k.private, k.public, k.id, err = keys.GenerateExporter([]byte(passphrase)); err != nil {
		return k, err
	}
	dir, err := os.MkdirTemp("", "gapbundle-key-")
	if err != nil {
		return k, err
	}
	name := filepath.Join(dir, "exporter.key")
	if err = os.WriteFile(name, k.private, 0o600); err == nil {
		k.open, err = keys.LoadSigner(name, func(string) ([]byte, error) { return []byte(passphrase), nil })
	}
	return k, errors.Join(err, os.RemoveAll(dir))
})

func newKey(t testing.TB) exporterKey {
	t.Helper()
	k, err := makeExporterKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signers returns what an export signs with.
func (k exporterKey) signers() []*bundle.Signer { return []*bundle.Signer{k.open} }

// newSiteKey makes a key of the site. It is encrypted with few rounds: every export opens it.
func newSiteKey(t testing.TB, secret string, made time.Time) keyPair {
	t.Helper()
	private, public, _, err := keys.GenerateSite("site", []byte(secret), made)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(private))
	if err != nil {
		t.Fatal(err)
	}
	config := keys.SigningConfig(made)
	config.S2KConfig.S2KCount = 65536
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PrivateKeyType, nil)
	for _, step := range []func() error{
		func() error { return ring[0].DecryptPrivateKeys([]byte(secret)) },
		func() error { return ring[0].EncryptPrivateKeys([]byte(secret), config) },
		func() error { return ring[0].SerializePrivateWithoutSigning(w, config) },
		func() error { return w.Close() },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{b.Bytes(), public}
}
