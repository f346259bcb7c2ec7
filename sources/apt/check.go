package apt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// check asks for everything that apt would ask for: the signed Release of each
// suite, each index that a client of the configuration is pointed at, under
// its name and by hash, and each file that Packages and Sources name. A
// signature is not verified again: bytes are held against the signed root of
// the bundle, and clients verify by themselves.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	c := &checking{ctx: ctx, tree: t}
	var errs []error
	for _, r := range t.Repositories() {
		errs = append(errs, c.repository(r))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return []bundle.CheckCount{
		{Name: "indexes", Count: c.indexes}, {Name: "packages", Count: c.packages}, {Name: "suites", Count: c.suites},
	}, errors.Join(errs...)
}

// checking counts what was looked at, and holds the list of one repository.
type checking struct {
	ctx                       context.Context
	tree                      sources.Tree
	repo                      bundle.Repository
	files                     map[string]listed
	suites, indexes, packages int64
}

// listed is a file as the list has it.
type listed struct {
	size   int64
	digest bundle.Digest
	absent string // annotation of a signed file
}

func (c *checking) repository(r bundle.Repository) error {
	c.repo, c.files = r, make(map[string]listed, r.Count)
	for f, err := range c.tree.Files(r.Name) {
		if err != nil {
			return fmt.Errorf("source %s: %w", r.Name, err)
		}
		c.files[f.Path] = listed{f.Size, f.Digest, f.Annotations[absentKey]}
	}
	suites, err := layouts(r)
	if err != nil {
		return err
	}
	var errs []error
	for i := range suites {
		l := &suites[i]
		errs = append(errs, c.suite(l, ""))
		if r.Mode == modeRebuilt {
			errs = append(errs, c.suite(l, upstreamFolder))
		}
		c.suites++
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("source %s: %w", r.Name, err)
		}
	}
	return errors.Join(errs...)
}

// missing is a file that somebody would miss.
func (c *checking) missing(path, who string) error {
	return fmt.Errorf("%s/%s: is not there: %s would miss it: %w", c.repo.Mount, path, who, bundle.ErrIncomplete)
}

// suite checks a suite below the folder under: the one of clients, or
// upstream's own that is carried as evidence.
func (c *checking) suite(l *layout, under string) error {
	at := under + l.Prefix + l.Dir
	r, absent, err := c.release(l, under, at)
	if err != nil {
		return err
	}
	evidence := under != ""
	var errs []error
	for _, g := range l.configuration().wanted(r, l.Flat) {
		carried := g.candidates()
		if c.repo.Mode == modeRebuilt && !evidence && g.plain != nil && g.target != targetContents {
			carried = append([]*deb.ReleaseFile{g.plain}, g.packed...)
		}
		carried = slices.DeleteFunc(slices.Clone(carried), func(f *deb.ReleaseFile) bool { return slices.Contains(absent, f.Path) })
		if evidence {
			errs = append(errs, c.evidence(l, g, carried, at))
			continue
		}
		errs = append(errs, c.group(l, g, carried, r, at))
	}
	return errors.Join(errs...)
}

// release reads what a suite's signature is over.
func (c *checking) release(l *layout, under, at string) (*deb.Release, []string, error) {
	who := fmt.Sprintf("apt-get update of %s", l.Suite)
	if under != "" {
		who = "whoever looks at upstream's signature"
	}
	signed := nameInRelease
	names := []string{nameInRelease}
	if _, ok := c.files[at+nameRelease]; ok || c.has(at+nameDetached) {
		if signed = nameRelease; c.repo.Mode == modeRebuilt && under == "" {
			names = append(names, nameRelease, nameDetached)
		} else {
			names = []string{nameRelease, nameDetached}
		}
	}
	var errs []error
	for _, name := range names {
		if !c.has(at + name) {
			errs = append(errs, c.missing(at+name, who))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	text, err := c.read(at+signed, maxRelease)
	if err != nil {
		return nil, nil, err
	}
	if signed == nameInRelease {
		block, _ := clearsign.Decode(text)
		if block == nil {
			return nil, nil, fmt.Errorf("%s/%s: not clear-signed: %w", c.repo.Mount, at+signed, bundle.ErrCorrupt)
		}
		text = block.Plaintext
	}
	r, err := deb.ParseRelease(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s/%s: %w: %w", c.repo.Mount, at+signed, err, bundle.ErrCorrupt)
	}
	var absent []string
	if text := c.files[at+signed].absent; text != "" {
		if err := json.Unmarshal([]byte(text), &absent); err != nil {
			return nil, nil, fmt.Errorf("%s/%s: annotation %s: %w: %w", c.repo.Mount, at+signed, absentKey, err, bundle.ErrMalformed)
		}
	}
	return r, absent, nil
}

func (c *checking) has(path string) bool {
	_, ok := c.files[path]
	return ok
}

func (c *checking) read(path string, limit int64) ([]byte, error) {
	r, err := c.tree.Open(c.ctx, c.repo.Name, path)
	if err != nil {
		return nil, err
	}
	b, err := bundle.ReadAllBounded(r, path, limit)
	return b, errors.Join(err, r.Close())
}

// group checks an index in every form that is carried, and what it names.
func (c *checking) group(l *layout, g *group, carried []*deb.ReleaseFile, r *deb.Release, at string) error {
	who := fmt.Sprintf("apt-get update of %s (%s)", l.Suite, g.target)
	var errs []error
	if len(carried) == 0 && g.target != targetLegacy {
		errs = append(errs, c.missing(at+g.name, who))
	}
	whole := len(carried) > 0
	for _, f := range carried {
		names := []string{f.Path}
		if r.AcquireByHash {
			names = append(names, f.ByHash()...)
		}
		for _, name := range names {
			if err := c.index(at+name, f, who); err != nil {
				errs = append(errs, err)
				whole = false
			}
		}
		c.indexes++
	}
	lists := g.target == targetPackages || g.target == targetSources
	if lists && g.plain == nil {
		errs = append(errs, fmt.Errorf("%s/%s: Release lists it only compressed: apt would find no package: %w", c.repo.Mount, at+g.name, bundle.ErrIncomplete))
	}
	if lists && whole && g.plain != nil {
		errs = append(errs, c.payload(l, g, byEase(carried)[0], at))
	}
	return errors.Join(errs...)
}

// index checks that the list has an index as Release has it.
func (c *checking) index(path string, f *deb.ReleaseFile, who string) error {
	have, ok := c.files[path]
	switch {
	case !ok:
		return c.missing(path, who)
	case have.size != f.Size || have.digest.Hex() != f.SHA256:
		return fmt.Errorf("%s/%s: want %s (%d bytes) by Release, got %s (%d bytes): %w",
			c.repo.Mount, path, f.SHA256, f.Size, have.digest.Hex(), have.size, bundle.ErrCorrupt)
	}
	return nil
}

// evidence checks that one form of what upstream signed, and the selection
// was made from, is there.
func (c *checking) evidence(l *layout, g *group, carried []*deb.ReleaseFile, at string) error {
	switch g.target {
	case targetPackages, targetSources, targetTranslations:
	case targetContents: // by choice
		if made := strings.TrimPrefix(at, upstreamFolder) + g.name + ".gz"; !c.has(made) {
			return nil
		}
	default:
		return nil
	}
	for _, f := range append(carried, g.plain) {
		if f != nil && c.has(at+f.Path) {
			return c.index(at+f.Path, f, l.Suite)
		}
	}
	return c.missing(at+g.name, "whoever looks at what was signed for "+l.Suite)
}

// payload checks that every file that an index names is there.
func (c *checking) payload(l *layout, g *group, f *deb.ReleaseFile, at string) (err error) {
	path := at + f.Path
	packed, err := c.tree.Open(c.ctx, c.repo.Name, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	what := c.repo.Mount + "/" + path
	r, err := unpacked(packed, f.Path, what, g.plain.Size)
	if err != nil {
		return fmt.Errorf("%w: %w", err, bundle.ErrCorrupt)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var errs []error
	want := func(name string, size int64, digest bundle.Digest, who string) {
		c.packages++
		have, ok := c.files[l.Prefix+name]
		switch {
		case !ok:
			errs = append(errs, c.missing(l.Prefix+name, who))
		case have.size != size || have.digest != digest:
			errs = append(errs, fmt.Errorf("%s/%s%s: want %s (%d bytes), as %s has it, got %s (%d bytes): %w",
				c.repo.Mount, l.Prefix, name, digest, size, what, have.digest, have.size, bundle.ErrCorrupt))
		}
	}
	errs = append(errs, named(r, g.target, strings.TrimSuffix(l.Suite+" "+g.component, " "), want))
	return errors.Join(errs...)
}

// named calls want for every file that an index names.
func named(r io.Reader, t target, where string, want func(name string, size int64, digest bundle.Digest, who string)) error {
	if t == targetSources {
		for src, err := range deb.Sources(r, deb.Limits{}) {
			if err != nil {
				return fmt.Errorf("%w: %w", err, bundle.ErrCorrupt)
			}
			for _, part := range src.Files {
				want(part.Path, part.Size, part.SHA256, "apt-get source "+src.Name+"="+src.Version+" ("+where+")")
			}
		}
		return nil
	}
	for pkg, err := range deb.Packages(r, deb.Limits{}) {
		if err != nil {
			return fmt.Errorf("%w: %w", err, bundle.ErrCorrupt)
		}
		want(pkg.Filename, pkg.Size, pkg.SHA256, "apt-get install "+pkg.Name+"="+pkg.Version+" ("+where+")")
	}
	return nil
}
