package pubkeys

import (
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
)

func entity(t *testing.T, c *packet.Config) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("a", "", "a@example.org", c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestWeak: RSA below 2,048 bits, and a point by which anybody can sign, whether it is the
// key or a subkey that signs. A weak subkey that only encrypts harms nobody.
func TestWeak(t *testing.T) {
	small := entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024})
	good := entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048})
	edwards := entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})

	signing := entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err := signing.AddSigningSubkey(&packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024}); err != nil {
		t.Fatal(err)
	}
	encrypting := entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	encrypting.Subkeys[0].PublicKey.PubKeyAlgo = packet.PubKeyAlgoRSA
	encrypting.Subkeys[0].PublicKey.PublicKey = &rsa.PublicKey{N: big.NewInt(1), E: 3}
	zero, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	if err != nil {
		t.Fatal(err)
	}
	point := &openpgp.Entity{PrimaryKey: packet.NewEd25519PublicKey(time.Now(), &ed25519.PublicKey{Point: zero})}

	for name, c := range map[string]struct {
		key  *openpgp.Entity
		says string // "": it is good
	}{
		"RSA with 1024 bits":       {small, "RSA with 1024 bits, want 2048 or more"},
		"RSA with 2048 bits":       {good, ""},
		"Ed25519":                  {edwards, ""},
		"a point of small order":   {point, "small order"},
		"a subkey that signs":      {signing, "RSA with 1024 bits"},
		"a subkey that encrypts":   {encrypting, ""},
		"Ed25519, the other form":  {entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEd25519}), ""},
		"Ed25519 of a key of v6":   {entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true}), ""},
		"ECDSA by the library's P": {entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP256}), ""},
	} {
		err := Weak(c.key)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, bundle.ErrUsage)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	strong, weak := Strong(openpgp.EntityList{small, good, signing}, nil)
	if len(strong) != 2 || strong[0] != good || len(strong[1].Subkeys) != len(signing.Subkeys)-1 || len(weak) != 2 {
		t.Errorf("left %d keys, %d weak ones", len(strong), len(weak))
	}
	if Weak(strong[1]) != nil || Weak(signing) == nil {
		t.Error("the weak subkey is not taken out of a copy")
	}
	all := func(string) bool { return true }
	if strong, weak := Strong(openpgp.EntityList{small, good, signing}, all); len(strong) != 3 || len(weak) != 0 {
		t.Errorf("allowed: %d keys, %d weak ones", len(strong), len(weak))
	}
}
