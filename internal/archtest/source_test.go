package archtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// module is the source of this module, all of it, whatever its build tags.
type module struct {
	path     string // as in go.mod
	dir      string
	files    []*file
	requires map[string]string // module path: version
}

// file is one Go file.
type file struct {
	pkg   string // path of its folder below the module, "." for the top
	name  string // with its folder
	test  bool
	lines int
	ast   *ast.File
	fset  *token.FileSet
}

// load returns the module that this test is in. It is read once.
func load(t *testing.T) *module {
	t.Helper()
	m, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var read = sync.OnceValues(func() (*module, error) {
	m := &module{dir: filepath.Join("..", ".."), requires: map[string]string{}}
	if err := m.readGoMod(); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(m.dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		rel, err := filepath.Rel(m.dir, name)
		if err != nil {
			return err
		}
		return m.addFile(filepath.ToSlash(rel), name)
	})
	if err == nil && len(m.files) < 10 {
		err = fmt.Errorf("%d files: this is not the module", len(m.files))
	}
	return m, err
})

func (m *module) addFile(name, osName string) error {
	text, err := os.ReadFile(osName)
	if err != nil {
		return err
	}
	f := &file{pkg: path.Dir(name), name: name, test: strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), fset: token.NewFileSet()}
	f.ast, err = parser.ParseFile(f.fset, name, text, parser.SkipObjectResolution|parser.ParseComments)
	m.files = append(m.files, f)
	return err
}

func (m *module) readGoMod() error {
	text, err := os.Open(filepath.Join(m.dir, "go.mod"))
	if err != nil {
		return err
	}
	defer text.Close()
	for lines := bufio.NewScanner(text); lines.Scan(); {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		switch {
		case len(words) == 2 && words[0] == "module":
			m.path = words[1]
		case len(words) >= 2 && strings.HasPrefix(words[1], "v"):
			m.requires[words[0]] = words[1]
		case len(words) > 0 && words[0] == "replace":
			return errors.New("go.mod: a replace directive, which this test does not follow")
		}
	}
	return nil
}

// ours returns the folder of an import path of this module.
func (m *module) ours(importPath string) (string, bool) {
	if importPath == m.path {
		return ".", true
	}
	return strings.CutPrefix(importPath, m.path+"/")
}

// imports returns the import paths of f.
func (f *file) imports() []string {
	var all []string
	for _, spec := range f.ast.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value) // the parser has seen that it is one
		all = append(all, importPath)
	}
	return all
}

// at returns where a node stands, for messages.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.name, f.fset.Position(n.Pos()).Line)
}

// reach is the graph of what packages import, other modules and the standard
// library included, as one operating system builds it.
type reach struct {
	m       *module
	context build.Context
	seen    map[string][]string // by folder: import paths
}

func newReach(m *module, system string) *reach {
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = system, "amd64", false
	return &reach{m: m, context: context, seen: map[string][]string{}}
}

// from walks all that a package of ours imports, directly or not. visit gets
// each edge with a way to it, first importer first.
func (r *reach) from(pkg string, visit func(way []string)) error {
	type step struct {
		way []string
		dir string
	}
	start := path.Join(r.m.path, pkg)
	met := map[string]bool{start: true}
	for queue := []step{{[]string{start}, filepath.Join(r.m.dir, pkg)}}; len(queue) > 0; queue = queue[1:] {
		now := queue[0]
		imports, err := r.imports(now.dir)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(now.way, " -> "), err)
		}
		for _, importPath := range imports {
			if importPath == "unsafe" || importPath == "C" {
				continue
			}
			way := append(slices.Clip(now.way), importPath)
			visit(way)
			if met[importPath] {
				continue
			}
			met[importPath] = true
			dir, err := r.dir(importPath, now.dir)
			if err != nil {
				return fmt.Errorf("%s: %w", strings.Join(way, " -> "), err)
			}
			queue = append(queue, step{way, dir})
		}
	}
	return nil
}

func (r *reach) imports(dir string) ([]string, error) {
	if known, ok := r.seen[dir]; ok {
		return known, nil
	}
	pkg, err := r.context.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	r.seen[dir] = pkg.Imports
	return pkg.Imports, nil
}

// uses finds the first name that pkg, outside of this module, takes from
// another package and that is not among names; "" if there is none.
func (r *reach) uses(pkg, from string, names []string) string {
	dir, err := r.dir(pkg, "")
	if err != nil {
		return err.Error()
	}
	built, err := r.context.ImportDir(dir, 0)
	if err != nil {
		return err.Error()
	}
	for _, name := range built.GoFiles {
		f := &file{name: pkg + "/" + name, fset: token.NewFileSet()}
		if f.ast, err = parser.ParseFile(f.fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution); err != nil {
			return err.Error()
		}
		if use := f.uses(from, names); use != "" {
			return use
		}
	}
	return ""
}

func (f *file) uses(from string, names []string) (use string) {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != strconv.Quote(from) {
			continue
		}
		called := path.Base(from)
		if spec.Name != nil {
			called = spec.Name.Name
		}
		if called == "." {
			return f.at(spec) + ": all names"
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if ok && use == "" && isName(s.X, called) && !slices.Contains(names, s.Sel.Name) {
				use = f.at(s) + ": " + called + "." + s.Sel.Name
			}
			return use == ""
		})
	}
	return use
}

// dir returns the folder of a package: ours, the standard library's with what it
// has vendored, or one of the module cache.
func (r *reach) dir(importPath, importer string) (string, error) {
	if pkg, ok := r.m.ours(importPath); ok {
		return filepath.Join(r.m.dir, filepath.FromSlash(pkg)), nil
	}
	library := filepath.Join(r.context.GOROOT, "src")
	first, _, _ := strings.Cut(importPath, "/")
	switch {
	case !strings.Contains(first, "."):
		return filepath.Join(library, filepath.FromSlash(importPath)), nil
	case strings.HasPrefix(importer, library+string(filepath.Separator)):
		return filepath.Join(library, "vendor", filepath.FromSlash(importPath)), nil
	}
	for mod := importPath; mod != "."; mod = path.Dir(mod) {
		if version, ok := r.m.requires[mod]; ok {
			folder := escape(mod) + "@" + escape(version) + strings.TrimPrefix(importPath, mod)
			return filepath.Join(cache(r.context.GOPATH), filepath.FromSlash(folder)), nil
		}
	}
	return "", fmt.Errorf("no module in go.mod for %s", importPath)
}

// cache returns the folder of module sources.
func cache(gopath string) string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	return filepath.Join(filepath.SplitList(gopath)[0], "pkg", "mod")
}

// escape writes a module path as the cache does, where case may not count:
// "!a" for "A" (golang.org/x/mod/module, EscapePath).
func escape(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			out.WriteByte('!')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
