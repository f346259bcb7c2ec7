package files

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// parallel bounds how many URLs are asked about at once over all hosts; the fetch
// client bounds each host.
const parallel = 64

// planned is a file on its way. A plan may have very many, so it holds what upstream, the
// checksums, the lock file and the base state about each, and makes the artifact on demand.
type planned struct {
	ready  *sources.Artifact // complete: nothing has to be asked; nil: it is of remote
	remote *remote
	by     *vouching // the checksums that name it; nil: none do
	// digest is what the content has to have, zero: not known. sum checks content that
	// is known by another checksum alone.
	digest bundle.Digest
	sum    upstream.Sum
	size   int64
	// validator and vouched are those of the artifact.
	validator, vouched string
	listed             bool // by vouches for it
	held               bool // the base's content was checked by sum
	pinned             bool // the lock file learns its digest
}

// recorded is what the base has of a file.
type recorded struct {
	known     bool
	origin    bool // the URL is the same
	digest    bundle.Digest
	size      int64
	validator string
}

func (p *planned) path() string {
	if p.ready != nil {
		return p.ready.File.Path
	}
	return p.remote.path
}

// unpinned reports whether nothing but the connection vouches for it.
func (p *planned) unpinned() bool {
	e := bundle.Evidence{Vouched: p.vouched}
	return e.Unpinned()
}

// artifact makes the artifact.
func (p *planned) artifact(env *sources.Env) sources.Artifact {
	if p.ready != nil {
		return *p.ready
	}
	r := p.remote
	a := artifactOf(r, p.vouched)
	a.File.Size, a.File.Digest, a.Validator = p.size, p.digest, p.validator
	a.Open = opener(env, p)
	if !p.sum.IsZero() && !p.held {
		a.Known = upstream.ReadThrough(a.Open)
	}
	if p.listed {
		a.Evidence.Reason += ", listed in " + p.by.where()
	}
	if p.pinned {
		record := env.Lock.Record
		if r.moving {
			record = env.Lock.Follow
		}
		a.Collected = func(f bundle.File) error { return record(r.raw, f.Digest, f.Size) }
	}
	return a
}

// webPlan is what a source carries.
type webPlan struct {
	web *web
	all []planned // sorted by path
	// elsewhere counts the files that other sources carry, by their names.
	elsewhere map[string]int
}

// planWebs plans all sources by URL: read -> choose -> lay. Everything that is wrong
// with any of them is reported.
func planWebs(ctx context.Context, env *sources.Env, webs []*web) ([]sources.Repository, error) {
	read, err := readSums(ctx, env, webs)
	if err != nil {
		return nil, err
	}
	plans, err := choose(env, webs, read)
	if err != nil {
		return nil, err
	}
	repos := make([]sources.Repository, len(plans))
	err = sources.Each(ctx, len(plans), func(ctx context.Context, i int) (err error) {
		repos[i], err = lay(ctx, env, plans[i])
		return err
	})
	return repos, err
}

// choose decides which source carries which file, and which digest the checksums
// name it. A path is carried once.
func choose(env *sources.Env, webs []*web, read []reading) ([]*webPlan, error) {
	matches := map[*remote]match{}
	var errs []error
	for i, w := range webs {
		errs = append(errs, matchWeb(w, read[i].vouchings, matches))
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	taken, err := env.Taken(mount, func(r bundle.Repository) bool { return r.Annotations[formKey] != formFolder })
	if err != nil {
		return nil, err
	}
	sheets := map[string]bool{} // paths of SHA256SUMS files and signatures
	plans := make([]*webPlan, len(webs))
	for i, w := range webs {
		plans[i] = &webPlan{web: w, elsewhere: map[string]int{}, all: make([]planned, 0, len(read[i].carried)+len(w.files))}
		for _, a := range read[i].carried {
			if path := a.File.Path; !sheets[path] {
				sheets[path] = true
				plans[i].all = append(plans[i].all, planned{ready: &a, vouched: a.Evidence.Vouched})
			}
		}
		for _, v := range read[i].vouchings {
			v.forget()
		}
	}
	for _, p := range plans {
		for _, r := range p.web.files {
			switch {
			case r.first != nil:
				p.elsewhere[r.first.source]++
			case !sheets[r.path]:
				m := matches[r]
				p.all = append(p.all, planned{remote: r, by: m.by, digest: m.digest, sum: m.sum, size: -1})
			}
		}
		p.all = slices.DeleteFunc(p.all, func(a planned) bool {
			owner, held := taken[a.path()]
			if held {
				p.elsewhere[owner.Source]++
			}
			return held
		})
		slices.SortFunc(p.all, func(a, b planned) int { return bundle.ComparePaths(a.path(), b.path()) })
	}
	return plans, nil
}

// matchWeb finds what the checksums of a source state about its URLs, into all; what two
// sources state about one URL has to agree.
func matchWeb(w *web, vouchings []*vouching, all map[*remote]match) error {
	found, err := matchAll(w.files, vouchings)
	errs := []error{err}
	for _, r := range w.files {
		m, ok := found[r]
		if !ok {
			if len(vouchings) > 0 && r.pinned.IsZero() && r.sum.IsZero() && !w.isSums(r) {
				errs = append(errs, r.pos.Wrap(w.unlisted(r, vouchings)))
			}
			continue
		}
		if pins := upstream.SHA256(r.pinned); !pins.IsZero() && m.contradicts(pins) {
			errs = append(errs, r.pos.Wrap(refusedFor(bundle.AboutPin, "%s: the spec pins %s, %s says %s", r.where(), r.pinned, m.by.where(), m.digest)))
			continue
		}
		if !r.sum.IsZero() && m.contradicts(r.sum) {
			errs = append(errs, r.pos.Wrap(refusedFor(bundle.AboutPin, "%s: the spec pins %s, %s says %s", r.where(), r.sum, m.by.where(), m.sum)))
			continue
		}
		if r.first != nil {
			r = r.first
		}
		if before, ok := all[r]; ok && (before.contradicts(upstream.SHA256(m.digest)) || before.contradicts(m.sum)) {
			errs = append(errs, r.pos.Errorf("%s: %s says %s, %s says %s: set sha256", r.where(), before.by.where(), before, m.by.where(), m))
			continue
		}
		all[r] = m
	}
	return strictyaml.Join(errs...)
}

// unlisted returns the error of a URL that no SHA256SUMS file of its source names: whoever
// names one wants its files checked by it.
func (w *web) unlisted(r *remote, vouchings []*vouching) error {
	var names []string
	for _, v := range vouchings {
		names = append(names, v.where())
	}
	signed := ""
	if len(w.keys) > 0 {
		signed = "signed "
	}
	return refusedFor(bundle.AboutSpec, "%s: want a %schecksum of it in %s, got none: set sha256 for the URL, or put it into a source without checksums",
		r.where(), signed, strings.Join(names, ", "))
}

// isSums reports whether a URL is one of the checksum files, or a signature of one.
func (w *web) isSums(r *remote) bool {
	return slices.ContainsFunc(w.sums, func(s *sums) bool {
		return slices.ContainsFunc(s.claims(), func(c claim) bool { return c.origin == r.raw })
	})
}

// lay makes a repository of what a source carries, with sizes and versions from
// upstream.
func lay(ctx context.Context, env *sources.Env, p *webPlan) (sources.Repository, error) {
	repo := sources.Repository{Name: p.web.name, Mount: mount}
	base, err := recall(env, p)
	if err != nil {
		return repo, err
	}
	err = sources.EachOf(ctx, parallel, len(p.all), func(ctx context.Context, i int) error { return ask(ctx, env, &p.all[i], base[i]) })
	unpinned, listed := 0, 0
	for i := range p.all {
		switch one := &p.all[i]; {
		case !one.unpinned():
		case one.by != nil:
			listed++
		default:
			unpinned++
		}
	}
	repo.Artifacts = func() iter.Seq2[sources.Artifact, error] { return p.artifacts(env) }
	if repo.Public = p.web.public(); len(repo.Public) > bundle.MaxPublic {
		repo.Notes = append(repo.Notes, fmt.Sprintf("the mirror cannot answer for %d of %s, which do not fit into its record: make several sources of it", len(repo.Public)-bundle.MaxPublic, bundle.Count(len(repo.Public), "public address")))
		repo.Public = repo.Public[:bundle.MaxPublic]
	}
	if unpinned > 0 {
		repo.Notes = append(repo.Notes, fmt.Sprintf("%d of %s: nothing but the connection vouches for them", unpinned, bundle.Count(len(p.all), "file")))
	}
	if listed > 0 {
		repo.Notes = append(repo.Notes, fmt.Sprintf("%d of %s: checksums from a file that nothing but the connection vouches for", listed, bundle.Count(len(p.all), "file")))
	}
	for _, name := range slices.Sorted(maps.Keys(p.elsewhere)) {
		repo.Notes = append(repo.Notes, fmt.Sprintf("%s: carried by source %s already", bundle.Count(p.elsewhere[name], "file"), name))
	}
	return repo, err
}

// artifacts makes the artifacts, in the order of paths.
func (p *webPlan) artifacts(env *sources.Env) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		for i := range p.all {
			a := p.all[i].artifact(env)
			a.Entries = sources.NewEntries(sources.Entry{Name: nameOf(&a), Type: bundle.TypeFile})
			if !yield(a, nil) {
				return
			}
		}
	}
}

// nameOf returns the name of a file for people: host and path of its URL. A version is never
// guessed from it.
func nameOf(a *sources.Artifact) string {
	u, err := url.Parse(a.Evidence.Origin)
	if err != nil || u.Host == "" {
		return a.File.Path
	}
	if name := u.Host + u.Path; bundle.CheckText(name) == nil {
		return name
	}
	return u.Host + u.EscapedPath()
}

// artifactOf returns what follows from the spec alone.
func artifactOf(r *remote, vouched string) sources.Artifact {
	a := sources.Artifact{
		File:     bundle.File{Path: r.path, Size: -1},
		Evidence: bundle.Evidence{Path: r.path, Origin: r.where(), Vouched: vouched, Reason: r.reason},
	}
	if impliedURL(r.path) != r.raw {
		a.File.Annotations = map[string]string{originKey: a.Evidence.Origin}
	}
	return a
}

// recall looks all files of a source up in the base, in their order.
func recall(env *sources.Env, p *webPlan) ([]recorded, error) {
	base := env.Cursor(p.web.name)
	defer base.Close()
	found := make([]recorded, len(p.all))
	for i := range p.all {
		one := &p.all[i]
		r, known, err := base.Lookup(one.path())
		if err != nil {
			return nil, err
		}
		if known && one.ready == nil {
			found[i] = recorded{known, r.Origin == one.remote.where(), r.File.Digest, r.File.Size, r.Validator}
		}
	}
	return found, nil
}

// ask completes a planned file: its digest by spec, checksums, lock or base, its
// size and version by upstream, unless the base has that very digest.
func ask(ctx context.Context, env *sources.Env, p *planned, base recorded) error {
	r := p.remote
	if r == nil {
		return nil
	}
	if !r.pinned.IsZero() {
		p.digest = r.pinned
	}
	if !p.digest.IsZero() || !r.sum.IsZero() {
		p.sum = r.sum
	}
	// The base recorded by which checksum its content was checked.
	p.held = base.known && !p.sum.IsZero() && base.validator == p.sum.String()
	if p.digest.IsZero() && p.held {
		p.digest = base.digest
	}
	secure := false
	if base.known && !p.digest.IsZero() && base.digest == p.digest {
		p.size = base.size
	} else {
		meta, err := upstream.At(r.raw).Stat(ctx, env)
		if err != nil {
			return r.pos.Wrap(err)
		}
		secure = meta.Secure
		p.size, p.validator = meta.Size, meta.Validator()
		if meta.Coding != "" {
			p.size = -1 // of what is sent; the content may be what it decodes to
		}
	}
	if !p.sum.IsZero() {
		p.validator = p.sum.String()
	}
	switch {
	case !r.pinned.IsZero(), !r.sum.IsZero():
		p.vouched = bundle.VouchedPinned
		return nil
	case !p.digest.IsZero(), !p.sum.IsZero():
		p.listed, p.vouched = true, p.by.vouched
		if p.unpinned() {
			p.vouched = unvouched(p.by.secure || secure)
		}
		return nil
	}
	return p.pin(env.Lock, base, secure)
}

// unvouched returns how content is vouched for that only the connection protects.
func unvouched(secure bool) string {
	if secure {
		return bundle.VouchedTLS
	}
	return bundle.VouchedNone
}

// pin completes a file to which neither spec nor checksums have a digest: the lock
// file has one, or will have one. Content that upstream states is the one that was
// recorded is not fetched again. Other content of a pinned URL is fetched, so that the
// pin is seen to hold.
func (p *planned) pin(lock *sources.Lock, base recorded, secure bool) error {
	r, told, updates := p.remote, p.size, lock.Updates() || p.remote.moving
	p.pinned, p.vouched = true, unvouched(secure)
	pin, pinned := lock.Lookup(r.raw)
	exact := r.where() == r.raw || pinned && pin.Digest == base.digest
	unchanged := base.known && exact && base.origin && p.validator != "" && p.validator == base.validator
	if unchanged {
		p.digest, p.size = base.digest, base.size
	}
	if !pinned {
		return nil
	}
	if !updates || unchanged && !r.moving && pin.Digest == p.digest {
		p.vouched = bundle.VouchedPinned
	}
	if updates {
		return nil
	}
	if told >= 0 && told != pin.Size {
		return r.pos.Wrap(&sources.PinError{URL: r.where(), Lock: sources.LockName, Pinned: pin, Found: sources.Pin{Size: told}})
	}
	if !base.known || base.digest != pin.Digest {
		p.digest, p.size = pin.Digest, pin.Size
	}
	return nil
}

// opener fetches a URL's content, and looks whether it begins as a private key does. A
// beginning that was seen already is not looked at again. No size has to be known:
// releases that are packed when somebody asks have none.
func opener(env *sources.Env, p *planned) bundle.Open {
	r, want := p.remote, upstream.Want{Sum: p.sum, Size: -1, Limit: bundle.MaxInteger}
	if p.sum.IsZero() {
		want.Sum = upstream.SHA256(p.digest)
	}
	open := upstream.At(r.raw).Open(env, want)
	if !p.sum.IsZero() {
		open = upstream.Validated(open, p.sum.String())
	}
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		c, err := open(ctx, at, validator)
		if err != nil || c.At > 0 || r.allowKey && r.html {
			return c, err
		}
		known := !p.digest.IsZero() || !p.sum.IsZero()
		return screened(c, r.where(), -1, func(head []byte) string { return r.refuses(head, known) })
	}
}
