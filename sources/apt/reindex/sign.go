package reindex

import (
	"errors"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

// sign puts Release and its signatures, as of the Release's date or, where that is later,
// of the key: InRelease clear-signed, Release.gpg detached. Without a signer it puts
// Release alone.
func (b *builder) sign(signer *pgpkeys.Signer) error {
	content := b.release.Marshal()
	if signer == nil {
		return b.put(File{"Release", content, whole(b.readRelease)})
	}
	inRelease, err := signer.ClearSign(content, b.release.Date)
	detached, detachedErr := signer.Detach(content, b.release.Date)
	if err := errors.Join(err, detachedErr); err != nil {
		return err
	}
	for _, f := range []File{
		{"Release", content, whole(b.readRelease)},
		{"Release.gpg", detached, whole(func(signature []byte) error { return signer.CheckDetached(content, signature, b.release.Date) })},
		{"InRelease", inRelease, whole(func(signed []byte) error { return signer.CheckClear(content, signed, b.release.Date) })},
	} {
		if err := b.put(f); err != nil {
			return err
		}
	}
	return nil
}
