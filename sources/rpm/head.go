package rpm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

const (
	nameRepomd    = "repodata/repomd.xml"
	nameSignature = "repodata/repomd.xml.asc"
	// nameKey is where zypper, RMT, Uyuni and Satellite look for the key of the signature.
	nameKey = "repodata/repomd.xml.key"
)

// head is a repository whose repomd.xml holds.
type head struct {
	*repo
	// place begins with the address that repomd.xml came from.
	place *upstream.Place
	index *rpmmd.Repomd
	// repomd is what was fetched, signature as well: nil if there is none.
	repomd, signature []byte
	// noSignature: what upstream has in the place of a signature is none.
	noSignature bool
	// signers are the keys that signed repomd.xml; none: it is not signed.
	signers keyring.Keys
	// secure: repomd.xml, or the metalink that has its digest, came by https.
	secure bool
}

// where names a file of the repository, for errors.
func (h *head) where(name string) string { return h.place.Where(name) }

// vouched returns how repomd.xml is vouched for.
func (h *head) vouched() string {
	switch {
	case len(h.signers) > 0:
		return h.signers.Vouched()
	case upstream.IsLocalAddress(h.place.Bases()[0]):
		return bundle.VouchedLocal
	case h.secure:
		return bundle.VouchedTLS
	}
	return bundle.VouchedNone
}

// vouchedIndex returns how what repomd.xml lists is vouched for.
func (h *head) vouchedIndex() string {
	if len(h.signers) > 0 {
		return bundle.VouchedIndex
	}
	return h.vouched()
}

// readForward works like readHead, for a repomd.xml that is not older than the one that was
// exported before.
func readForward(ctx context.Context, env *sources.Env, source string, r *repo, keys keyring.Keys) (h *head, err error) {
	mirrors := 1
	err = upstream.Forward(ctx, env, source, func() int { return mirrors }, func(mirror int) (sources.Dated, error) {
		if h, err = readHead(ctx, env, r, keys, mirror); err != nil {
			return nil, err
		}
		if r.metalink == "" { // which names the one repomd.xml that all its mirrors have
			mirrors = len(h.place.Bases())
		}
		return sources.Dated{r.folder + nameRepomd: h.index.Date(), r.folder + nameRepomd + " (revision)": h.index.RevisionDate()}, nil
	})
	return h, err
}

// readHead finds a repository's repomd.xml and judges it. The mirror with a number is
// asked first.
func readHead(ctx context.Context, env *sources.Env, r *repo, keys keyring.Keys, mirror int) (*head, error) {
	h, err := readRepository(ctx, env, r, mirror)
	if err != nil {
		return nil, err
	}
	if err := h.readSignature(ctx, env); err != nil {
		return nil, err
	}
	if h.signers, err = h.judge(env, keys); err != nil {
		return nil, err
	}
	if h.index, err = rpmmd.ParseRepomd(h.repomd); err != nil {
		return nil, upstream.Blame(h.where(nameRepomd), err)
	}
	return h, nil
}

// readSignature reads the signature of repomd.xml. Content that is no OpenPGP signature at
// all, such as a page of HTML, counts as none where none is needed: whoever can put it
// there can also leave it out.
func (h *head) readSignature(ctx context.Context, env *sources.Env) error {
	if h.unchecked {
		return nil
	}
	// A signature goes with the repomd.xml of the same mirror: others may be older.
	signature, err := upstream.At(h.place.Bases()[0]).Optional(ctx, env, nameSignature, pgpkeys.MaxSignature)
	switch {
	case err != nil || signature == nil:
		return err
	case !h.signed && !keyring.IsSignature(signature.Content):
		h.noSignature = true
	default:
		h.signature = signature.Content
	}
	return nil
}

// judge returns the keys that signed repomd.xml.
func (h *head) judge(env *sources.Env, keys keyring.Keys) (keyring.Keys, error) {
	where := h.where(nameSignature)
	switch {
	case h.signature == nil && h.signed:
		return nil, keys.Unsigned(h.where(nameRepomd), where)
	case h.signature == nil:
		return nil, nil
	case len(keys) == 0:
		return nil, fmt.Errorf("%s: repomd.xml is signed, and there is no key to check it by: set gpgkey: %w", where, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
	}
	by, err := keys.Detached(where, h.repomd, h.signature, env.Now)
	if err != nil && !h.signed {
		err = fmt.Errorf("%w; repo-gpgcheck: false carries the repository without this signature, as dnf uses it with repo_gpgcheck=0", err)
	}
	return by, err
}

// readRepository reads repomd.xml from the first of the repository's addresses that
// has it.
func readRepository(ctx context.Context, env *sources.Env, r *repo, mirror int) (*head, error) {
	if r.metalink != "" {
		return readByMetalink(ctx, env, r)
	}
	bases := r.bases
	if r.mirrorlist != "" {
		var err error
		if bases, err = readMirrors(ctx, env, r); err != nil {
			return nil, err
		}
	}
	place := upstream.At(bases...)
	place = place.Prefer(mirror % len(place.Bases()))
	page, err := place.Read(ctx, env, nameRepomd, rpmmd.MaxRepomd)
	if err != nil {
		return nil, err
	}
	return &head{repo: r, place: place.Prefer(page.Base), repomd: page.Content, secure: page.Meta.Secure}, nil
}

// readMirrors reads a list of mirrors: an address a line.
func readMirrors(ctx context.Context, env *sources.Env, r *repo) ([]string, error) {
	page, err := upstream.At(r.mirrorlist).Read(ctx, env, "", rpmmd.MaxMetalink)
	if err != nil {
		return nil, err
	}
	var bases []string
	for line := range strings.Lines(string(page.Content)) {
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

// readByMetalink reads repomd.xml from the first mirror whose copy is the current one,
// otherwise from the first whose copy the metalink still lists as an alternate.
func readByMetalink(ctx context.Context, env *sources.Env, r *repo) (*head, error) {
	where := fetch.Redact(r.metalink)
	page, err := upstream.At(r.metalink).Read(ctx, env, "", rpmmd.MaxMetalink)
	if err != nil {
		return nil, err
	}
	link, err := rpmmd.ParseMetalink(page.Content)
	if err != nil {
		return nil, upstream.Blame(where, err)
	}
	var bases []string
	for _, u := range link.URLs {
		base, ok := strings.CutSuffix(u, "/"+nameRepomd)
		if base, err := checkBase(r.pos, base); ok && err == nil {
			bases = append(bases, base)
		}
	}
	if len(bases) == 0 {
		return nil, fmt.Errorf("%s: names no mirror: %w", where, fetch.ErrUpstream)
	}
	place := upstream.At(bases...)
	var older *head
	var errs []error
	for i, base := range place.Bases() {
		repomd, err := upstream.At(base).Read(ctx, env, nameRepomd, rpmmd.MaxRepomd)
		if err != nil {
			if errs = append(errs, err); ctx.Err() != nil {
				return nil, errors.Join(errs...)
			}
			continue
		}
		h := &head{repo: r, place: place.Prefer(i), repomd: repomd.Content, secure: page.Meta.Secure}
		if isVersion(link.Current, h.repomd) {
			return h, nil
		}
		for _, v := range link.Alternates {
			if older == nil && isVersion(v, h.repomd) {
				older = h
			}
		}
		want, _ := link.Current.Strongest()
		errs = append(errs, fmt.Errorf("%s: want %s, as %s says, got %s: %w", h.where(nameRepomd), sum(want), where, bundle.DigestOf(h.repomd), fetch.ErrRefused))
	}
	if older == nil {
		return nil, errors.Join(errs...)
	}
	return older, nil
}

func isVersion(v rpmmd.Version, content []byte) bool {
	strongest, ok := v.Strongest()
	want := sum(strongest)
	return ok && (v.Size < 0 || v.Size == int64(len(content))) && want.Of(content) == want
}

// sum returns a checksum of rpm metadata.
func sum(c rpmmd.Checksum) upstream.Sum { return upstream.Sum{Algorithm: c.Type, Hex: c.Hex} }
