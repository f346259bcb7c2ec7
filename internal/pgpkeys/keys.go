package pgpkeys

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/gapbundle/gapbundle/internal/pubkeys"
)

// MaxKeyring bounds a keyring, which is parsed before anything is checked;
// Debian's has 60 KB.
const MaxKeyring = 8 << 20 // bytes

// Armored is what an armored block begins with.
const Armored = pubkeys.Armored

// Parse reads public keys, armored (one block or several) or not.
func Parse(b []byte) (openpgp.EntityList, error) { return pubkeys.ParseKeyring(b) }

// Fingerprint returns the form in which evidence names a key: upper-case
// hexadecimal digits of the primary key's.
func Fingerprint(e *openpgp.Entity) string { return fmt.Sprintf("%X", e.PrimaryKey.Fingerprint) }

// Fingerprints lists those of all keys, for people.
func Fingerprints(keys openpgp.EntityList) string {
	all := make([]string, len(keys))
	for i, e := range keys {
		all[i] = Fingerprint(e)
	}
	return strings.Join(all, ", ")
}

// ParseFingerprint returns a fingerprint as people write it, in the form of Fingerprint.
func ParseFingerprint(text string) (string, error) {
	f := strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	if len(f) != 40 && len(f) != 64 || strings.Trim(f, "0123456789ABCDEF") != "" {
		return "", fmt.Errorf("fingerprint: want 40 or 64 hexadecimal digits, got %.80q", text)
	}
	return f, nil
}

// Narrow leaves the keys whose fingerprints are wanted; missing is the first
// that is not among keys.
func Narrow(keys openpgp.EntityList, wanted []string) (some openpgp.EntityList, missing string) {
	for _, want := range wanted {
		i := slices.IndexFunc(keys, func(e *openpgp.Entity) bool { return Fingerprint(e) == want })
		if i < 0 {
			return nil, want
		}
		some = append(some, keys[i])
	}
	return some, ""
}

// Armor writes the public keys into one armored block, in order of their
// fingerprints: the same keys have the same bytes.
func Armor(keys openpgp.EntityList) ([]byte, error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b *openpgp.Entity) int { return strings.Compare(Fingerprint(a), Fingerprint(b)) })
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		return nil, err
	}
	for _, e := range keys {
		if err := e.Serialize(w); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
