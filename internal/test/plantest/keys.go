package plantest

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// NewSigner makes a key a year before Now. It lasts for lifetime; 0: for ever.
func NewSigner(t testing.TB, name string, lifetime time.Duration) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@a.example", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: uint32(lifetime.Seconds()),
		Time: func() time.Time { return Now().AddDate(-1, 0, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// SignedAt returns how the signatures of tests are made: eleven months before Now.
func SignedAt() *packet.Config {
	return &packet.Config{Time: func() time.Time { return Now().AddDate(0, -11, 0) }}
}

// ClearSign signs content within itself, eleven months before Now.
func ClearSign(t testing.TB, content []byte, by ...*openpgp.Entity) []byte {
	t.Helper()
	var keys []*packet.PrivateKey
	for _, e := range by {
		keys = append(keys, e.PrivateKey)
	}
	var b bytes.Buffer
	w, err := clearsign.EncodeMulti(&b, keys, SignedAt())
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

// Detach makes an armored signature of content, eleven months before Now.
func Detach(t testing.TB, content []byte, by *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, by, bytes.NewReader(content), SignedAt()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Armor returns the public keys as a file has them.
func Armor(t testing.TB, keys ...*openpgp.Entity) []byte {
	t.Helper()
	text, err := pgpkeys.Armor(keys)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// WriteKeys writes public keys into a file.
func WriteKeys(t testing.TB, name string, keys ...*openpgp.Entity) {
	t.Helper()
	if err := os.WriteFile(name, Armor(t, keys...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// SiteKey makes a key of a site: open as an export has it, and its two files. Its passphrase is "x".
func SiteKey(t testing.TB, made time.Time) (open *openpgp.Entity, private, public []byte) {
	t.Helper()
	private, public, _, err := keys.GenerateSite("site of the test", []byte("x"), made)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(private))
	if err == nil {
		err = ring[0].DecryptPrivateKeys([]byte("x"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return ring[0], private, public
}
