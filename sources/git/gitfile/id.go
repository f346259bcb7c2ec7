package gitfile

import (
	"encoding/hex"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
)

// IDSize is the size of an object's name in bytes.
const IDSize = 20

// ID is the SHA-1 name of an object, or of a pack.
type ID [IDSize]byte

// ParseID reads 40 lower-case hexadecimal digits. Errors match
// bundle.ErrMalformed; a name of 64 digits is named as one of SHA-256.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) == 64 && isHex(s) {
		return id, fmt.Errorf("object name %s: of a SHA-256 repository, which gapbundle does not carry: %w", s, bundle.ErrMalformed)
	}
	if len(s) != 2*IDSize || !isHex(s) {
		return id, fmt.Errorf("object name %.60q: want 40 hexadecimal digits: %w", s, bundle.ErrMalformed)
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// String returns the name in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is no name: git writes zeros for "no object".
func (id ID) IsZero() bool { return id == ID{} }
