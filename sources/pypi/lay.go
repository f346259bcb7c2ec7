package pypi

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Paths below the mount.
const (
	simpleDir = "simple/"
	filesDir  = "files/"
	locksDir  = "locks/"
	htmlPage  = "index.html"
	jsonPage  = "index.v1_json" // its ending has the media type
)

// targetKey begins the annotations that have the targets.
const targetKey = "target-"

// noted is a target in annotations: Check has no spec.
type noted struct {
	Python         string `json:"python"`
	Implementation string `json:"implementation"`
	Platform       string `json:"platform"`
	Release        string `json:"release,omitempty"`
	Version        string `json:"version,omitempty"`
}

// Plan reads, chooses and lays each source.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	plan := &sources.Plan{Repositories: make([]sources.Repository, len(s.entries))}
	scratch := make([]int64, len(s.entries))
	err := sources.Each(ctx, len(s.entries), func(ctx context.Context, i int) error {
		e := s.entries[i]
		return upstream.Steady(ctx, env, e.name, func() (err error) {
			plan.Repositories[i], scratch[i], err = e.plan(ctx, env)
			return err
		})
	})
	for _, n := range scratch {
		plan.Scratch += n
	}
	return plan, err
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
	return repo, r.scratch, err
}

// repository is what follows from the spec alone.
func (e *entry) repository() (sources.Repository, error) {
	repo := sources.Repository{Name: e.name, Mount: e.mount(), Annotations: map[string]string{}}
	var targets []noted
	for _, t := range e.targets {
		targets = append(targets, noted{t.Python + map[bool]string{true: "t"}[t.Threaded], t.Implementation, t.Platform, t.env.Values[marker.PlatformRelease], t.env.Values[marker.PlatformVersion]})
		repo.Notes = append(repo.Notes, t.label())
	}
	if err := sources.Annotate(repo.Annotations, targetKey, targets); err != nil {
		return repo, e.Pos.Wrap(err)
	}
	var err error
	if repo.Public, err = e.public(); err != nil {
		return repo, e.Pos.Errorf("index: %w", err)
	}
	return repo, nil
}

// public are the addresses of the indexes: their pages are ours, and the links on
// these lead to a folder next to the pages.
func (e *entry) public() ([]sources.Public, error) {
	var all []sources.Public
	for _, index := range e.indexes {
		pages, err := bundle.ParsePublic(index, simpleDir)
		if err != nil {
			return nil, err
		}
		files := pages
		files.Path, files.At = strings.TrimSuffix(path.Dir("/"+strings.TrimPrefix(pages.Path, "/")), "/")+strings.TrimSuffix("/"+filesDir, "/"), strings.TrimSuffix(filesDir, "/")
		for _, one := range []sources.Public{pages, files} {
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
	file    *file
	known   *known
	reasons []string
}

func (l *laid) path() string {
	return filesDir + l.file.SHA256[:2] + "/" + l.file.SHA256 + "/" + l.file.Name
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
	pages, err := made(all)
	if err != nil {
		return repo, err
	}
	for _, f := range slices.Concat(pages, locks(e, c)) {
		f.More.Vouched = rebuild.Vouched(vouched...)
		s.Add(f)
	}
	notes := slices.Concat(c.notes, slices.Sorted(maps.Keys(r.notes)))
	if unpinned > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d files: nothing but the connection vouches for them; requirements with hashes and locks do", unpinned, len(all)))
	}
	mark, err := r.wanted.mark(e, r.env)
	if err != nil {
		return repo, err
	}
	content, err := r.record(mark, notes)
	if err != nil {
		return repo, err
	}
	s.Add(stock.File{Path: recordPath, Size: int64(len(content)), Digest: bundle.DigestOf(content), Reason: "which index has what, and in which version", More: stock.InMemory(content, rebuild.Vouched(vouched...))})
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
		file         *file // of one whose digest is not known
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
		if l.file.pinned == "" {
			l.file.pinned = p.file.pinned // a lock has it too
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
		if l.file.SHA256 == "" && !slices.Contains(r.entry.InsecureHashes, l.file.index) {
			return r.entry.Pos.Wrap(fmt.Errorf("%s: %s names no sha256 of it; insecure-hashes allows that: %w", l.file.Name, fetch.Redact(l.file.index), fetch.ErrRefused))
		}
		if l.file.SHA256 == "" && l.file.local == "" {
			if err := r.download(ctx, l.file); err != nil {
				return err
			}
		}
		var err error
		if !l.file.name.Sdist {
			l.known, err = r.metadata(ctx, l.project, l.file)
		}
		return err
	})
	slices.SortFunc(all, func(a, b *laid) int {
		if c := strings.Compare(a.project, b.project); c != 0 {
			return c
		}
		if c := a.file.name.Version.Compare(b.file.name.Version); c != 0 {
			return c
		}
		return strings.Compare(a.file.Name+a.file.SHA256, b.file.Name+b.file.SHA256)
	})
	return all, err
}

// maxReason bounds the reason of a file, in bytes.
const maxReason = 500

// files are a chosen file and, of a wheel, its METADATA.
func (r *reader) files(l *laid) []stock.File {
	f := l.file
	digest, _ := bundle.ParseHex(f.SHA256) // simple and lockfile have checked it
	reason := strings.Join(l.reasons, "; ")
	if len(reason) > maxReason {
		reason = reason[:maxReason] + "..."
	}
	vouched := bundle.VouchedPinned
	if f.pinned == "" {
		vouched = bundle.VouchedNone
		if strings.HasPrefix(f.index, "https:") {
			vouched = bundle.VouchedTLS
		}
	}
	place := upstream.At(f.URL)
	one := stock.File{Path: l.path(), Size: f.Size, Digest: digest, Place: place, Reason: reason, More: &stock.More{Vouched: vouched, Local: f.local}}
	one.Entries = l.entries()
	if l.known == nil {
		return []stock.File{one}
	}
	metadata := stock.File{
		Path: one.Path + metadataEnd, Size: l.known.size, Digest: l.known.digest, Reason: "metadata of " + f.Name,
		More: &stock.More{Vouched: vouched, Local: l.known.local},
	}
	if l.known.origin {
		metadata.Place = upstream.At(f.URL + metadataEnd)
	} else {
		metadata.More.Vouched = rebuild.Vouched(vouched) // it is a part of the wheel
	}
	if f.local == "" {
		one.More.Open = r.checked(l, place, digest)
	}
	return []stock.File{one, metadata}
}

// checked opens a wheel whose METADATA has to be what is published of it.
func (r *reader) checked(l *laid, place *upstream.Place, digest bundle.Digest) bundle.Open {
	want := upstream.Want{Sum: upstream.SHA256(digest), Size: l.file.Size}
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		return place.OpenChecked(r.env, want, r.verify(ctx, l.file, l.known.digest), "")(ctx, at, validator)
	}
}

// made are the pages: of each project, and the list of them.
func made(all []*laid) ([]stock.File, error) {
	var out []stock.File
	add := func(path string, content []byte) {
		out = append(out, stock.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content), Reason: "page of an index",
			More: &stock.More{Vouched: bundle.VouchedMade, Content: content, MediaType: mediaType(path)}})
	}
	var names []string
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].project == all[from].project {
			to++
		}
		name := all[from].project
		names = append(names, name)
		var versions []string
		var links []simple.Link
		for _, l := range all[from:to] {
			if v := l.file.name.Version.String(); !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
			links = append(links, l.link())
		}
		page, err := simple.JSON(name, versions, links)
		if err != nil {
			return nil, err
		}
		add(simpleDir+name+"/"+htmlPage, simple.HTML(name, links))
		add(simpleDir+name+"/"+jsonPage, page)
		from = to
	}
	root, err := simple.RootJSON(names)
	add(simpleDir+htmlPage, simple.RootHTML(names))
	add(simpleDir+jsonPage, root)
	return out, err
}

func mediaType(path string) string {
	if strings.HasSuffix(path, jsonPage) {
		return simple.JSONType
	}
	return ""
}

func (l *laid) link() simple.Link {
	f := l.file
	link := simple.Link{Name: f.Name, SHA256: f.SHA256, Href: "../../" + l.path(), Size: f.Size, RequiresPython: f.RequiresPython, Yanked: f.Yanked, YankedReason: f.YankedReason}
	if l.known != nil {
		link.MetadataSHA256 = l.known.digest.Hex()
		if link.RequiresPython == "" {
			link.RequiresPython = l.known.RequiresPython.String()
		}
	}
	return link
}

// locks are requirements files with hashes: a client that is given one needs to
// resolve nothing.
func locks(e *entry, c *chosen) []stock.File {
	var out []stock.File
	for _, g := range c.groups {
		t := e.targets[g.target]
		var b strings.Builder
		fmt.Fprintf(&b, "# %s\n", t.Name())
		for _, p := range g.pins {
			fmt.Fprintf(&b, "%s==%s \\\n    --hash=sha256:%s\n", marker.Key(p.name, p.extras), p.file.name.Version, p.file.SHA256)
		}
		content := []byte(b.String())
		out = append(out, stock.File{Path: lockPath(t.Target, g.label), Size: int64(len(content)), Digest: bundle.DigestOf(content), Reason: "everything for a target",
			More: stock.InMemory(content, bundle.VouchedMade)})
	}
	return out
}

func lockPath(t *tags.Target, label string) string {
	if label != "" {
		label = "." + label
	}
	return locksDir + t.Name() + label + ".txt"
}
