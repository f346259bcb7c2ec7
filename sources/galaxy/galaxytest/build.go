// Package galaxytest is a Galaxy for tests: collections and roles that it builds itself, and a server
// that answers the API of versions 3, 2 and 1 with them.
package galaxytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// Collection is one version of a collection.
type Collection struct {
	Namespace, Name, Version string
	Dependencies             map[string]string
	RequiresAnsible          string
	Files                    map[string]string // more of them; folders are made as needed
	Signatures               []string          // armored, over Manifest
	// Content replaces the archive that Archive makes.
	Content []byte
}

// FullName returns "namespace.name".
func (c *Collection) FullName() string { return c.Namespace + "." + c.Name }

// FileName returns what the archive is called.
func (c *Collection) FileName() string {
	return c.Namespace + "-" + c.Name + "-" + c.Version + ".tar.gz"
}

// Members returns the files of the archive in their order.
func (c *Collection) Members() []Member {
	files := map[string]string{
		"README.md":        "# " + c.FullName() + " " + c.Version + "\n",
		"meta/runtime.yml": "requires_ansible: '" + c.RequiresAnsible + "'\n",
	}
	maps.Copy(files, c.Files)
	folders := map[string]bool{}
	var list []any
	var members []Member
	list = append(list, entry(".", "dir", ""))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for dir := path.Dir(name); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
			list = append(list, entry(dir, "dir", ""))
			members = append(members, Member{Name: dir, Type: tar.TypeDir})
		}
		list = append(list, entry(name, "file", files[name]))
		members = append(members, Member{Name: name, Content: files[name]})
	}
	text := encode(map[string]any{"files": list, "format": 1})
	return append([]Member{{Name: "MANIFEST.json", Content: c.manifest(text)}, {Name: "FILES.json", Content: text}}, members...)
}

// Manifest returns the collection's MANIFEST.json.
func (c *Collection) Manifest() string { return c.Members()[0].Content }

func (c *Collection) manifest(list string) string {
	dependencies := c.Dependencies
	if dependencies == nil {
		dependencies = map[string]string{}
	}
	e := entry("FILES.json", "file", list)
	return encode(map[string]any{
		"collection_info": map[string]any{
			"namespace": c.Namespace, "name": c.Name, "version": c.Version, "authors": []string{"nobody"}, "readme": "README.md",
			"tags": []string{}, "description": "made for a test", "license": []string{"Apache-2.0"}, "license_file": nil,
			"dependencies": dependencies, "repository": "", "documentation": "", "homepage": "", "issues": "",
		},
		"file_manifest_file": e, "format": 1,
	})
}

func entry(name, kind, content string) map[string]any {
	e := map[string]any{"name": name, "ftype": kind, "chksum_type": nil, "chksum_sha256": nil, "format": 1}
	if kind == "file" {
		sum := sha256.Sum256([]byte(content))
		e["chksum_type"], e["chksum_sha256"] = "sha256", hex.EncodeToString(sum[:])
	}
	return e
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return string(b)
}

// Archive returns the collection as Galaxy carries it.
func (c *Collection) Archive(t testing.TB) []byte {
	if c.Content != nil {
		return c.Content
	}
	return Pack(t, c.Members())
}

// Member is an entry of an archive.
type Member struct {
	Name, Content, Link string
	Type                byte // tar.TypeReg, if zero
}

// Pack makes a gzipped tar archive.
func Pack(t testing.TB, members []Member) []byte {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	archive := tar.NewWriter(packed)
	for _, m := range members {
		h := &tar.Header{Name: m.Name, Typeflag: m.Type, Linkname: m.Link, Mode: 0o644, Format: tar.FormatPAX}
		switch m.Type {
		case 0:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(m.Content))
		case tar.TypeDir:
			h.Name, h.Mode = strings.TrimSuffix(m.Name, "/")+"/", 0o755
		}
		if err := archive.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(m.Content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, closing := range []func() error{archive.Close, packed.Close} {
		if err := closing(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// Role is one version of a role.
type Role struct {
	Owner, Name, Tag string
	Meta             string            // meta/main.yml; "": one without dependencies
	Files            map[string]string // more of them
}

// Archive returns the role as GitHub packs a tag: everything below one folder.
func (r *Role) Archive(t testing.TB) []byte {
	files := map[string]string{
		"meta/main.yml":  r.Meta,
		"tasks/main.yml": "- ansible.builtin.debug:\n    msg: " + r.Name + " " + r.Tag + "\n",
	}
	if r.Meta == "" {
		files["meta/main.yml"] = "galaxy_info:\n  author: nobody\n  role_name: " + r.Name + "\ndependencies: []\n"
	}
	maps.Copy(files, r.Files)
	top := "ansible-" + r.Name + "-" + strings.TrimPrefix(r.Tag, "v") + "/"
	var members []Member
	for _, name := range slices.Sorted(maps.Keys(files)) {
		members = append(members, Member{Name: top + name, Content: files[name]})
	}
	return Pack(t, members)
}
