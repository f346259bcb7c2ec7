package bundle

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// A key of small order is refused when it is read, which is before it is added to a policy
// and before a signature is verified by it. Go itself accepts such a signature.
func TestKeysOfSmallOrder(t *testing.T) {
	forged := false
	for _, text := range smallOrder() {
		for _, sign := range []byte{0, 0x80} {
			key, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			key[31] |= sign
			pub := ed25519.PublicKey(key)
			pem, err := cryptoutils.MarshalPublicKeyToPEM(pub)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := ParsePublicKey(pem); !errors.Is(err, ErrUsage) {
				t.Errorf("%x: %v", key, err)
			}
			if _, err := (&Signature{}).Payload(pub); !errors.Is(err, ErrUsage) {
				t.Errorf("%x verifies: %v", key, err)
			}
			identity := make([]byte, ed25519.SignatureSize) // R: the identity, S: 0
			identity[0] = 1
			forged = forged || ed25519.Verify(pub, []byte("anything"), identity)
		}
	}
	if !forged {
		t.Error("no signature was forged: the list is of no use")
	}
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil || IsSmallOrder(pub) {
		t.Errorf("a key that was just made: %v", err)
	}
}
