package sourcetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/gapbundle/gapbundle/sources/keys"
)

const passphrase = "for a test"

// keyPair is made once for a suite: its encryption is slow on purpose.
type keyPair struct{ private, public []byte }

func newKey(t *testing.T) keyPair {
	t.Helper()
	private, public, _, err := keys.GenerateExporter([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{private, public}
}

// newSiteKey makes a key that is older than the first export. It is encrypted with few rounds:
// every export opens it.
func newSiteKey(t *testing.T) keyPair {
	t.Helper()
	made := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	private, public, _, err := keys.GenerateSite("site", []byte(passphrase), made)
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
		func() error { return ring[0].DecryptPrivateKeys([]byte(passphrase)) },
		func() error { return ring[0].EncryptPrivateKeys([]byte(passphrase), config) },
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
