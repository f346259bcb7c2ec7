package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

const clearSigned = "-----BEGIN PGP SIGNED MESSAGE-----"

// readKeyring reads public keys, armored (one block or several) or not. Errors match bundle.ErrUsage:
// the spec names the file.
func readKeyring(name string) (openpgp.EntityList, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w: %w", bundle.ErrUsage, err)
	}
	defer f.Close()
	b, err := bundle.ReadAllBounded(f, name, pgpkeys.MaxKeyring)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w: %w", bundle.ErrUsage, err)
	}
	keys, err := pgpkeys.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("keyring %s: %w: %w", name, bundle.ErrUsage, err)
	}
	return keys, nil
}

// sheet is a SHA256SUMS file as it was fetched, with its signature.
type sheet struct {
	content   []byte
	meta      *fetch.Meta
	text      []byte // what the signature was made over; without one, what stands there
	signature []byte // detached; nil: none was looked at
	from      *remote
	signer    string // fingerprint, "": nobody that was checked
}

// verify checks s.content's signature against keys and leaves in s.text
// exactly the bytes that were checked. Errors match fetch.ErrRefused and name
// URL and fingerprints.
func (s *sums) verify(ctx context.Context, client *fetch.Client, sh *sheet, keys openpgp.EntityList, now time.Time) error {
	raw, text := s.file.raw, sh.content
	var signature []byte
	var err error
	if bytes.HasPrefix(sh.content, []byte(clearSigned)) {
		block, rest := clearsign.Decode(sh.content)
		if block == nil || len(bytes.TrimSpace(rest)) > 0 {
			return fmt.Errorf("%s: clear-signed text not whole, or something behind it: %w", fetch.Redact(s.file.raw), fetch.ErrRefused)
		}
		text = block.Bytes
		signature, err = io.ReadAll(block.ArmoredSignature.Body)
	} else {
		if err := s.fetchSignature(ctx, client, sh, keys); err != nil {
			return err
		}
		raw = sh.from.raw
		signature, err = pgpkeys.Dearmor(sh.signature)
	}
	if err != nil {
		return refused(raw, keys, fmt.Errorf("signature not readable: %w", err))
	}
	signers, err := pgpkeys.Signers(text, signature, keys, now)
	if err != nil {
		return refused(raw, keys, err)
	}
	sh.text, sh.signer = text, pgpkeys.Fingerprint(signers[0])
	return nil
}

func refused(raw string, keys openpgp.EntityList, cause error) error {
	return fmt.Errorf("%s: %w, the keyring has %s: %w", fetch.Redact(raw), cause, pgpkeys.Fingerprints(keys), fetch.ErrRefused)
}

// fetchSignature gets the configured signature, or the first of the usual
// names that is there. A bad one is not passed over for another.
func (s *sums) fetchSignature(ctx context.Context, client *fetch.Client, sh *sheet, keys openpgp.EntityList) error {
	candidates := s.guesses
	if s.signature != nil {
		candidates = []*remote{s.signature}
	}
	var asked []string
	for _, r := range candidates {
		b, _, err := client.ReadAll(ctx, r.raw, maxSignature)
		var status *fetch.StatusError
		if errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusGone) {
			asked = append(asked, fetch.Redact(r.raw))
			continue
		}
		if err != nil {
			return err
		}
		sh.signature, sh.from = b, r
		return nil
	}
	return fmt.Errorf("%s: no signature (asked for %s), want one by %s: %w",
		fetch.Redact(s.file.raw), strings.Join(asked, ", "), pgpkeys.Fingerprints(keys), fetch.ErrRefused)
}

// unsigned is the text of a SHA256SUMS file whose signature nobody asked for.
func unsigned(content []byte) []byte {
	if block, _ := clearsign.Decode(content); block != nil && bytes.HasPrefix(content, []byte(clearSigned)) {
		return block.Bytes
	}
	return content
}
