package tarball

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
)

func sample() *galaxytest.Collection {
	return &galaxytest.Collection{
		Namespace: "acme", Name: "tools", Version: "1.2.3", Dependencies: map[string]string{"acme.base": ">=1.0.0"},
		Files: map[string]string{"plugins/modules/a.py": "pass\n", "plugins/modules/b.py": "pass\n"},
	}
}

func TestRead(t *testing.T) {
	c, err := Read(bytes.NewReader(sample().Archive(t)))
	if err != nil {
		t.Fatal(err)
	}
	if c.FullName() != "acme.tools" || c.Version != "1.2.3" || c.Dependencies["acme.base"] != ">=1.0.0" || c.Files != 6 || string(c.Manifest) != sample().Manifest() {
		t.Errorf("%+v", c)
	}
}

// TestLinks: a link counts as what it leads to, as the builder lists it.
func TestLinks(t *testing.T) {
	for _, kind := range []byte{tar.TypeSymlink, tar.TypeLink} {
		members := sample().Members()
		for i, m := range members {
			if m.Name == "plugins/modules/b.py" {
				members[i] = galaxytest.Member{Name: m.Name, Type: kind, Link: map[byte]string{tar.TypeSymlink: "a.py", tar.TypeLink: "plugins/modules/a.py"}[kind]}
			}
		}
		if _, err := Read(bytes.NewReader(galaxytest.Pack(t, members))); err != nil {
			t.Errorf("%c: %v", kind, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	type members = []galaxytest.Member
	at := func(name string, change func(*galaxytest.Member)) func(members) members {
		return func(all members) members {
			for i := range all {
				if all[i].Name == name {
					change(&all[i])
				}
			}
			return all
		}
	}
	add := func(m galaxytest.Member) func(members) members {
		return func(all members) members { return append(all, m) }
	}
	without := func(name string) func(members) members {
		return func(all members) members {
			var some members
			for _, m := range all {
				if m.Name != name {
					some = append(some, m)
				}
			}
			return some
		}
	}
	replace := func(file, from, to string) func(members) members {
		return at(file, func(m *galaxytest.Member) { m.Content = strings.ReplaceAll(m.Content, from, to) })
	}
	for name, c := range map[string]struct {
		change func(members) members
		names  string
	}{
		"content":               {at("README.md", func(m *galaxytest.Member) { m.Content += "x" }), "README.md"},
		"list":                  {at("FILES.json", func(m *galaxytest.Member) { m.Content += " " }), "FILES.json"},
		"no list":               {without("FILES.json"), "FILES.json"},
		"no manifest":           {without("MANIFEST.json"), "MANIFEST.json"},
		"file missing":          {without("README.md"), "README.md"},
		"folder missing":        {without("plugins/modules"), "plugins/modules"},
		"not listed":            {add(galaxytest.Member{Name: "plugins/evil.py", Content: "x"}), "plugins/evil.py"},
		"twice":                 {add(galaxytest.Member{Name: "README.md", Content: "x"}), "README.md"},
		"traversal":             {add(galaxytest.Member{Name: "../evil", Content: "x"}), "../evil"},
		"absolute":              {add(galaxytest.Member{Name: "/etc/evil", Content: "x"}), "/etc/evil"},
		"link out":              {add(galaxytest.Member{Name: "x", Type: tar.TypeSymlink, Link: "../../etc/passwd"}), "etc/passwd"},
		"absolute link":         {add(galaxytest.Member{Name: "x", Type: tar.TypeSymlink, Link: "/etc/passwd"}), "/etc/passwd"},
		"hard link out":         {add(galaxytest.Member{Name: "x", Type: tar.TypeLink, Link: "../x"}), "../x"},
		"link to itself":        {at("README.md", func(m *galaxytest.Member) { m.Type, m.Link, m.Content = tar.TypeSymlink, "README.md", "" }), "README.md"},
		"link to nothing":       {at("README.md", func(m *galaxytest.Member) { m.Type, m.Link, m.Content = tar.TypeSymlink, "gone", "" }), "gone"},
		"link to other content": {at("README.md", func(m *galaxytest.Member) { m.Type, m.Link, m.Content = tar.TypeSymlink, "meta/runtime.yml", "" }), "README.md"},
		"below a link": {func(all members) members {
			return append(all, galaxytest.Member{Name: "l", Type: tar.TypeSymlink, Link: "plugins"}, galaxytest.Member{Name: "l/a", Content: "x"})
		}, "l/a"},
		"device":           {add(galaxytest.Member{Name: "dev", Type: tar.TypeChar}), "dev"},
		"fifo":             {add(galaxytest.Member{Name: "fifo", Type: tar.TypeFifo}), "fifo"},
		"no namespace":     {replace("MANIFEST.json", `"namespace"`, `"Namespace"`), "namespace"},
		"version a number": {replace("MANIFEST.json", `"1.2.3"`, `1`), "version"},
		"other digest":     {replace("MANIFEST.json", `"sha256"`, `"md5"`), "chksum_type"},
		"manifest no JSON": {at("MANIFEST.json", func(m *galaxytest.Member) { m.Content = "[]" }), "MANIFEST.json"},
		"manifest large":   {at("MANIFEST.json", func(m *galaxytest.Member) { m.Content = strings.Repeat(" ", maxManifest+1) }), "MANIFEST.json"},
		"manifest a link":  {at("MANIFEST.json", func(m *galaxytest.Member) { m.Type, m.Link, m.Content = tar.TypeSymlink, "README.md", "" }), "MANIFEST.json"},
	} {
		_, err := Read(bytes.NewReader(galaxytest.Pack(t, c.change(sample().Members()))))
		if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadCut: an archive that ends anywhere is none, and one whose bytes do not come is the reader's error.
func TestReadCut(t *testing.T) {
	whole := sample().Archive(t)
	for n := range whole {
		if _, err := Read(bytes.NewReader(whole[:n])); !errors.Is(err, bundle.ErrMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := Read(io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(iotest.ErrTimeout))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader's own error: %v", err)
	}
}

// zeros returns an archive with one file of so many zeros: gzip streams may follow each other.
func zeros(t *testing.T, n int64) io.Reader {
	t.Helper()
	const part = 16 << 20
	var head, body bytes.Buffer
	packed := gzip.NewWriter(&head)
	archive := tar.NewWriter(packed)
	if err := archive.WriteHeader(&tar.Header{Name: "zeros", Typeflag: tar.TypeReg, Size: n, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	packed.Reset(&body)
	if _, err := packed.Write(make([]byte, part)); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	all := []io.Reader{&head}
	for range n/part + 1 {
		all = append(all, bytes.NewReader(body.Bytes()))
	}
	return io.MultiReader(all...)
}

func TestBomb(t *testing.T) {
	_, err := Read(zeros(t, maxUnpacked+1))
	if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Error(err)
	}
}

func TestVerifier(t *testing.T) {
	whole := sample().Archive(t)
	v := NewVerifier()
	for chunk := whole; len(chunk) > 0; {
		n := min(7, len(chunk))
		if _, err := v.Write(chunk[:n]); err != nil {
			t.Fatal(err)
		}
		chunk = chunk[n:]
	}
	if c, err := v.Verdict(); err != nil || c.FullName() != "acme.tools" {
		t.Errorf("%v, %v", c, err)
	}
	v.Close()
	refused := NewVerifier()
	if n, err := refused.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := refused.Verdict(); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
}

func role() *galaxytest.Role {
	return &galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1", Meta: "dependencies: [acme.bash]\n",
		Files: map[string]string{"meta/requirements.yml": "- acme.more\n", "roles/inner/meta/main.yml": "dependencies: [acme.inner]\n"}}
}

func TestReadRole(t *testing.T) {
	r, err := ReadRole(bytes.NewReader(role().Archive(t)))
	if err != nil || string(r.Main) != "dependencies: [acme.bash]\n" || string(r.More) != "- acme.more\n" {
		t.Errorf("%+v, %v", r, err)
	}
	whole := role().Archive(t)
	for n := range whole {
		if _, err := ReadRole(bytes.NewReader(whole[:n])); !errors.Is(err, bundle.ErrMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	for name, m := range map[string]galaxytest.Member{
		"traversal":     {Name: "../evil", Content: "x"},
		"link out":      {Name: "a/b", Type: tar.TypeSymlink, Link: "../../x"},
		"absolute link": {Name: "a/b", Type: tar.TypeSymlink, Link: "/etc"},
		"large":         {Name: "a/meta/main.yml", Content: strings.Repeat("#", maxMeta+1)},
	} {
		members := []galaxytest.Member{{Name: "r/meta/main.yml", Content: "dependencies: []"}, m}
		if _, err := ReadRole(bytes.NewReader(galaxytest.Pack(t, members))); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), m.Name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadRole(bytes.NewReader(galaxytest.Pack(t, []galaxytest.Member{{Name: "r/README.md"}}))); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	whole := sample().Archive(f)
	f.Add(whole)
	f.Add(role().Archive(f))
	f.Add(galaxytest.Pack(f, append(sample().Members(), galaxytest.Member{Name: "../x", Content: "x"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Read(bytes.NewReader(b))
		if err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%v", err)
		}
		if err == nil && (len(c.Manifest) == 0 || c.Files < 2) {
			t.Errorf("%+v", c)
		}
		if _, err := ReadRole(bytes.NewReader(b)); err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
	})
}

// FuzzDocuments is FuzzRead without the packing, which random bytes never get past.
func FuzzDocuments(f *testing.F) {
	members := sample().Members()
	f.Add([]byte(members[0].Content), []byte(members[1].Content))
	f.Add([]byte(`{"collection_info":{}}`), []byte(`{"files":[{"name":".","ftype":"dir"},null]}`))
	f.Fuzz(func(t *testing.T, manifest, list []byte) {
		if _, _, err := parseManifest(manifest); err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
		files, err := parseList(list)
		if err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
		for name := range files {
			if err := bundle.CheckPath(name); err != nil {
				t.Error(err)
			}
		}
	})
}
