package files

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// TestUnlisted: checksums that were requested are required. A URL that none of them
// names is refused, with the URL and the files that were looked into.
func TestUnlisted(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/d/x", []byte("x"))
	up.Put("/d/SUMS", []byte(sumY.Hex()+"  other\n"))
	text := "- {name: s, urls: [{url: " + up.URL("/d/x") + "PIN}], checksums: " + up.URL("/d/SUMS") + "}\n"
	_, err := s.plan(strings.Replace(text, "PIN", "", 1))
	if !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), up.URL("/d/x")) || !strings.Contains(err.Error(), up.URL("/d/SUMS")) {
		t.Errorf("got %v", err)
	}
	if thing, _ := bundle.ThingOf(err); thing != bundle.AboutSpec { // no key is at fault
		t.Errorf("%v is about %d", err, thing)
	}
	for _, pin := range []string{", sha256: " + sumX.Hex(), ", sha512: " + hex512("x")} {
		if _, err := s.plan(strings.Replace(text, "PIN", pin, 1)); err != nil {
			t.Errorf("%s: %v", pin, err)
		}
	}
}

// TestLongSums: lines of SHA-384 and SHA-512 count where there is none of SHA-256, and
// content that differs from them is refused.
func TestLongSums(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/d/x", []byte("x"))
	text := "- {name: s, urls: [" + up.URL("/d/x") + "], checksums: " + up.URL("/d/SUMS") + "}\n"
	up.Put("/d/SUMS", []byte(hex512("x")+"  x\n"))
	a := find(t, s.mustPlan(text)["s"], hostPath(up)+"/d/x")
	if !a.File.Digest.IsZero() || !strings.Contains(a.Evidence.Reason, "SUMS") || a.Validator != "sha512:"+hex512("x") {
		t.Errorf("%+v %+v %s", a.File, a.Evidence, a.Validator)
	}
	if b, _, err := read(t, a); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	up.Put("/d/SUMS", []byte(hex512("y")+"  x\n"))
	if _, _, err := read(t, find(t, s.mustPlan(text)["s"], hostPath(up)+"/d/x")); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("another SHA-512: %v", err)
	}
	up.Put("/d/SUMS", []byte(hex512("y")+"  x\n"+hex512("x")+"  x\n"))
	if _, err := s.plan(text); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "set sha256") {
		t.Errorf("two of them: %v", err)
	}
	up.Put("/d/SUMS", []byte(sumX.Hex()+"  x\n"+hex512("x")+"  x\n"))
	if a := find(t, s.mustPlan(text)["s"], hostPath(up)+"/d/x"); a.File.Digest != sumX {
		t.Errorf("both: %+v", a.File)
	}
}

// TestBareSum: a file that is one checksum is about the file that it is called after.
func TestBareSum(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/bin/x", []byte("x"))
	up.Put("/bin/z", []byte("z"))
	for name, content := range map[string]string{
		"x.sha256": sumX.Hex(), "x.sha512": "\ufeff" + strings.ToUpper(hex512("x")) + "\r\n", "x.sha512sum": hex512("x") + "  -\n", "x.sha": "(stdin)= " + sumX.Hex() + "\n", "x.sum": "SHA2-256(stdin)= " + sumX.Hex() + "\n",
	} {
		up.Put("/bin/"+name, []byte(content))
		text := "- {name: s, urls: [" + up.URL("/bin/x") + "], checksums: " + up.URL("/bin/"+name) + "}\n"
		a := find(t, s.mustPlan(text)["s"], hostPath(up)+"/bin/x")
		if a.File.Digest != sumX && a.Validator != "sha512:"+hex512("x") {
			t.Errorf("%s: %+v %s", name, a.File, a.Validator)
		}
	}
	up.Put("/bin/sums", []byte(sumX.Hex()))
	for _, sums := range []string{"/bin/x.sha256", "/bin/sums"} {
		text := "- {name: s, urls: [" + up.URL("/bin/z") + "], checksums: " + up.URL(sums) + "}\n"
		if _, err := s.plan(text); err == nil || !strings.Contains(err.Error(), up.URL(sums)) {
			t.Errorf("%s is not about z: %v", sums, err)
		}
	}
}

// TestPage: a page under the name of an archive is refused, unless the spec says that it is meant.
func TestPage(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	page := "\n<!DOCTYPE html><html><title>Sign in</title></html>"
	for path, refused := range map[string]bool{
		"/x.tar.gz": true, "/X.RPM": true, "/key.asc": true, "/kubectl": true, "/x.sh": true, "/x.json": true, "/x.gguf": true,
		"/x.html": false, "/x.PHP": false,
	} {
		up.Put(path, []byte(page))
		a := s.mustPlan("- {name: s, urls: [" + up.URL(path) + "]}\n")["s"][0]
		_, _, err := read(t, a)
		if errors.Is(err, fetch.ErrRefused) != refused || refused && !strings.Contains(err.Error(), "html: true") {
			t.Errorf("%s: %v", path, err)
		}
	}
	a := s.mustPlan("- {name: s, urls: [{url: " + up.URL("/x.tar.gz") + ", html: true}]}\n")["s"][0]
	if b, _, err := read(t, a); err != nil || string(b) != page {
		t.Errorf("html: true: %q, %v", b, err)
	}
	// What is known already is decided by its digest, unless the name is that of an archive.
	for path, refused := range map[string]bool{"/kubectl": false, "/x.tar.gz": true} {
		a := s.mustPlan("- {name: s, urls: [{url: " + up.URL(path) + ", sha256: " + bundle.DigestOf([]byte(page)).Hex() + "}]}\n")["s"][0]
		if _, _, err := read(t, a); errors.Is(err, fetch.ErrRefused) != refused {
			t.Errorf("%s, pinned: %v", path, err)
		}
	}
	// The name in the mirror decides, not the script that sends the file.
	up.Put("/get.php", []byte(page))
	a = s.mustPlan("- {name: s, urls: [{url: " + up.URL("/get.php?id=7") + ", path: vendor/driver}]}\n")["s"][0]
	if _, _, err := read(t, a); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("a driver by a script: %v", err)
	}
	up.Put("/x.tar.gz", []byte("\x1f\x8b<html>"))
	if _, _, err := read(t, s.mustPlan("- {name: s, urls: [" + up.URL("/x.tar.gz") + "]}\n")["s"][0]); err != nil {
		t.Errorf("an archive: %v", err)
	}
}

// TestMoving: content of a URL that is meant to change is taken as it is, without any
// flag, and the change is said; the others stay pinned.
func TestMoving(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/latest", []byte("x"))
	up.Put("/fixed", []byte("x"))
	text := "- {name: s, urls: [{url: " + up.URL("/latest") + ", moving: true}, " + up.URL("/fixed") + "]}\n"
	if err := s.collect(s.mustPlan(text)); err != nil {
		t.Fatal(err)
	}
	if err := s.env.Lock.Save(); err != nil {
		t.Fatal(err)
	}
	s.lock(false)
	if a := find(t, s.mustPlan(text)["s"], hostPath(up)+"/latest"); a.Evidence.Vouched != bundle.VouchedNone || a.File.Digest != sumX {
		t.Errorf("unchanged: %+v %+v", a.File, a.Evidence)
	}
	up.Put("/latest", []byte("another"))
	if err := s.collect(s.mustPlan(text)); err != nil {
		t.Fatal(err)
	}
	changed := s.env.Lock.Changed()
	if len(changed) != 1 || changed[0].URL != up.URL("/latest") || changed[0].Old.Digest != sumX {
		t.Errorf("changed: %+v", changed)
	}
	up.Put("/fixed", []byte("another"))
	if _, err := s.plan(text); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "/fixed") {
		t.Errorf("a pinned one: %v", err)
	}
	for _, pin := range []string{"sha256: " + sumX.Hex(), "sha512: " + hex512("x")} {
		if _, err := s.plan("- {name: s, urls: [{url: " + up.URL("/latest") + ", moving: true, " + pin + "}]}\n"); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "moving") {
			t.Errorf("%s: %v", pin, err)
		}
	}
}

// TestPackedOnTheWay: content of a pinned URL that is packed on its way is found by its digest, and
// its size is known when it is opened: nobody has to copy it once more to find that out.
func TestPackedOnTheWay(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	content := strings.Repeat("a line that is packed well\n", 1000)
	up.Put("/d/x", []byte(content))
	up.FailAlways("/d/x", upstreamtest.Packed("gzip", func(b []byte) []byte {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(b) // a buffer takes everything
		_ = w.Close()
		return packed.Bytes()
	}))
	a := find(t, s.mustPlan("- {name: s, urls: [{url: " + up.URL("/d/x") + ", sha256: " + bundle.DigestOf([]byte(content)).Hex() + "}]}\n")["s"], hostPath(up)+"/d/x")
	got, c, err := read(t, a)
	if err != nil || string(got) != content || c.Size != int64(len(content)) || a.File.Size != -1 {
		t.Errorf("%d bytes, size %d, planned %d: %v", len(got), c.Size, a.File.Size, err)
	}
}

// TestMessage: other forms of pages, and of messages under the name of a packed file.
func TestMessage(t *testing.T) {
	utf16 := func(text string, first, second byte) string {
		out := []byte{first, second}
		for _, c := range []byte(text) {
			if pair := []byte{c, 0}; first == 0xff {
				out = append(out, pair...)
			} else {
				out = append(out, 0, c)
			}
		}
		return string(out)
	}
	for _, test := range []struct {
		path, content string
		refused       bool
	}{
		{"kubectl", "\xef\xbb\xbf\r\n<!doctype HTML>", true},
		{"kubectl", "<?xml version=\"1.0\"?>\n<!-- a --> <!-- b -->\n<html xmlns=\"x\">", true},
		{"kubectl", "<HEAD><title>x", true},
		{"kubectl", utf16("<!DOCTYPE html>", 0xff, 0xfe), true},
		{"kubectl", utf16("<html>", 0xfe, 0xff), true},
		{"x.zip", "\xef\xbb\xbf<script>location='/login'</script>", true},
		{"x.zip", utf16("<p>gone", 0xff, 0xfe), true},
		{"x.deb", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", true},
		{"x.tar.zst", " {\"error\": \"sign in\"}", true},
		{"x.whl", "", true},
		{"x.md", "<p align=center>", false}, {"x.xml", "<?xml version=\"1.0\"?><!-- <html> --><a/>", false},
		{"x.json", "{}", false}, {"empty", "", false}, {"x.tar", "", false}, {"x.asc", "", false},
		{"x", "<!-- never ends <html>", false}, {"x", "<?xml <html>", false}, {"x", "<", false}, {"x", "\xff\xfe<", false}, {"x", "<htm", false},
	} {
		r := &remote{path: test.path}
		if got := r.refuses([]byte(test.content), false); (got != "") != test.refused {
			t.Errorf("%s %.40q: got %q", test.path, test.content, got)
		}
	}
}
