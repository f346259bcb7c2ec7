package apt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/keyring"
)

// FuzzInRelease: what is accepted is what was signed, however it is mangled.
func FuzzInRelease(f *testing.F) {
	signer := plantest.NewSigner(f, "a", 0)
	text := []byte("Suite: stable\nDate: Sat, 31 Oct 2026 12:00:00 UTC\nSHA256:\n " + strings.Repeat("ab", 32) + " 5 main/binary-amd64/Packages\n")
	whole := plantest.ClearSign(f, text, signer)
	f.Add(whole)
	f.Add(append([]byte("x\n"), whole...))
	f.Add(append(whole, whole...))
	f.Add(bytes.Replace(whole, []byte("stable"), []byte("- evil"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, _, err := keyring.Keys{signer}.ClearSigned("http://a.example/InRelease", b, now)
		if err != nil {
			if !errors.Is(err, fetch.ErrRefused) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		if r, err := deb.ParseRelease(text); err != nil || r.Suite != "stable" || len(r.Files) != 1 || r.Files[0].Size != 5 {
			t.Errorf("accepted with other content (%v):\n%s", err, b)
		}
	})
}

// FuzzLists: what is accepted as a list of sources gives places that a mirror
// may have.
func FuzzLists(f *testing.F) {
	f.Add("deb [arch=amd64] http://a.example/x noble main\ndeb-src http://a.example/x noble main\n")
	f.Add("Types: deb\nURIs: http://a.example/x\nSuites: noble\nComponents: main\n")
	f.Add("set defaultarch amd64\ndeb-arm64 http://a.example/$(ARCH) sub/\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func(string, string) ([]stanza, error){mirrorStanzas, deb822Stanzas, listStanzas} {
			stanzas, err := read(text, "f")
			if err != nil {
				if !errors.Is(err, bundle.ErrUsage) {
					t.Errorf("%v: of no class", err)
				}
				continue
			}
			e := &entry{options: options{Keyring: keyring.Entry{File: "k"}}}
			suites, err := e.expand(stanzas)
			if err != nil {
				continue
			}
			for _, s := range suites {
				if err := bundle.CheckPath(s.at(nameInRelease)); err != nil {
					t.Errorf("%v", err)
				}
			}
		}
	})
}
