package rpm

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// TestLocations: where a location leads, in the mirror and upstream.
func TestLocations(t *testing.T) {
	for _, test := range []struct {
		href, base string
		path, from string // "" with an error
		foreign    bool
	}{
		{href: "Packages/a.rpm", path: "Packages/a.rpm", from: "Packages/a.rpm"},
		{href: "./Packages//a.rpm", path: "Packages/a.rpm", from: "Packages/a.rpm"},
		{href: "a+b~c^1.rpm", path: "a+b~c^1.rpm", from: "a+b~c%5E1.rpm"},
		{href: "a%2Bb.rpm", path: "a%2Bb.rpm", from: "a%252Bb.rpm"},
		{href: "a b.rpm", path: "a b.rpm", from: "a%20b.rpm"},
		{href: "x/../../a.rpm", path: "../a.rpm", from: "../a.rpm"},
		{href: "%2e%2e/a.rpm", path: "%2e%2e/a.rpm", from: "%252e%252e/a.rpm"},
		{href: "../../../../../../../../a.rpm", path: "../../../../../../../../a.rpm", from: "../../../../../../../../a.rpm"},
		{href: "../../../../../../../../../a.rpm"},
		{href: "a%zz.rpm", path: "a%zz.rpm", from: "a%25zz.rpm"},
		{href: "/Packages/a.rpm", path: "Packages/a.rpm", from: "Packages/a.rpm"},
		{href: "/../a.rpm", path: "../a.rpm", from: "../a.rpm"},
		{href: "/"},
		{href: "file:///etc/passwd"},
		{href: "HTTP://h.example/a.rpm"},
		{href: "a.rpm?b"},
		{href: "a.rpm#b"},
		{href: `a\b.rpm`},
		{href: ""},
		{href: "."},
		{href: "a/.."},
		{href: ".."},
		{href: "../.."},
		{href: "p/a.rpm", base: "http://h.example/x", path: "_foreign/h.example/x/p/a.rpm", from: "http://h.example/x/p/a.rpm", foreign: true},
		{href: "p/a.rpm", base: "http://h.example/x/", path: "_foreign/h.example/x/p/a.rpm", from: "http://h.example/x/p/a.rpm", foreign: true},
		{href: "http://H.Example:8080/a%20b.rpm", path: "_foreign/h.example_8080/a b.rpm", from: "http://H.Example:8080/a%20b.rpm", foreign: true},
		{href: "https://h.example/x%2Fa.rpm", base: "http://other.example/", path: "_foreign/h.example/x/a.rpm", from: "https://h.example/x/a.rpm", foreign: true},
		{href: "../../../etc/passwd", base: "http://h.example/x", path: "_foreign/h.example/etc/passwd", from: "http://h.example/etc/passwd", foreign: true},
		{href: "a.rpm?token=x", base: "http://h.example/"},
		{href: "a.rpm#x", base: "http://h.example/"},
		{href: "a%00.rpm", base: "http://h.example/"},
		{href: "", base: "http://h.example/"},
		{href: "a.rpm", base: "ftp://h.example/"},
		{href: "a.rpm", base: "media://123#1"},
		{href: "a.rpm", base: "elsewhere"},
		{href: "a.rpm", base: "http://user:secret@h.example/"},
	} {
		at, err := locate(test.href, test.base)
		switch {
		case test.path == "" && !errors.Is(err, fetch.ErrUpstream):
			t.Errorf("%q below %q: got %+v, %v, want it refused", test.href, test.base, at, err)
		case test.path == "" && strings.Contains(err.Error(), "secret"):
			t.Errorf("%v: tells a secret", err)
		case test.path == "":
		case err != nil || at.path != test.path || at.isForeign() != test.foreign || test.foreign && at.url != test.from:
			t.Errorf("%q below %q: got %+v, %v", test.href, test.base, at, err)
		case !test.foreign && upstream.At("http://u.example/").URL(at.path) != "http://u.example/"+test.from:
			t.Errorf("%q: is asked for as %s", test.href, upstream.At("http://u.example/").URL(at.path))
		}
	}
}

// TestMetadataLocations: what repomd.xml lists is part of a URL.
func TestMetadataLocations(t *testing.T) {
	for href, want := range map[string]string{"repodata/a%2Bb.xml": "repodata/a+b.xml", "/repodata/a.xml": "repodata/a.xml", "%2e%2e/a.xml": "../a.xml", "a%zz.xml": "", "a.xml?b": "", "a%3f.xml": ""} {
		if at, err := locateMetadata(href, ""); at.path != want || (want == "") != errors.Is(err, fetch.ErrUpstream) {
			t.Errorf("%q: got %+v, %v", href, at, err)
		}
	}
}

// TestTail: the folders that locations climb over are the last of the address.
func TestTail(t *testing.T) {
	for _, test := range []struct {
		base string
		n    int
		want string
	}{
		{"http://h.example/os/x86_64/", 0, ""},
		{"http://h.example/os/x86_64/", 1, "x86_64/"},
		{"http://h.example/os/x86_64/", 2, "os/x86_64/"},
		{"http://h.example/os/x86_64/", 3, "!"},
		{"http://h.example/", 1, "!"},
		{"http://h.example/a%00b/", 1, "!"},
		{"http://h.example/a%2F..%2Fb/", 2, "!"},
	} {
		got, err := tail(test.base, test.n)
		if test.want == "!" && !errors.Is(err, fetch.ErrUpstream) || test.want != "!" && (err != nil || got != test.want) {
			t.Errorf("%d of %s: %q, %v", test.n, test.base, got, err)
		}
	}
}
