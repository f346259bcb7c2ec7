package piptest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// File is a file of a project as an index has it.
type File struct {
	Name     string
	Content  []byte
	Metadata []byte // the METADATA of a wheel
	// The index's statements about it.
	RequiresPython string
	Yanked         *string
	NoMetadata     bool // the index offers no .metadata
	NoHash         bool
}

// Digest returns the file's SHA-256 in hexadecimal.
func (f *File) Digest() string { return Digest(f.Content) }

// Digest returns the SHA-256 of content in hexadecimal.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Wheel is a wheel's content. The zero fields are those of a pure module.
type Wheel struct {
	Name, Version  string
	Tag            string // "": py3-none-any
	Requires       []string
	Extras         []string
	RequiresPython string
	// Module is Python code of a module with the project's name.
	Module string
	// Metadata replaces the METADATA that is made of the above.
	Metadata string
}

func day() time.Time { return time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC) }

// underscored returns a project's name in file names.
func underscored(name string) string { return strings.NewReplacer("-", "_", ".", "_").Replace(name) }

func (w Wheel) metadata() string {
	if w.Metadata != "" {
		return w.Metadata
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: made by a test\n", w.Name, w.Version)
	if w.RequiresPython != "" {
		fmt.Fprintf(&b, "Requires-Python: %s\n", w.RequiresPython)
	}
	for _, r := range w.Requires {
		fmt.Fprintf(&b, "Requires-Dist: %s\n", r)
	}
	for _, e := range w.Extras {
		fmt.Fprintf(&b, "Provides-Extra: %s\n", e)
	}
	return b.String() + "\nA description.\nRequires-Dist: not-a-header\n"
}

// Build writes the wheel, the same bytes for the same wheel.
func (w Wheel) Build(t testing.TB) *File {
	t.Helper()
	tag := w.Tag
	if tag == "" {
		tag = "py3-none-any"
	}
	stem := underscored(w.Name) + "-" + w.Version
	info := stem + ".dist-info/"
	module := underscored(w.Name) + ".py"
	files := []struct{ name, content string }{
		{module, fmt.Sprintf("VERSION = %q\n%s", w.Version, w.Module)},
		{info + "METADATA", w.metadata()},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: " + tag + "\n"},
	}
	var record strings.Builder
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	add := func(name, content string) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: day()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		add(f.name, f.content)
		sum := sha256.Sum256([]byte(f.content))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.content))
	}
	add(info+"RECORD", record.String()+info+"RECORD,,\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &File{Name: stem + "-" + tag + ".whl", Content: out.Bytes(), Metadata: []byte(w.metadata()), RequiresPython: w.RequiresPython}
}

// Sdist writes a source archive of files, whose names are relative to its one
// folder.
func Sdist(t testing.TB, name, version string, files map[string]string) *File {
	t.Helper()
	stem := underscored(name) + "-" + version
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	archive := tar.NewWriter(gz)
	for _, file := range []string{"PKG-INFO", "pyproject.toml", "setup.py", underscored(name) + ".py", "backend.py"} {
		content, ok := files[file]
		if !ok {
			continue
		}
		if err := archive.WriteHeader(&tar.Header{Name: stem + "/" + file, Mode: 0o644, Size: int64(len(content)), ModTime: day()}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return &File{Name: stem + ".tar.gz", Content: out.Bytes()}
}
