package settest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
)

// Key is an OpenPGP key in the forms that a bundle may have it: armored and not, and,
// which no bundle should, with its secret half.
type Key struct{ Fingerprint, Armored, Binary, Secret string }

// NewKey makes a key of version 4 or 6.
func NewKey(t testing.TB, v6 bool) Key {
	t.Helper()
	return newKey(t, &packet.Config{Algorithm: packet.PubKeyAlgoEd25519, V6Keys: v6})
}

// NewWeakKey makes a key that is too short.
func NewWeakKey(t testing.TB) Key {
	t.Helper()
	return newKey(t, &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024})
}

func newKey(t testing.TB, c *packet.Config) Key {
	t.Helper()
	e, err := openpgp.NewEntity("Example", "", "a@example.org", c)
	if err != nil {
		t.Fatal(err)
	}
	var public, secret, text bytes.Buffer
	if err := e.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	if err := e.SerializePrivate(&secret, nil); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&text, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(public.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return Key{fmt.Sprintf("%X", e.PrimaryKey.Fingerprint), text.String(), public.String(), secret.String()}
}

// At declares the key for mounts, in a file below keys/.
func (k Key) At(file string, mounts ...string) bundle.PublishedKey {
	return bundle.PublishedKey{Fingerprint: k.Fingerprint, Mounts: mounts, Path: "keys/" + file, Role: "upstream"}
}
