package archtest

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// maxFacadeMethods is for unpack.Mirror, the one type of the side inside the
// gap that grew into everything once.
const maxFacadeMethods = 25

// types are the types of a package by name.
type types struct {
	specs   map[string]*ast.TypeSpec
	places  map[string]string
	methods map[string]int
}

// packages returns the types of every package, tests left out.
func (m *module) packages() map[string]*types {
	all := map[string]*types{}
	for _, f := range m.files {
		if f.test {
			continue
		}
		of := all[f.pkg]
		if of == nil {
			of = &types{map[string]*ast.TypeSpec{}, map[string]string{}, map[string]int{}}
			all[f.pkg] = of
		}
		of.read(f)
	}
	return all
}

func (ts *types) read(f *file) {
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					ts.specs[spec.Name.Name], ts.places[spec.Name.Name] = spec, f.at(spec)
				}
			}
		case *ast.FuncDecl:
			if d.Recv != nil {
				ts.methods[typeName(d.Recv.List[0].Type)]++
			}
		}
	}
}

// typeName returns the name of a type of the same package, behind a pointer or not;
// empty for all others.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// twins returns pairs of types whose names differ in case alone.
func (ts *types) twins() (found []string) {
	folded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(ts.specs)) {
		key := strings.ToLower(name)
		if other := folded[key]; other != "" {
			found = append(found, ts.places[name]+": types "+other+" and "+name+" differ in case alone")
		}
		folded[key] = name
	}
	return found
}

// hidden returns fields that hide a field of a type that is embedded next to them.
func (ts *types) hidden() (found []string) {
	for _, name := range slices.Sorted(maps.Keys(ts.specs)) {
		own, embedded := ts.fields(name)
		for _, e := range embedded {
			for _, field := range slices.Sorted(maps.Keys(ts.reach(e, map[string]bool{}))) {
				if own[field] {
					found = append(found, ts.places[name]+": "+name+"."+field+" hides "+e+"."+field)
				}
			}
		}
	}
	return found
}

// fields returns the names of the fields of a struct, and the types of the package
// that it embeds.
func (ts *types) fields(name string) (own map[string]bool, embedded []string) {
	own = map[string]bool{}
	spec := ts.specs[name]
	if spec == nil {
		return own, nil
	}
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return own, nil
	}
	for _, f := range s.Fields.List {
		for _, n := range f.Names {
			own[n.Name] = true
		}
		if len(f.Names) == 0 {
			if e := typeName(f.Type); e != "" {
				embedded = append(embedded, e)
			}
		}
	}
	return own, embedded
}

// reach returns the fields of a type and of what it embeds.
func (ts *types) reach(name string, seen map[string]bool) map[string]bool {
	own, embedded := ts.fields(name)
	if seen[name] {
		return own
	}
	seen[name] = true
	for _, e := range embedded {
		maps.Copy(own, ts.reach(e, seen))
	}
	return own
}

// TestTypes: in what runs inside the gap no type can be taken for another, no
// field for another, and the facade of the mirror stays one.
func TestTypes(t *testing.T) {
	all := load(t).packages()
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		if side, _, _ := strings.Cut(pkg, "/"); !slices.Contains([]string{"bundle", "verify", "unpack"}, side) {
			continue
		}
		for _, why := range slices.Concat(all[pkg].twins(), all[pkg].hidden()) {
			t.Error(why)
		}
	}
	if n := all["unpack"].methods["Mirror"]; n < 10 || n > maxFacadeMethods {
		t.Errorf("unpack.Mirror has %d methods, want 10 to %d", n, maxFacadeMethods)
	}
}

// TestTypesAreSeen: what TestTypes looks for is found where it is.
func TestTypesAreSeen(t *testing.T) {
	ts := &types{map[string]*ast.TypeSpec{}, map[string]string{}, map[string]int{}}
	ts.read(parse(t, `
type Mirror struct { base; a int }
type base struct { *deep; b int }
type deep struct { c int }
type writer struct { *Mirror; c int }
type mirror struct { d int }
func (m *Mirror) One() {}
func (m Mirror) two() {}
`))
	if got := ts.twins(); len(got) != 1 || !strings.Contains(got[0], "Mirror and mirror") {
		t.Errorf("twins: %q", got)
	}
	if got := ts.hidden(); len(got) != 1 || !strings.Contains(got[0], "writer.c hides Mirror.c") {
		t.Errorf("hidden: %q", got)
	}
	if ts.methods["Mirror"] != 2 {
		t.Errorf("methods: %v", ts.methods)
	}
}
