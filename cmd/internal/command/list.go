package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// Listed is what can be listed: a mirror, a bundle, or what a spec would bring.
type Listed struct {
	Repositories []contents.Repository
	// State is what is known of it: one of the words below.
	State string
	// Close releases what Repositories read from; nil: nothing.
	Close func() error
}

// How far what list prints can be trusted.
const (
	StatePublished  = "published"    // imported, and so verified
	stateUnverified = "not verified" // what a medium states about itself
	StatePlanned    = "planned"      // what upstream has now
)

// ListCommand returns the command gapbundle list. spec plans what a spec names, and more are the flags
// for that; nil: this program knows no specs.
func ListCommand(spec func(c *cli.Context, o *Output) (*Listed, error), more ...cli.Flag) *cli.Command {
	args, text, example := "MIRROR|BUNDLE [PATTERN]", "", "gapbundle list /media/usb --json"
	if spec != nil {
		args = "MIRROR|BUNDLE|SPEC [PATTERN]"
		text = " A spec is planned first: upstream is asked, and nothing is\nwritten."
		example += "\ngapbundle list gapbundle.yaml 'nvidia-*'"
	}
	return Leaf(&cli.Command{
		Name: "list", Usage: "print what a mirror or a bundle holds by name", ArgsUsage: args,
		Description: `Prints a line for each package, image, chart, file and so on: name, version,
architecture, size, how upstream vouched for it, and repository. PATTERN is a part of
the name, or a pattern for the whole name such as 'nginx*'; case does not matter. Only
the newest version is printed, for each architecture and part of a repository, such as
a suite. Nothing is changed and no lock is taken. The list of a bundle is its own claim
and is not verified.` + text,
		UsageText: `gapbundle list /srv/mirror nginx
gapbundle list /srv/mirror 'python3-*' --arch amd64 --all-versions
` + example,
		Flags: append([]cli.Flag{
			List("kind", "only repositories of this `KIND`: apt, oci and so on"),
			List("type", "only things of this `TYPE`: deb, rpm, image, chart, file and so on"),
			List("set", "only this set: its `NAME`"),
			List("repository", "only this repository: its `NAME`"),
			List("arch", "only this `ARCH`, as upstream writes it: amd64, x86_64, noarch and so on"),
			Toggle("all-versions", "older versions too"),
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"},
		}, more...),
	}, func(c *cli.Context, o *Output) error { return list(c, o, spec) })
}

func list(c *cli.Context, o *Output, spec func(*cli.Context, *Output) (*Listed, error)) (err error) {
	pattern, err := newPattern(c.Args().Get(1))
	if err != nil {
		return err
	}
	o.lines = o.json
	l, err := openListed(c, o, spec)
	if err != nil {
		return err
	}
	if l.Close != nil {
		defer func() { err = errors.Join(err, l.Close()) }()
	}
	if l.State == stateUnverified {
		o.Log.Warn(nothingVerified)
	}
	s := &search{pattern: pattern, types: c.StringSlice("type"), archs: c.StringSlice("arch"), all: c.Bool("all-versions")}
	s.repos = slices.DeleteFunc(l.Repositories, func(r contents.Repository) bool {
		return !allows(c.StringSlice("kind"), r.Kind) || !allows(c.StringSlice("set"), r.Set) || !allows(c.StringSlice("repository"), r.Name)
	})
	for _, r := range s.repos {
		if r.Entries == nil && r.Kind != "gapbundle" {
			o.Log.Warn(fmt.Sprintf("repository %s: has no contents list, because its bundle was made by an earlier version of gapbundle; the next export brings one", r.Name))
		}
	}
	if l.State == stateUnverified {
		var absent []string
		if s.repos, absent = carriedLists(s.repos); len(absent) > 0 {
			o.Log.Warn("not on this medium, because the receiver has them: the contents lists of " + strings.Join(absent, ", "))
		}
	}
	if err := s.print(o, l.State); err != nil || s.printed > 0 {
		return err
	}
	return s.noteClose(o)
}

func allows(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// openListed opens what the first argument names.
func openListed(c *cli.Context, o *Output, spec func(*cli.Context, *Output) (*Listed, error)) (*Listed, error) {
	where := c.Args().First()
	info, err := os.Stat(where)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if spec == nil {
			return nil, &UsageError{fmt.Sprintf("%s: a file; want the folder of a mirror or of a bundle", where), "specs are read by the whole program, on the connected side"}
		}
		return spec(c, o)
	}
	m, err := unpack.Open(where, mirrorOptions(c, o, bundle.NoProgress))
	if err == nil {
		g, err := m.Current()
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		return &Listed{Repositories: m.Names().Repositories(g), State: StatePublished, Close: m.Close}, nil
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		// The state is its owner's alone; what is published is everybody's.
		if l, pubErr := listedPublished(filepath.Join(where, "current")); pubErr == nil {
			return l, nil
		}
		return nil, err
	case !errors.Is(err, bundle.ErrIncomplete):
		return nil, err
	}
	l, err := listedPublished(where)
	if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	return listedBundles(where)
}

// listedPublished opens what a mirror publishes: the folder that a web server has, or a
// copy of it.
func listedPublished(where string) (*Listed, error) {
	root, err := os.OpenRoot(where)
	if err != nil {
		return nil, err
	}
	all, err := site.ReadPublished(root)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	l := &Listed{State: StatePublished, Close: root.Close}
	for _, p := range all {
		r := contents.Repository{Set: p.Set, Name: p.Name, Kind: p.Kind, Files: p.Files, Bytes: p.Bytes, List: p.ContentsList}
		if p.ContentsList != "" {
			r.Entries = func() iter.Seq2[bundle.Entry, error] { return p.Read(root) }
		}
		l.Repositories = append(l.Repositories, r)
	}
	return l, nil
}

// listedBundles opens the bundles in a folder, of each set the newest.
func listedBundles(where string) (_ *Listed, err error) {
	readers, err := bundle.Discover([]string{where})
	if err != nil {
		return nil, err
	}
	l := &Listed{State: stateUnverified, Close: func() error {
		var errs []error
		for _, r := range readers {
			errs = append(errs, r.Close())
		}
		return errors.Join(errs...)
	}}
	newest := map[string][]contents.Repository{}
	var sets []string
	for _, r := range readers { // by set and number
		m, repos, err := bundleContents(r)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if newest[m.Set] == nil {
			sets = append(sets, m.Set)
		}
		newest[m.Set] = repos
	}
	for _, set := range sets {
		l.Repositories = append(l.Repositories, newest[set]...)
	}
	return l, nil
}

// bundleContents returns the contents lists of a bundle's repositories, unverified. Reading a
// list that the bundle does not carry is an error that matches bundle.ErrIncomplete.
func bundleContents(r *bundle.Reader) (*bundle.Manifest, []contents.Repository, error) {
	raw, err := r.Root()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.Name(), err)
	}
	m, err := bundle.ParseManifest(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.Name(), err)
	}
	catalog, err := openCatalog(r, m)
	if err != nil {
		return nil, nil, err
	}
	var repos []contents.Repository
	for i, repo := range m.Repositories {
		repos = append(repos, contents.Of(m.Set, repo, func() iter.Seq2[bundle.Entry, error] {
			return carriedContents(r.Name(), repo.Name, func() (io.ReadCloser, error) { return catalog.Contents(i) })
		}))
	}
	return m, repos, nil
}

func carriedContents(name, repository string, open func() (io.ReadCloser, error)) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		in, err := open()
		if err != nil {
			yield(bundle.Entry{}, fmt.Errorf("%s: %w", name, err))
			return
		}
		defer in.Close()
		for e, err := range bundle.ReadContents(in, name+", repository "+repository) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// search is what somebody looks for.
type search struct {
	pattern      pattern
	types, archs []string
	all          bool // older versions too
	repos        []contents.Repository

	printed int64
	// hidden counts the entries whose name matches and that a flag leaves out.
	hidden int64
}

// found returns the entries that are to be printed.
func (s *search) found() iter.Seq2[contents.Found, error] {
	return func(yield func(contents.Found, error) bool) {
		for f, err := range contents.Merge(s.repos) {
			if err == nil && !s.pattern.matches(f.Name) {
				continue
			}
			if err == nil && (!allows(s.types, f.Type) || !s.allowsArch(f.Arch)) {
				s.hidden++
				continue
			}
			if err == nil && f.Rank > 1 && !s.all {
				continue
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// allowsArch also finds an architecture among several, which an image has: its
// platforms, as in linux/amd64.
func (s *search) allowsArch(arch string) bool {
	if allows(s.archs, arch) {
		return true
	}
	parts := strings.FieldsFunc(arch, func(r rune) bool { return r == ',' || r == ' ' })
	return slices.ContainsFunc(parts, func(part string) bool {
		return allows(s.archs, part) || allows(s.archs, path.Base(part))
	})
}

// listedEntry is a line of list --json.
type listedEntry struct {
	Set        string `json:"set"`
	Repository string `json:"repository"`
	Kind       string `json:"kind"`
	State      string `json:"state"`
	bundle.Entry
}

func (s *search) print(o *Output, state string) error {
	table := &flowingTable{w: o.stdout}
	lines := json.NewEncoder(o.stdout)
	lines.SetEscapeHTML(false)
	for f, err := range s.found() {
		if err != nil {
			return errors.Join(table.flush(), err)
		}
		if o.json {
			err = lines.Encode(listedEntry{f.Repository.Set, f.Repository.Name, f.Repository.Kind, state, f.Entry})
		} else {
			if s.printed == 0 {
				err = table.row(entryHeadings()...)
			}
			err = errors.Join(err, table.row(entryRow(&f)...))
		}
		if err != nil {
			return err
		}
		s.printed++
	}
	return table.flush()
}

func entryHeadings() []string {
	return []string{"NAME", "VERSION", "ARCH", "SIZE", "VOUCHED", "REPOSITORY"}
}

func entryRow(f *contents.Found) []string {
	return []string{f.Name, FirstOf(f.Version, "-"), FirstOf(f.Arch, "-"), sizeOf(f.Size), f.Vouched, partOf(f)}
}

// sizeOf returns a size for people; a plan does not know every one.
func sizeOf(n int64) string {
	if n < 0 {
		return "?"
	}
	return HumanBytes(n)
}

// partOf returns the repository, with the part of it that people know.
func partOf(f *contents.Found) string {
	if f.Group == "" {
		return f.Repository.Name
	}
	return f.Repository.Name + " (" + f.Group + ")"
}

// noteClose reports what is close to a search that found nothing.
func (s *search) noteClose(o *Output) error {
	what := "nothing found"
	if s.pattern.text != "" {
		what += fmt.Sprintf(" for %q", s.pattern.text)
	}
	switch {
	case len(s.repos) == 0:
		o.Note("%s: no repository is of the kind, set and name that the flags name", what)
		return nil
	case s.hidden > 0:
		o.Note("%s; %s of that name, of another type or architecture", what, bundle.Count(s.hidden, "entry"))
		return nil
	}
	names := func(yield func(string, error) bool) {
		for f, err := range contents.Merge(s.repos) {
			if !yield(f.Name, err) || err != nil {
				return
			}
		}
	}
	near, err := spelling.Nearest(s.pattern.plain(), names, 5)
	if err != nil {
		return err
	}
	if len(near) > 0 {
		what += "; close to it: " + strings.Join(near, ", ")
	}
	o.Note("%s", what)
	return nil
}

// pattern is a part of a name, or a pattern for the whole of it.
type pattern struct {
	text string // as it was given
	part string // in lower case; what a name has to have in it
	glob string // as path.Match takes it, in lower case; empty: part counts
}

// slashless takes the meaning that slashes have for path.Match out of a text: '*' goes
// over the slashes of a name, as in "*nginx*" for "docker.io/library/nginx". A name has
// no NUL in it.
func slashless(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }

func newPattern(text string) (pattern, error) {
	p := pattern{text: text, part: strings.ToLower(text)}
	if !strings.ContainsAny(text, "*?[") {
		return p, nil
	}
	p.glob = slashless(text)
	if _, err := path.Match(p.glob, ""); err != nil {
		return p, &UsageError{fmt.Sprintf("pattern %q: a [ without its ]", text), `quote it for the shell, and write \[ for a bracket in the name`}
	}
	return p, nil
}

func (p *pattern) matches(name string) bool {
	if p.glob == "" {
		return strings.Contains(strings.ToLower(name), p.part)
	}
	ok, _ := path.Match(p.glob, slashless(name)) // the pattern was tried by newPattern
	return ok
}

// plain returns the pattern without what makes it one.
func (p *pattern) plain() string { return strings.Map(dropGlob, p.text) }

func dropGlob(r rune) rune {
	if strings.ContainsRune(`*?[]\`, r) {
		return -1
	}
	return r
}
