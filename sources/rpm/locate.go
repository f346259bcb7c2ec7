package rpm

import (
	"context"
	"crypto/sha1" //nolint:gosec // old repositories have no other checksums
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

const (
	nameRepomd    = "repodata/repomd.xml"
	nameSignature = "repodata/repomd.xml.asc"
	// maxTries bounds how many mirrors are asked for a file.
	maxTries = 16
	// clockSkew is how far ahead a signer's clock may be.
	clockSkew = 10 * time.Second
)

// located is a repository whose repomd.xml holds.
type located struct {
	*repo
	// bases are where it is: the first is the one that repomd.xml came from.
	bases []string
	index *rpmmd.Repomd
	// repomd is what was fetched, signature as well: nil if there is none.
	repomd, signature []byte
	// signers are the keys that signed repomd.xml.
	signers openpgp.EntityList
	// secure: repomd.xml, or the metalink that has its digest, came by https.
	secure bool
	// linked: a metalink has its digest.
	linked bool
}

// vouched is how repomd.xml is vouched for.
func (l *located) vouched() string {
	switch {
	case len(l.signers) > 0:
		return bundle.VouchedOpenPGP + pgpkeys.Fingerprint(l.signers[0])
	case l.secure:
		return bundle.VouchedTLS
	}
	return bundle.VouchedNone
}

// vouchedIndex is how what it lists is vouched for.
func (l *located) vouchedIndex() string {
	if len(l.signers) > 0 {
		return bundle.VouchedIndex
	}
	return l.vouched()
}

// locate finds the repository's repomd.xml and judges it.
func (r *repo) locate(ctx context.Context, client *fetch.Client, keys openpgp.EntityList, now time.Time) (*located, error) {
	l := &located{repo: r}
	var err error
	switch {
	case r.metalink != "":
		err = l.byMetalink(ctx, client)
	case r.mirrorlist != "":
		if l.bases, err = r.mirrors(ctx, client); err == nil {
			err = l.first(ctx, client)
		}
	default:
		l.bases = r.bases
		err = l.first(ctx, client)
	}
	if err != nil {
		return nil, err
	}
	l.bases = l.bases[:min(len(l.bases), maxTries)]
	if l.signature, err = readSome(ctx, client, l.bases[0]+nameSignature, pgpkeys.MaxSignature); err != nil {
		return nil, err
	}
	if err := l.judge(keys, now); err != nil {
		return nil, err
	}
	if l.index, err = rpmmd.ParseRepomd(l.repomd); err != nil {
		return nil, upstreamError(l.at(nameRepomd), err)
	}
	return l, nil
}

// at names a file of the repository, for errors.
func (l *located) at(name string) string { return fetch.Redact(l.bases[0] + escape(name)) }

// judge checks the signature of repomd.xml, if there is one.
func (l *located) judge(keys openpgp.EntityList, now time.Time) (err error) {
	where := l.at(nameSignature)
	if l.signature == nil {
		if l.signed {
			return fmt.Errorf("%s: is not there, and repomd.xml has to be signed, by %s: %w", where, pgpkeys.Fingerprints(keys), fetch.ErrRefused)
		}
		return nil
	}
	if len(keys) == 0 {
		return fmt.Errorf("%s: repomd.xml is signed, and there is no key to check it by: set gpgkey: %w", where, fetch.ErrRefused)
	}
	raw, err := pgpkeys.Dearmor(l.signature)
	if err == nil {
		l.signers, err = pgpkeys.Signers(l.repomd, raw, keys, now.Add(clockSkew))
	}
	if err != nil {
		return fmt.Errorf("%s: %w, want one by %s: %w", where, err, pgpkeys.Fingerprints(keys), fetch.ErrRefused)
	}
	return nil
}

// first takes repomd.xml from the first address that has it.
func (l *located) first(ctx context.Context, client *fetch.Client) error {
	var errs []error
	for i, base := range l.bases[:min(len(l.bases), maxTries)] {
		b, meta, err := client.ReadAll(ctx, base+nameRepomd, rpmmd.MaxRepomd)
		if err != nil {
			if errs = append(errs, err); ctx.Err() != nil {
				break
			}
			continue
		}
		l.repomd, l.secure = b, meta.Secure
		l.prefer(i)
		return nil
	}
	return errors.Join(errs...)
}

// prefer puts an address first.
func (l *located) prefer(i int) {
	bases := append([]string{l.bases[i]}, l.bases[:i]...)
	l.bases = append(bases, l.bases[i+1:]...)
}

// mirrors reads a list of mirrors: an address a line.
func (r *repo) mirrors(ctx context.Context, client *fetch.Client) ([]string, error) {
	b, _, err := client.ReadAll(ctx, r.mirrorlist, rpmmd.MaxMetalink)
	if err != nil {
		return nil, err
	}
	var bases []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); !isURL(line) {
			continue
		}
		if base, err := checkBase(r.pos, line); err == nil {
			bases = append(bases, base)
		}
	}
	if len(bases) == 0 {
		return nil, fmt.Errorf("%s: names no mirror: %w", fetch.Redact(r.mirrorlist), fetch.ErrUpstream)
	}
	return bases, nil
}

// byMetalink takes repomd.xml from the first mirror that has the one of today;
// where none has, from the first that has one which the metalink still knows.
func (l *located) byMetalink(ctx context.Context, client *fetch.Client) error {
	where := fetch.Redact(l.metalink)
	b, meta, err := client.ReadAll(ctx, l.metalink, rpmmd.MaxMetalink)
	if err != nil {
		return err
	}
	link, err := rpmmd.ParseMetalink(b)
	if err != nil {
		return upstreamError(where, err)
	}
	for _, u := range link.URLs {
		base, ok := strings.CutSuffix(u, "/"+nameRepomd)
		if base, err := checkBase(l.pos, base); ok && err == nil {
			l.bases = append(l.bases, base)
		}
	}
	if len(l.bases) == 0 {
		return fmt.Errorf("%s: names no mirror: %w", where, fetch.ErrUpstream)
	}
	var errs []error
	older, olderAt := []byte(nil), 0
	for i, base := range l.bases[:min(len(l.bases), maxTries)] {
		b, _, err := client.ReadAll(ctx, base+nameRepomd, rpmmd.MaxRepomd)
		switch {
		case err != nil:
			if errs = append(errs, err); ctx.Err() != nil {
				return errors.Join(errs...)
			}
			continue
		case isVersion(link.Current, b):
			l.repomd, l.secure, l.linked = b, meta.Secure, true
			l.prefer(i)
			return nil
		}
		for _, v := range link.Alternates {
			if older == nil && isVersion(v, b) {
				older, olderAt = b, i
			}
		}
		want, _ := link.Current.Strongest()
		errs = append(errs, fmt.Errorf("%s: want %s:%s, as %s says, got %s: %w",
			fetch.Redact(base+nameRepomd), want.Type, want.Hex, where, bundle.DigestOf(b), fetch.ErrRefused))
	}
	if older == nil {
		return errors.Join(errs...)
	}
	l.repomd, l.secure, l.linked = older, meta.Secure, true
	l.prefer(olderAt)
	return nil
}

func isVersion(v rpmmd.Version, content []byte) bool {
	want, ok := v.Strongest()
	return ok && (v.Size < 0 || v.Size == int64(len(content))) && sumOf(want.Type, content) == want.Hex
}

func sumOf(kind string, content []byte) string {
	h := newHash(kind)
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// newHash makes the hash of a checksum's type; nil: one that is not trusted
// (MD5), as two files with one MD5 are made in seconds.
func newHash(kind string) hash.Hash {
	switch kind {
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	case "sha256":
		return sha256.New()
	case "sha224":
		return sha256.New224()
	case "sha":
		return sha1.New() //nolint:gosec // a second file of a given SHA-1 is out of reach
	}
	return nil
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

// isGone says that a file is not there, of one beside a repomd.xml that was had:
// a store of objects that nobody may list (S3) says 403 of what it lacks.
func isGone(err error) bool {
	var status *fetch.StatusError
	return errors.As(err, &status) && slices.Contains([]int{http.StatusNotFound, http.StatusGone, http.StatusForbidden}, status.Status)
}
