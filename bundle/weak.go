package bundle

import (
	"crypto/ed25519"
	"encoding/hex"
)

// smallOrder returns the encodings of the points of small order of edwards25519, the identity
// among them, without the sign of x: y of the points of order 1, 2, 4 and 8, and 0 and 1
// written as p and p + 1. A signature by such a key can be made without a secret. RFC 8032
// leaves the check to the protocol.
func smallOrder() []string {
	return []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	}
}

// IsSmallOrder reports whether anybody can sign by the key. A key of another length is
// none.
func IsSmallOrder(k ed25519.PublicKey) bool {
	if len(k) != ed25519.PublicKeySize {
		return true
	}
	y := append([]byte(nil), k...)
	y[len(y)-1] &= 0x7f
	for _, weak := range smallOrder() {
		if hex.EncodeToString(y) == weak {
			return true
		}
	}
	return false
}
