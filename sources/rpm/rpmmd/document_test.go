package rpmmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

const primaryXML = `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
<!-- <package> in a comment --><package type="rpm">
  <name>hello</name><arch>x86_64</arch><version epoch="1" ver="2.10" rel="1"/>
  <checksum type="sha256" pkgid="YES">00000000000000000000000000000000000000000000000000000000000000aa</checksum>
  <summary>a &lt;b&gt;</summary><description><![CDATA[</package><location href="evil"/>]]></description><packager/><url/>
  <time file="1790000000.5" build="1780000000"/><size package="10" installed="20" archive="30"/>
  <location href="Packages/h/hello.rpm"/>
  <format><rpm:license>MIT</rpm:license><rpm:vendor/><rpm:group>g</rpm:group><rpm:buildhost/><rpm:sourcerpm>hello.src.rpm</rpm:sourcerpm><rpm:header-range start="1" end="2"/>
  <rpm:provides><rpm:entry name="hello" flags="EQ" epoch="1" ver="2.10" rel="1"/></rpm:provides>
  <rpm:requires><rpm:entry name="/bin/sh" pre="1"/><rpm:entry name="(a if b)"/></rpm:requires>
  <file>/usr/bin/hello</file><file type="dir">/etc/hello</file></format>
</package>
<package type="rpm"><name>src</name><arch>src</arch><version epoch="0" ver="1" rel="1"/><checksum type="sha1" pkgid="YES">00000000000000000000000000000000000000bb</checksum><size package="1"/><location xml:base="https://b.example/x" href="y.rpm"></location></package>
</metadata>
`

func packages(t testing.TB, text string, detail Detail) ([]*Package, error) {
	t.Helper()
	var all []*Package
	for p, err := range Primary(strings.NewReader(text), detail, &Interner{}) {
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func TestPrimary(t *testing.T) {
	all, err := packages(t, primaryXML, Relations)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d packages, %v", len(all), err)
	}
	p := all[0]
	if p.NEVRA() != "hello-1:2.10-1.x86_64" || p.Location != "Packages/h/hello.rpm" || p.PackageSize != 10 || p.SourceRPM != "hello.src.rpm" || !slices.Equal(p.Files, []string{"/usr/bin/hello", "/etc/hello"}) {
		t.Errorf("%+v", p)
	}
	if len(p.Provides) != 1 || p.Provides[0].String() != "hello = 1:2.10-1" || len(p.Requires) != 2 || p.Requires[0].Name != "/bin/sh" || p.Requires[1].Name != "(a if b)" {
		t.Errorf("relations %v %v", p.Provides, p.Requires)
	}
	if q := all[1]; !q.IsSource() || q.Checksum.Type != "sha" || q.BaseURL != "https://b.example/x" || q.Location != "y.rpm" {
		t.Errorf("%+v", q)
	}
}

func TestFilterPrimary(t *testing.T) {
	var b bytes.Buffer
	err := FilterPrimary(&b, strings.NewReader(primaryXML), 2, func(_ Checksum, href, base string) (string, bool) {
		if base != "" {
			return "there & here.rpm", true
		}
		return href, true
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := packages(t, b.String(), Relations)
	if err != nil || len(all) != 2 || all[1].Location != "there & here.rpm" || all[1].BaseURL != "" {
		t.Fatalf("%v, %v\n%s", all, err, b.String())
	}
	from := strings.Index(primaryXML, "<package type")
	one := primaryXML[from : strings.Index(primaryXML, "\n</package>")+len("\n</package>")]
	if !strings.Contains(b.String(), one) {
		t.Errorf("not byte for byte:\n%s", b.String())
	}
	err = FilterPrimary(io.Discard, strings.NewReader(primaryXML), 3, func(_ Checksum, href, _ string) (string, bool) { return href, true })
	if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "2 of 3") {
		t.Errorf("got %v", err)
	}
}

// A text without an end does not fill memory.
func TestLargeElement(t *testing.T) {
	for _, most := range []int{len(primaryXML), 500} {
		d, err := newDocument(strings.NewReader(primaryXML), "metadata")
		if err != nil {
			t.Fatal(err)
		}
		d.in.most = most
		for err == nil {
			_, err = d.next()
		}
		if most == 500 && (!errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "more than 500 bytes")) || most > 500 && err != io.EOF {
			t.Errorf("%d bytes: got %v", most, err)
		}
	}
}

func TestFindFiles(t *testing.T) {
	const text = `<filelists packages="1"><package pkgid="AB" name="a" arch="x"><version epoch="0" ver="1" rel="1"/><file>/opt/a</file><file type="dir">/opt</file><file>/opt/b</file></package></filelists>`
	var found []string
	err := FindFiles(strings.NewReader(text), map[string]bool{"/opt": true, "/opt/b": true}, func(id, path string) error { found = append(found, id+path); return nil })
	if err != nil || !slices.Equal(found, []string{"ab/opt", "ab/opt/b"}) {
		t.Errorf("%v, %v", found, err)
	}
}

const repomdXML = `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision> 17 </revision><tags><distro cpeid="cpe:/o:a">A &amp; B</distro><content>x</content></tags>
<data type="primary"><checksum type="sha256">00000000000000000000000000000000000000000000000000000000000000aa</checksum><open-checksum type="sha512">` +
	`00000000000000000000000000000000000000000000000000000000000000aa00000000000000000000000000000000000000000000000000000000000000aa</open-checksum><location href="repodata/primary.xml.gz"/><timestamp>1790000000.17</timestamp><size>12</size><open-size>34</open-size><header-checksum type="sha256">00</header-checksum></data>
<data type="other"><checksum type="sha">00000000000000000000000000000000000000bb</checksum><location xml:base="x" href="o"/></data></repomd>`

func TestRepomd(t *testing.T) {
	r, err := ParseRepomd([]byte(repomdXML))
	if err != nil {
		t.Fatal(err)
	}
	p, o := r.Find("primary"), r.Find("other")
	if r.Revision != "17" || len(r.Tags) != 2 || r.Tags[0] != (Tag{"distro", "cpe:/o:a", "A & B"}) || p.Size != 12 || p.OpenSize != 34 || p.Timestamp != 1790000000 || o.Size != -1 || o.BaseURL != "x" || r.Newest() != 1790000000 {
		t.Errorf("%+v", r)
	}
	o.BaseURL, o.Size = "", 1
	again, err := ParseRepomd(r.Marshal())
	if err != nil || again.Revision != r.Revision || !slices.Equal(again.Tags, r.Tags) || !slices.Equal(again.Data, r.Data) {
		t.Errorf("%+v, %v\n%s", again, err, r.Marshal())
	}
	for name, text := range map[string]string{
		"twice":       strings.Replace(repomdXML, `type="other"`, `type="primary"`, 1),
		"no location": strings.Replace(repomdXML, `href="o"`, "", 1),
		"no checksum": strings.Replace(repomdXML, "00bb<", "00b<", 1),
		"cut off":     repomdXML[:300],
		"nothing":     "",
		"html":        "<html><body>404</body></html>",
	} {
		if _, err := ParseRepomd([]byte(text)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

const groupsText = `<comps><group><id>a</id><packagelist><packagereq>x</packagereq><packagereq>y</packagereq></packagelist></group><environment><id>e</id><grouplist><groupid>a</groupid><groupid>b</groupid></grouplist></environment></comps>`

// TestManyGroups: what is held of groups is bounded.
func TestManyGroups(t *testing.T) {
	group := func(i, name int) string {
		return fmt.Sprintf("<group><id>%d%s</id><packagelist><packagereq>x</packagereq></packagelist></group>", i, strings.Repeat("a", name))
	}
	for want, test := range map[string]struct{ n, name int }{"groups and packages": {maxGroups + 1, 0}, "bytes of names": {5000, 10_000}} {
		var b strings.Builder
		b.WriteString("<comps>")
		for i := range test.n {
			b.WriteString(group(i, test.name))
		}
		b.WriteString("</comps>")
		_, err := ParseGroups(strings.NewReader(b.String()))
		open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b.String())), nil }
		_, again := FilterGroups(io.Discard, open, func(string) bool { return true })
		for _, err := range []error{err, again} {
			if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}

func FuzzGroups(f *testing.F) {
	f.Add([]byte(groupsText))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		if _, err := FilterGroups(&b, open, func(name string) bool { return name != "y" }); err != nil {
			return
		}
		again := b.Bytes()
		open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(again)), nil }
		var c bytes.Buffer
		if _, err := FilterGroups(&c, open, func(string) bool { return true }); err != nil {
			t.Errorf("%v in\n%s", err, again)
		}
	})
}

func FuzzUpdates(f *testing.F) {
	f.Add([]byte(`<updates><update><id>a</id><pkglist><collection><package name="x" version="1" release="2" epoch="0" arch="z"><filename>f</filename></package><package name="y"/></collection></pkglist></update></updates>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		n, err := FilterUpdates(&b, bytes.NewReader(text), func(name string, _ EVR, _ string) bool { return name != "y" })
		if err != nil {
			return
		}
		again, err := FilterUpdates(io.Discard, bytes.NewReader(b.Bytes()), func(string, EVR, string) bool { return true })
		if err != nil || n != again {
			t.Errorf("%d and then %d, %v in\n%s", n, again, err, b.String())
		}
	})
}

// FuzzPrimary: what is copied is read as what was read before.
func FuzzPrimary(f *testing.F) {
	f.Add(primaryXML)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := packages(t, text, Relations)
		if err != nil {
			return
		}
		var b bytes.Buffer
		err = FilterPrimary(&b, strings.NewReader(text), len(all), func(_ Checksum, href, _ string) (string, bool) { return href, true })
		if err != nil {
			t.Fatal(err)
		}
		again, err := packages(t, b.String(), Relations)
		if err != nil || len(again) != len(all) {
			t.Fatalf("%d of %d, %v in\n%s", len(again), len(all), err, b.String())
		}
		for i, p := range all {
			if q := again[i]; p.NEVRA() != q.NEVRA() || p.Location != q.Location || q.BaseURL != "" || p.Checksum != q.Checksum || len(p.Requires) != len(q.Requires) {
				t.Errorf("%+v and then %+v", p, q)
			}
		}
	})
}

func FuzzRepomd(f *testing.F) {
	f.Add([]byte(repomdXML))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRepomd(text)
		if err != nil {
			return
		}
		for i := range r.Data {
			r.Data[i].BaseURL = ""
			r.Data[i].Size = max(r.Data[i].Size, 0)
		}
		again, err := ParseRepomd(r.Marshal())
		if err != nil || !slices.Equal(again.Data, r.Data) {
			t.Errorf("%+v and then %+v, %v", r, again, err)
		}
	})
}

func FuzzMetalink(f *testing.F) {
	f.Add([]byte(`<metalink><files><file name="repomd.xml"><size>1</size><verification><hash type="sha256">00000000000000000000000000000000000000000000000000000000000000aa</hash></verification><mm0:alternates xmlns:mm0="x"><mm0:alternate><size>2</size></mm0:alternate></mm0:alternates><resources><url preference="2">http://a.example/</url></resources></file></files></metalink>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMetalink(text)
		if err != nil {
			return
		}
		if _, ok := m.Current.Strongest(); !ok {
			t.Error("without a checksum")
		}
	})
}

func FuzzDeltas(f *testing.F) {
	f.Add([]byte(`<prestodelta><newpackage name="a"><delta><filename>d.drpm</filename><size>5</size><checksum type="sha256">00000000000000000000000000000000000000000000000000000000000000aa</checksum></delta></newpackage></prestodelta>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for d, err := range Deltas(bytes.NewReader(text)) {
			if err == nil && d.Checksum.Hex == "" {
				t.Error("without a checksum")
			}
		}
	})
}
