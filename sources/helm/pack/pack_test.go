package pack

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
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
)

const chartYAML = "apiVersion: v2\nname: app\nversion: 1.2.3\n"

func files(more ...string) map[string]string {
	all := map[string]string{"Chart.yaml": chartYAML}
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// TestRead: names, versions, libraries, both forms of dependencies.
func TestRead(t *testing.T) {
	inner := helmtest.Package(t, "db", map[string]string{"Chart.yaml": "apiVersion: v1\nname: db\nversion: 1.5.0\n"})
	for name, c := range map[string]struct {
		files map[string]string
		want  string // of the error; "": none
	}{
		"plain":                 {files(), ""},
		"a folder inside":       {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 1.x}]", "charts/db/Chart.yaml", "apiVersion: v1\nname: db\nversion: 1.5.0\n"), ""},
		"a package inside":      {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: ^1.4}]", "charts/db-1.5.0.tgz", string(inner)), ""},
		"an alias":              {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 1.5.0, alias: one}, {name: db, version: 1.5.0, alias: two}]", "charts/db-1.5.0.tgz", string(inner)), ""},
		"version 1":             {files("Chart.yaml", "apiVersion: v1\nname: app\nversion: 1.2.3\n", "requirements.yaml", "dependencies: [{name: db, version: 1.x}]", "requirements.lock", "dependencies: [{name: db, version: 1.5.0}]", "charts/db-1.5.0.tgz", string(inner)), ""},
		"missing":               {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 1.x}]"), "chart app 1.2.3: dependency db 1.x is not in its charts/"},
		"another version":       {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 2.x}]", "charts/db-1.5.0.tgz", string(inner)), "dependency db 2.x"},
		"missing, version 1":    {files("requirements.yaml", "dependencies: [{name: db, version: 1.x}]"), "dependency db 1.x"},
		"another in the lock":   {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 1.x}]", "Chart.lock", "dependencies: [{name: db, version: 1.4.0}]", "charts/db-1.5.0.tgz", string(inner)), "dependency db 1.4.0"},
		"ignored by helm":       {files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 1.x}]", "charts/_db/Chart.yaml", "name: db\nversion: 1.5.0\n"), "dependency db 1.x"},
		"no Chart.yaml":         {map[string]string{"values.yaml": ""}, "no Chart.yaml"},
		"name ..":               {files("Chart.yaml", "apiVersion: v2\nname: ..\nversion: 1.2.3\n"), "name of a chart"},
		"name .":                {files("Chart.yaml", "apiVersion: v2\nname: .\nversion: 1.2.3\n"), "name of a chart"},
		"name with slash":       {files("Chart.yaml", "apiVersion: v2\nname: a/b\nversion: 1.2.3\n"), "name of a chart"},
		"name of 300 bytes":     {files("Chart.yaml", "apiVersion: v2\nname: "+strings.Repeat("a", 300)+"\nversion: 1.2.3\n"), "name of a chart"},
		"version with slash":    {files("Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.2.3-a/b\n"), "version of a chart"},
		"no version":            {files("Chart.yaml", "apiVersion: v2\nname: a\n"), "version of a chart"},
		"no YAML":               {files("Chart.yaml", "a: [\n"), "Chart.yaml"},
		"large Chart.yaml":      {files("Chart.yaml", strings.Repeat("#", maxMetadata+1)), "Chart.yaml: more than"},
		"large file":            {files("big", strings.Repeat("x", MaxFile+1)), "bytes, at most 5242880"},
		"broken package inside": {files("charts/db-1.tgz", "no gzip"), "charts/db-1.tgz"},
	} {
		got, err := Read(bytes.NewReader(helmtest.Package(t, "app", c.files)))
		switch {
		case c.want == "" && (err != nil || got.Name != "app" || got.Version != "1.2.3" || got.Made.IsZero()):
			t.Errorf("%s: %+v %v", name, got, err)
		case c.want != "" && (!errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestHostile: what no tool packs is refused.
func TestHostile(t *testing.T) {
	file := func(name string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(chartYAML))}
	}
	chart := file("app/Chart.yaml")
	link := tar.Header{Name: "app/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}
	hard := tar.Header{Name: "app/link", Typeflag: tar.TypeLink, Linkname: "app/Chart.yaml"}
	device := tar.Header{Name: "app/device", Typeflag: tar.TypeChar}
	for name, headers := range map[string][]tar.Header{
		"traversal":           {chart, file("app/../../etc/x")},
		"traversal, win":      {chart, file(`app\..\x`)},
		"absolute":            {chart, file("/app/x")},
		"a drive":             {chart, file("app/c:/x")},
		"not in a folder":     {chart, file("x")},
		"a link":              {chart, link},
		"a hard link":         {chart, hard},
		"a device":            {chart, device},
		"two Chart.yaml":      {chart, chart},
		"two by case of dots": {chart, file("app/./Chart.yaml")},
	} {
		contents := map[string]string{}
		for _, h := range headers {
			if h.Typeflag == tar.TypeReg {
				contents[h.Name] = chartYAML
			}
		}
		if got, err := Read(bytes.NewReader(helmtest.Tar(t, headers, contents))); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// TestBomb: what unpacks to more than a chart may have is refused before it is unpacked, inside of packages too.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	chunk := bytes.Repeat([]byte{'x'}, MaxFile)
	for i := range MaxChart/MaxFile + 1 {
		if err := w.WriteHeader(&tar.Header{Name: "app/" + strings.Repeat("f", i+1), Typeflag: tar.TypeReg, Size: MaxFile}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	_ = z.Close()
	if _, err := Read(bytes.NewReader(b.Bytes())); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "more than 104857600 bytes") {
		t.Error(err)
	}
	packed := helmtest.Package(t, "app", files("charts/x.tgz", b.String()))
	if _, err := Read(bytes.NewReader(packed)); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
	nested := helmtest.Package(t, "app", files())
	for range maxNesting + 2 {
		nested = helmtest.Package(t, "app", files("charts/app.tgz", string(nested)))
	}
	if _, err := Read(bytes.NewReader(nested)); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
	// zeros after the end of the archive
	b.Reset()
	z = gzip.NewWriter(&b)
	plain, err := gzip.NewReader(bytes.NewReader(helmtest.Package(t, "app", files())))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(z, plain)
	for range 105 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	if _, err := Read(bytes.NewReader(b.Bytes())); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
}

// TestReader: an error of the connection is not the package's fault.
func TestReader(t *testing.T) {
	broken := errors.New("connection lost")
	content := helmtest.Package(t, "app", files())
	for _, n := range []int{0, 5, len(content) / 2} {
		_, err := Read(io.MultiReader(bytes.NewReader(content[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, n := range []int{0, 5, len(content) / 2} {
		if _, err := Read(bytes.NewReader(content[:n])); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestSum: sums of provenance files and indexes.
func TestSum(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for text, ok := range map[string]bool{
		"name: x\n\n...\nfiles:\n  a-1.tgz: sha256:" + hex + "\n":             true,
		"name: x\r\n\r\n...\r\nfiles:\r\n  a-1.tgz: sha256:" + hex + "\r\n":   true,
		"name: x\n...\nfiles: {a-1.tgz: SHA256:" + strings.ToUpper(hex) + "}": true,
		"name: x\n...\nfiles: {b-1.tgz: sha256:" + hex + "}":                  false,
		"name: x\n...\nfiles: {a-1.tgz: sha512:" + hex + "}":                  false,
		"name: x\n...\nfiles: [":                                              false,
		"files: {a-1.tgz: sha256:" + hex + "}":                                false,
	} {
		d, err := Sum([]byte(text), "a-1.tgz")
		if ok != (err == nil && d.Hex() == hex) || !ok && !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%q: %s %v", text, d, err)
		}
	}
}

// FuzzRead: no package makes the reader panic, or gives a chart with a name that is none.
func FuzzRead(f *testing.F) {
	f.Add(helmtest.Package(f, "app", files("Chart.yaml", chartYAML+"dependencies: [{name: db, version: 1.x}]", "charts/db/Chart.yaml", "name: db\nversion: 1.5.0\n")))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := Read(bytes.NewReader(content))
		switch {
		case err == nil && (CheckName(c.Name) != nil || CheckVersion(c.Version) != nil || bundle.CheckPath(File(c.Name, c.Version)) != nil):
			t.Errorf("%+v", c)
		case err != nil && !errors.Is(err, bundle.ErrMalformed):
			t.Error(err)
		}
	})
}

// FuzzSum: no provenance file makes the reader panic.
func FuzzSum(f *testing.F) {
	f.Add([]byte("a: b\n...\nfiles: {a-1.tgz: sha256:00}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Sum(text, "a-1.tgz"); err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
	})
}
