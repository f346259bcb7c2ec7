package galaxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
)

// tree is a mirror in memory.
type tree struct {
	repo  bundle.Repository
	paths []string
	files map[string][]byte
}

func (t *tree) Repositories() []bundle.Repository { return []bundle.Repository{t.repo} }

func (t *tree) Files(string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, p := range t.paths {
			if b, ok := t.files[p]; ok && !yield(bundle.File{Path: p, Size: int64(len(b)), Digest: bundle.DigestOf(b)}, nil) {
				return
			}
		}
	}
}

func (t *tree) Open(_ context.Context, _, path string) (io.ReadCloser, error) {
	b, ok := t.files[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, bundle.ErrCorrupt)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func planned(t *testing.T) *tree {
	t.Helper()
	g, b := shelf(t), newBench(t)
	g.AddRoles(&galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1", Meta: "dependencies: [{role: acme.bash, version: v2}]\n"}, &galaxytest.Role{Owner: "acme", Name: "bash", Tag: "v2"})
	p, _, err := b.plan(given{"server": g.Root(), "collections": "acme.app", "roles": "acme.ntp"})
	if err != nil {
		t.Fatal(err)
	}
	m := &tree{repo: bundle.Repository{Name: "site/galaxy", Kind: Name, Mount: p.Repositories[0].Mount}, files: map[string][]byte{}}
	for a, err := range p.Repositories[0].Artifacts() {
		if err != nil {
			t.Fatal(err)
		}
		content, err := a.Open(t.Context(), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(content.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = content.Body.Close()
		m.paths, m.files[a.File.Path] = append(m.paths, a.File.Path), all
	}
	return m
}

func TestCheck(t *testing.T) {
	counts, err := check(t.Context(), planned(t))
	if err != nil || fmt.Sprint(counts) != "[{2 collections} {2 roles}]" {
		t.Errorf("%v, %v", counts, err)
	}
	const app, base = "v3/collections/acme/app/versions/", "v3/collections/acme/base/"
	gone := func(names ...string) func(*tree) {
		return func(m *tree) {
			for _, n := range names {
				delete(m.files, n)
			}
		}
	}
	edit := func(name, from, to string) func(*tree) {
		return func(m *tree) { m.files[name] = []byte(strings.Replace(string(m.files[name]), from, to, 1)) }
	}
	for name, c := range map[string]struct {
		harm  func(*tree)
		class error
		names []string
	}{
		"an archive":          {gone("artifacts/acme-app-2.0.0.tar.gz"), bundle.ErrIncomplete, []string{"acme-app-2.0.0.tar.gz"}},
		"another archive":     {edit("artifacts/acme-app-2.0.0.tar.gz", "", "x"), bundle.ErrCorrupt, []string{"acme-app-2.0.0.tar.gz"}},
		"a version's page":    {gone(app + "2.0.0/index.html"), bundle.ErrIncomplete, []string{app + "2.0.0/index.html"}},
		"a dependency":        {gone(base+"index.html", base+"versions/index.html"), bundle.ErrIncomplete, []string{"acme.app 2.0.0", "acme.base >=1"}},
		"its version":         {edit(app+"2.0.0/index.html", `\u003e=1`, ">=7"), bundle.ErrIncomplete, []string{"acme.base >=7"}},
		"a page's form":       {edit(app+"index.html", "{", "["), bundle.ErrCorrupt, []string{app + "index.html"}},
		"a page's address":    {edit(app+"2.0.0/index.html", "/artifacts/", "/elsewhere/"), bundle.ErrCorrupt, []string{"elsewhere"}},
		"a role's archive":    {gone("roles/acme.bash/v2.tar.gz"), bundle.ErrIncomplete, []string{"roles/acme.bash/v2.tar.gz"}},
		"a role's answer":     {gone("v1/roles/by/acme/bash/index.html"), bundle.ErrIncomplete, []string{"v1/roles/by/acme/bash"}},
		"what a role needs":   {gone("v1/roles/acme.bash/versions/index.html"), bundle.ErrIncomplete, []string{"acme.ntp v1", "acme.bash v2"}},
		"the version of that": {edit("v1/roles/acme.bash/versions/index.html", `"name":"v2"`, `"name":"v3"`), bundle.ErrIncomplete, []string{"acme.ntp v1", "acme.bash v2"}},
	} {
		m := planned(t)
		c.harm(m)
		_, err := check(t.Context(), m)
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, n := range append(c.names, "site/galaxy") {
			if !strings.Contains(err.Error(), n) {
				t.Errorf("%s: %v: does not name %s", name, err, n)
			}
		}
	}
}

// TestClientFiles: each source is a server of its own.
func TestClientFiles(t *testing.T) {
	all, err := clients(t.Context(), []bundle.Repository{{Name: "my-galaxy", Mount: "galaxy/my-galaxy"}, {Name: "hub", Mount: "galaxy/hub"}}, nil)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for i, want := range [][]string{
		{"server_list = my_galaxy,hub\n", "[galaxy_server.my_galaxy]\nurl = " + sources.BaseMark + "/galaxy/my-galaxy/\n", "[galaxy_server.hub]\n"},
		{"ANSIBLE_GALAXY_SERVER_LIST=my_galaxy,hub\n", "ANSIBLE_GALAXY_SERVER_MY_GALAXY_URL=" + sources.BaseMark + "/galaxy/my-galaxy/\n"},
	} {
		for _, w := range want {
			if !strings.Contains(string(all[i].Content), w) {
				t.Errorf("%s: %s\nlacks %s", all[i].Path, all[i].Content, w)
			}
		}
	}
}
