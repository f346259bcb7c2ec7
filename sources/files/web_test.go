package files

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestMirrorPath(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"https://a.example/x/y.tar.gz", "a.example/x/y.tar.gz"},
		{"http://A.Example/x", "a.example/x"},
		{"https://a.example:8443/x", "a.example_8443/x"},
		{"https://a.example:443/x", "a.example/x"},
		{"http://a.example:80/x", "a.example/x"},
		{"http://a.example:443/x", "a.example_443/x"},
		{"http://[2001:db8::1]:81/x", "2001_db8__1_81/x"},
		{"https://a.example/a%20b%2Bc~d", "a.example/a b+c~d"},
		{"https://a.example/%C3%A9", "a.example/é"},
		{"https://a.example/a%2525", "a.example/a%25"}, // decoded once
	} {
		u, err := parseURL(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := mirrorPath(u); got != test.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", test.url, got, err, test.want)
		}
	}
	for _, url := range []string{
		"https://a.example/x?y=1", "https://a.example/x?", "https://a.example/", "https://a.example", "https://a.example/x/",
		"https://a.example/a%2Fb", "https://a.example/a%2fb", "https://a.example//x", "https://a.example/x/../y", "https://a.example/%2e%2e/y",
		"https://a.example/a%5cb", "https://a.example/a%00b", "https://a.example/%ff",
	} {
		u, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := mirrorPath(u); err == nil || !strings.Contains(err.Error(), "set path:") {
			t.Errorf("%s: got %q, %v, want advice to set path:", url, got, err)
		}
	}
}

// What is refused before anything is asked of anybody.
func TestSpecErrors(t *testing.T) {
	const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "- {name: s}\n", "spec.yaml:2:4: source s: want urls, list or dir"},
		{"unknown key", "- {name: s, url: x}\n", `spec.yaml:2:13: unknown key "url"; did you mean "urls"?`},
		{"unknown key of a URL", "- name: s\n  urls:\n  - {url: http://a.example/x, sha384: y}\n", `spec.yaml:4:31: unknown key "sha384"; valid: html, moving, path, sha256, sha512, url`},
		{"scheme", "- {name: s, urls: [ftp://a.example/x]}\n", "spec.yaml:2:20: URL"},
		{"password", "- {name: s, urls: [\"http://me:secret@a.example/x\"]}\n", "spec.yaml:2:20: URL \"http://a.example/x\""},
		{"fragment", "- {name: s, urls: [\"http://a.example/x#y\"]}\n", "a fragment means nothing"},
		{"query", "- {name: s, urls: [\"http://a.example/x?sig=secret\"]}\n", "has a query: set path:"},
		{"sha256", "- {name: s, urls: [{url: \"http://a.example/x\", sha256: \"12\"}]}\n", "spec.yaml:2:56: sha256: digest \"12\""},
		{"sha256 of zeros", "- {name: s, urls: [{url: \"http://a.example/x\", sha256: " + strings.Repeat("0", 64) + "}]}\n", "a placeholder"},
		{"path", "- {name: s, urls: [{url: \"http://a.example/x\", path: ../x}]}\n", "spec.yaml:2:21: path \"../x\""},
		{"two pins", "- {name: s, urls: [{url: \"http://a.example/x\", sha256: " + sum + "}, {url: \"http://a.example/x\", sha256: " + strings.Repeat("1", 64) + "}]}\n", "spec.yaml:2:21 has it already, with another sha256"},
		{"two pins in two sources", "- {name: s, urls: [{url: \"http://a.example/x\", sha256: " + sum + "}]}\n- {name: t, urls: [{url: \"http://a.example/x\", sha256: " + strings.Repeat("1", 64) + "}]}\n", "spec.yaml:3:21: http://a.example/x: spec.yaml:2:21 has it already, with another sha256"},
		{"two paths", "- {name: s, urls: [http://a.example/x, {url: \"http://a.example/x\", path: y}]}\n", "with another path"},
		{"one path, two URLs", "- {name: s, urls: [http://a.example/x]}\n- {name: t, urls: [https://a.example/x]}\n", "spec.yaml:3:20: path a.example/x: https://a.example/x is in the way of http://a.example/x (spec.yaml:2:20)"},
		{"file and folder", "- {name: s, urls: [http://a.example/x/y, http://a.example/x]}\n", "is in the way of http://a.example/x (spec.yaml:2:42)"},
		{"below a folder source", "- {name: s, dir: d}\n- {name: t, urls: [{url: \"http://a.example/x\", path: s/x}]}\n", "path s/x: http://a.example/x is in the way of"},
		{"checksums in the way", "- {name: s, urls: [{url: \"http://a.example/y\", path: a.example/SHA256SUMS.asc}], checksums: http://a.example/SHA256SUMS}\n", "path a.example/SHA256SUMS.asc"},
		{"dir and urls", "- {name: s, dir: d, urls: [http://a.example/x]}\n", "dir: no urls, list"},
		{"keyring alone", "- {name: s, urls: [http://a.example/x], keyring: k}\n", "keyring: the source has no checksums"},
		{"list is not there", "- {name: s, list: no.txt}\n", "spec.yaml:2:4: list: open "},
		{"allowed key that is not there", "- {name: s, urls: [http://a.example/x], allow-private-keys: http://a.example/y}\n", "allow-private-keys: http://a.example/y: is not among the URLs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			_, err := s.plan(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
			if !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%v: does not match bundle.ErrUsage", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v: holds a secret", err)
			}
		})
	}
}

// All of them, in the order of the file.
func TestAllSpecErrors(t *testing.T) {
	s := newSite(t)
	_, err := s.plan("- {name: s, urls: [ftp://a.example/x, http://a.example/]}\n- {name: t, dri: d, urls: [http://a.example/?x]}\n")
	want := []string{"spec.yaml:2:20: ", "spec.yaml:2:39: ", "spec.yaml:3:13: ", "spec.yaml:3:28: "}
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got\n%v", err)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got %s, want %s", lines[i], want[i])
		}
	}
}

func TestReadList(t *testing.T) {
	s := newSite(t)
	file := s.write("urls.txt", "# all\n\nhttp://a.example/x\n  http://a.example/y#z  # why\r\nhttp://a.example/z # last")
	var got []string
	err := readList(file, "urls.txt", func(e urlEntry) { got = append(got, e.Pos.String()+" "+e.URL) })
	if err != nil {
		t.Fatal(err)
	}
	want := "urls.txt:3:1 http://a.example/x|urls.txt:4:1 http://a.example/y#z|urls.txt:5:1 http://a.example/z"
	if strings.Join(got, "|") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if _, err := s.plan("- {name: s, list: urls.txt}\n"); err == nil || !strings.HasPrefix(err.Error(), "urls.txt:4:1: URL") {
		t.Errorf("got %v, want the list's line", err)
	}
}

// Strings that are kept stay as they are when the next buffer is begun, and a long one has a buffer of its own.
func TestTexts(t *testing.T) {
	var texts texts
	var got, want []string
	for i := range 3000 {
		text := strings.Repeat("x", i%90) + fmt.Sprint(i)
		if i == 1500 {
			text = strings.Repeat("y", 3*textsSize)
		}
		got, want = append(got, texts.keep(text)), append(want, text)
	}
	if !slices.Equal(got, want) {
		t.Error("a string is not what was kept")
	}
}
