package reindex_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/apt/reindex"
	"github.com/gapbundle/gapbundle/sources/keys"
)

var (
	keyMade  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	released = time.Date(2026, 7, 11, 10, 16, 37, 0, time.UTC)
)

// siteKey returns a key pair as keygen makes it, opened.
func siteKey(t *testing.T) (e *openpgp.Entity, certificate []byte) {
	t.Helper()
	e, _, certificate = plantest.SiteKey(t, keyMade)
	return e, certificate
}

func stanza(name, version, arch string) *deb.Package {
	sum := bundle.DigestOf([]byte(name + version + arch))
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nDescription: what %s is\nDescription-md5: %032x\nFilename: pool/%s_%s_%s.deb\nSize: 4\nSHA256: %s\n",
		name, version, arch, name, sum[:16], name, version, arch, sum.Hex())
	p, err := deb.ParsePackage(deb.Paragraph(text))
	if err != nil {
		panic(err)
	}
	return p
}

func translation(p *deb.Package) deb.Paragraph {
	return deb.Paragraph("Package: " + p.Name + "\nDescription-md5: " + p.Field("Description-md5") + "\nDescription-en: what " + p.Name + " is\n At length.\n")
}

func sourceStanza(name, version string) *deb.Source {
	sum := bundle.DigestOf([]byte(name + version))
	s, err := deb.ParseSource(deb.Paragraph(fmt.Sprintf("Package: %s\nVersion: %s\nBinary: %s\nDirectory: pool/s\nFiles:\n %032x 5 %s_%s.dsc\nChecksums-Sha256:\n %s 5 %s_%s.dsc\n",
		name, version, name, 1, name, version, sum.Hex(), name, version)))
	if err != nil {
		panic(err)
	}
	return s
}

func suite() reindex.Suite {
	hello, tool, data := stanza("hello", "2.10-3", "amd64"), stanza("tool", "1:1.0~rc1-1", "arm64"), stanza("data", "1.0", "all")
	return reindex.Suite{
		Release: deb.Release{Origin: "Ubuntu", Label: "Ubuntu", Suite: "noble", Codename: "noble", Version: "24.04", Date: released,
			Architectures: []string{"amd64", "arm64", "all"}, Description: "Ubuntu Noble 24.04"},
		Components: []reindex.Component{
			{Name: "main", Packages: []*deb.Package{tool, hello, data, stanza("hello", "2.9-1", "amd64")}, Sources: []*deb.Source{sourceStanza("tool", "1.0"), sourceStanza("hello", "2.10-3")},
				Translations: map[string][]deb.Paragraph{"en": {translation(tool), translation(hello), translation(stanza("other", "1", "all"))}}},
			{Name: "universe"},
		},
	}
}

// shuffled returns the same selection in another order, with things twice.
func shuffled() reindex.Suite {
	s := suite()
	main := &s.Components[0]
	slices.Reverse(main.Packages)
	slices.Reverse(main.Sources)
	slices.Reverse(main.Translations["en"])
	main.Packages = append(main.Packages, main.Packages...)
	main.Sources = append(main.Sources, main.Sources...)
	main.Translations["en"] = append(main.Translations["en"], main.Translations["en"]...)
	return s
}

func build(t *testing.T, s reindex.Suite, e *openpgp.Entity) map[string][]byte {
	t.Helper()
	signer, err := pgpkeys.NewSigner(e)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	err = reindex.Build(s, signer, func(f reindex.File) error {
		if _, ok := files[f.Path]; ok && !strings.Contains(f.Path, "by-hash") {
			t.Errorf("%s: put twice", f.Path)
		}
		files[f.Path] = f.Content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSameSelectionSameBytes(t *testing.T) {
	e, _ := siteKey(t)
	first, second := build(t, suite(), e), build(t, shuffled(), e)
	if !slices.Equal(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second))) {
		t.Errorf("files differ: %s and %s", slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second)))
	}
	for path, content := range first {
		if !bytes.Equal(content, second[path]) {
			t.Errorf("%s differs:\n%s\n%s", path, content, second[path])
		}
	}
	less := suite()
	less.Components[0].Packages = less.Components[0].Packages[1:]
	if bytes.Equal(build(t, less, e)["InRelease"], first["InRelease"]) {
		t.Error("another selection has the same InRelease")
	}
}

// TestReleaseListsWhatIsThere: every file by name, plain and compressed, and by
// hash, and nothing else.
func TestReleaseListsWhatIsThere(t *testing.T) {
	e, _ := siteKey(t)
	files := build(t, suite(), e)
	r, err := deb.ParseRelease(files["Release"])
	if err != nil {
		t.Fatal(err)
	}
	if !r.AcquireByHash || !r.Date.Equal(released) || !r.ValidUntil.IsZero() || !slices.Equal(r.Architectures, []string{"amd64", "arm64"}) ||
		!slices.Equal(r.Components, []string{"main", "universe"}) || r.Suite != "noble" {
		t.Errorf("Release:\n%s", files["Release"])
	}
	want := map[string]bool{"Release": true, "InRelease": true, "Release.gpg": true}
	for _, f := range r.Files {
		for _, path := range append(f.ByHash(), f.Path) {
			want[path] = true
			if content, ok := files[path]; !ok || int64(len(content)) != f.Size || bundle.DigestOf(content).Hex() != f.SHA256 {
				t.Errorf("%s: not there, or other than Release says", path)
			}
		}
		if plain, ok := strings.CutSuffix(f.Path, ".gz"); ok {
			z, err := gzip.NewReader(bytes.NewReader(files[f.Path]))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, files[plain]) {
				t.Errorf("%s: other than %s: %v", f.Path, plain, err)
			}
		}
	}
	for path := range files {
		if !want[path] {
			t.Errorf("%s: is not listed", path)
		}
	}
	for _, path := range []string{"main/binary-amd64/Packages", "main/binary-arm64/Packages.gz", "universe/binary-amd64/Packages", "main/source/Sources", "main/i18n/Translation-en.gz"} {
		if _, ok := r.File(path); !ok {
			t.Errorf("%s: is missing", path)
		}
	}
}

func TestIndexes(t *testing.T) {
	e, _ := siteKey(t)
	files := build(t, suite(), e)
	s := suite()
	tool, hello, data, old := s.Components[0].Packages[0], s.Components[0].Packages[1], s.Components[0].Packages[2], s.Components[0].Packages[3]
	for path, want := range map[string][]deb.Paragraph{
		"main/binary-amd64/Packages":     {data.Paragraph, old.Paragraph, hello.Paragraph},
		"main/binary-arm64/Packages":     {data.Paragraph, tool.Paragraph},
		"universe/binary-arm64/Packages": nil,
		"universe/source/Sources":        nil,
		"main/source/Sources":            {sourceStanza("hello", "2.10-3").Paragraph, sourceStanza("tool", "1.0").Paragraph},
		"main/i18n/Translation-en":       {translation(hello), translation(tool)},
	} {
		var text strings.Builder
		for _, p := range want {
			text.WriteString(string(p) + "\n")
		}
		if got, ok := files[path]; !ok || string(got) != text.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", path, got, text.String())
		}
	}
}

func TestFlat(t *testing.T) {
	e, _ := siteKey(t)
	s := suite()
	s.Flat, s.Components = true, s.Components[:1]
	s.Components[0].Translations = nil
	files := build(t, s, e)
	r, err := deb.ParseRelease(files["Release"])
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, f := range r.Files {
		listed = append(listed, f.Path)
	}
	if !slices.Equal(listed, []string{"Packages", "Packages.gz", "Sources", "Sources.gz"}) || len(r.Components) != 0 {
		t.Errorf("Release:\n%s", files["Release"])
	}
	if n := bytes.Count(files["Packages"], []byte("Package: ")); n != 4 {
		t.Errorf("%d packages, want 4", n)
	}
}

// TestSignatures: both are over Release as it is, at its date; or at the
// key's, which gpgv does not let be later.
func TestSignatures(t *testing.T) {
	e, _ := siteKey(t)
	for _, test := range []struct{ date, want time.Time }{
		{released, released},
		{keyMade.AddDate(-1, 0, 0), keyMade},
	} {
		s := suite()
		s.Release.Date = test.date
		files := build(t, s, e)
		block, rest := clearsign.Decode(files["InRelease"])
		if block == nil || len(bytes.TrimSpace(rest)) != 0 || !bytes.Equal(block.Bytes, bytes.ReplaceAll(files["Release"], []byte("\n"), []byte("\r\n"))) && !bytes.Equal(block.Plaintext, files["Release"]) {
			t.Fatalf("InRelease:\n%s", files["InRelease"])
		}
		sig, _, err := openpgp.VerifyDetachedSignature(openpgp.EntityList{e}, bytes.NewReader(block.Bytes), block.ArmoredSignature.Body, nil)
		if err != nil || !sig.CreationTime.Equal(test.want) {
			t.Errorf("InRelease: %v at %v, want %v", err, sig, test.want)
		}
		if _, err := openpgp.CheckArmoredDetachedSignature(openpgp.EntityList{e}, bytes.NewReader(files["Release"]), bytes.NewReader(files["Release.gpg"]), nil); err != nil {
			t.Error(err)
		}
	}
}

func TestRefuses(t *testing.T) {
	e, _ := siteKey(t)
	signer, err := pgpkeys.NewSigner(e)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*reindex.Suite)
		class  error
	}{
		"no component":        {func(s *reindex.Suite) { s.Components = nil }, bundle.ErrUsage},
		"flat of two":         {func(s *reindex.Suite) { s.Flat = true }, bundle.ErrUsage},
		"another file":        {func(s *reindex.Suite) { s.Components[0].Packages = append(s.Components[0].Packages, twin()) }, bundle.ErrMalformed},
		"foreign to the rest": {func(s *reindex.Suite) { s.Release.Architectures = []string{"amd64"} }, bundle.ErrUsage},
	} {
		s := suite()
		c.change(&s)
		if err := reindex.Build(s, signer, func(reindex.File) error { return nil }); !errors.Is(err, c.class) {
			t.Errorf("%s: got %v, want %v", name, err, c.class)
		}
	}
	full := errors.New("full")
	if err := reindex.Build(suite(), signer, func(reindex.File) error { return full }); !errors.Is(err, full) {
		t.Errorf("want put's error, got %v", err)
	}
}

// twin returns another file for hello.
func twin() *deb.Package {
	p, err := deb.ParsePackage(deb.Paragraph(strings.Replace(string(stanza("hello", "2.10-3", "amd64").Paragraph), "Size: 4", "Size: 5", 1)))
	if err != nil {
		panic(err)
	}
	return p
}

// TestUnsigned: a plan has no key at hand, and knows everything but the
// signatures.
func TestUnsigned(t *testing.T) {
	e, _ := siteKey(t)
	want := build(t, suite(), e)
	delete(want, "InRelease")
	delete(want, "Release.gpg")
	got := map[string][]byte{}
	err := reindex.Build(suite(), nil, func(f reindex.File) error {
		got[f.Path] = f.Content
		return nil
	})
	if err != nil || !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("got %s, %v", slices.Sorted(maps.Keys(got)), err)
	}
}

func TestNewSignerRefuses(t *testing.T) {
	_, certificate := siteKey(t)
	public, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(certificate))
	if err != nil {
		t.Fatal(err)
	}
	private, _, _, err := keys.GenerateSite("x", []byte("x"), keyMade)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(private))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*openpgp.Entity{"nil": nil, "public": public[0], "closed": closed[0]} {
		if _, err := pgpkeys.NewSigner(e); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: got %v, want ErrUsage", name, err)
		}
	}
}

func TestTranslations(t *testing.T) {
	hello := stanza("hello", "2.10-3", "amd64")
	text := string(translation(stanza("other", "1", "all"))) + "\n" + string(translation(hello)) + "\n"
	got, err := reindex.Translations(strings.NewReader(text), []*deb.Package{hello})
	if err != nil || len(got) != 1 || got[0] != translation(hello) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := reindex.Translations(strings.NewReader(" cut\n"), nil); !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}
