package pypi

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/index"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Plan reads, chooses and lays each source.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	return sources.PlanEach(ctx, len(s.entries), func(ctx context.Context, i int) (p sources.Planned, err error) {
		e := s.entries[i]
		err = upstream.Steady(ctx, env, e.name, func() (err error) {
			p.Repository, p.Scratch, err = e.plan(ctx, env)
			if err == nil {
				p.Also, err = e.atHosts(&p.Repository)
			}
			return err
		})
		return p, err
	})
}

// atHosts derives a source of kind files from the files that requirements or locks pin: a lock
// names them by their own addresses too, and its tool asks for them there.
func (e *entry) atHosts(repo *sources.Repository) ([]sources.Derived, error) {
	var urls []any
	for a, err := range repo.Artifacts() {
		if err != nil {
			return nil, err
		}
		name, isFile := strings.CutPrefix(a.File.Path, pages.FilesDir)
		if !isFile || strings.HasSuffix(name, pages.MetadataEnd) || a.Evidence.Vouched != bundle.VouchedPinned {
			continue
		}
		if u, err := url.Parse(a.Evidence.Origin); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.RawQuery == "" && u.User == nil {
			urls = append(urls, map[string]any{"url": a.Evidence.Origin, "sha256": a.File.Digest.Hex()})
		}
	}
	if len(urls) == 0 {
		return nil, nil
	}
	return []sources.Derived{{Spec: sources.Given(e.spec, "files", map[string]any{"urls": urls})}}, nil
}

func (e *entry) plan(ctx context.Context, env *sources.Env) (repo sources.Repository, scratch int64, err error) {
	w, err := readWanted(e)
	if err != nil {
		return repo, 0, err
	}
	have, content, err := e.recalled(ctx, env, w)
	if err != nil {
		return repo, 0, err
	}
	if have != nil {
		repo, err = e.unchanged(env, have, content)
		return repo, 0, err
	}
	return e.fresh(ctx, env, w)
}

// fresh reads, chooses and lays.
func (e *entry) fresh(ctx context.Context, env *sources.Env, w *wanted) (repo sources.Repository, scratch int64, err error) {
	r := newReader(env, e, w)
	c, err := choose(ctx, r)
	r.ahead.Wait()
	if err != nil {
		return repo, 0, err
	}
	repo, err = lay(ctx, r, c)
	return repo, r.index.Scratch(), err
}

// repository returns what follows from the spec alone.
func (e *entry) repository() (sources.Repository, error) {
	repo := sources.Repository{Name: e.name, Mount: e.mount(), Annotations: map[string]string{}}
	for _, t := range e.targets {
		repo.Notes = append(repo.Notes, label(t))
	}
	if err := pages.Annotate(repo.Annotations, e.targets); err != nil {
		return repo, e.Pos.Wrap(err)
	}
	var err error
	if repo.Public, err = e.public(); err != nil {
		return repo, e.Pos.Errorf("index: %w", err)
	}
	return repo, nil
}

// public returns the addresses of the indexes: their pages are ours, and the links on
// these lead to a folder next to the pages.
func (e *entry) public() ([]sources.Public, error) {
	var all []sources.Public
	for _, index := range e.indexes {
		served, err := bundle.ParsePublic(index, pages.SimpleDir)
		if err != nil {
			return nil, err
		}
		files := served
		files.Path, files.At = strings.TrimSuffix(path.Dir("/"+strings.TrimPrefix(served.Path, "/")), "/")+strings.TrimSuffix("/"+pages.FilesDir, "/"), strings.TrimSuffix(pages.FilesDir, "/")
		for _, one := range []sources.Public{served, files} {
			if !slices.ContainsFunc(all, func(p sources.Public) bool { return p.Scheme == one.Scheme && p.Host == one.Host && p.Path == one.Path }) {
				all = append(all, one)
			}
		}
	}
	return all, nil
}

// laid is a file on its way into the repository.
type laid struct {
	project string
	file    *index.File
	known   *index.Known
	reasons []string
}

// lay decides the paths and makes the pages.
func lay(ctx context.Context, r *reader, c *chosen) (sources.Repository, error) {
	e := r.entry
	repo, err := e.repository()
	if err != nil {
		return repo, err
	}
	all, err := gather(ctx, r, c)
	if err != nil {
		return repo, err
	}
	s := &stock.Stock{}
	unpinned := 0
	var vouched []string
	for _, l := range all {
		files := r.files(l)
		s.Add(files...)
		vouched = append(vouched, files[0].More.Vouched)
		if files[0].More.Vouched != bundle.VouchedPinned {
			unpinned++
		}
	}
	made, err := made(e, c, all)
	if err != nil {
		return repo, sources.InSource(e.Pos, e.name, err)
	}
	for _, f := range made {
		f.More.Vouched = rebuild.Vouched(vouched...)
		s.Add(f)
	}
	notes := slices.Concat(c.notes, slices.Sorted(maps.Keys(r.notes)))
	if unpinned > 0 {
		notes = append(notes, fmt.Sprintf("nothing but the connection vouches for %d of %s; requirements with hashes and locks do", unpinned, bundle.Count(len(all), "file")))
	}
	mark, err := r.wanted.mark(e, r.env)
	if err != nil {
		return repo, err
	}
	content, err := r.record(mark, notes)
	if err != nil {
		return repo, err
	}
	if err := rebuild.ReadBack(pages.RecordPath, content, rebuild.Whole(pages.CheckRecord)); err != nil {
		return repo, sources.InSource(e.Pos, e.name, err)
	}
	s.Add(stock.File{Path: pages.RecordPath, Size: int64(len(content)), Digest: bundle.DigestOf(content), Reason: "which index has what, and in which version", More: stock.InMemory(content, rebuild.Vouched(vouched...))})
	if err := s.Settle(); err != nil {
		return repo, err
	}
	repo.Notes = slices.Concat(repo.Notes, notes)
	repo.Artifacts = keeping(s.Artifacts(r.env, e.name), content)
	return repo, nil
}

// gather reads the metadata of every chosen file, and refuses those without a
// digest unless the spec allows it.
func gather(ctx context.Context, r *reader, c *chosen) ([]*laid, error) {
	type key struct {
		name, digest string
		file         *index.File // of one whose digest is not known
	}
	by := map[key]*laid{}
	var all []*laid
	add := func(p pin) {
		k := key{p.file.Name, p.file.SHA256, nil}
		if k.digest == "" {
			k.file = p.file
		}
		l := by[k]
		if l == nil {
			l = &laid{project: p.name, file: p.file}
			by[k] = l
			all = append(all, l)
		}
		if l.file.Pinned == "" {
			l.file.Pinned = p.file.Pinned // a lock has it too
		}
		if !slices.Contains(l.reasons, p.reason) {
			l.reasons = append(l.reasons, p.reason)
		}
	}
	for _, g := range c.groups {
		for _, p := range g.pins {
			add(p)
		}
	}
	for _, p := range c.loose {
		add(p)
	}
	err := sources.EachOf(ctx, readAhead, len(all), func(ctx context.Context, i int) error {
		l := all[i]
		if l.file.SHA256 == "" && !slices.Contains(r.entry.InsecureHashes, l.file.Index) {
			return r.entry.Pos.Wrap(fmt.Errorf("%s: %s names no sha256 of it; insecure-hashes allows that: %w", l.file.Name, fetch.Redact(l.file.Index), fetch.ErrRefused))
		}
		if l.file.SHA256 == "" && l.file.Local == "" {
			if err := r.index.Download(ctx, l.file); err != nil {
				return err
			}
		}
		var err error
		if !l.file.Parsed.Sdist {
			l.known, err = r.index.Metadata(ctx, l.project, l.file)
		}
		return err
	})
	slices.SortFunc(all, func(a, b *laid) int {
		if c := strings.Compare(a.project, b.project); c != 0 {
			return c
		}
		if c := a.file.Parsed.Version.Compare(b.file.Parsed.Version); c != 0 {
			return c
		}
		return strings.Compare(a.file.Name+a.file.SHA256, b.file.Name+b.file.SHA256)
	})
	return all, err
}

// maxReason bounds the reason of a file, in bytes.
const maxReason = 500

// files returns a chosen file and, of a wheel, its METADATA.
func (r *reader) files(l *laid) []stock.File {
	f := l.file
	digest, _ := bundle.ParseHex(f.SHA256) // simple and lockfile have checked it
	reason := strings.Join(l.reasons, "; ")
	if len(reason) > maxReason {
		reason = reason[:maxReason] + "..."
	}
	vouched := bundle.VouchedPinned
	if f.Pinned == "" {
		vouched = bundle.VouchedNone
		if strings.HasPrefix(f.Index, "https:") {
			vouched = bundle.VouchedTLS
		}
	}
	place := upstream.At(f.URL)
	one := stock.File{Path: pages.Path(l.file.SHA256, l.file.Name), Size: f.Size, Digest: digest, Place: place, Reason: reason, More: &stock.More{Vouched: vouched, Local: f.Local}}
	one.Entries = l.entries()
	if l.known == nil {
		return []stock.File{one}
	}
	metadata := stock.File{
		Path: one.Path + pages.MetadataEnd, Size: l.known.Size, Digest: l.known.Digest, Reason: "metadata of " + f.Name,
		More: &stock.More{Vouched: vouched, Local: l.known.Local},
	}
	if l.known.Origin {
		metadata.Place = upstream.At(f.URL + pages.MetadataEnd)
	} else {
		metadata.More.Vouched = rebuild.Vouched(vouched) // it is a part of the wheel
	}
	if f.Local == "" {
		one.More.Open = r.checked(l, place, digest)
	}
	return []stock.File{one, metadata}
}

// checked opens a wheel whose METADATA has to be what is published of it.
func (r *reader) checked(l *laid, place *upstream.Place, digest bundle.Digest) bundle.Open {
	want := upstream.Want{Sum: upstream.SHA256(digest), Size: l.file.Size}
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		return place.OpenChecked(r.env, want, r.index.Verify(ctx, l.file, l.known.Digest), "")(ctx, at, validator)
	}
}

// made returns the pages and the locks.
func made(e *entry, c *chosen, all []*laid) ([]stock.File, error) {
	var files []pages.File
	for _, l := range all {
		files = append(files, pages.File{Project: l.project, Version: l.file.Parsed.Version, Link: l.link()})
	}
	made, err := pages.Make(files)
	if err != nil {
		return nil, err
	}
	for _, g := range c.groups {
		var pins []pages.Pin
		for _, p := range g.pins {
			pins = append(pins, pages.Pin{Project: p.name, Extras: p.extras, Version: p.file.Parsed.Version, SHA256: p.file.SHA256})
		}
		made = append(made, pages.Lock(e.targets[g.target], g.label, pins))
	}
	out := make([]stock.File, len(made))
	for i, page := range made {
		if err := rebuild.ReadBack(page.Path, page.Content, rebuild.Whole(page.Read)); err != nil {
			return nil, err
		}
		more := stock.InMemory(page.Content, bundle.VouchedMade)
		more.MediaType = page.MediaType
		reason := "page of an index"
		if strings.HasPrefix(page.Path, pages.LocksDir) {
			reason = "everything for a target"
		}
		out[i] = stock.File{Path: page.Path, Size: int64(len(page.Content)), Digest: bundle.DigestOf(page.Content), Reason: reason, More: more}
	}
	return out, nil
}

func (l *laid) link() simple.Link {
	f := l.file
	link := simple.Link{Name: f.Name, SHA256: f.SHA256, Size: f.Size, RequiresPython: f.RequiresPython, Yanked: f.Yanked, YankedReason: f.YankedReason}
	if l.known != nil {
		link.MetadataSHA256 = l.known.Digest.Hex()
		if link.RequiresPython == "" {
			link.RequiresPython = l.known.RequiresPython.String()
		}
	}
	return link
}
