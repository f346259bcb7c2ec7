package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sentinelUse is a package that wraps a class. About is the thing that bundle.About says
// in that very place, empty where it says none.
type sentinelUse struct{ Package, Sentinel, About string }

// classes are the sentinels that exit codes and hints are made of, by package.
func classNames() map[string][]string {
	return map[string][]string{
		"bundle":         {"ErrUsage", "ErrMalformed", "ErrCorrupt", "ErrUnsupported", "ErrUntrusted", "ErrIncomplete", "ErrBusy"},
		"internal/fetch": {"ErrUpstream", "ErrRefused", "ErrConfig"},
	}
}

// sourceFiles returns the Go files of the tree that are built into a program, by package.
func sourceFiles(t *testing.T) map[string][]*ast.File {
	t.Helper()
	all := map[string][]*ast.File{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "sourcetest" || d.Name() == "bench" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || strings.HasSuffix(filepath.ToSlash(path), "internal/test")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "standin.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		all[dir] = append(all[dir], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sentinelUses returns all packages that wrap a class. What only asks whether an error is of
// a class does not count: errors.Is, a comparison, a list of classes.
func sentinelUses(t *testing.T) []sentinelUse {
	t.Helper()
	found := map[sentinelUse]bool{}
	for dir, files := range sourceFiles(t) {
		for _, f := range files {
			var within []ast.Node
			ast.Inspect(f, func(n ast.Node) bool {
				if n == nil {
					within = within[:len(within)-1]
					return true
				}
				within = append(within, n)
				if name := sentinelName(dir, n); name != "" && wraps(within) {
					found[sentinelUse{dir, name, aboutOf(within)}] = true
				}
				return true
			})
		}
	}
	var all []sentinelUse
	for use := range found {
		all = append(all, use)
	}
	slices.SortFunc(all, func(a, b sentinelUse) int {
		return strings.Compare(a.Package+" "+a.Sentinel+" "+a.About, b.Package+" "+b.Sentinel+" "+b.About)
	})
	return all
}

// sentinelName returns the class that a node names, in a package: bundle.ErrUsage outside of
// package bundle, ErrUsage in it.
func sentinelName(dir string, n ast.Node) string {
	for home, names := range classNames() {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == filepath.Base(home) && slices.Contains(names, n.Sel.Name) {
				return n.Sel.Name
			}
		case *ast.Ident:
			if dir == home && slices.Contains(names, n.Name) {
				return n.Name
			}
		}
	}
	return ""
}

func wraps(within []ast.Node) bool {
	for i := len(within) - 2; i >= 0; i-- {
		switch n := within[i].(type) {
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok {
				return s.Sel.Name != "Is" && s.Sel.Name != "Error" && s.Sel.Name != "sentinel"
			}
			id, ok := n.Fun.(*ast.Ident)
			return !ok || id.Name != "sentinel"
		case *ast.BinaryExpr, *ast.CaseClause:
			return false
		case *ast.CompositeLit:
			if _, list := n.Type.(*ast.ArrayType); list {
				return false
			}
		case *ast.SelectorExpr: // ErrUsage.Error()
			return false
		case *ast.ValueSpec:
			return len(n.Names) > 0 && !strings.HasPrefix(n.Names[0].Name, "Err")
		}
	}
	return true
}

// aboutOf returns the thing of the call of bundle.About around a node.
func aboutOf(within []ast.Node) string {
	for _, n := range slices.Backward(within) {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			continue
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "About" {
			if thing, ok := call.Args[0].(*ast.SelectorExpr); ok {
				return thing.Sel.Name
			}
		}
	}
	return ""
}
