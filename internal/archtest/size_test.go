package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 500
	maxFunctionLines = 60
	maxLongFunctions = 0.05 // of all functions outside of tests
	maxMethods       = 3    // of an interface
	maxCommandLines  = 0.20 // of all lines outside of tests
)

// TestSizes: nothing grows beyond what one can hold in the head.
func TestSizes(t *testing.T) {
	var functions, lines, command int
	var long []string
	for _, f := range load(t).files {
		if f.lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", f.name, f.lines, maxFileLines)
		}
		for name, methods := range f.interfaces() {
			if methods > maxMethods {
				t.Errorf("%s: interface %s has %d methods, at most %d", f.name, name, methods, maxMethods)
			}
		}
		if f.test {
			continue
		}
		lines += f.lines
		if strings.HasPrefix(f.pkg, "cmd/") {
			command += f.lines
		}
		for _, decl := range f.ast.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			functions++
			if n := f.fset.Position(function.End()).Line - f.fset.Position(function.Pos()).Line + 1; n > maxFunctionLines {
				long = append(long, f.at(function)+" "+function.Name.Name)
			}
		}
	}
	if float64(len(long)) > maxLongFunctions*float64(functions) {
		t.Errorf("%d of %d functions have more than %d lines:\n%s", len(long), functions, maxFunctionLines, strings.Join(long, "\n"))
	}
	if float64(command) > maxCommandLines*float64(lines) {
		t.Errorf("cmd has %d of %d lines, at most %.0f %%", command, lines, 100*maxCommandLines)
	}
	t.Logf("%d lines, %d of them in cmd; %d functions, %d of them long", lines, command, functions, len(long))
}

// interfaces returns the interfaces of f by name, with their methods, embedded
// interfaces counted as one. Constraints of type parameters are none.
func (f *file) interfaces() map[string]int {
	found := map[string]int{}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if i, ok := spec.Type.(*ast.InterfaceType); ok {
			found[spec.Name.Name] = i.Methods.NumFields()
		}
		return true
	})
	return found
}

// TestHabits: what the architecture forbids by name.
func TestHabits(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "manager", "types", "misc"}
	for _, f := range load(t).files {
		for _, name := range []string{strings.TrimSuffix(f.ast.Name.Name, "_test"), path.Base(f.pkg)} {
			if slices.Contains(vague, name) {
				t.Errorf("%s: the name %q says nothing", f.name, name)
			}
		}
		for _, decl := range f.ast.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" {
				t.Errorf("%s: an init function: registration is a value", f.at(function))
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if why := f.smell(n); why != "" {
				t.Errorf("%s: %s", f.at(n), why)
			}
			return true
		})
	}
}

func (f *file) smell(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BasicLit:
		if !f.test && n.Kind == token.STRING && strings.Contains(n.Value, "failed to") {
			return `"failed to" in a text: say what is, then its cause`
		}
	case *ast.SelectorExpr:
		switch {
		case isName(n.X, "t", "b", "f", "tb") && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, n.Sel.Name):
			return "a test that is skipped shows nothing"
		case isName(n.X, "time") && n.Sel.Name == "Sleep":
			return "waits for the clock, not for what it needs"
		}
	}
	return ""
}

// TestSmells: what TestHabits looks for is seen where it is.
func TestSmells(t *testing.T) {
	for text, want := range map[string]int{
		`func f() { t.Skip() }`:                               1,
		`func f() { t.Run("x", func(t *T) { t.SkipNow() }) }`: 1,
		`func f() { time.Sleep(1) }`:                          1,
		`var e = errors.New("failed to open")`:                1,
		`var e = errors.New("open: gone")`:                    0,
		`func f() { x.Skip(); time.Now() }`:                   0,
	} {
		f := parse(t, text)
		got := 0
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if f.smell(n) != "" {
				got++
			}
			return true
		})
		if got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
	f := parse(t, "type a interface { A(); B(); C(); io.Reader }\ntype b interface { A() }\ntype c struct { d, e, f, g int }")
	if got := f.interfaces(); len(got) != 2 || got["a"] != 4 || got["b"] != 1 {
		t.Errorf("interfaces: %v", got)
	}
}

func parse(t *testing.T, text string) *file {
	t.Helper()
	f := &file{name: "x.go", fset: token.NewFileSet()}
	var err error
	if f.ast, err = parser.ParseFile(f.fset, f.name, "package p\n"+text, parser.ParseComments); err != nil {
		t.Fatal(err)
	}
	return f
}
