package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

const (
	// maxRelease bounds a Release file, which is held in memory; Debian's
	// have 150 KB.
	maxRelease   = 16 << 20 // bytes
	maxSignature = pgpkeys.MaxSignature

	clearSigned = "-----BEGIN PGP SIGNED MESSAGE-----"

	nameInRelease = "InRelease"
	nameRelease   = "Release"
	nameDetached  = "Release.gpg"
)

// signed is a Release whose signature holds.
type signed struct {
	release *deb.Release
	// files are what was fetched: InRelease, or Release and Release.gpg.
	files []signedFile
	// signers are the keys of the keyring that signed, in its order.
	signers openpgp.EntityList
}

type signedFile struct {
	name    string
	content []byte
}

func (s *signed) vouched() string { return bundle.VouchedOpenPGP + fingerprint(s.signers[0]) }

// fetchRelease gets the Release of a suite and judges it. InRelease goes before
// Release.gpg, as in apt, and one that is there and does not hold is refused:
// only its absence leads to the other.
func fetchRelease(ctx context.Context, client *fetch.Client, s *suite, keys openpgp.EntityList, now time.Time) (*signed, error) {
	base := s.root.url + escape(s.dir)
	inRelease := base + nameInRelease
	content, err := readSome(ctx, client, inRelease, maxRelease)
	if err != nil {
		return nil, err
	}
	var sig *signed
	where := inRelease
	if content != nil {
		sig, err = verifyInRelease(inRelease, content, keys, now)
	} else {
		where = base + nameRelease
		sig, err = fetchDetached(ctx, client, base, keys, now)
	}
	if err != nil {
		return nil, err
	}
	return sig, s.judge(sig.release, fetch.Redact(where), now)
}

// readSome reads a file that need not be there: nil.
func readSome(ctx context.Context, client *fetch.Client, url string, limit int64) ([]byte, error) {
	b, _, err := client.ReadAll(ctx, url, limit)
	if isGone(err) {
		return nil, nil
	}
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, err
}

func isGone(err error) bool {
	var status *fetch.StatusError
	return errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusGone)
}

// verifyInRelease checks a clear-signed Release. What stands outside the signed
// block is refused: two readers could take it for two different files.
func verifyInRelease(url string, content []byte, keys openpgp.EntityList, now time.Time) (*signed, error) {
	refuse := func(why string) error {
		return fmt.Errorf("%s: %s, want a signature by %s: %w", fetch.Redact(url), why, fingerprints(keys), fetch.ErrRefused)
	}
	if !bytes.Contains(content, []byte(clearSigned)) {
		return nil, refuse("not signed")
	}
	if !bytes.HasPrefix(content, []byte(clearSigned+"\n")) && !bytes.HasPrefix(content, []byte(clearSigned+"\r\n")) {
		return nil, refuse("text before the signed block")
	}
	block, rest := clearsign.Decode(content)
	if block == nil {
		return nil, refuse("the signed block is not whole")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, refuse("text behind the signed block")
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(block.ArmoredSignature.Body); err != nil || b.Len() > maxSignature {
		return nil, refuse("the signature is not whole")
	}
	signers, err := signersOf(block.Bytes, b.Bytes(), keys, now)
	if err != nil {
		return nil, notBy(url, keys, err)
	}
	release, err := deb.ParseRelease(block.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", fetch.Redact(url), fetch.ErrUpstream, err)
	}
	return &signed{release: release, signers: signers, files: []signedFile{{nameInRelease, content}}}, nil
}

// fetchDetached gets Release and Release.gpg.
func fetchDetached(ctx context.Context, client *fetch.Client, base string, keys openpgp.EntityList, now time.Time) (*signed, error) {
	url := base + nameRelease
	content, _, err := client.ReadAll(ctx, url, maxRelease)
	if err != nil {
		return nil, err
	}
	sig, err := readSome(ctx, client, base+nameDetached, maxSignature)
	if err != nil {
		return nil, err
	}
	if sig == nil {
		return nil, fmt.Errorf("%s: not signed (neither %s nor %s is there), want a signature by %s: %w",
			fetch.Redact(url), nameInRelease, nameDetached, fingerprints(keys), fetch.ErrRefused)
	}
	raw, err := pgpkeys.Dearmor(sig)
	if err != nil {
		return nil, notBy(base+nameDetached, keys, err)
	}
	signers, err := signersOf(content, raw, keys, now)
	if err != nil {
		return nil, notBy(base+nameDetached, keys, err)
	}
	release, err := deb.ParseRelease(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", fetch.Redact(url), fetch.ErrUpstream, err)
	}
	return &signed{release: release, signers: signers, files: []signedFile{{nameRelease, content}, {nameDetached, sig}}}, nil
}

func notBy(url string, keys openpgp.EntityList, cause error) error {
	return fmt.Errorf("%s: %w, the keyring has %s: %w", fetch.Redact(url), cause, fingerprints(keys), fetch.ErrRefused)
}

// signersOf gives the keys whose signatures over content hold at now.
func signersOf(content, signatures []byte, keys openpgp.EntityList, now time.Time) (openpgp.EntityList, error) {
	return pgpkeys.Signers(content, signatures, keys, now.Add(clockSkew))
}

// judge holds a Release against the clock and against what was asked for.
func (s *suite) judge(r *deb.Release, where string, now time.Time) error {
	const form = time.RFC3339
	switch {
	case r.Date.IsZero():
		return fmt.Errorf("%s: no Date: apt refuses it: %w", where, fetch.ErrRefused)
	case r.Date.After(now.Add(clockSkew)):
		return fmt.Errorf("%s: Date %s is in the future (now %s): %w", where, r.Date.UTC().Format(form), now.UTC().Format(form), fetch.ErrRefused)
	case !r.ValidUntil.IsZero() && now.After(r.ValidUntil):
		return fmt.Errorf("%s: Valid-Until %s is over (now %s): %w", where, r.ValidUntil.UTC().Format(form), now.UTC().Format(form), fetch.ErrRefused)
	}
	if s.flat || s.isCalled(r.Suite) || s.isCalled(r.Codename) || r.Suite == "" && r.Codename == "" {
		return nil
	}
	return fmt.Errorf("%s: want suite %s, it says suite %q and codename %q: %w", where, s.name, r.Suite, r.Codename, fetch.ErrRefused)
}

// clockSkew is what apt allows (Acquire::Max-FutureTime).
const clockSkew = 10 * time.Second

// isCalled compares names as apt does: what stands behind the last slash may
// be missing ("buster/updates").
func (s *suite) isCalled(name string) bool {
	want := strings.Trim(s.name, "/")
	head, _, _ := cutLast(want, "/")
	return name != "" && (name == want || name == head)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
