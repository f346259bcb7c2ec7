package resolve

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
)

// release is a version of a project in a world.
type release struct {
	name, version  string
	requires       []string
	extras         []string
	requiresPython string
	tag            string // "": py3-none-any
	yanked         bool
	invalid        bool // clients pass over it
}

// world is an index in memory, for one target.
type world struct {
	target   *tags.Target
	releases []*release
	asked    map[string]int // how often metadata was asked for, by name and version
}

func (w *world) Project(_ context.Context, name string) (*Project, error) {
	p := &Project{Source: "the index"}
	for _, r := range w.releases {
		if marker.NormalName(r.name) != name {
			continue
		}
		v, err := pep440.Parse(r.version)
		if err != nil {
			return nil, err
		}
		set, err := pep440.ParseSet(r.requiresPython)
		if err != nil {
			return nil, err
		}
		admits, err := w.target.Environment().AdmitsPython(set)
		if err != nil {
			return nil, err
		}
		f := &tags.File{Tags: []string{r.wheelTag()}}
		switch {
		case !admits:
			p.Excluded = append(p.Excluded, Exclusion{v, "needs Python " + r.requiresPython})
		case w.target.Rank(f) < 0:
			p.Excluded = append(p.Excluded, Exclusion{v, "no file for " + w.target.Name()})
		default:
			p.Releases = append(p.Releases, &Release{Version: v, Yanked: r.yanked, File: r})
		}
	}
	return p, nil
}

func (r *release) wheelTag() string {
	if r.tag == "" {
		return "py3-none-any"
	}
	return r.tag
}

func (w *world) Metadata(_ context.Context, name string, of *Release) (*Metadata, error) {
	r := of.File.(*release)
	if w.asked == nil {
		w.asked = map[string]int{}
	}
	w.asked[r.name+" "+r.version]++
	if r.invalid {
		return nil, fmt.Errorf("%s %s: not valid: %w", name, r.version, ErrDiscard)
	}
	m := &Metadata{Extras: r.extras}
	var err error
	if m.RequiresPython, err = pep440.ParseSet(r.requiresPython); err != nil {
		return nil, err
	}
	for _, text := range r.requires {
		q, err := marker.ParseRequirement(text)
		if err != nil {
			return nil, err
		}
		m.Requires = append(m.Requires, q)
	}
	return m, nil
}

func (w *world) Direct(_ context.Context, q *marker.Requirement) (*Release, error) {
	for _, r := range w.releases {
		if "https://host.example/"+r.name+"-"+r.version == q.URL {
			v, err := pep440.Parse(r.version)
			return &Release{Version: v, File: r}, err
		}
	}
	return nil, fmt.Errorf("%s: not there", q.URL)
}

// cached keeps what Project and Direct gave: the same releases every time.
type cached struct {
	Provider
	projects map[string]*Project
	direct   map[string]*Release
}

func keep(p Provider) *cached {
	return &cached{Provider: p, projects: map[string]*Project{}, direct: map[string]*Release{}}
}

func (c *cached) Project(ctx context.Context, name string) (*Project, error) {
	var err error
	if c.projects[name] == nil {
		c.projects[name], err = c.Provider.Project(ctx, name)
	}
	return c.projects[name], err
}

func (c *cached) Direct(ctx context.Context, q *marker.Requirement) (*Release, error) {
	var err error
	if c.direct[q.URL] == nil {
		c.direct[q.URL], err = c.Provider.Direct(ctx, q)
	}
	return c.direct[q.URL], err
}

func newTarget(t testing.TB, python, platform string) *tags.Target {
	t.Helper()
	target, err := tags.NewTarget(python, "", platform)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// read makes a world of lines: "name version; requires; requires" with words
// after the version: yanked, invalid, py>=3.10, tag=cp39-cp39-win32, extra=x.
func read(t testing.TB, python string, lines ...string) *world {
	t.Helper()
	w := &world{target: newTarget(t, python, "manylinux_2_28_x86_64")}
	for _, line := range lines {
		parts := strings.Split(line, "|")
		words := strings.Fields(parts[0])
		r := &release{name: words[0], version: words[1]}
		for _, word := range words[2:] {
			switch {
			case word == "yanked":
				r.yanked = true
			case word == "invalid":
				r.invalid = true
			case strings.HasPrefix(word, "py"):
				r.requiresPython = word[2:]
			case strings.HasPrefix(word, "tag="):
				r.tag = word[4:]
			case strings.HasPrefix(word, "extra="):
				r.extras = append(r.extras, word[6:])
			default:
				t.Fatalf("%q in %q", word, line)
			}
		}
		for _, q := range parts[1:] {
			r.requires = append(r.requires, strings.TrimSpace(q))
		}
		w.releases = append(w.releases, r)
	}
	return w
}

func wants(t testing.TB, texts ...string) []Wanted {
	t.Helper()
	var all []Wanted
	for i, text := range texts {
		q, err := marker.ParseRequirement(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Wanted{q, fmt.Sprintf("requirements.txt:%d", i+1)})
	}
	return all
}

// chosen returns a result in one line.
func chosen(r *Result) string {
	var all []string
	for _, p := range r.Pins {
		all = append(all, marker.Key(p.Name, p.Extras)+"="+p.Release.Version.String())
	}
	return strings.Join(all, " ")
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// random returns a world and requirements on it that are likely to be in conflict
// here and there: seeded, so that each number is one world.
func random(t testing.TB, seed uint64) (w *world, requirements, constraints []string, pre bool) {
	r := rand.New(rand.NewPCG(seed, 15))
	w = &world{target: newTarget(t, pick(r, "3.9.18", "3.12.4", "3.11"), pick(r, "manylinux_2_28_x86_64", "manylinux2014_aarch64", "musllinux_1_2_x86_64"))}
	n := 4 + r.IntN(9)
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	versions := []string{"1.0", "1.1", "1.2", "2.0", "2.1a1", "2.1", "3.0rc1", "3.0", "1.1+cpu", "1.2.post1", "4.0.dev1"}
	spec := func() string {
		switch r.IntN(10) {
		case 0, 1:
			return ""
		case 2, 3:
			return ">=" + pick(r, "1.0", "1.1", "2.0", "2.1a1", "3.0")
		case 4, 5:
			return "<" + pick(r, "2.0", "3.0", "2.1", "1.2")
		case 6:
			return "!=" + pick(r, "2.0", "3.0", "2.1", "1.*")
		case 7:
			return "==" + pick(r, "1.1", "2.*", "2.1", "3.0", "1.2")
		case 8:
			return "~=" + pick(r, "1.0", "2.0")
		}
		return ">=1.0,<" + pick(r, "2.0", "3.0")
	}
	want := func(i int) string {
		extra := pick(r, "", "", "", "[x]", "[x,y]", "[z]")
		q := name(i) + extra + spec()
		switch r.IntN(8) {
		case 0:
			q += `; python_version < "3.10"`
		case 1:
			q += `; platform_machine == "aarch64"`
		case 2:
			q += `; sys_platform == "linux" and python_full_version >= "3.9"`
		}
		return q
	}
	for i := range n {
		count := 1 + r.IntN(6)
		for _, v := range r.Perm(len(versions))[:count] {
			one := &release{name: name(i), version: versions[v]}
			for range r.IntN(4) {
				one.requires = append(one.requires, want(r.IntN(n)))
			}
			if r.IntN(3) == 0 {
				one.extras = []string{"x", "y"}
				for _, e := range one.extras {
					one.requires = append(one.requires, strings.SplitN(want(r.IntN(n)), ";", 2)[0]+`; extra == "`+e+`"`)
				}
				if r.IntN(3) == 0 {
					one.requires = append(one.requires, name(i)+`[y]; extra == "x"`)
				}
			}
			one.requiresPython = pick(r, "", "", "", "", ">=3.8", ">=3.10", "<3.12")
			one.tag = pick(r, "", "", "", "", "", "cp39-cp39-manylinux2014_x86_64", "cp39-abi3-manylinux_2_17_aarch64", "py3-none-any")
			one.yanked = r.IntN(15) == 0
			w.releases = append(w.releases, one)
		}
	}
	for _, i := range r.Perm(n)[:1+r.IntN(3)] {
		requirements = append(requirements, want(i))
	}
	if r.IntN(4) == 0 {
		constraints = append(constraints, name(r.IntN(n))+spec())
	}
	return w, requirements, constraints, r.IntN(6) == 0
}

// meetsAll checks a result against the world by itself: everything that a pin
// wants is met by a pin.
func meetsAll(t *testing.T, w *world, result *Result, requirements, constraints []Wanted) {
	t.Helper()
	pins := map[string]*Pin{}
	for i := range result.Pins {
		pins[result.Pins[i].Name] = &result.Pins[i]
	}
	check := func(who string, q *marker.Requirement, of marker.Selection, extras bool) {
		holds, err := q.Marker.Holds(w.target.Environment(), of)
		if err != nil {
			t.Fatal(err)
		}
		p := pins[q.Name]
		switch {
		case !holds:
		case p == nil && extras:
			t.Errorf("%s wants %s, which is not there", who, q)
		case p != nil && !q.Set.Contains(p.Release.Version):
			t.Errorf("%s wants %s, and there is %s", who, q, p.Release.Version)
		case p != nil && extras:
			for _, e := range q.Extras {
				if !slices.Contains(p.Extras, e) {
					t.Errorf("%s wants %s, which is pinned with %v", who, q, p.Extras)
				}
			}
		}
	}
	for _, q := range requirements {
		check("the root", &q.Requirement, marker.Selection{}, true)
	}
	for _, q := range constraints {
		check("a constraint", &q.Requirement, marker.Selection{}, false)
	}
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		p := pins[name]
		for i := range p.Metadata.Requires {
			check(name, &p.Metadata.Requires[i], marker.Selection{Extras: slices.DeleteFunc(slices.Clone(p.Extras), func(e string) bool { return !slices.Contains(p.Metadata.Extras, e) })}, true)
		}
	}
}

// plain returns a result in one line, sorted and without extras.
func plain(r *Result) string {
	var names []string
	for _, p := range r.Pins {
		names = append(names, p.Name+"="+p.Release.Version.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
