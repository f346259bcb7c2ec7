package archtest

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	gotypes "go/types"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of kinds into docs/design.md")

const (
	// tolerance is the part by which a figure of the table may be off: a small change does not have to touch it.
	tolerance = 0.1

	designPage = "docs/design.md"
	kindsHead  = "| kind | budget | lines | below it | largest type | methods | calls against the flow |"
)

// kindFigures is a row of the table of kinds.
type kindFigures struct {
	name    string
	budget  string // of the kind's own folder, in lines; decided, not counted
	lines   int    // of the folder, without tests
	below   int    // of the folders below it, without tests and what plays an upstream in tests
	largest string // type
	methods int    // of largest
	against int    // calls against the flow, see against
}

// TestKinds: the table of kinds in docs/design.md is true. "go test ./internal/archtest -run TestKinds -update" writes it.
func TestKinds(t *testing.T) {
	m := load(t)
	name := filepath.Join(m.dir, filepath.FromSlash(designPage))
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rows, after, err := cutTable(string(page))
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]kindFigures{}
	for _, row := range rows {
		table[row.name] = row
	}
	var counted []kindFigures
	for _, kind := range kinds(m) {
		methods := map[string]int{}
		k := countKind(m, kind, methods)
		k.budget = table[kind].budget
		if k.budget == "" {
			k.budget = "none"
		}
		counted = append(counted, k)
		if !*update && !k.near(table[kind]) {
			t.Errorf("%s: %s: it has\n%s\nwant\n%s", designPage, kind, table[kind], k)
		}
	}
	if !*update && len(table) != len(counted) {
		t.Errorf("%s: %d kinds, want %d", designPage, len(table), len(counted))
	}
	if !*update {
		return
	}
	for _, k := range counted {
		before += k.String() + "\n"
	}
	if err := os.WriteFile(name, []byte(before+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// kinds returns the names of the kinds, which are those of their folders.
func kinds(m *module) []string {
	found := map[string]bool{}
	for _, f := range m.files {
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if ok && !f.test && path.Dir(f.pkg) == "sources" && d.Recv == nil && d.Name.Name == "Kind" && d.Type.Params.NumFields() == 0 {
				found[path.Base(f.pkg)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// countKind counts a kind, and the methods of its types.
func countKind(m *module, kind string, methods map[string]int) kindFigures {
	k := kindFigures{name: kind}
	folder := "sources/" + kind
	var own []*file
	for _, f := range m.files {
		forTests := f.test || strings.HasSuffix(f.pkg, "test") || path.Base(f.pkg) == "standin"
		switch {
		case forTests:
			continue
		case f.pkg == folder:
			own = append(own, f)
			k.lines += f.lines
		case strings.HasPrefix(f.pkg, folder+"/"):
			k.below += f.lines
		default:
			continue
		}
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv != nil {
				methods[f.pkg+"."+receiver(d)]++
			}
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(methods)) {
		if methods[typ] > k.methods {
			k.largest, k.methods = strings.TrimPrefix(typ, "sources/"), methods[typ]
		}
	}
	k.against = against(m.dir, own)
	return k
}

func receiver(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// against follows a plan from call to call, as a reader does: from Plan on, into each function
// when it is called first. A call is against the flow if it leads into a file that was left for
// another: where the steps of a kind follow one another, a reader turns back seldom.
func against(dir string, files []*file) (n int) {
	calls, start := callGraph(dir, files)
	opened := map[string]int{} // files, by when they were first read
	seen := map[*gotypes.Func]bool{}
	var follow func(f *gotypes.Func)
	follow = func(f *gotypes.Func) {
		c := calls[f]
		seen[f] = true
		if _, ok := opened[c.file]; !ok {
			opened[c.file] = len(opened)
		}
		for _, to := range c.to {
			next, ok := calls[to]
			if !ok {
				continue
			}
			if at, ok := opened[next.file]; ok && at < opened[c.file] {
				n++
			}
			if !seen[to] {
				follow(to)
			}
		}
	}
	if start != nil {
		follow(start)
	}
	return n
}

// called is a function, where it is, and what it calls, in the order of its text.
type called struct {
	file string
	to   []*gotypes.Func
}

// callGraph returns the calls between the functions of a package, and its Plan. What other packages
// return is not known here, so a method that is called of it is found by its name, where one type
// alone has it.
func callGraph(dir string, files []*file) (calls map[*gotypes.Func]called, plan *gotypes.Func) {
	fset := token.NewFileSet()
	trees := map[string]*ast.File{}
	for _, f := range files {
		tree, err := parser.ParseFile(fset, filepath.Join(dir, filepath.FromSlash(f.name)), nil, parser.SkipObjectResolution)
		if err != nil {
			continue // it was read before
		}
		trees[f.name] = tree
	}
	info := &gotypes.Info{Defs: map[*ast.Ident]gotypes.Object{}, Uses: map[*ast.Ident]gotypes.Object{}}
	config := gotypes.Config{Error: func(error) {}, Importer: nothing{}}
	_, _ = config.Check("kind", fset, slices.Collect(maps.Values(trees)), info) // what is imported is not known
	byName := map[string][]*gotypes.Func{}
	for _, def := range info.Defs {
		if fn, ok := def.(*gotypes.Func); ok && fn.Signature().Recv() != nil {
			byName[fn.Name()] = append(byName[fn.Name()], fn)
		}
	}
	calls = map[*gotypes.Func]called{}
	for name, tree := range trees {
		for _, decl := range tree.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok || d.Body == nil {
				continue
			}
			fn, ok := info.Defs[d.Name].(*gotypes.Func)
			if !ok {
				continue
			}
			if d.Name.Name == "Plan" && d.Recv != nil {
				plan = fn
			}
			calls[fn] = called{name, calledBy(d.Body, info, byName)}
		}
	}
	return calls, plan
}

// calledBy returns the functions that a body calls, or hands on, in the order of its text.
func calledBy(body *ast.BlockStmt, info *gotypes.Info, byName map[string][]*gotypes.Func) (all []*gotypes.Func) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.SelectorExpr:
			of, isName := x.X.(*ast.Ident)
			if _, known := info.Uses[x.Sel]; !known && len(byName[x.Sel.Name]) == 1 && !(isName && isPackage(info.Uses[of])) {
				all = append(all, byName[x.Sel.Name][0])
			}
		case *ast.Ident:
			if fn, ok := info.Uses[x].(*gotypes.Func); ok {
				all = append(all, fn)
			}
		}
		return true
	})
	return all
}

func isPackage(o gotypes.Object) bool {
	_, ok := o.(*gotypes.PkgName)
	return ok
}

// nothing imports empty packages.
type nothing struct{}

func (nothing) Import(importPath string) (*gotypes.Package, error) {
	p := gotypes.NewPackage(importPath, path.Base(importPath))
	p.MarkComplete()
	return p, nil
}

func (k kindFigures) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | `%s` | %d | %d |", k.name, k.budget, k.lines, k.below, k.largest, k.methods, k.against)
}

// near reports whether a row of the table is true.
func (k kindFigures) near(row kindFigures) bool {
	ok := k.largest == row.largest
	for _, pair := range [][2]int{{k.lines, row.lines}, {k.below, row.below}, {k.methods, row.methods}, {k.against, row.against}} {
		ok = ok && float64(max(pair[0]-pair[1], pair[1]-pair[0])) <= max(2, tolerance*float64(pair[0]))
	}
	return ok
}

// cutTable cuts the table of kinds out of the page: before ends with the head of the table.
func cutTable(page string) (before string, rows []kindFigures, after string, err error) {
	before, rest, ok := strings.Cut(page, kindsHead+"\n")
	if !ok {
		return "", nil, "", errors.New(designPage + ": the table of kinds is not there: " + kindsHead)
	}
	line, rest, _ := strings.Cut(rest, "\n")
	before += kindsHead + "\n" + line + "\n"
	for strings.HasPrefix(rest, "|") {
		line, rest, _ = strings.Cut(rest, "\n")
		cells := strings.Split(line, "|")
		if len(cells) != 9 {
			return "", nil, "", fmt.Errorf("%s: %d cells in a row of the table of kinds: %s", designPage, len(cells)-2, line)
		}
		row := kindFigures{name: strings.TrimSpace(cells[1]), budget: strings.TrimSpace(cells[2]), largest: strings.Trim(cells[5], " `")}
		for i, to := range map[int]*int{3: &row.lines, 4: &row.below, 6: &row.methods, 7: &row.against} {
			if *to, err = strconv.Atoi(strings.TrimSpace(cells[i])); err != nil {
				return "", nil, "", fmt.Errorf("%s: %s: %w", designPage, line, err)
			}
		}
		rows = append(rows, row)
	}
	return before, rows, rest, nil
}
