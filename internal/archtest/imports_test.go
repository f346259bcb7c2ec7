package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// TestImports: every edge between packages of ours is in the table.
func TestImports(t *testing.T) {
	m, rows := load(t), table()
	exists, used := map[string]bool{}, map[[2]string]bool{}
	for _, f := range m.files {
		exists[f.pkg] = true
		from, ok := rows[f.pkg]
		if !ok {
			t.Errorf("%s: package %s has no row in the table", f.name, f.pkg)
			continue
		}
		for _, importPath := range f.imports() {
			to, ok := m.ours(importPath)
			if ok && !f.test {
				used[[2]string{f.pkg, to}] = true
			}
			if ok && f.test {
				used[[2]string{f.pkg + " test", to}] = true
			}
			if ok && !from.mayImport(f, to, rows) {
				t.Errorf("%s: imports %s, which its row does not allow", f.name, to)
			}
		}
	}
	for pkg, r := range rows {
		if !exists[pkg] {
			t.Errorf("row %s: there is no such package", pkg)
		}
		for _, to := range append(slices.Clip(r.imports), r.tests...) {
			if !exists[to] {
				t.Errorf("row %s: %s: there is no such package", pkg, to)
			}
		}
		for _, to := range r.imports {
			if !used[[2]string{pkg, to}] {
				t.Errorf("row %s: allows %s, which no code of it imports", pkg, to)
			}
		}
		for _, to := range r.tests {
			if !used[[2]string{pkg + " test", to}] {
				t.Errorf("row %s: allows %s to its tests, and none imports it", pkg, to)
			}
		}
	}
}

func (r row) mayImport(f *file, to string, rows map[string]row) bool {
	if within := rows[to].within; within != "" && f.pkg != within && !strings.HasPrefix(f.pkg, within+"/") {
		return false
	}
	if slices.Contains(r.imports, to) {
		return true
	}
	if rows[to].test {
		return f.test || r.test
	}
	return r.all || f.test && (r.test || to == f.pkg || slices.Contains(r.tests, to))
}

// TestReach: what must not be in reach is not, on any system we build for: the
// importing side cannot reach the network, whatever its code says.
func TestReach(t *testing.T) {
	m, rows := load(t), table()
	for _, system := range []string{"linux", "darwin", "windows"} {
		r := newReach(m, system)
		for pkg, row := range rows {
			if row.test {
				continue // both sides meet there, and no program can hold it
			}
			for root, b := range bans() {
				if pkg != root && !strings.HasPrefix(pkg, root+"/") || !m.hasCode(pkg) {
					continue
				}
				met := 0
				err := r.from(pkg, func(way []string) {
					met++
					if why := b.refuses(r, way); why != "" {
						t.Errorf("%s: %s: %s", system, why, strings.Join(way, " -> "))
					}
				})
				if err != nil {
					t.Errorf("%s: %v", system, err)
				}
				if met == 0 {
					t.Errorf("%s: package %s reaches nothing: not looked at", system, pkg)
				}
			}
		}
	}
}

// TestHeavy: a heavy module is in reach of those that may have it, and of nobody else.
func TestHeavy(t *testing.T) {
	m, rows := load(t), table()
	r := newReach(m, "linux")
	for prefix, allowed := range heavy() {
		for pkg, row := range rows {
			if row.test || !m.hasCode(pkg) {
				continue
			}
			var by []string
			err := r.from(pkg, func(way []string) {
				if by == nil && strings.HasPrefix(way[len(way)-1], prefix) {
					by = way
				}
			})
			if err != nil {
				t.Error(err)
			}
			if may := slices.Contains(allowed, pkg); may != (by != nil) {
				t.Errorf("%s: reaches %s: %v, may: %v: %s", pkg, prefix, by != nil, may, strings.Join(by, " -> "))
			}
		}
	}
}

// hasCode reports whether pkg is more than tests.
func (m *module) hasCode(pkg string) bool {
	return slices.ContainsFunc(m.files, func(f *file) bool { return f.pkg == pkg && !f.test })
}

// refuses says what is wrong with the last step of a way.
func (b ban) refuses(r *reach, way []string) string {
	last, before := way[len(way)-1], way[len(way)-2]
	if slices.Contains(b.reach, last) {
		return "reaches " + last
	}
	if pkg, ok := r.m.ours(last); ok {
		for _, banned := range b.reach {
			if pkg == banned || strings.HasPrefix(pkg, banned+"/") {
				return "reaches " + pkg
			}
		}
	}
	if last == "net" && slices.Contains(b.reach, "net/http") {
		if !slices.Contains(addressOnly(), before) {
			return "reaches net, by a package that is not listed"
		}
		if use := r.uses(before, "net", addressNames()); use != "" {
			return "reaches net, and not for addresses: " + use
		}
	}
	if len(way) == 2 && slices.Contains(b.direct, last) {
		return "imports " + last
	}
	return ""
}

// TestClock: what judges times is handed them.
func TestClock(t *testing.T) {
	for _, f := range load(t).files {
		for root, b := range bans() {
			if !b.clock || f.test || f.pkg != root && !strings.HasPrefix(f.pkg, root+"/") {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && isName(s.X, "time") &&
					slices.Contains([]string{"Now", "Since", "Until"}, s.Sel.Name) {
					t.Errorf("%s: asks the clock: time.%s", f.at(s), s.Sel.Name)
				}
				return true
			})
		}
	}
}

func isName(e ast.Expr, names ...string) bool {
	id, ok := e.(*ast.Ident)
	return ok && slices.Contains(names, id.Name)
}

// TestRefusals: the rules above are seen to refuse.
func TestRefusals(t *testing.T) {
	m, rows := load(t), table()
	for name, edge := range map[string]struct {
		from string
		test bool
		to   string
		want bool
	}{
		"a room to its neighbour":       {from: "unpack", to: "verify", want: true},
		"against the stream":            {from: "verify", to: "unpack"},
		"the format to anything":        {from: "bundle", to: "bundle/durable"},
		"a kind to the receiving side":  {from: "sources/files", to: "unpack"},
		"the program to anything":       {from: "cmd/gapbundle", to: "verify", want: true},
		"the program to a test package": {from: "cmd/gapbundle", to: "internal/test/upstreamtest"},
		"the program to a back room":    {from: "cmd/gapbundle", to: "unpack/store"},
		"unpack to its back room":       {from: "unpack", to: "unpack/store", want: true},
		"the inside to a source":        {from: "cmd/gapbundle-inside", to: "sources/all"},
		"the commands to a source":      {from: "cmd/internal/command", to: "sources/keys"},
		"a test to a test package":      {from: "internal/fetch", test: true, to: "internal/test/upstreamtest", want: true},
		"a test to its package":         {from: "internal/fetch", test: true, to: "internal/fetch", want: true},
		"a test of a test package":      {from: "internal/test/webtest", test: true, to: "unpack", want: true},
		"a test package itself":         {from: "internal/test/webtest", to: "unpack"},
		"a test against the stream":     {from: "bundle", test: true, to: "unpack"},
	} {
		f := &file{pkg: edge.from, test: edge.test}
		if got := rows[edge.from].mayImport(f, edge.to, rows); got != edge.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	b, r := bans()["unpack"], newReach(m, "linux")
	for way, want := range map[string]bool{
		"unpack -> net/http":              true,
		"unpack -> crypto/tls -> net":     true,
		"unpack -> crypto/x509 -> net":    false,
		"unpack -> net":                   true,
		"unpack -> x -> os/exec":          true,
		"unpack -> x -> OURS/sources/all": true,
		"unpack -> x -> OURS/sources":     true,
		"unpack -> x -> net/url":          false,
	} {
		steps := strings.Split(strings.ReplaceAll(way, "OURS", m.path), " -> ")
		if got := b.refuses(r, steps) != ""; got != want {
			t.Errorf("%s: %v", way, got)
		}
	}
}

// TestUses: what a package takes from another is seen, by whatever name.
func TestUses(t *testing.T) {
	r := newReach(load(t), "linux")
	if use := r.uses("crypto/x509", "net", addressNames()); use != "" {
		t.Error(use)
	}
	for pkg, want := range map[string]string{"net/http": "net.", "crypto/tls": "net.", "none": "cannot find"} {
		if use := r.uses(pkg, "net", addressNames()); !strings.Contains(use, want) {
			t.Errorf("%s: %q", pkg, use)
		}
	}
}

// TestReachIsFollowed through other modules and the standard library, with all
// edges to one package.
func TestReachIsFollowed(t *testing.T) {
	r := newReach(load(t), "linux")
	for edge, want := range map[string]bool{
		"internal/fetch crypto/tls net":                          true,
		"internal/fetch net/http golang.org/x/net/http/httpguts": true,
		"cmd/gapbundle net/http net":                             true,
		"cmd/gapbundle crypto/x509 net":                          true,
		"bundle crypto/x509 net":                                 true,
		"bundle net/http net":                                    false,
	} {
		words, found := strings.Fields(edge), false
		err := r.from(words[0], func(way []string) {
			found = found || slices.Equal(way[len(way)-2:], words[1:])
		})
		if err != nil {
			t.Error(err)
		}
		if found != want {
			t.Errorf("%s: %v", edge, found)
		}
	}
}

// TestDoors: kinds reach the network by fetch.Client alone and start no
// program, apart from the packages that the table names.
func TestDoors(t *testing.T) {
	m, rows, used := load(t), table(), map[[2]string]bool{}
	for _, f := range m.files {
		if f.test || rows[f.pkg].test || !strings.HasPrefix(f.pkg, "sources/") {
			continue
		}
		for _, importPath := range f.imports() {
			allowed, isDoor := doors()[importPath]
			if !isDoor {
				continue
			}
			used[[2]string{importPath, f.pkg}] = true
			if !slices.Contains(allowed, f.pkg) && (importPath != "net" || f.uses("net", addressNames()) != "") {
				t.Errorf("%s: imports %s", f.name, importPath)
			}
		}
	}
	for door, allowed := range doors() {
		for _, pkg := range allowed {
			if !used[[2]string{door, pkg}] {
				t.Errorf("%s may import %s, and does not", pkg, door)
			}
		}
	}
}
