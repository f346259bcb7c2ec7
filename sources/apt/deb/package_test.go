package deb_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

const helloStanza = `Package: hello
Source: hello-src (2.9)
Version: 2.10-3
Architecture: amd64
Multi-Arch: foreign
Depends: libc6 (>= 2.34)
Provides: greeting (= 1)
Description: short
 long
Section: universe/devel
Priority: optional
Filename: ./pool/main/h/hello/hello_2.10-3_amd64.deb
Size: 53080
SHA256: 0000000000000000000000000000000000000000000000000000000000000abc
`

func TestParsePackage(t *testing.T) {
	p, err := deb.ParsePackage(helloStanza)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "hello" || p.Version != "2.10-3" || p.Architecture != "amd64" || p.MultiArch != deb.MultiArchForeign || p.Essential ||
		p.Provides != "greeting (= 1)" || p.Filename != "pool/main/h/hello/hello_2.10-3_amd64.deb" || p.Size != 53080 ||
		p.SHA256.Hex()[61:] != "abc" || p.Field("Depends") != "libc6 (>= 2.34)" || p.Paragraph != helloStanza || p.ID() != "hello:amd64 (2.10-3)" {
		t.Errorf("got %+v", p)
	}
	if name, version := p.Source(); name != "hello-src" || version != "2.9" {
		t.Errorf("source %s %s", name, version)
	}
	for text, want := range map[string]string{"": "hello 2.10-3", "Source: other\n": "other 2.10-3"} {
		p, err := deb.ParsePackage(deb.Paragraph(strings.Replace(helloStanza, "Source: hello-src (2.9)\n", text, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if name, version := p.Source(); name+" "+version != want {
			t.Errorf("%q: source %s %s", text, name, version)
		}
	}
	p, err = deb.ParsePackage(helloStanza + "Important: yes\n")
	if err != nil || !p.Essential {
		t.Errorf("important: %v", err)
	}
}

func TestParsePackageRefuses(t *testing.T) {
	if _, err := deb.ParsePackage(helloStanza); err != nil {
		t.Fatal(err)
	}
	change := func(old, with string) string { return strings.Replace(helloStanza, old, with, 1) }
	const filename = "Filename: ./pool/main/h/hello/hello_2.10-3_amd64.deb"
	for name, text := range map[string]string{
		"no name":            change("Package: hello\n", ""),
		"no version":         change("Version: 2.10-3\n", ""),
		"no size":            change("Size: 53080\n", ""),
		"no file":            change(filename+"\n", ""),
		"name twice":         helloStanza + "package: other\n",
		"depends twice":      helloStanza + "Depends: other\n",
		"file twice":         helloStanza + "FILENAME: other\n",
		"path upwards":       change(filename, "Filename: pool/../../etc/passwd"),
		"path out, later":    change(filename, "Filename: /../etc/passwd"),
		"path of a folder":   change(filename, "Filename: /pool/hello/"),
		"path of the root":   change(filename, "Filename: //"),
		"path of two lines":  change(filename, "Filename: pool/a\n b"),
		"path with control":  change(filename, "Filename: pool/a\tb"),
		"path of dot":        change(filename, "Filename: ./"),
		"size negative":      change("53080", "-1"),
		"size too large":     change("53080", "9999999999999999999"),
		"size not a number":  change("53080", "0x10"),
		"digest short":       change("SHA256: 0000", "SHA256: 000"),
		"digest upper case":  change("abc\n", "ABC\n"),
		"name with slash":    change("Package: hello", "Package: a/b"),
		"name with newline":  change("Package: hello", "Package: a\n b"),
		"name long":          change("Package: hello", "Package: "+strings.Repeat("a", 300)),
		"architecture":       change("Architecture: amd64", "Architecture: ../x"),
		"version with space": change("2.10-3\n", "2.10 3\n"),
		"multi-arch":         change("foreign", "maybe"),
	} {
		if text == helloStanza {
			t.Errorf("%s: nothing changed", name)
		}
		if p, err := deb.ParsePackage(deb.Paragraph(text)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
}

// Servers clean paths, and apt relies on it: hosted repositories of Nexus have a slash in front.
func TestPathsAreCleanedLikeThoseOfURLs(t *testing.T) {
	for value, want := range map[string]string{
		"pool/a.deb": "pool/a.deb", "/pool/a.deb": "pool/a.deb", "//pool///a.deb": "pool/a.deb", "./a.deb": "a.deb", "././/a.deb": "a.deb",
		"pool/x/../a.deb": "pool/a.deb", "/pool/./a.deb": "pool/a.deb",
	} {
		text := "Package: a\nVersion: 1\nArchitecture: all\nFilename: " + value + "\nSize: 1\n"
		p, err := deb.ParsePackage(deb.Paragraph(text))
		if err != nil || p.Filename != want || string(p.Paragraph) != text {
			t.Errorf("%s: got %+v, %v; want %s", value, p, err, want)
		}
	}
	for value, want := range map[string]string{"/pool/s": "pool/s/a.dsc", "pool//s/": "pool/s/a.dsc", "./": "a.dsc", "/": "a.dsc", "/.": "a.dsc", "pool/s/..": "pool/a.dsc"} {
		text := fmt.Sprintf("Package: a\nVersion: 1\nDirectory: %s\nChecksums-Sha256:\n %064x 1 a.dsc\n", value, 1)
		s, err := deb.ParseSource(deb.Paragraph(text))
		if err != nil || len(s.Files) != 1 || s.Files[0].Path != want {
			t.Errorf("%s: got %+v, %v; want %s", value, s, err, want)
		}
	}
	if s, err := deb.ParseSource(deb.Paragraph(fmt.Sprintf("Package: a\nVersion: 1\nDirectory: pool/../../x\nChecksums-Sha256:\n %064x 1 a.dsc\n", 1))); !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("out of the root: got %+v, %v", s, err)
	}
}

func TestPackagesNamesTheLine(t *testing.T) {
	text := helloStanza + "\n" + strings.Replace(helloStanza, "Size: 53080", "Size: x", 1) + "\n" + helloStanza
	n := 0
	var last error
	for _, err := range deb.Packages(strings.NewReader(text), deb.Limits{}) {
		n++
		last = err
	}
	if n != 2 || last == nil || !strings.HasPrefix(last.Error(), `line 16: package "hello": field Size`) {
		t.Errorf("%d stanzas, %v", n, last)
	}
}

func TestInstalled(t *testing.T) {
	one := func(name, status string) string {
		return "Package: " + name + "\nStatus: " + status + "\nVersion: 1\nArchitecture: amd64\nProvides: p\n\n"
	}
	text := one("a", "install ok installed") + one("b", "deinstall ok config-files") + one("c", "hold ok installed") +
		one("d", "install ok half-configured") + one("e", "install ok triggers-pending") +
		"Package: f\nStatus: deinstall ok not-installed\nPriority: optional\n\n"
	var got []string
	for p, err := range deb.Installed(strings.NewReader(text), deb.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Size != -1 || p.Provides != "p" {
			t.Errorf("got %+v", p)
		}
		got = append(got, p.Name)
	}
	if strings.Join(got, " ") != "a c e" {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{"Package: a\nVersion: 1\nArchitecture: amd64\n", one("a", "installed"), "Package: a\nStatus: install ok installed\n"} {
		for p, err := range deb.Installed(strings.NewReader(bad), deb.Limits{}) {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("%q: got %v, %v", bad, p, err)
			}
		}
	}
}

func FuzzPackages(f *testing.F) {
	f.Add(helloStanza + "\n" + helloStanza)
	f.Add("Package: a\n")
	f.Fuzz(func(t *testing.T, text string) {
		for p, err := range deb.Packages(strings.NewReader(text), deb.Limits{Paragraph: 1 << 16}) {
			if err != nil {
				if !errors.Is(err, bundle.ErrMalformed) {
					t.Error(err)
				}
				continue
			}
			if bundle.CheckPath(p.Filename) != nil || p.Size < 0 || strings.Contains(string(p.Paragraph), "\n\n") {
				t.Errorf("got %+v", p)
			}
			again, err := deb.ParsePackage(p.Paragraph)
			if err != nil || *again != *p {
				t.Errorf("parsed again: %+v, %v", again, err)
			}
		}
	})
}
