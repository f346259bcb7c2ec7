package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// parallel bounds how many URLs are asked about at once over all hosts; the
// fetch client bounds each host.
const parallel = 64

// planWebs plans all sources by URL. Everything that is wrong with any of
// them is reported.
func planWebs(ctx context.Context, env *sources.Env, webs []*web) ([]sources.Repository, error) {
	p := &planner{env: env, fetched: map[string]*sheet{}, owner: map[string]string{}}
	vouchings := make([][]*vouching, len(webs))
	extras := make([][]planned, len(webs))
	var errs []error
	for i, w := range webs {
		var err error
		vouchings[i], extras[i], err = p.checksums(ctx, w)
		errs = append(errs, err)
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	matches := map[*remote]match{}
	for i, w := range webs {
		errs = append(errs, p.match(w, vouchings[i], matches))
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	repos := make([]sources.Repository, len(webs))
	for i, w := range webs {
		repo, err := p.repository(ctx, w, matches, extras[i])
		repos[i], errs = repo, append(errs, err)
	}
	return repos, strictyaml.Join(errs...)
}

type planner struct {
	env     *sources.Env
	fetched map[string]*sheet // SHA256SUMS files by URL
	owner   map[string]string // path of a SHA256SUMS file or signature: source that carries it
	taken   map[string]string // path: source that is held and carries it; see held
}

// planned is an artifact on its way, with what is known before it is asked for.
type planned struct {
	artifact sources.Artifact
	remote   *remote // nil: nothing has to be asked
	match    match
	recorded sources.Recorded
	known    bool // recorded is from the base
}

// checksums fetches, verifies and reads the SHA256SUMS files of a source, and
// makes artifacts of them and of their signatures.
func (p *planner) checksums(ctx context.Context, w *web) ([]*vouching, []planned, error) {
	var vouchings []*vouching
	var extras []planned
	var errs []error
	for _, s := range w.sums {
		sh, err := p.sheet(ctx, w, s)
		if err != nil {
			errs = append(errs, s.pos.Wrap(fmt.Errorf("checksums: %w", err)))
			continue
		}
		lines, err := parseSums(sh.text)
		if err != nil {
			errs = append(errs, s.pos.Wrap(fmt.Errorf("checksums: %s: %w: %w", fetch.Redact(s.file.raw), err, fetch.ErrUpstream)))
			continue
		}
		v := newVouching(s.file.url, lines)
		v.vouched, v.secure = vouchedBy(sh, s), sh.meta.Secure
		vouchings = append(vouchings, v)
		own := v.vouched
		if !s.file.pinned.IsZero() {
			own = bundle.VouchedPinned
		}
		extras = append(extras, p.carry(w, s.file, sh.content, own)...)
		if sh.signature != nil {
			extras = append(extras, p.carry(w, sh.from, sh.signature, own)...)
		}
	}
	return vouchings, extras, strictyaml.Join(errs...)
}

// vouchedBy is how the files that a SHA256SUMS file names are vouched for.
func vouchedBy(sh *sheet, s *sums) string {
	switch {
	case sh.signer != "":
		return bundle.VouchedOpenPGP + sh.signer
	case !s.file.pinned.IsZero():
		return bundle.VouchedIndex
	}
	return unvouched(sh.meta.Secure)
}

func unvouched(secure bool) string {
	if secure {
		return bundle.VouchedTLS
	}
	return bundle.VouchedNone
}

// sheet gets a SHA256SUMS file, once for all sources, and checks its pin and
// its signature, as this source asks for it.
func (p *planner) sheet(ctx context.Context, w *web, s *sums) (*sheet, error) {
	have := p.fetched[s.file.raw]
	if have == nil {
		content, meta, err := p.env.Fetch.ReadAll(ctx, s.file.raw, maxSums)
		if err != nil {
			return nil, err
		}
		have = &sheet{content: content, meta: meta}
		p.fetched[s.file.raw] = have
	}
	sh := &sheet{content: have.content, meta: have.meta, text: unsigned(have.content)}
	if found := bundle.DigestOf(sh.content); !s.file.pinned.IsZero() && found != s.file.pinned {
		return nil, &sources.PinError{
			URL:    fetch.Redact(s.file.raw),
			Pinned: sources.Pin{Digest: s.file.pinned, Size: -1}, Found: sources.Pin{Digest: found, Size: int64(len(sh.content))},
		}
	}
	if w.keyring == "" {
		return sh, nil
	}
	keys, err := readKeyring(w.keyring)
	if err != nil {
		return nil, err
	}
	sh.text = sh.content
	return sh, s.verify(ctx, p.env.Fetch, sh, keys, p.env.Now)
}

// carry makes an artifact of content that is in memory already, once per path.
func (p *planner) carry(w *web, r *remote, content []byte, vouched string) []planned {
	if p.owner[r.path] != "" {
		return nil
	}
	p.owner[r.path] = w.name
	a := artifactOf(r, vouched)
	a.File.Size, a.File.Digest = int64(len(content)), bundle.DigestOf(content)
	a.Open = func(context.Context, int64, string) (*bundle.Content, error) {
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content))}, nil
	}
	return []planned{{artifact: a}}
}

// artifactOf is what follows from the spec alone.
func artifactOf(r *remote, vouched string) sources.Artifact {
	a := sources.Artifact{
		File:     bundle.File{Path: r.path, Size: -1},
		Evidence: bundle.Evidence{Path: r.path, Origin: fetch.Redact(r.raw), Vouched: vouched, Reason: r.reason},
	}
	if impliedURL(r.path) != r.raw {
		a.File.Annotations = map[string]string{originKey: a.Evidence.Origin}
	}
	return a
}

// match finds what the checksums of a source say about its URLs, into all;
// what two sources say about one URL has to agree.
func (p *planner) match(w *web, vouchings []*vouching, all map[*remote]match) error {
	found, err := matchAll(w.files, vouchings)
	errs := []error{err}
	for _, r := range w.files {
		m, ok := found[r]
		if !ok {
			continue
		}
		if !r.pinned.IsZero() && r.pinned != m.digest {
			errs = append(errs, r.pos.Wrap(fmt.Errorf("%s: the spec pins %s, %s says %s: %w",
				fetch.Redact(r.raw), r.pinned, fetch.Redact(m.by.origin.String()), m.digest, fetch.ErrRefused)))
			continue
		}
		if r.first != nil {
			r = r.first
		}
		if before, ok := all[r]; ok && before.digest != m.digest {
			errs = append(errs, r.pos.Errorf("%s: %s says %s, %s says %s: set sha256", fetch.Redact(r.raw),
				fetch.Redact(before.by.origin.String()), before.digest, fetch.Redact(m.by.origin.String()), m.digest))
			continue
		}
		all[r] = m
	}
	return strictyaml.Join(errs...)
}

// repository plans one source whose checksums are read.
func (p *planner) repository(ctx context.Context, w *web, matches map[*remote]match, extras []planned) (sources.Repository, error) {
	repo := sources.Repository{Name: w.name, Mount: mount}
	all, elsewhere, err := p.own(w, matches, extras)
	if err != nil {
		return repo, err
	}
	if err := p.recall(w.name, all); err != nil {
		return repo, err
	}
	errs := make([]error, len(all))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range all {
		group.Go(func() error {
			errs[i] = p.ask(ctx, &all[i])
			return nil // the others go on: everything that is wrong is reported
		})
	}
	_ = group.Wait()
	artifacts := make([]sources.Artifact, len(all))
	unpinned := 0
	for i := range all {
		artifacts[i] = all[i].artifact
		if artifacts[i].Evidence.Unpinned() {
			unpinned++
		}
	}
	repo.Artifacts = func() iter.Seq2[sources.Artifact, error] { return replay(artifacts) }
	if unpinned > 0 {
		repo.Notes = append(repo.Notes, fmt.Sprintf("%d of %d files: nothing but the connection vouches for them", unpinned, len(all)))
	}
	for _, name := range slices.Sorted(maps.Keys(elsewhere)) {
		repo.Notes = append(repo.Notes, fmt.Sprintf("%d files: carried by source %s already", elsewhere[name], name))
	}
	return repo, strictyaml.Join(errs...)
}

// own are the artifacts that a source carries itself, sorted by path: no path
// may be in two repositories. elsewhere counts the others, by who has them.
func (p *planner) own(w *web, matches map[*remote]match, extras []planned) (all []planned, elsewhere map[string]int, err error) {
	all, elsewhere = extras, map[string]int{}
	for _, r := range w.files {
		switch {
		case r.first != nil:
			elsewhere[r.first.source]++
		case p.owner[r.path] == "": // otherwise it is one of the SHA256SUMS files
			all = append(all, planned{remote: r, match: matches[r], artifact: artifactOf(r, "")})
		}
	}
	held, err := p.held()
	all = slices.DeleteFunc(all, func(a planned) bool {
		owner, taken := held[a.artifact.File.Path]
		if taken {
			elsewhere[owner]++
		}
		return taken
	})
	slices.SortFunc(all, func(a, b planned) int { return bundle.ComparePaths(a.artifact.File.Path, b.artifact.File.Path) })
	return all, elsewhere, err
}

// held are the paths that sources of this kind which are not planned this
// time have, and which of them.
func (p *planner) held() (map[string]string, error) {
	if p.taken != nil || len(p.env.Held) == 0 {
		return p.taken, nil
	}
	p.taken = map[string]string{}
	for _, h := range p.env.Held {
		if h.Repository.Kind != Name || h.Repository.Annotations[formKey] == formFolder {
			continue
		}
		for f, err := range h.Files() {
			if err != nil {
				return nil, err
			}
			p.taken[f.Path] = h.Repository.Name
		}
	}
	return p.taken, nil
}

func replay(artifacts []sources.Artifact) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		for _, a := range artifacts {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// recall looks all artifacts of a repository up in the base.
func (p *planner) recall(repo string, all []planned) error {
	base := p.env.Cursor(repo)
	defer base.Close()
	for i := range all {
		var err error
		if all[i].recorded, all[i].known, err = base.Lookup(all[i].artifact.File.Path); err != nil {
			return err
		}
	}
	return nil
}

// ask completes a planned artifact: digest from spec, checksums, lock or
// base; size and version from upstream, unless the base has that very digest.
func (p *planner) ask(ctx context.Context, a *planned) error {
	r := a.remote
	if r == nil {
		return nil
	}
	art := &a.artifact
	digest := r.pinned
	if digest.IsZero() {
		digest = a.match.digest
	}
	var meta fetch.Meta
	if a.known && !digest.IsZero() && a.recorded.File.Digest == digest {
		art.File.Size = a.recorded.File.Size
	} else {
		m, err := p.env.Fetch.Stat(ctx, r.raw)
		if err != nil {
			return r.pos.Wrap(err)
		}
		meta = *m
		art.File.Size, art.Validator = meta.Size, meta.Validator()
	}
	art.Open = p.opener(r)
	art.File.Digest = digest
	switch {
	case !r.pinned.IsZero():
		art.Evidence.Vouched = bundle.VouchedPinned
		return nil
	case !digest.IsZero():
		art.Evidence.Vouched = a.match.by.vouched
		if art.Evidence.Unpinned() {
			art.Evidence.Vouched = unvouched(a.match.by.secure || meta.Secure)
		}
		art.Evidence.Reason += ", listed in " + fetch.Redact(a.match.by.origin.String())
		return nil
	}
	return p.pin(a, meta)
}

// pin completes an artifact that neither spec nor checksums give a digest:
// the lock file has one, or will have. Content that upstream says is the one
// that was recorded is not fetched again; other content of a pinned URL is
// fetched, so that the pin is seen to hold.
func (p *planner) pin(a *planned, meta fetch.Meta) error {
	r, art, lock := a.remote, &a.artifact, p.env.Lock
	art.Evidence.Vouched = unvouched(meta.Secure)
	art.Collected = func(f bundle.File) error { return lock.Record(r.raw, f.Digest, f.Size) }
	pin, pinned := lock.Lookup(r.raw)
	exact := fetch.Redact(r.raw) == r.raw || pinned && pin.Digest == a.recorded.File.Digest
	unchanged := a.known && exact && a.recorded.Origin == art.Evidence.Origin &&
		art.Validator != "" && art.Validator == a.recorded.Validator
	if unchanged {
		art.File.Digest, art.File.Size = a.recorded.File.Digest, a.recorded.File.Size
	}
	if !pinned {
		return nil
	}
	if !lock.Updates() || unchanged && pin.Digest == art.File.Digest {
		art.Evidence.Vouched = bundle.VouchedPinned
	}
	if lock.Updates() {
		return nil
	}
	if meta.Size >= 0 && meta.Size != pin.Size {
		return r.pos.Wrap(&sources.PinError{
			URL: fetch.Redact(r.raw), Lock: sources.LockName, Pinned: pin, Found: sources.Pin{Size: meta.Size},
		})
	}
	if !a.known || a.recorded.File.Digest != pin.Digest {
		art.File.Digest, art.File.Size = pin.Digest, pin.Size
	}
	return nil
}

// opener fetches a URL's content. A beginning that was seen already is not
// looked at again.
func (p *planner) opener(r *remote) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		b, err := p.env.Fetch.Open(ctx, r.raw, at, validator)
		if err != nil {
			return nil, err
		}
		c := &bundle.Content{Body: b, At: b.At, Validator: b.Meta.Validator()}
		if c.At > 0 || r.allowKey {
			return c, nil
		}
		return screened(c, fetch.Redact(r.raw))
	}
}
