package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
)

func newClient(t *testing.T) *fetch.Client {
	t.Helper()
	c, err := fetch.New(fetch.Options{Retries: -1, Env: func(string) string { return "" }, Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Name(upstreamtest.Running())
	return c
}

func discovered(t *testing.T, address string) *Server {
	t.Helper()
	s, err := Discover(t.Context(), newClient(t), address)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tools(v string) *galaxytest.Collection {
	return &galaxytest.Collection{
		Namespace: "acme", Name: "tools", Version: v, RequiresAnsible: ">=2.14",
		Dependencies: map[string]string{"acme.base": ">=1.0.0,<2"}, Signatures: []string{"signed"},
	}
}

// TestCollections reads both versions of the API, in pages of two.
func TestCollections(t *testing.T) {
	for _, old := range []bool{false, true} {
		g := galaxytest.New(t)
		g.V2, g.Page = old, 2
		for _, v := range []string{"1.0.0", "1.1.0", "2.0.0", "2.0.1", "3.0.0-rc.1"} {
			g.Add(tools(v))
		}
		g.Add(&galaxytest.Collection{Namespace: "acme", Name: "base", Version: "1.0.0"}, &galaxytest.Collection{Namespace: "other", Name: "base", Version: "1.0.0"})
		s := discovered(t, g.Root())
		if s.Root() != g.URL("/api/") {
			t.Errorf("root %s", s.Root())
		}
		all, err := s.Versions(t.Context(), "acme.tools")
		if err != nil || len(all) != 5 || all[4].Version.String() != "3.0.0-rc.1" || all[0].RequiresAnsible != ">=2.14" {
			t.Errorf("%v, %v", all, err)
		}
		r, err := s.Release(t.Context(), "acme.tools", all[3].Version)
		if err != nil {
			t.Fatal(err)
		}
		content := tools("2.0.1").Archive(t)
		if r.Digest != bundle.DigestOf(content) || r.Size != int64(len(content)) || r.URL != g.URL(galaxytest.ArtifactPath(tools("2.0.1"))) ||
			r.Dependencies["acme.base"].String() != ">=1.0.0,<2" || len(r.Signatures) != 1 || r.Created == "" {
			t.Errorf("%+v", r)
		}
		if names, err := s.Names(t.Context(), "acme"); err != nil || strings.Join(names, " ") != "acme.base acme.tools" {
			t.Errorf("%v, %v", names, err)
		}
		if none, err := s.Versions(t.Context(), "acme.none"); none != nil || err != nil {
			t.Errorf("%v, %v", none, err)
		}
	}
}

func TestRoles(t *testing.T) {
	g := galaxytest.New(t)
	g.Page = 1
	g.AddRoles(
		&galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1.0.0"}, &galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1.1.0"},
		&galaxytest.Role{Owner: "a.b", Name: "ntp", Tag: "1"},
	)
	s := discovered(t, strings.TrimSuffix(g.Root(), "/"))
	r, err := s.Role(t.Context(), "acme", "ntp")
	if err != nil || len(r.Tags) != 2 || r.Tags[1].Name != "v1.1.0" || r.Tags[1].URL == "" || r.Repository != "ansible-ntp" || r.Branch != "main" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Role(t.Context(), "a.b", "ntp"); err != nil || len(r.Tags) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Role(t.Context(), "acme", "none"); r != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestNoAPI(t *testing.T) {
	u := upstreamtest.New(t)
	if _, err := Discover(t.Context(), newClient(t), u.URL("/")); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), u.URL("/api/")) {
		t.Error(err)
	}
	u.Put("/", []byte("<html>"))
	u.Put("/api/", []byte(`{"available_versions":{"v3":"../../x"}}`))
	if _, err := Discover(t.Context(), newClient(t), u.URL("")); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "../../x") {
		t.Error(err)
	}
	u.FailAlways("/", upstreamtest.Status(403))
	if _, err := Discover(t.Context(), newClient(t), u.URL("")); err == nil || strings.Contains(err.Error(), "/api/") {
		t.Errorf("a refusal is not an absence: %v", err)
	}
}

// hostile returns a server with one answer below versions/ of acme.tools.
func hostile(t *testing.T, answers map[string]any) *Server {
	u := upstreamtest.New(t)
	u.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.RequestURI()]
		if !ok {
			answer, ok = answers[r.URL.Path]
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		if f, isFunction := answer.(func(*http.Request) any); isFunction {
			answer = f(r)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	u.Put("/api/", []byte(`{"available_versions":{"v3":"v3/","v1":"v1/"}}`))
	return discovered(t, u.URL(""))
}

type object = map[string]any

func page(next any, entries ...any) object {
	return object{"links": object{"next": next}, "data": append([]any{}, entries...)}
}

func TestHostileLists(t *testing.T) {
	const list = "/api/v3/collections/acme/tools/versions/"
	endless := func(entry any, count int) func(*http.Request) any {
		entries := make([]any, count)
		for i := range entries {
			entries[i] = entry
		}
		return func(r *http.Request) any {
			n := len(r.URL.Query().Get("n"))
			return page(list+"?n="+strings.Repeat("x", n+1), entries...)
		}
	}
	for name, c := range map[string]struct {
		answer any
		class  error
		names  string
	}{
		"next on another host":    {page("http://198.51.100.1/api/"), fetch.ErrRefused, "198.51.100.1"},
		"next by another scheme":  {page("file:///etc/passwd"), fetch.ErrRefused, "file:///etc/passwd"},
		"next with a login":       {page("http://a:b@127.0.0.1/"), fetch.ErrUpstream, "not an address"},
		"next to itself":          {page(list + "?limit=100"), fetch.ErrUpstream, "without an end"},
		"next that is gone":       {page("/api/gone"), fetch.ErrUpstream, "/api/gone"},
		"a million pages":         {endless(object{"version": "1.0.0"}, 1), fetch.ErrUpstream, "pages"},
		"a hundred million":       {endless(object{"version": "1.0.0"}, 1000), fetch.ErrUpstream, "entries"},
		"200 MB of versions":      {endless(object{"version": "1.0.0", "x": strings.Repeat("x", 4<<20)}, 1), fetch.ErrUpstream, "bytes"},
		"one page of 200 MB":      {page(nil, strings.Repeat("x", 16<<20)), fetch.ErrUpstream, list},
		"a version that is a way": {page(nil, object{"version": "../../x"}), fetch.ErrUpstream, "../../x"},
		"a version that is none":  {page(nil, object{"version": "1.0"}), fetch.ErrUpstream, `"1.0"`},
		"a number":                {page(nil, object{"version": 1}), fetch.ErrUpstream, "version"},
		"no entries":              {object{"meta": object{}}, fetch.ErrUpstream, "results"},
		"entries of null":         {page(nil, nil), fetch.ErrUpstream, "version"},
		"a list":                  {[]any{}, fetch.ErrUpstream, list},
	} {
		s := hostile(t, map[string]any{list: c.answer})
		if all, err := s.Versions(t.Context(), "acme.tools"); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %d versions, %v", name, len(all), err)
		}
	}
}

func release(change func(object)) object {
	o := object{
		"version": "1.0.0", "namespace": object{"name": "acme"}, "collection": object{"name": "tools"},
		"download_url": "/x.tar.gz", "artifact": object{"sha256": strings.Repeat("ab", 32), "size": 10},
		"metadata": object{"dependencies": object{}},
	}
	change(o)
	return o
}

func TestHostileReleases(t *testing.T) {
	const address = "/api/v3/collections/acme/tools/versions/1.0.0/"
	for name, c := range map[string]struct {
		change func(object)
		class  error
		names  string
	}{
		"another name":         {func(o object) { o["collection"] = object{"name": "evil"} }, fetch.ErrRefused, "acme.evil"},
		"another namespace":    {func(o object) { o["namespace"] = object{"name": "evil"} }, fetch.ErrRefused, "evil.tools"},
		"another version":      {func(o object) { o["version"] = "1.0.1" }, fetch.ErrRefused, "1.0.1"},
		"no digest":            {func(o object) { o["artifact"] = object{} }, fetch.ErrUpstream, "sha256"},
		"a digest of zeros":    {func(o object) { o["artifact"] = object{"sha256": "xyz"} }, fetch.ErrUpstream, "sha256"},
		"a size below zero":    {func(o object) { o["artifact"].(object)["size"] = -1 }, fetch.ErrUpstream, "size"},
		"a dependency's name":  {func(o object) { o["metadata"] = object{"dependencies": object{"../x": "*"}} }, fetch.ErrUpstream, "../x"},
		"a dependency's range": {func(o object) { o["metadata"] = object{"dependencies": object{"a.b": "~=1"}} }, fetch.ErrUpstream, "~=1"},
		"no address":           {func(o object) { delete(o, "download_url") }, fetch.ErrUpstream, "download_url"},
		"an address with a login": {func(o object) { o["download_url"] = "http://a:b@h/" }, fetch.ErrUpstream,
			"download_url"},
		"a file": {func(o object) { o["download_url"] = "file:///etc/passwd" }, fetch.ErrUpstream, "download_url"},
		"a thousand signatures": {func(o object) {
			o["signatures"] = make([]object, 1000)
		}, fetch.ErrUpstream, "signatures"},
	} {
		s := hostile(t, map[string]any{address: release(c.change)})
		v, err := parseListed(record.Object{"version": json.RawMessage(`"1.0.0"`)})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Release(t.Context(), "acme.tools", v.Version); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestHostileRoles(t *testing.T) {
	for name, c := range map[string]struct {
		role, tag object
		names     string
	}{
		"another name":           {object{"id": 1, "name": "evil"}, nil, "evil"},
		"an id that is a way":    {object{"id": "1/../../x", "name": "ntp"}, nil, "id"},
		"a negative id":          {object{"id": -1, "name": "ntp"}, nil, "id"},
		"a repository elsewhere": {object{"id": 1, "name": "ntp", "github_user": "a/../b"}, nil, "GitHub"},
		"a branch with blanks":   {object{"id": 1, "name": "ntp", "github_branch": "a b"}, nil, "a b"},
		"a tag that is a way":    {object{"id": 1, "name": "ntp"}, object{"name": "a/../../b"}, "a/../../b"},
		"a tag with a query":     {object{"id": 1, "name": "ntp"}, object{"name": "1?x"}, "1?x"},
		"an archive on a disk":   {object{"id": 1, "name": "ntp"}, object{"name": "1", "download_url": "file:///x"}, "download_url"},
	} {
		s := hostile(t, map[string]any{"/api/v1/roles/": object{"results": []any{c.role}}, "/api/v1/roles/1/versions/": object{"results": []any{c.tag}}})
		if r, err := s.Role(t.Context(), "acme", "ntp"); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	for _, o := range []any{
		release(func(object) {}), page("x", object{"version": "1.0.0"}), object{"available_versions": object{"v3": "v3/"}},
		object{"results": []any{object{"id": 1, "name": "ntp", "github_user": "a"}}, "next_link": "/x"}, object{"name": "v1", "download_url": "https://h/x"},
	} {
		b, err := json.Marshal(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(err error) {
			if err != nil && !errors.Is(err, bundle.ErrMalformed) {
				t.Error(err)
			}
		}
		versions, err := ParseRoot(b)
		check(err)
		for _, folder := range versions {
			check(bundle.CheckPath(strings.TrimSuffix(folder, "/")))
		}
		o, err := record.Parse(b)
		if check(err); err != nil {
			return
		}
		_, _, err = parsePage(o)
		check(err)
		_, err = parseListed(o)
		check(err)
		_, err = parseRelease(o)
		check(err)
		_, err = parseRole(o)
		check(err)
		tag, err := parseTag(o)
		if check(err); err == nil {
			check(bundle.CheckPath(tag.Name))
		}
	})
}
