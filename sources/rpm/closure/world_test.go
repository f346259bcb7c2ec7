package closure_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// parse makes an index of lines "name-version-release[.arch][; field: value,
// ...]...", of x86_64 unless they say otherwise. Fields are the relations by
// their names, "file", and "source". Each package provides itself, as every
// rpm does.
func parse(text string) closure.Index {
	x := closure.Index{Source: "s", Files: map[string][]int{}}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		id, fields, _ := strings.Cut(line, ";")
		p := identity(strings.TrimSpace(id))
		for field := range strings.SplitSeq(fields, ";") {
			name, values, _ := strings.Cut(field, ":")
			for value := range strings.SplitSeq(values, ",") {
				if value = strings.TrimSpace(value); value != "" {
					set(&x, p, strings.TrimSpace(name), value)
				}
			}
		}
		x.Packages = append(x.Packages, p)
	}
	return x
}

// identity reads "name-version-release[.arch]".
func identity(id string) *rpmmd.Package {
	p := &rpmmd.Package{Arch: "x86_64"}
	for _, arch := range []string{"x86_64", "i686", "noarch", "src", "aarch64"} {
		if before, ok := strings.CutSuffix(id, "."+arch); ok {
			id, p.Arch = before, arch
		}
	}
	release := strings.LastIndexByte(id, '-')
	version := strings.LastIndexByte(id[:release], '-')
	p.Name = id[:version]
	var err error
	if p.EVR, err = rpmmd.ParseEVR(id[version+1:]); err != nil {
		panic(err)
	}
	self := rpmmd.Relation{Name: p.Name, Op: rpmmd.EQ, EVR: p.EVR}
	p.Provides = []*rpmmd.Relation{&self}
	if isa := map[string]string{"x86_64": "(x86-64)", "i686": "(x86-32)"}[p.Arch]; isa != "" {
		of := self
		of.Name += isa
		p.Provides = append(p.Provides, &of)
	}
	p.SourceRPM = p.Name + "-" + p.EVR.Version + "-" + p.EVR.Release + ".src.rpm"
	return p
}

// set gives p, which is the next of x, one value of a field.
func set(x *closure.Index, p *rpmmd.Package, field, value string) {
	lists := map[string]*[]*rpmmd.Relation{
		"provides": &p.Provides, "requires": &p.Requires, "conflicts": &p.Conflicts, "obsoletes": &p.Obsoletes,
		"recommends": &p.Recommends, "supplements": &p.Supplements, "suggests": &p.Suggests, "enhances": &p.Enhances,
	}
	switch {
	case field == "source":
		p.SourceRPM = value
	case field == "file" && (strings.HasPrefix(value, "/etc/") || strings.Contains(value, "bin/")):
		p.Files = append(p.Files, value)
	case field == "file":
		x.Files[value] = append(x.Files[value], len(x.Packages))
	case lists[field] == nil:
		panic("field " + field)
	default:
		*lists[field] = append(*lists[field], relation(value))
	}
}

// relation reads "name", "name op evr" or a rich dependency.
func relation(s string) *rpmmd.Relation {
	if strings.HasPrefix(s, "(") {
		return &rpmmd.Relation{Name: s}
	}
	rich, err := rpmmd.ParseRich("(" + s + ")")
	if err != nil {
		panic(err)
	}
	return rich.Relation
}

// ask returns a request for x86_64, by names.
func ask(names ...string) closure.Request {
	return closure.Request{Source: "s", Packages: names, Architectures: []string{"x86_64"}}
}

// nevras returns the choices, sorted.
func nevras(s *closure.Selection) []string {
	var all []string
	for _, c := range s.Choices {
		all = append(all, c.Package.NEVRA())
	}
	slices.Sort(all)
	return all
}

// ids returns the choices as "name-version-release", with the architecture if it
// is not x86_64.
func ids(s *closure.Selection) string {
	all := nevras(s)
	for i := range all {
		all[i] = strings.TrimSuffix(all[i], ".x86_64")
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func mustSelect(t testing.TB, indexes []closure.Index, requests ...closure.Request) *closure.Selection {
	t.Helper()
	s, err := closure.Select(indexes, requests)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// world is some hundred packages made at random.
type world struct {
	random interface {
		IntN(n int) int
	}
	names int
}

// of returns a number below n.
func (w *world) of(n int) int { return w.random.IntN(n) }

// in says yes in one of n cases.
func (w *world) in(n int) bool { return w.of(n) == 0 }

// capability returns something that packages can provide, by several names.
func (w *world) capability() string { return fmt.Sprintf("cap%d", w.of(w.names/6+1)) }

// name returns one of a package, mostly of one after i, so that not everything
// depends on everything.
func (w *world) name(i int) string {
	if w.in(12) || i+1 >= w.names {
		return fmt.Sprintf("p%03d", w.of(w.names))
	}
	return fmt.Sprintf("p%03d", i+1+w.of(min(w.names-i-1, 40)))
}

// plain returns a relation that is not rich.
func (w *world) plain(i int) string {
	op := []string{"=", ">=", "<", "<=", ">"}[w.of(5)]
	switch w.of(12) {
	case 0, 1, 2:
		return w.capability()
	case 3:
		return fmt.Sprintf("%s %s %d", w.capability(), op, 1+w.of(3))
	case 4:
		return fmt.Sprintf("/usr/bin/f%d", w.of(w.names/8+1))
	case 5:
		return fmt.Sprintf("/usr/share/f%d", w.of(w.names/8+1))
	case 6:
		return fmt.Sprintf("%s >= %d", w.name(i), 1+w.of(3))
	case 7:
		return fmt.Sprintf("%s = %d-1", w.name(i), 1+w.of(2))
	case 8:
		return w.name(i) + "(x86-64)"
	}
	return w.name(i)
}

// any returns a relation, a rich one at times.
func (w *world) any(i int) string {
	if !w.in(6) {
		return w.plain(i)
	}
	a, b, c := w.plain(i), w.plain(i), w.plain(i)
	switch w.of(7) { // not unless: rpm does not let it into what packages require
	case 0:
		return "(" + a + " and " + b + ")"
	case 1:
		return "(" + a + " or " + b + " or " + c + ")"
	case 2:
		return "(" + a + " if " + b + ")"
	case 3:
		return "(" + a + " if " + b + " else " + c + ")"
	case 4:
		return "(" + w.capability() + " with " + w.capability() + ")"
	case 5:
		return "(" + w.capability() + " without " + w.name(i) + ")"
	}
	return "(" + a + " if (" + b + " or " + c + "))"
}

// packages returns the lines of all versions and architectures of the i-th name.
func (w *world) packages(i int) []string {
	archs := [][]string{{"x86_64"}, {"x86_64"}, {"x86_64"}, {"noarch"}, {"noarch"}, {"x86_64", "i686"}, {"i686"}}[w.of(7)]
	if archs[0] == "i686" && !w.in(4) {
		archs = []string{"x86_64"}
	}
	var lines []string
	for version := 1; version <= 1+w.of(3)*w.of(2); version++ {
		var b strings.Builder
		w.fields(&b, i)
		for _, arch := range archs {
			lines = append(lines, fmt.Sprintf("p%03d-%d-1.%s%s", i, version, arch, b.String()))
		}
	}
	return lines
}

// fields writes the relations of a package.
func (w *world) fields(b *strings.Builder, i int) {
	put := func(field, value string) { b.WriteString("; " + field + ": " + value) }
	for range w.of(4) {
		put("requires", w.any(i))
	}
	if w.in(3) {
		put("provides", w.capability())
	}
	if w.in(4) {
		put("provides", fmt.Sprintf("%s = %d-1", w.capability(), 1+w.of(4)))
	}
	if w.in(6) {
		put("file", fmt.Sprintf("/usr/bin/f%d", w.of(w.names/8+1)))
	}
	if w.in(6) {
		put("file", fmt.Sprintf("/usr/share/f%d", w.of(w.names/8+1)))
	}
	if w.in(60) {
		put("requires", "missing")
	}
	if w.in(20) {
		put("obsoletes", fmt.Sprintf("%s < %d", w.name(i), 1+w.of(4)))
	}
	if w.in(20) {
		put("conflicts", []string{w.name(i), w.capability(), fmt.Sprintf("%s < %d", w.name(i), 2+w.of(2))}[w.of(3)])
	}
	for _, field := range []string{"recommends", "suggests", "supplements", "enhances"} {
		if w.in(12) {
			put(field, w.any(i))
		}
	}
}

// lines returns the packages of a whole world.
func (w *world) lines() []string {
	var all []string
	for i := range w.names {
		all = append(all, w.packages(i)...)
	}
	return all
}
