package deb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// relationsForClient returns values of Depends and whether apt reads them.
func relationsForClient() map[string]bool {
	return map[string]bool{
		"": true, "world": true, "world (>= 1)": true, "world (>=1)": true, "world(>=1)": true, "world ( >= 1 )": true, "world (= 1)": true, "world (>> 1~) | other": true,
		"world:any (>= 1)": true, "world (>1)": false, "world (>1), other": true, "world (1.0)": true, "world (1)": false, "world (>= )": false, "world ()": false,
		"world (>= 1": false, "world >= 1": false, "world )": false, "world [amd64]": false, "world (>= 1) [amd64]": false, "world <!nocheck>": false,
		"a, , world": false, ", world": false, "world,": true, "world, ": true, "world |": true, "world | | a": false, "world a": false, "a,world": true, "a,\n world": true,
	}
}

func stanzaWith(depends string) deb.Paragraph {
	return deb.Paragraph("Package: tool\nVersion: 1\nArchitecture: all\nFilename: tool.deb\nSize: 1\nDepends: " + depends + "\n")
}

func TestCheckForClient(t *testing.T) {
	for depends, reads := range relationsForClient() {
		p, err := deb.ParsePackage(stanzaWith(depends))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckForClient(); (err == nil) != reads || err != nil && (!errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "tool:all (1): field Depends")) {
			t.Errorf("%q: got %v, want it read: %v", depends, err, reads)
		}
	}
}

func FuzzCheckForClient(f *testing.F) {
	for depends := range relationsForClient() {
		f.Add(depends)
	}
	f.Fuzz(func(t *testing.T, depends string) {
		p := &deb.Package{Paragraph: stanzaWith(strings.ReplaceAll(depends, "\n", "\n "))}
		if err := p.CheckForClient(); err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
	})
}
