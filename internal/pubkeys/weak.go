package pubkeys

import (
	"crypto/rsa"
	"fmt"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
)

// MinBits is the least length of a key by RSA or DSA that counts: what NIST SP 800-57 (part 1,
// section 5.6.1) calls 112 bits of strength, and the least that apt and rpm accept today.
const MinBits = 2048

// WeakError means that anybody with enough machines, or anybody at all, can sign by a key. It
// matches bundle.ErrUsage.
type WeakError struct {
	Fingerprint string
	// Why is what is wrong with the key, for people.
	Why string
}

func (e *WeakError) Error() string { return "key " + e.Fingerprint + " is weak: " + e.Why }

// Unwrap returns bundle.ErrUsage.
func (e *WeakError) Unwrap() error { return bundle.ErrUsage }

// WeakLength returns what is wrong with a key by RSA or DSA of so many bits; empty: nothing.
func WeakLength(algorithm string, bits int) string {
	if bits >= MinBits {
		return ""
	}
	return fmt.Sprintf("%s with %s, want %d or more", algorithm, bundle.Count(bits, "bit"), MinBits)
}

// weakness returns what is wrong with one key; empty: nothing.
func weakness(k *packet.PublicKey) string {
	const order = "an Ed25519 point of small order, by which anybody can sign"
	switch public := k.PublicKey.(type) {
	case *eddsa.PublicKey:
		if len(public.X) == ed25519.PublicKeySize && bundle.IsSmallOrder(public.X) {
			return order
		}
		return ""
	case *rsa.PublicKey:
		return WeakLength("RSA", public.N.BitLen())
	case *ed25519.PublicKey:
		if bundle.IsSmallOrder(public.Point) {
			return order
		}
		return ""
	}
	if k.PubKeyAlgo != packet.PubKeyAlgoDSA {
		return ""
	}
	bits, err := k.BitLength()
	if err != nil {
		return err.Error()
	}
	return WeakLength("DSA", int(bits))
}

// Weak returns a *WeakError if the primary key is weak, or a subkey that may sign: all who have
// the certificate accept what it signs.
func Weak(e *openpgp.Entity) error {
	if why := weakness(e.PrimaryKey); why != "" {
		return &WeakError{Fingerprint(e), why}
	}
	for _, sub := range e.Subkeys {
		if why := weakness(sub.PublicKey); why != "" && signs(sub) {
			return &WeakError{Fingerprint(e), fmt.Sprintf("its subkey %X is %s", sub.PublicKey.Fingerprint, why)}
		}
	}
	return nil
}

func signs(sub openpgp.Subkey) bool {
	return sub.PublicKey.PubKeyAlgo.CanSign() && (sub.Sig == nil || !sub.Sig.FlagsValid || sub.Sig.FlagSign)
}

// Strong returns the keys that are not weak, or that allowed states may be. A weak subkey that
// signs is taken out of a copy of its certificate. weak are the reasons of what is missing.
func Strong(keys openpgp.EntityList, allowed func(fingerprint string) bool) (strong openpgp.EntityList, weak []error) {
	for _, e := range keys {
		err := Weak(e)
		switch {
		case err == nil, allowed != nil && allowed(Fingerprint(e)):
			strong = append(strong, e)
		case weakness(e.PrimaryKey) != "":
			weak = append(weak, err)
		default:
			rest := *e
			rest.Subkeys = slices.DeleteFunc(slices.Clone(e.Subkeys), func(s openpgp.Subkey) bool { return signs(s) && weakness(s.PublicKey) != "" })
			strong, weak = append(strong, &rest), append(weak, err)
		}
	}
	return strong, weak
}
