package deb

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkPackages reads an index as a plan does that carries it whole, with the check of
// every stanza, and as one does that chooses from it, without.
func BenchmarkPackages(b *testing.B) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "Package: package-%[1]d\nSource: source\nVersion: 1.%[1]d-1\nInstalled-Size: 1000\nMaintainer: Somebody of a Team <team@lists.example.org>\nArchitecture: amd64\n"+
			"Replaces: old-%[1]d (<< 1.0)\nBreaks: old-%[1]d (<< 1.0)\nDepends: libc6 (>= 2.36), libgcc-s1 (>= 3.0) | libgcc1, lib%[1]d (= 1.%[1]d-1), perl:any\nPre-Depends: dpkg (>= 1.17.5)\nSuggests: doc-%[1]d\n"+
			"Description: one of many packages\nHomepage: https://example.org/%[1]d\nDescription-md5: 0123456789abcdef0123456789abcdef\nTag: implemented-in::c, interface::commandline,\n role::program, scope::utility\n"+
			"Section: misc\nPriority: optional\nFilename: pool/main/p/package-%[1]d/package-%[1]d_1.%[1]d-1_amd64.deb\nSize: 123456\nMD5sum: 0123456789abcdef0123456789abcdef\nSHA256: %064[1]d\n\n", i)
	}
	for name, client := range map[string]bool{"checked": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				for _, err := range Packages(strings.NewReader(text.String()), Limits{Client: client}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
