package journey

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Signer signs for every upstream that a stand-in plays.
type Signer struct {
	Entity *openpgp.Entity
	Date   time.Time // of every signature
	t      testing.TB
}

// NewSigner makes a signer with a key of its own.
func NewSigner(t testing.TB) *Signer {
	t.Helper()
	e, err := openpgp.NewEntity("stand-in", "", "stand-in@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{Entity: e, Date: e.PrimaryKey.CreationTime, t: t}
}

// Key returns the public key, armored.
func (s *Signer) Key() []byte {
	s.t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = s.Entity.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

// ClearSign returns a text with a signature around it.
func (s *Signer) ClearSign(text []byte) []byte {
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, s.Entity.PrivateKey, &packet.Config{Time: func() time.Time { return s.Date }})
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		s.t.Error(err)
	}
	return append(b.Bytes(), '\n')
}

var (
	keyFile     = regexp.MustCompile(`keys/[a-z-]+\.(gpg|asc)`)
	fingerprint = regexp.MustCompile(`fingerprint: [0-9A-F]{40}`)
)

// Trust makes a file of the journey, which names key files and fingerprints, trust the
// signer's key.
func (s *Signer) Trust(j *Journey, name string) {
	s.t.Helper()
	j.Rewrite(name, func(text string) string {
		for _, file := range keyFile.FindAllString(text, -1) {
			j.Write(file, s.Key())
		}
		return fingerprint.ReplaceAllString(text, fmt.Sprintf("fingerprint: %X", s.Entity.PrimaryKey.Fingerprint))
	})
}
