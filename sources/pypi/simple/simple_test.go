package simple

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

const where = "https://host.example/simple/foo/"

func TestParseBothForms(t *testing.T) {
	reason := "broken <badly>"
	empty := ""
	files := []*piptest.File{
		piptest.Wheel{Name: "foo", Version: "1.0", RequiresPython: ">=3.8,<4"}.Build(t),
		piptest.Wheel{Name: "foo", Version: "2.0"}.Build(t),
		piptest.Sdist(t, "foo", "2.0", map[string]string{"PKG-INFO": "x"}),
	}
	files[1].Yanked, files[1].NoMetadata, files[2].Yanked, files[2].NoHash = &reason, true, &empty, true
	fromHTML, err := Parse("text/html; charset=utf-8", where, []byte(piptest.HTML("foo", files)))
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := Parse(JSONType, where, piptest.JSON("foo", files))
	if err != nil {
		t.Fatal(err)
	}
	for i := range fromJSON.Files {
		if fromJSON.Files[i].Size != int64(len(files[i].Content)) {
			t.Error("size", fromJSON.Files[i].Size)
		}
		fromJSON.Files[i].Size = -1
	}
	if !reflect.DeepEqual(fromHTML.Files, fromJSON.Files) {
		t.Errorf("%+v\n%+v", fromHTML.Files, fromJSON.Files)
	}
	first := fromHTML.Files[0]
	want := File{
		Name: files[0].Name, URL: "https://host.example/files/" + files[0].Name, SHA256: files[0].Digest(), Size: -1, RequiresPython: ">=3.8,<4",
		HasMetadata: true, MetadataSHA256: piptest.Digest(files[0].Metadata),
	}
	if first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	if f := fromHTML.Files[1]; !f.Yanked || f.YankedReason != reason || f.HasMetadata {
		t.Errorf("%+v", f)
	}
	if f := fromHTML.Files[2]; !f.Yanked || f.SHA256 != "" {
		t.Errorf("%+v", f)
	}
}

func TestHTML(t *testing.T) {
	p, err := Parse("application/vnd.pypi.simple.v1+html", where, []byte(`<!doctype html><html><head><base href="https://other.example/deep/">
<meta name="pypi:repository-version" content="1.4"><meta name="pypi:project-status" content="archived"><meta name="pypi:tracks" content="https://x.example/simple/foo/">
</head><body><A HREF="a%2B1/foo-1.0.zip#md5=x&sha256=`+strings.Repeat("AB", 32)+`">text that says nothing</A><a name=x>no link</a>
<a href="javascript:alert(1)">x</a><a href="file:///etc/passwd">x</a><a href="//third.example/foo-2.zip">y</a><a href="foo-3.zip" data-dist-info-metadata="true" data-requires-python="&gt;=3.6">z</a><a href="https:">w</a>`))
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, f := range p.Files {
		urls = append(urls, f.URL)
	}
	want := []string{"https://other.example/deep/a%2B1/foo-1.0.zip", "https://third.example/foo-2.zip", "https://other.example/deep/foo-3.zip"}
	if !reflect.DeepEqual(urls, want) || p.Status != "archived" || len(p.Tracks) != 1 || p.Files[0].SHA256 != strings.Repeat("ab", 32) || p.Files[2].RequiresPython != ">=3.6" || !p.Files[2].HasMetadata {
		t.Errorf("%q %+v", urls, p)
	}
}

func TestPageRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"application/json", "{}"}, {"", "x"}, {"text/plain", "x"}, {JSONType, "{"}, {JSONType, `{"meta":{"api-version":"2.0"},"files":[]}`},
		{TextHTML, `<meta name="pypi:repository-version" content="2.0">`}, {JSONType, `{"files":[{"url":"https://x.example/a","hashes":{"sha256":"zz"}}]}`},
		{TextHTML, `<a href="https://x.example/a#sha256=../..">`}, {JSONType, `{"files":"x"}`}, {TextHTML, "<a href=" + strings.Repeat("x", 2<<20) + ">"},
		{JSONType, `{"files":[` + strings.Repeat(`{"url":"https://x.example/a"},`, MaxFiles) + `{"url":"https://x.example/a"}]}`},
	} {
		if _, err := Parse(c[0], where, []byte(c[1])); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s %.60s: %v", c[0], c[1], err)
		}
	}
}

// What is written is read again as the same.
func TestWrite(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	links := []Link{
		{Name: "foo-1.0+x-py3-none-any.whl", SHA256: digest, Href: "../../files/ab/" + digest + "/foo-1.0+x-py3-none-any.whl", Size: 7, RequiresPython: ">=3.8,<4", MetadataSHA256: digest},
		{Name: "foo-2!1.0.tar.gz", SHA256: digest, Href: "../../files/ab/" + digest + "/foo-2!1.0.tar.gz", Size: 8, Yanked: true, YankedReason: `"<&>'`},
		{Name: "foo-3.tar.gz", SHA256: digest, Href: "../../files/ab/" + digest + "/foo-3.tar.gz", Size: -1, Yanked: true},
	}
	page, err := JSON("foo", []string{"1.0+x", "2!1.0", "3"}, links)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(page), `"size"`) != 2 {
		t.Errorf("a size that is not known is on the page:\n%s", page)
	}
	fromJSON, err := Parse(JSONType, "https://m.example/pypi/s/simple/foo/", page)
	if err != nil {
		t.Fatal(err)
	}
	fromHTML, err := Parse(TextHTML, "https://m.example/pypi/s/simple/foo/", HTML("foo", links))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fromHTML.Files {
		l := links[i]
		want := File{Name: l.Name, URL: "https://m.example/pypi/s/files/ab/" + digest + "/" + strings.ReplaceAll(l.Name, "!", "%21"), SHA256: digest, Size: -1, RequiresPython: l.RequiresPython, Yanked: l.Yanked, YankedReason: l.YankedReason, HasMetadata: l.MetadataSHA256 != "", MetadataSHA256: l.MetadataSHA256}
		if f != want {
			t.Errorf("%+v, want %+v", f, want)
		}
		want.Size = l.Size
		if fromJSON.Files[i] != want {
			t.Errorf("%+v, want %+v", fromJSON.Files[i], want)
		}
	}
}

func TestParseMetadata(t *testing.T) {
	m, err := ParseMetadata([]byte("Metadata-Version: 2.2\r\nName: Foo.Bar\nVersion: 1.0\nRequires-Dist: a (>=1)\nRequires-Dist: b;\n  extra == \"X_y\"\nProvides-Extra: X_y\nRequires-Python: not valid\nDynamic: License\n\nRequires-Dist: c\n"))
	if err != nil || m.Name != "foo-bar" || m.Release.String() != "1.0" || len(m.Requires) != 2 || m.Extras[0] != "x-y" || len(m.RequiresPython) != 0 || !m.StaticDependencies() {
		t.Errorf("%+v, %v", m, err)
	}
	for _, text := range []string{"", "Name: a\n", "Version: 1\n", "Name: a/b\nVersion: 1\n", "Name: a\nVersion: x\n", "Name: a\nVersion: 1\nRequires-Dist: >=1\n"} {
		if m, err := ParseMetadata([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %+v, %v", text, m, err)
		}
	}
	for text, want := range map[string]bool{"Metadata-Version: 2.1\n": false, "Metadata-Version: 2.4\nDynamic: Requires-Dist\n": false, "Metadata-Version: 2.4\n": true, "": false} {
		m, err := ParseMetadata([]byte("Name: a\nVersion: 1\n" + text))
		if err != nil || m.StaticDependencies() != want {
			t.Errorf("%q: %t, %v", text, m.StaticDependencies(), err)
		}
	}
}

func zipOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWheelMetadata(t *testing.T) {
	good := piptest.Wheel{Name: "foo", Version: "1"}.Build(t)
	content, err := WheelMetadata(bytes.NewReader(good.Content), int64(len(good.Content)))
	if err != nil || !bytes.Equal(content, good.Metadata) {
		t.Errorf("%q, %v", content, err)
	}
	for name, broken := range map[string][]byte{
		"no zip": []byte("hello"), "empty": {}, "cut": good.Content[:len(good.Content)/2], "no METADATA": zipOf(t, "a.dist-info/WHEEL", "x"),
		"two":    zipOf(t, "a.dist-info/METADATA", "x", "b.dist-info/METADATA", "y"),
		"a bomb": zipOf(t, "a.dist-info/METADATA", strings.Repeat("a", MaxMetadata+1)),
	} {
		if _, err := WheelMetadata(bytes.NewReader(broken), int64(len(broken))); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadSdist(t *testing.T) {
	one := piptest.Sdist(t, "foo", "1", map[string]string{"PKG-INFO": "Name: foo\n", "pyproject.toml": "[build-system]\nrequires = ['flit-core>=3']\n"})
	s, err := ReadSdist(one.Name, bytes.NewReader(one.Content), int64(len(one.Content)))
	if err != nil || string(s.PKGInfo) != "Name: foo\n" || len(s.Build) != 1 || s.Build[0].String() != "flit-core>=3" {
		t.Errorf("%+v, %v", s, err)
	}
	old := zipOf(t, "foo-1/PKG-INFO", "Name: foo\n", "foo-1/sub/PKG-INFO", "Name: bar\n")
	s, err = ReadSdist("foo-1.zip", bytes.NewReader(old), int64(len(old)))
	if err != nil || string(s.PKGInfo) != "Name: foo\n" || len(s.Build) != 2 || s.Build[1].Name != "wheel" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, broken := range map[string][]byte{
		"foo-1.tar.gz": []byte("hello"), "foo-2.zip": []byte("hello"), "foo-3.tar.xz": {}, "foo-4.tar.gz": one.Content[:len(one.Content)/2],
		"foo-5.zip": zipOf(t, "foo-5/pyproject.toml", "[build-system]\nrequires = ['>=1']\n"),
	} {
		if _, err := ReadSdist(name, bytes.NewReader(broken), int64(len(broken))); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSdistBomb(t *testing.T) {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	if err := w.WriteHeader(&tar.Header{Name: "foo-1/PKG-INFO", Size: MaxMetadata + 1, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, MaxMetadata+1)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSdist("foo-1.tar.gz", bytes.NewReader(b.Bytes()), int64(b.Len())); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func FuzzPage(f *testing.F) {
	f.Add(TextHTML, []byte(`<base href="x/"><a href="foo-1.zip#sha256=`+strings.Repeat("ab", 32)+`" data-yanked data-core-metadata="sha256=x">foo</a>`))
	f.Add(JSONType, []byte(`{"meta":{"api-version":"1.0"},"files":[{"filename":"a","url":"b","hashes":{},"yanked":"x","core-metadata":{"sha256":"y"}}]}`))
	f.Fuzz(func(t *testing.T, media string, content []byte) {
		p, err := Parse(media, where, content)
		if err != nil {
			return
		}
		for _, file := range p.Files {
			if !strings.HasPrefix(file.URL, "http") || file.SHA256 != "" && !isDigest(file.SHA256) {
				t.Fatalf("%+v", file)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte("Metadata-Version: 2.1\nName: a\nVersion: 1\nRequires-Dist: b; extra == 'c'\n\nbody"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if m, err := ParseMetadata(content); err == nil && (m.Name == "" || m.Release.IsZero()) {
			t.Fatalf("%+v", m)
		}
	})
}

func FuzzWheel(f *testing.F) {
	f.Add(zipOf(f, "a.dist-info/METADATA", "Name: a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if b, err := WheelMetadata(bytes.NewReader(content), int64(len(content))); err == nil && len(b) > MaxMetadata {
			t.Fatal(len(b))
		}
	})
}

func FuzzSdist(f *testing.F) {
	f.Add("a.zip", zipOf(f, "a-1/PKG-INFO", "Name: a\n", "a-1/pyproject.toml", "[build-system]\nrequires = []\n"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if s, err := ReadSdist(name, bytes.NewReader(content), int64(len(content))); err == nil && len(s.PKGInfo) > MaxMetadata {
			t.Fatal(len(s.PKGInfo))
		}
	})
}
