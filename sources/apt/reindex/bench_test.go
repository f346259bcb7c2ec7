package reindex_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/apt/reindex"
)

// BenchmarkBuild makes the indexes of 60,000 packages, and makes them and reads them back.
func BenchmarkBuild(b *testing.B) {
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "Package: package-%06[1]d\nVersion: 1.2.3-4+deb12u1\nArchitecture: amd64\nMaintainer: nobody <nobody@a.example>\nSuggests: %[2]shello\nTag: %[3]sx\nFilename: pool/main/p/package-%06[1]d_amd64.deb\nSize: %[4]d\nSHA256: %064[5]x\nDescription: what it is\n\n",
			i, strings.Repeat("lib-something-or-other (>= 1.2.3-4), ", 8), strings.Repeat("role::program, ", 12), 1000+i, i+1)
	}
	var packages []*deb.Package
	for p, err := range deb.Packages(strings.NewReader(text.String()), deb.Limits{}) {
		if err != nil {
			b.Fatal(err)
		}
		packages = append(packages, p)
	}
	s := suite()
	s.Release.Architectures, s.Contents = []string{"amd64"}, nil
	s.Components = []reindex.Component{{Name: "main", Packages: packages}}
	for name, put := range map[string]func(reindex.File) error{
		"make":               func(reindex.File) error { return nil },
		"make and read back": func(f reindex.File) error { return f.Read(bytes.NewReader(f.Content)) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				seen := ""
				err := reindex.Build(s, nil, func(f reindex.File) error {
					if len(f.Content) > 1<<10 && seen == string(f.Content[:1<<10]) {
						return nil // the same content under another name is read once
					}
					seen = string(f.Content[:min(len(f.Content), 1<<10)])
					return put(f)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
