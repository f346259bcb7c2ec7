package apt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// FuzzInRelease: what is accepted is what was signed, however it is mangled.
func FuzzInRelease(f *testing.F) {
	signer := newSigner(f, "a", 0)
	text := []byte("Suite: stable\nDate: Sat, 31 Oct 2026 12:00:00 UTC\nSHA256:\n " + strings.Repeat("ab", 32) + " 5 main/binary-amd64/Packages\n")
	whole := clearSign(f, text, signer)
	f.Add(whole)
	f.Add(append([]byte("x\n"), whole...))
	f.Add(append(whole, whole...))
	f.Add(bytes.Replace(whole, []byte("stable"), []byte("- evil"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := verifyInRelease("http://a.example/InRelease", b, openpgp.EntityList{signer}, now)
		switch {
		case err != nil && !errors.Is(err, fetch.ErrRefused) && !errors.Is(err, fetch.ErrUpstream):
			t.Errorf("%v: of no class", err)
		case err == nil && (s.release.Suite != "stable" || len(s.release.Files) != 1 || s.release.Files[0].Size != 5):
			t.Errorf("accepted with other content:\n%s", b)
		}
	})
}

// FuzzUnpacked: an index ends where Release says, whatever is in it.
func FuzzUnpacked(f *testing.F) {
	f.Add("a.gz", gz(f, bytes.Repeat([]byte("x"), 1000)))
	f.Add("a.xz", []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F"))
	f.Add("a.zst", []byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Add("a.bz2", []byte("BZh91AY&SY"))
	f.Add("a", []byte("plain"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		const limit = 100
		r, err := unpacked(bytes.NewReader(b), name, "index", limit)
		if err != nil {
			if !errors.Is(err, fetch.ErrUpstream) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		n, err := io.Copy(io.Discard, r)
		if n > limit || err != nil && !errors.Is(err, fetch.ErrUpstream) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
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
		for _, read := range []func(string, string) ([]stanza, error){mirrorStanzas, deb822Stanzas} {
			stanzas, err := read(text, "f")
			if err != nil {
				if !errors.Is(err, bundle.ErrUsage) {
					t.Errorf("%v: of no class", err)
				}
				continue
			}
			e := &entry{options: options{Keyring: keyringEntry{File: "k"}}}
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
