package pubkeys

import (
	"bytes"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// FuzzParseKeyring: keys that are read have a fingerprint and can be judged, whatever the
// bytes were.
func FuzzParseKeyring(f *testing.F) {
	for _, c := range []*packet.Config{{Algorithm: packet.PubKeyAlgoEdDSA}, {Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048}} {
		e, err := openpgp.NewEntity("a", "", "a@example.org", c)
		if err != nil {
			f.Fatal(err)
		}
		var plain, armored bytes.Buffer
		w, err := armor.Encode(&armored, openpgp.PublicKeyType, nil)
		if err != nil {
			f.Fatal(err)
		}
		if err := e.Serialize(&plain); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(plain.Bytes()); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(plain.Bytes())
		f.Add(armored.Bytes())
		f.Add(append(armored.Bytes(), armored.Bytes()...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := ParseKeyring(b)
		if err != nil {
			return
		}
		if len(keys) == 0 {
			t.Fatal("no key, and no error")
		}
		for _, k := range keys {
			if len(k.PrimaryKey.Fingerprint) == 0 {
				t.Error("a key without a fingerprint")
			}
			_ = Weak(k)
		}
	})
}
