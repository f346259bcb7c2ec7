package certs

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Certificate is what a certificate states about itself, for people: nothing is decided by it.
type Certificate struct {
	// Fingerprint is 40 or 64 upper-case hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	// UserIDs are the names that the key has signed, its first one first. Anybody can put any
	// name into a key of their own.
	UserIDs []string  `json:"userIDs,omitempty"`
	Made    time.Time `json:"made,omitzero"`
	// Expires is zero for a key without end.
	Expires time.Time `json:"expires,omitzero"`
	Revoked bool      `json:"revoked,omitempty"`
}

// Describe returns the certificates of a file that Each accepts, in their order. Those that
// no library reads are left out.
func Describe(file []byte) ([]Certificate, error) {
	var all []Certificate
	if len(file) > 0 && file[0] >= firstBit {
		return describe(all, file)
	}
	for {
		block, rest, err := dearmor(file)
		if err != nil || block == nil {
			return all, err
		}
		if all, err = describe(all, block); err != nil {
			return all, err
		}
		file = rest
	}
}

func describe(all []Certificate, packets []byte) ([]Certificate, error) {
	ring, err := openpgp.ReadKeyRing(bytes.NewReader(packets))
	if err != nil {
		return all, err
	}
	for _, e := range ring {
		all = append(all, Of(e))
	}
	return all, nil
}

// Of describes a key that was read.
func Of(e *openpgp.Entity) Certificate {
	c := Certificate{
		Fingerprint: fmt.Sprintf("%X", e.PrimaryKey.Fingerprint),
		Made:        e.PrimaryKey.CreationTime.UTC(), Revoked: len(e.Revocations) > 0,
	}
	if self, _ := e.PrimarySelfSignature(); self != nil && self.KeyLifetimeSecs != nil && *self.KeyLifetimeSecs > 0 {
		c.Expires = c.Made.Add(time.Duration(*self.KeyLifetimeSecs) * time.Second)
	}
	first := e.PrimaryIdentity()
	if first != nil {
		c.UserIDs = append(c.UserIDs, first.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Identities)) {
		if id := e.Identities[name]; id != first && len(id.Revocations) == 0 {
			c.UserIDs = append(c.UserIDs, name)
		}
	}
	return c
}

// Bounds of what is shown of a certificate.
const (
	shownNames = 3
	shownName  = 120 // bytes
)

// Text returns the certificate in one line, as it is at the time now: names and validity.
func (c *Certificate) Text(now time.Time) string {
	var names []string
	for _, name := range c.UserIDs[:min(len(c.UserIDs), shownNames)] {
		if len(name) > shownName {
			name = strings.ToValidUTF8(name[:shownName], "") + "..."
		}
		names = append(names, name)
	}
	if more := len(c.UserIDs) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	if len(names) == 0 {
		names = append(names, "without a name")
	}
	const day = "2006-01-02"
	validity := "valid without end"
	switch {
	case c.Revoked:
		validity = "REVOKED"
	case !c.Expires.IsZero() && now.After(c.Expires):
		validity = "EXPIRED " + c.Expires.Format(day)
	case !c.Expires.IsZero():
		validity = "valid until " + c.Expires.Format(day)
	}
	return strings.Join(names, ", ") + ", made " + c.Made.Format(day) + ", " + validity
}
