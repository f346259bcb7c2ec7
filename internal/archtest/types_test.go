package archtest

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

// maxTypeMethods is how many methods a type has at most, unless it is among largeTypes.
const maxTypeMethods = 20

// largeType is a type with more methods: how many it may have, and why it is not cut.
type largeType struct {
	methods int
	why     string
}

// largeTypes returns the types with more than maxTypeMethods methods. Each has one job, which its
// comment names.
func largeTypes() map[string]largeType {
	return map[string]largeType{
		"bundle/media.RunWriter":          {25, "one volume after the other: its record, its tape and its read-back change together"},
		"bundle/media.Writer":             {38, "which medium has room for a volume, and when all are durable: one lock guards both"},
		"bundle/reach.Survey":             {22, "one pass over all lists, which fills it"},
		"internal/fetch.Client":           {34, "a request on its way: address, credential, redirect, attempts, answer; each asks for the host's settings"},
		"sources/collect.collection":      {21, "what all runs of a collection share"},
		"sources/ledger.Ledger":           {26, "the transitions of one state file, and what reads it"},
		"sources/pypi/resolve.resolution": {25, "one algorithm over one state"},
		"sources/rpm/closure.solver":      {43, "one algorithm over one state"},
		"sources/rpm/rpmmd.scanner":       {21, "one scanner of XML"},
		"unpack.importing":                {25, "one import: each step reads what has come and adds to the result"},
		"unpack.repair":                   {26, "one repair: each step reads what is damaged and adds to the result"},
		"unpack.writer":                   {22, "everything that changes a mirror, under its lock"},
		"unpack/site.writer":              {36, "one method for each file that is generated"},
		"unpack/site/settings.Mirror":     {24, "one method for each question that settings have about a mirror"},
		"unpack/state.State":              {30, "one method for each file of the state; they only read"},
		"unpack/state.Writer":             {34, "one method for each change of the state, under its lock"},
		"unpack/store.Store":              {24, "one folder of blobs"},
		"unpack/tree.Trees":               {34, "what generations hold; they only read"},
		"verify.Bundle":                   {33, "the proof: what was verified of a bundle, and reading it"},
	}
}

// TestMethods: a type of the program has at most 20 methods, or is listed with a reason and does not
// grow. The benchmarks, which have a method for each thing that they measure, are not part of it.
func TestMethods(t *testing.T) {
	methods := map[string]int{}
	for _, f := range load(t).files {
		if f.test || strings.HasSuffix(f.pkg, "test") || path.Base(f.pkg) == "standin" || f.pkg == "internal/bench" {
			continue
		}
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv != nil {
				methods[f.pkg+"."+receiver(d)]++
			}
		}
	}
	large := largeTypes()
	for name, n := range methods {
		most := maxTypeMethods
		if l, ok := large[name]; ok {
			most = l.methods
		}
		if n > most {
			t.Errorf("%s: %d methods, at most %d: cut it into values with one job each", name, n, most)
		}
	}
	for name, l := range large {
		if methods[name] <= maxTypeMethods || l.why == "" {
			t.Errorf("%s: %d methods and the reason %q: want more than %d and a reason, or no entry", name, methods[name], l.why, maxTypeMethods)
		}
	}
}
