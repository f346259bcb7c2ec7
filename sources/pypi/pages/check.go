package pages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/pypi/lockfile"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
)

// inside is the address under which pages are read by Check; links are relative
// to it.
const inside = "https://mirror.invalid/"

// Check looks at what clients ask for: every link of every page, and for every
// target that what its lock names goes together.
func Check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var names, files, locks, requirements int64
	err := complete.Walk(ctx, t, func(ctx context.Context, r *complete.Repo) error {
		c := &checked{repo: r, files: map[string]string{}, metadata: map[string]*simple.Metadata{}}
		err := errors.Join(c.record(ctx), c.pages(ctx), c.wheels(ctx), c.locks(ctx, t))
		names, files, locks, requirements = names+c.names, files+int64(len(c.files)), locks+c.lockFiles, requirements+c.requirements
		return err
	})
	return []bundle.CheckCount{{Name: "files", Count: files}, {Name: "locks", Count: locks}, {Name: "projects", Count: names}, {Name: "requirements", Count: requirements}}, err
}

type checked struct {
	repo                           *complete.Repo
	names, lockFiles, requirements int64
	files                          map[string]string // digest in hexadecimal: path
	metadata                       map[string]*simple.Metadata
}

// record reads the file that lists the index of each name.
func (c *checked) record(ctx context.Context) error {
	if !c.repo.Has(RecordPath) {
		return c.repo.Missing(RecordPath, "a person who asks where a package is from")
	}
	content, err := c.repo.Read(ctx, RecordPath, simple.MaxPage)
	if err != nil {
		return err
	}
	_, err = ReadRecord(content)
	return c.repo.Corrupt(RecordPath, err)
}

// pages reads the list of projects and the page of each, in both forms.
func (c *checked) pages(ctx context.Context) error {
	content, err := c.repo.Read(ctx, SimpleDir+jsonPage, simple.MaxPage)
	if err != nil {
		return err
	}
	names, err := simple.ParseRoot(content)
	if err != nil {
		return c.repo.Corrupt(SimpleDir+jsonPage, err)
	}
	errs := []error{}
	if !c.repo.Has(SimpleDir + htmlPage) {
		errs = append(errs, c.repo.Missing(SimpleDir+htmlPage, "a person with a browser"))
	}
	for _, name := range names {
		c.names++
		var forms [2][]simple.File
		for i, page := range []string{htmlPage, jsonPage} {
			forms[i], err = c.page(ctx, name, SimpleDir+name+"/"+page)
			errs = append(errs, err)
		}
		same := slices.EqualFunc(forms[0], forms[1], func(a, b simple.File) bool { a.Size = b.Size; return a == b })
		if errors.Join(errs...) == nil && !same {
			errs = append(errs, c.repo.Corrupt(SimpleDir+name+"/"+jsonPage, fmt.Errorf("lists other files than the page as HTML: %w", bundle.ErrMalformed)))
		}
	}
	return errors.Join(errs...)
}

func (c *checked) page(ctx context.Context, name, at string) ([]simple.File, error) {
	if !c.repo.Has(at) {
		return nil, c.repo.Missing(at, "pip install "+name)
	}
	content, err := c.repo.Read(ctx, at, simple.MaxPage)
	if err != nil {
		return nil, err
	}
	media := simple.TextHTML
	if strings.HasSuffix(at, jsonPage) {
		media = simple.JSONType
	}
	page, err := simple.Parse(media, inside+at, content)
	if err != nil {
		return nil, c.repo.Corrupt(at, err)
	}
	var errs []error
	for _, f := range page.Files {
		errs = append(errs, c.link(at, f))
	}
	return page.Files, errors.Join(errs...)
}

// link looks for the file of a link, and for its METADATA.
func (c *checked) link(page string, f simple.File) error {
	look := func(at, digest, who string) error {
		have, ok := c.repo.File(at)
		switch {
		case !ok:
			return c.repo.Missing(at, who)
		case have.Digest.Hex() != digest:
			return c.repo.Corrupt(at, fmt.Errorf("%s, and %s says sha256:%s: %w", have.Digest, page, digest, bundle.ErrMalformed))
		}
		return nil
	}
	at := Path(f.SHA256, f.Name)
	if f.URL != inside+(&url.URL{Path: at}).EscapedPath() {
		return c.repo.Corrupt(page, fmt.Errorf("link %s, want %s: %w", f.URL, inside+at, bundle.ErrMalformed))
	}
	c.files[f.SHA256] = at
	err := look(at, f.SHA256, "pip install")
	if f.HasMetadata {
		err = errors.Join(err, look(at+MetadataEnd, f.MetadataSHA256, "pip install"))
	}
	return err
}

// wheels compares the METADATA of every wheel with what is published of it, where wheels
// are on the own disk. An export has compared them while it collected them.
func (c *checked) wheels(ctx context.Context) error {
	var errs []error
	for _, at := range slices.Sorted(c.repo.Paths()) {
		wheel, ok := strings.CutSuffix(at, MetadataEnd)
		if !ok || !strings.HasPrefix(at, FilesDir) || !c.repo.Has(wheel) {
			continue
		}
		switch err := c.wheel(ctx, wheel); {
		case errors.Is(err, sources.ErrNotAtHand):
			return errors.Join(errs...)
		case ctx.Err() != nil:
			return err
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *checked) wheel(ctx context.Context, wheel string) error {
	in, err := c.repo.OpenAt(ctx, wheel)
	if err != nil {
		return err
	}
	line, _ := c.repo.File(wheel)
	content, err := simple.WheelMetadata(in, line.Size)
	if err = errors.Join(err, in.Close()); err != nil {
		return c.repo.Corrupt(wheel, err)
	}
	published, _ := c.repo.File(wheel + MetadataEnd)
	if have := bundle.DigestOf(content); have != published.Digest {
		return c.repo.Corrupt(wheel+MetadataEnd, fmt.Errorf("%s, and METADATA of the wheel is %s", published.Digest, have))
	}
	return nil
}

// locks reads the lock of every target.
func (c *checked) locks(ctx context.Context, t sources.Tree) error {
	targets, err := annotated(c.repo.Repository)
	if err != nil {
		return c.repo.Corrupt(LocksDir, err)
	}
	seen := map[string]bool{}
	var errs []error
	for f, err := range t.Files(c.repo.Name) {
		if err != nil {
			return err
		}
		base, ok := strings.CutPrefix(f.Path, LocksDir)
		if !ok {
			continue
		}
		for _, target := range targets {
			rest, ok := strings.CutPrefix(base, target.Name())
			if !ok || !strings.HasPrefix(rest, ".") {
				continue
			}
			seen[target.Name()] = true
			c.lockFiles++
			errs = append(errs, c.lock(ctx, f.Path, target))
		}
	}
	for _, target := range targets {
		if !seen[target.Name()] {
			errs = append(errs, c.repo.Missing(lockPath(target, ""), "pip install -r"))
		}
	}
	return errors.Join(errs...)
}

// locked is a line of a lock: the file that it pins.
type locked struct {
	version  string
	file     *tags.File
	path     string
	extras   []string
	metadata *simple.Metadata // nil: a source archive
}

// lock checks that a target can install everything its lock names, and that the
// requirements of each file are met by another.
func (c *checked) lock(ctx context.Context, at string, t Target) error {
	lines := &lockfile.Requirements{}
	reader := &lockfile.Reader{Read: func(string) ([]byte, error) { return c.repo.Read(ctx, at, lockfile.MaxFile) }}
	if err := reader.Requirements(at, lines); err != nil {
		return c.repo.Corrupt(at, err)
	}
	pins := map[string]*locked{}
	var errs []error
	for i := range lines.Wanted {
		q := &lines.Wanted[i]
		p, err := c.pin(ctx, at, t, q)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.extras = q.Extras
		pins[q.Name] = p
	}
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		p := pins[name]
		if p.metadata == nil {
			continue
		}
		for i := range p.metadata.Requires {
			errs = append(errs, c.requirement(at, t, name, p, &p.metadata.Requires[i], pins))
		}
	}
	return errors.Join(errs...)
}

// pin finds the file of a line.
func (c *checked) pin(ctx context.Context, at string, t Target, q *lockfile.Requirement) (*locked, error) {
	if len(q.Hashes) != 1 || !q.Set.IsPin() {
		return nil, c.repo.Corrupt(at, fmt.Errorf("%s: want one version and one hash: %w", q.From, bundle.ErrMalformed))
	}
	where, ok := c.files[q.Hashes[0]]
	if !ok {
		return nil, c.repo.Missing(Path(q.Hashes[0], ""), "pip install -r "+at+" for "+q.Requirement.String())
	}
	f, err := tags.ParseFile(q.Name, path.Base(where))
	if err != nil {
		return nil, c.repo.Corrupt(at, fmt.Errorf("%w: %w", err, bundle.ErrMalformed))
	}
	if t.Rank(f) < 0 || !q.Set.Contains(f.Version) {
		return nil, fmt.Errorf("%s: %s: %s is not for %s: %w", at, q.Requirement.String(), f.Name, t.Name(), bundle.ErrIncomplete)
	}
	p := &locked{version: f.Version.String(), file: f, path: where}
	if !f.Sdist {
		p.metadata, err = c.metadataOf(ctx, where)
	}
	return p, err
}

func (c *checked) metadataOf(ctx context.Context, wheel string) (*simple.Metadata, error) {
	at := wheel + MetadataEnd
	if m := c.metadata[at]; m != nil {
		return m, nil
	}
	content, err := c.repo.Read(ctx, at, simple.MaxMetadata)
	if err != nil {
		return nil, err
	}
	m, err := simple.ParseMetadata(content)
	if err != nil {
		return nil, c.repo.Corrupt(at, err)
	}
	c.metadata[at] = m
	return m, nil
}

// requirement looks whether a lock meets what one of its files wants.
func (c *checked) requirement(at string, t Target, name string, p *locked, q *marker.Requirement, pins map[string]*locked) error {
	var extras []string
	for _, e := range p.extras {
		if slices.Contains(p.metadata.Extras, e) {
			extras = append(extras, e)
		}
	}
	holds, err := q.Marker.Holds(t.Env, marker.Selection{Extras: extras})
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w: %w", at, name, p.version, err, bundle.ErrMalformed)
	}
	if !holds {
		return nil
	}
	c.requirements++
	have := pins[q.Name]
	if have == nil || q.URL == "" && !q.Set.Contains(have.file.Version) {
		found := "nothing"
		if have != nil {
			found = have.version
		}
		return fmt.Errorf("%s: %s %s wants %s, and there is %s: %w", at, name, p.version, q.String(), found, bundle.ErrIncomplete)
	}
	return nil
}
