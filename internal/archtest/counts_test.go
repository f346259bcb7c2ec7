package archtest

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// verbs are those of package fmt in a format.
var verbs = regexp.MustCompile(`%(?:%|[-+# 0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:\[\d+\])?[a-zA-Z])`)

// after finds up to three words that follow a number.
var after = regexp.MustCompile(`^ ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?: ([a-z][a-z-]*))?`)

// noNouns end as plurals do.
var noNouns = []string{"asks", "as", "does", "has", "is", "its", "leaves", "less", "needs", "publishes", "this", "waits", "was"}

// several reports whether a noun in the plural follows a number whose text goes on so:
// "%d volumes", "%d more volumes", "%d public image names".
func several(text string) bool {
	for _, word := range after.FindStringSubmatch(text)[min(1, len(after.FindStringSubmatch(text))):] {
		switch {
		case slices.Contains([]string{"", "of", "and", "by", "to", "in", "at"}, word):
			return false
		case word == "media" || strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") && !slices.Contains(noNouns, word):
			return true
		}
	}
	return false
}

// constants returns the names that const declarations of a package declare.
func (f *file) constants() []string {
	var all []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if decl, ok := n.(*ast.GenDecl); ok && decl.Tok == token.CONST {
			for _, spec := range decl.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					all = append(all, name.Name)
				}
			}
		}
		return true
	})
	return all
}

// isFixed reports whether an expression is made of constants: a bound, of which the author
// of the text knows that it is more than one.
func isFixed(e ast.Expr, pkg string, known map[string]bool) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Value != "1"
	case *ast.Ident:
		return known[pkg+"."+e.Name]
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && known[x.Name+"."+e.Sel.Name]
	case *ast.ParenExpr:
		return isFixed(e.X, pkg, known)
	case *ast.BinaryExpr:
		return isFixed(e.X, pkg, known) && isFixed(e.Y, pkg, known)
	case *ast.CallExpr: // a conversion
		return len(e.Args) == 1 && isFixed(e.Args[0], pkg, known)
	}
	return false
}

// isNumeral reports whether an expression makes the text of a number.
func isNumeral(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	name := call.Fun
	if s, ok := name.(*ast.SelectorExpr); ok {
		name = s.Sel
	}
	id, ok := name.(*ast.Ident)
	return ok && slices.Contains([]string{"Itoa", "FormatInt", "FormatUint", "decimal"}, id.Name)
}

// uncounted finds the texts of a file in which a number is followed by a noun in the plural,
// whatever the number is.
func (f *file) uncounted(known map[string]bool) (found []string) {
	pkg := path.Base(f.pkg)
	reports := map[*ast.BasicLit]bool{}
	report := func(lit *ast.BasicLit) {
		if !reports[lit] {
			reports[lit] = true
			found = append(found, f.at(lit)+": "+lit.Value)
		}
	}
	format := func(lit *ast.BasicLit, args []ast.Expr) (used int) {
		text, err := strconv.Unquote(lit.Value)
		if err != nil {
			return 0
		}
		for _, at := range verbs.FindAllStringIndex(text, -1) {
			verb := text[at[0]:at[1]]
			if verb == "%%" {
				continue
			}
			used++
			var arg ast.Expr
			if used <= len(args) {
				arg = args[used-1]
			}
			number := verb == "%d" && !isFixed(arg, pkg, known) || arg != nil && isNumeral(arg)
			if number && several(text[at[1]:]) {
				report(lit)
			}
		}
		return used
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			for i, arg := range n.Args {
				used := 0
				for _, lit := range texts(arg) {
					used += format(lit, n.Args[min(i+1+used, len(n.Args)):])
				}
			}
		case *ast.BinaryExpr: // strconv.Itoa(n) + " files"
			left := n.X
			if l, ok := left.(*ast.BinaryExpr); ok {
				left = l.Y
			}
			if lit, ok := n.Y.(*ast.BasicLit); ok && isNumeral(left) && several(strings.Trim(lit.Value, "`\"")) {
				report(lit)
			}
		case *ast.ValueSpec: // a format that has a name
			for _, value := range n.Values {
				for _, lit := range texts(value) {
					format(lit, nil)
				}
			}
		}
		return true
	})
	return found
}

// texts returns the string literals of one that may be put together with +.
func texts(e ast.Expr) []*ast.BasicLit {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return []*ast.BasicLit{e}
		}
	case *ast.BinaryExpr:
		return append(texts(e.X), texts(e.Y)...)
	}
	return nil
}

// TestCounts: numbers agree with what they count: "1 volume" and not "1 volumes". A format
// has spelling.Count for both, unless the number is a constant.
func TestCounts(t *testing.T) {
	m := load(t)
	known := map[string]bool{}
	for _, f := range m.files {
		for _, name := range f.constants() {
			known[path.Base(f.pkg)+"."+name] = true
		}
	}
	looked := 0
	for _, f := range m.files {
		if f.test || table()[f.pkg].test {
			continue
		}
		looked++
		for _, text := range f.uncounted(known) {
			t.Errorf("%s: want spelling.Count (or bundle.Count) for the number and its noun", text)
		}
	}
	if looked < 500 {
		t.Errorf("%d files looked at, want 500 or more", looked)
	}
}

// TestCountsAreSeen: what TestCounts looks for is found where it is.
func TestCountsAreSeen(t *testing.T) {
	for text, want := range map[string]int{
		`func f(n int) { g("in %d volumes", n) }`:                              1,
		`func f(n int) { g("%s: " + "%d of %d more volumes", "a", n, n) }`:     1,
		`func f(n int) { g("%d more media", n) }`:                              1,
		`func f(n int) { g("%s files", strconv.Itoa(n)) }`:                     1,
		`func f(n int) { g(strconv.Itoa(n) + " files") }`:                      1,
		`func f(n int) { g("a" + strconv.Itoa(n) + " files") }`:                1,
		"func f(n int) { g(`%d files`, n) }":                                   1,
		`const text = "%d volumes"`:                                            1,
		`func f(n int) { g("in %s", Count(n, "volume")) }`:                     0,
		`func f(n int) { g("bundle %d is gone, %d more", n, n) }`:              0,
		`func f(n int) { g("%d of the volumes", n) }`:                          0,
		`func f(n int) { g("at most %d bytes", int64(most)) }; const most = 2`: 0,
		`func f(n int) { g("at most %d bytes", 1) }`:                           1,
	} {
		f := parse(t, text)
		known := map[string]bool{}
		for _, name := range f.constants() {
			known[path.Base(f.pkg)+"."+name] = true
		}
		if got := f.uncounted(known); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}
