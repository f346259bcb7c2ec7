package reindex

import (
	"errors"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

// Signer signs with the site's key.
type Signer struct{ key *pgpkeys.Signer }

// NewSigner signs with e, whose private key is open. Errors match bundle.ErrUsage.
func NewSigner(e *openpgp.Entity) (*Signer, error) {
	key, err := pgpkeys.NewSigner(e)
	return &Signer{key}, err
}

// sign makes InRelease (clear-signed) and Release.gpg (detached) of a
// Release, as of date or, where that is later, of the key.
func (s *Signer) sign(release []byte, date time.Time) (inRelease, detached []byte, err error) {
	inRelease, err = s.key.ClearSign(release, date)
	detached, detachedErr := s.key.Detach(release, date)
	return inRelease, detached, errors.Join(err, detachedErr)
}

// sign puts Release with its signatures; without a signer, Release alone.
func (b *builder) sign(signer *Signer) error {
	content := b.release.Marshal()
	if signer == nil {
		return b.put(File{"Release", content})
	}
	inRelease, detached, err := signer.sign(content, b.release.Date)
	if err != nil {
		return err
	}
	for _, f := range []File{{"Release", content}, {"Release.gpg", detached}, {"InRelease", inRelease}} {
		if err := b.put(f); err != nil {
			return err
		}
	}
	return nil
}
