package files

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// reading is what was read for a source: what its SHA256SUMS files state, and they
// themselves with their signatures, which travel with the content as its proof.
type reading struct {
	vouchings []*vouching
	carried   []sources.Artifact
}

// readSums fetches, verifies and reads the SHA256SUMS files of all sources: each URL
// once, even where several sources have it. It returns one reading for each of webs.
func readSums(ctx context.Context, env *sources.Env, webs []*web) ([]reading, error) {
	pages, err := fetchSums(ctx, env, webs)
	if err != nil {
		return nil, err
	}
	all := make([]reading, len(webs))
	return all, sources.Each(ctx, len(webs), func(ctx context.Context, i int) error {
		w := webs[i]
		keys, err := keyring.Load(ctx, env, w.keys...)
		if err != nil {
			return err
		}
		var errs []error
		for _, s := range w.sums {
			sh, err := judge(ctx, env, s, pages[s.file.raw], keys)
			var lines []sumsLine
			if err == nil {
				lines, err = s.read(sh.text)
			}
			if err != nil {
				errs = append(errs, s.pos.Wrap(fmt.Errorf("checksums: %w", err)))
				continue
			}
			v := newVouching(s.file.url(), lines)
			v.vouched, v.secure = sh.vouched(s), sh.page.Meta.Secure
			all[i].vouchings = append(all[i].vouchings, v)
			all[i].carried = append(all[i].carried, sh.carried(s)...)
		}
		return strictyaml.Join(errs...)
	})
}

// read reads the lines of a SHA256SUMS file. One that is a checksum and nothing else, or a
// checksum of standard input, is about the file that it is called after.
func (s *sums) read(text []byte) ([]sumsLine, error) {
	sum, bare := bareSum(text)
	if !bare {
		lines, err := parseSums(text)
		if err != nil || len(lines) != 1 || lines[0].Name != "-" && lines[0].Name != "stdin" {
			return lines, upstream.Blame(s.file.where(), err)
		}
		sum = lines[0].Sum
	}
	own := path.Base(s.file.url().Path)
	name := strings.TrimSuffix(own, path.Ext(own))
	if name == "" || name == own {
		return nil, s.pos.Errorf("%s: is one checksum without a name, and is not called after a file as in file.sha256: set sha256 or sha512 for the URL", s.file.where())
	}
	return []sumsLine{{name, sum}}, nil
}

// fetchSums returns the SHA256SUMS files of all sources by their URLs.
func fetchSums(ctx context.Context, env *sources.Env, webs []*web) (map[string]*upstream.Page, error) {
	var all []*sums
	for _, w := range webs {
		for _, s := range w.sums {
			if !slices.ContainsFunc(all, func(o *sums) bool { return o.file.raw == s.file.raw }) {
				all = append(all, s)
			}
		}
	}
	pages := make([]*upstream.Page, len(all))
	err := sources.Each(ctx, len(all), func(ctx context.Context, i int) (err error) {
		if pages[i], err = upstream.At(all[i].file.raw).Read(ctx, env, "", maxSums); err != nil {
			return all[i].pos.Wrap(fmt.Errorf("checksums: %w", err))
		}
		return nil
	})
	byURL := make(map[string]*upstream.Page, len(all))
	for i, s := range all {
		byURL[s.file.raw] = pages[i]
	}
	return byURL, err
}

// sheet is a SHA256SUMS file with its signature.
type sheet struct {
	page      *upstream.Page
	text      []byte // what the signature was made over; without one, what is written there
	signature []byte // detached; nil: none was looked at
	from      *remote
	signers   keyring.Keys // empty: nobody that was checked
}

// judge checks a SHA256SUMS file by its pin and, where the source has keys, by its
// signature. Errors match fetch.ErrRefused and name URL and fingerprints.
func judge(ctx context.Context, env *sources.Env, s *sums, page *upstream.Page, keys keyring.Keys) (*sheet, error) {
	sh := &sheet{page: page, text: keyring.Plain(page.Content)}
	if found := bundle.DigestOf(page.Content); !s.file.pinned.IsZero() && found != s.file.pinned {
		return nil, &sources.PinError{
			URL:    s.file.where(),
			Pinned: sources.Pin{Digest: s.file.pinned, Size: -1}, Found: sources.Pin{Digest: found, Size: int64(len(page.Content))},
		}
	}
	if len(keys) == 0 {
		return sh, nil
	}
	var err error
	if keyring.IsClearSigned(page.Content) {
		sh.text, sh.signers, err = keys.ClearSigned(s.file.where(), page.Content, env.Now)
		return sh, err
	}
	if err := s.fetchSignature(ctx, env, sh, keys); err != nil {
		return nil, err
	}
	sh.text = page.Content
	sh.signers, err = keys.Detached(sh.from.where(), sh.text, sh.signature, env.Now)
	return sh, err
}

// fetchSignature gets the configured signature, or the first of the usual names that
// is there. A bad one is not skipped for another.
func (s *sums) fetchSignature(ctx context.Context, env *sources.Env, sh *sheet, keys keyring.Keys) error {
	candidates := s.guesses
	if s.signature != nil {
		candidates = []*remote{s.signature}
	}
	var asked []string
	for _, r := range candidates {
		page, err := upstream.At(r.raw).Optional(ctx, env, "", pgpkeys.MaxSignature)
		if err != nil {
			return err
		}
		if page != nil {
			sh.signature, sh.from = page.Content, r
			return nil
		}
		asked = append(asked, r.where())
	}
	return keys.Unsigned(s.file.where(), asked...)
}

// vouched returns how the files that a SHA256SUMS file names are vouched for.
func (sh *sheet) vouched(s *sums) string {
	switch {
	case len(sh.signers) > 0:
		return sh.signers.Vouched()
	case !s.file.pinned.IsZero():
		return bundle.VouchedIndex
	}
	return unvouched(sh.page.Meta.Secure)
}

// carried returns a SHA256SUMS file and its signature as files of the mirror.
func (sh *sheet) carried(s *sums) []sources.Artifact {
	vouched := sh.vouched(s)
	if !s.file.pinned.IsZero() {
		vouched = bundle.VouchedPinned
	}
	all := []sources.Artifact{inMemory(s.file, sh.page.Content, vouched)}
	if sh.signature != nil {
		all = append(all, inMemory(sh.from, sh.signature, vouched))
	}
	return all
}

func inMemory(r *remote, content []byte, vouched string) sources.Artifact {
	a := artifactOf(r, vouched)
	a.File.Size, a.File.Digest = int64(len(content)), bundle.DigestOf(content)
	a.Open = sources.InMemory(content, "")
	return a
}

// refusedFor returns an error about a thing that matches fetch.ErrRefused.
func refusedFor(thing bundle.Thing, format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, &bundle.AboutError{Thing: thing, Name: Name, Err: fetch.ErrRefused})...)
}
