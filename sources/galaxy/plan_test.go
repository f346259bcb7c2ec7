package galaxy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
)

// bench plans one source.
type bench struct {
	t   *testing.T
	dir string
	env *sources.Env
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	client, err := fetch.New(fetch.Options{Retries: -1, Env: func(string) string { return "" }, Home: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scratch.Close() })
	b.env = &sources.Env{Fetch: client, Scratch: scratch, Dir: b.dir, Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	b.relock(false)
	return b
}

func (b *bench) relock(update bool) {
	b.t.Helper()
	lock, err := sources.OpenLock(filepath.Join(b.dir, sources.LockName), update)
	if err != nil {
		b.t.Fatal(err)
	}
	b.env.Lock = lock
}

// plan returns the plan of a source with these options, and the archives that it would carry.
func (b *bench) plan(options map[string]any) (*sources.Plan, []string, error) {
	b.t.Helper()
	spec := sources.Given(sources.Spec{Name: "site", Dir: b.dir}, Name, options)
	source, err := newSource([]sources.Spec{spec})
	if err != nil {
		return nil, nil, err
	}
	b.env.Fetch.Name(upstreamtest.Running()) // no spec file names them
	p, err := source.Plan(b.t.Context(), b.env)
	if err != nil {
		return nil, nil, err
	}
	var archives []string
	for a, err := range p.Repositories[0].Artifacts() {
		if err != nil {
			b.t.Fatal(err)
		}
		if strings.HasSuffix(a.File.Path, ".tar.gz") {
			archives = append(archives, strings.TrimSuffix(a.File.Path, ".tar.gz"))
		}
	}
	return p, archives, nil
}

func (b *bench) want(options map[string]any, archives string) *sources.Plan {
	b.t.Helper()
	p, got, err := b.plan(options)
	if err != nil || strings.Join(got, " ") != archives {
		b.t.Fatalf("%v:\ngot  %s\nwant %s\n%v", options, strings.Join(got, " "), archives, err)
	}
	return p
}

func (b *bench) refused(options map[string]any, class error, names ...string) {
	b.t.Helper()
	_, got, err := b.plan(options)
	if !errors.Is(err, class) {
		b.t.Errorf("%v: %v, %v; want %v", options, got, err, class)
		return
	}
	for _, n := range names {
		if !strings.Contains(err.Error(), n) {
			b.t.Errorf("%v: does not name %s", err, n)
		}
	}
}

type given = map[string]any

// shelf returns a Galaxy whose collections need each other in several ways.
func shelf(t *testing.T) *galaxytest.Server {
	g := galaxytest.New(t)
	add := func(name, v, requires string, needs map[string]string) {
		g.Add(&galaxytest.Collection{Namespace: "acme", Name: name, Version: v, RequiresAnsible: requires, Dependencies: needs})
	}
	add("base", "1.0.0", ">=2.9", nil)
	add("base", "2.0.0", ">=2.16", nil)
	add("app", "1.0.0", ">=2.9", map[string]string{"acme.base": "<2"})
	add("app", "2.0.0", ">=2.15,<2.18", map[string]string{"acme.base": ">=1"})
	add("app", "3.0.0-rc.1", "", nil)
	add("old", "1.0.0", "", map[string]string{"acme.base": "==1.0.0"})
	return g
}

func TestChoice(t *testing.T) {
	g, b := shelf(t), newBench(t)
	with := func(more given) given {
		more["server"] = g.Root()
		return more
	}
	b.want(with(given{"collections": []string{"acme.app"}}), "artifacts/acme-app-2.0.0 artifacts/acme-base-2.0.0")
	b.want(with(given{"collections": []string{"acme.app"}, "newest": 2}), "artifacts/acme-app-1.0.0 artifacts/acme-app-2.0.0 artifacts/acme-base-1.0.0 artifacts/acme-base-2.0.0")
	b.want(with(given{"collections": []string{"acme.app:==3.0.0-rc.1"}}), "artifacts/acme-app-3.0.0-rc.1")
	b.want(with(given{"collections": []string{"acme.*"}}), "artifacts/acme-app-2.0.0 artifacts/acme-base-1.0.0 artifacts/acme-base-2.0.0 artifacts/acme-old-1.0.0")
	b.want(with(given{"collections": []string{"acme.app"}, "ansible-core": "2.14.18"}), "artifacts/acme-app-1.0.0 artifacts/acme-base-1.0.0")
	b.want(with(given{"collections": []string{"acme.app"}, "ansible-core": "2.18"}), "artifacts/acme-app-1.0.0 artifacts/acme-base-1.0.0")
	// Those of a file go together, those of the spec need not.
	write(t, b.dir, "requirements.yml", "collections: [acme.app, acme.old]")
	b.want(with(given{"requirements": "requirements.yml"}), "artifacts/acme-app-2.0.0 artifacts/acme-base-1.0.0 artifacts/acme-old-1.0.0")
	write(t, b.dir, "requirements.yml", "collections: [{name: acme.base, version: '>=2'}, acme.old]")
	b.refused(with(given{"requirements": "requirements.yml"}), bundle.ErrUsage, "acme.base", ">=2 by requirements.yml", "==1.0.0 by acme.old 1.0.0, which is requested by requirements.yml", "2.0.0, 1.0.0")
	b.want(with(given{"collections": []string{"acme.base:>=2", "acme.old"}}), "artifacts/acme-base-1.0.0 artifacts/acme-base-2.0.0 artifacts/acme-old-1.0.0")

	b.refused(with(given{"collections": []string{"acme.none"}}), bundle.ErrUsage, "acme.none", "none on the server")
	b.refused(with(given{"collections": []string{"none.*"}}), bundle.ErrUsage, "none.*")
	b.refused(with(given{"collections": []string{"acme.old:>=7"}}), bundle.ErrUsage, ">=7", "1.0.0")
	b.refused(with(given{"collections": []string{"acme.app"}, "ansible-core": "2.8"}), bundle.ErrUsage, "acme.app")
	b.refused(with(given{"requirements": "gone.yml"}), bundle.ErrUsage, "gone.yml")
	b.refused(given{"server": g.URL("/download/"), "collections": []string{"acme.app"}}, fetch.ErrUpstream, g.URL("/download/api/"))
	for option, wrong := range map[string]any{
		"collections": "acme", "roles": "ntp", "newest": 1000, "ansible-core": "two", "required-valid-signature-count": "1", "server": "ftp://x/",
	} {
		o := with(given{"collections": "acme.app"})
		o[option] = wrong
		b.refused(o, bundle.ErrUsage, option)
	}
	b.refused(given{}, bundle.ErrUsage, "requirements, collections or roles")
}

func TestRoleChoice(t *testing.T) {
	g, b := galaxytest.New(t), newBench(t)
	role := func(name, tag, meta string) {
		g.AddRoles(&galaxytest.Role{Owner: "acme", Name: name, Tag: tag, Meta: "dependencies: [" + meta + "]\n"})
	}
	role("ntp", "v1.0.0", "")
	role("ntp", "v1.10.0", "{role: acme.bash}, local")
	role("ntp", "v1.9.0", "")
	role("bash", "1.0", "{role: acme.ntp}") // a circle
	role("mixed", "1.0", "")
	role("mixed", "v2", "")
	with := func(roles ...string) given { return given{"server": g.Root(), "roles": roles} }
	b.want(with("acme.ntp"), "roles/acme.bash/1.0 roles/acme.ntp/v1.10.0")
	b.want(given{"server": g.Root(), "roles": []string{"acme.ntp"}, "newest": 2}, "roles/acme.bash/1.0 roles/acme.ntp/v1.10.0 roles/acme.ntp/v1.9.0")
	b.want(with("acme.ntp,v1.0.0"), "roles/acme.ntp/v1.0.0")
	b.want(with("acme.mixed,v2"), "roles/acme.mixed/v2")
	b.refused(with("acme.mixed"), bundle.ErrUsage, "acme.mixed", "name the version")
	b.refused(with("acme.ntp,v7"), bundle.ErrUsage, "v7", "v1.0.0, v1.10.0, v1.9.0")
	b.refused(with("acme.none"), bundle.ErrUsage, "acme.none", "none of that name")

	// What comes over the network names nothing on this machine, and no other host.
	for meta, names := range map[string]string{
		"{src: ../../etc/x.tar.gz}":                      "an archive on disk",
		"{src: 'http://198.51.100.7/x.tar.gz'}":          "198.51.100.7",
		"{src: 'git+https://198.51.100.7/x.git'}":        "198.51.100.7",
		"{src: 'git+file:///etc', name: x}":              "file:///etc",
		"{src: 'git+ssh://git@198.51.100.7/x', name: x}": "198.51.100.7",
	} {
		h := galaxytest.New(t)
		h.AddRoles(&galaxytest.Role{Owner: "acme", Name: "evil", Tag: "1", Meta: "dependencies: [" + meta + "]\n"})
		b.refused(given{"server": h.Root(), "roles": "acme.evil"}, fetch.ErrRefused, "acme.evil 1", names)
	}
}

// TestPins: what is not signed is pinned on first sight, a role by its archive's address, a collection
// by that of its page.
func TestPins(t *testing.T) {
	g, b := shelf(t), newBench(t)
	ntp := &galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1"}
	g.AddRoles(ntp)
	o := given{"server": g.Root(), "roles": "acme.ntp", "collections": "acme.old"}
	const archives = "artifacts/acme-base-1.0.0 artifacts/acme-old-1.0.0 roles/acme.ntp/v1"
	vouched := func(p *sources.Plan) (all []string) {
		for a, err := range p.Repositories[0].Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(a.File.Path, ".tar.gz") {
				all = append(all, a.Evidence.Vouched)
			}
		}
		return slices.Compact(all)
	}
	if v := vouched(b.want(o, archives)); !slices.Equal(v, []string{bundle.VouchedNone}) {
		t.Errorf("at first: %v", v)
	}
	if err := b.env.Lock.Save(); err != nil {
		t.Fatal(err)
	}
	b.relock(false)
	if v := vouched(b.want(o, archives)); !slices.Equal(v, []string{bundle.VouchedPinned}) {
		t.Errorf("later: %v", v)
	}
	g.Put(galaxytest.RolePath(ntp), (&galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v2"}).Archive(t))
	b.refused(o, fetch.ErrRefused, g.URL(galaxytest.RolePath(ntp)), "gapbundle.lock")
	g.AddRoles(ntp)
	g.Put("/api/v3/collections/acme/old/versions/1.0.0/", []byte(`{"version":"1.0.0","namespace":{"name":"acme"},"collection":{"name":"old"},"download_url":"`+g.URL("/x")+
		`","artifact":{"sha256":"`+strings.Repeat("ab", 32)+`","size":7},"metadata":{"dependencies":{}}}`))
	b.refused(o, fetch.ErrRefused, "/acme/old/versions/1.0.0/", "gapbundle.lock")
}

// TestHosts: archives come from the server, from GitHub, or from where the spec allows.
func TestHosts(t *testing.T) {
	b := newBench(t)
	page := `{"version":"1.0.0","namespace":{"name":"acme"},"collection":{"name":"a"},"download_url":"https://cdn.example/a.tar.gz","artifact":{"sha256":"` + strings.Repeat("ab", 32) + `","size":7},"metadata":{"dependencies":{}}}`
	g := galaxytest.New(t)
	g.Add(&galaxytest.Collection{Namespace: "acme", Name: "a", Version: "1.0.0"})
	g.Put("/api/v3/collections/acme/a/versions/1.0.0/", []byte(page))
	o := given{"server": g.Root(), "collections": "acme.a"}
	b.refused(o, fetch.ErrRefused, "https://cdn.example/a.tar.gz", "allow-hosts")
	o["allow-hosts"] = "cdn.example"
	b.want(o, "artifacts/acme-a-1.0.0")
}

// TestElsewhere: what a requirements file has by address, by repository or on disk is never dropped.
func TestElsewhere(t *testing.T) {
	g, b := shelf(t), newBench(t)
	g.AddRoles(&galaxytest.Role{Owner: "acme", Name: "bash", Tag: "v1"})
	byAddress := &galaxytest.Collection{Namespace: "other", Name: "thing", Version: "1.0.0", Dependencies: map[string]string{"acme.base": "<2"}}
	g.Put("/their/thing.tar.gz", byAddress.Archive(t))
	g.Put("/their/role.tar.gz", (&galaxytest.Role{Owner: "x", Name: "y", Tag: "1", Meta: "dependencies: [acme.bash]"}).Archive(t))
	onDisk := &galaxytest.Collection{Namespace: "own", Name: "stuff", Version: "0.1.0", Dependencies: map[string]string{"acme.app": "==1.0.0"}}
	write(t, b.dir, "own/stuff.tar.gz", string(onDisk.Archive(t)))
	write(t, b.dir, "own/role-z.tar.gz", string((&galaxytest.Role{Owner: "x", Name: "z", Tag: "1"}).Archive(t)))
	write(t, b.dir, "own/requirements.yml", "collections:\n- "+g.URL("/their/thing.tar.gz")+"\n- ./stuff.tar.gz\n- {name: 'https://git.example/c.git', type: git, version: main}\n"+
		"roles:\n- src: "+g.URL("/their/role.tar.gz")+"\n- src: role-z.tar.gz\n- src: git+https://git.example/r.git\n- include: more.yml\n")
	write(t, b.dir, "own/more.yml", "- git+https://git.example/s.git,v2\n")
	write(t, b.dir, "own/empty.yml", "collections: []\nroles: []\n")
	b.refused(given{"server": g.Root(), "requirements": []string{"own/requirements.yml", "own/empty.yml"}}, bundle.ErrUsage, "requirements own/empty.yml: no collection and no role is in it")
	p := b.want(given{"server": g.Root(), "requirements": "own/requirements.yml"}, "artifacts/acme-app-1.0.0 artifacts/acme-base-1.0.0 artifacts/own-stuff-0.1.0 roles/acme.bash/v1 roles/role-z")
	var kinds []string
	for _, d := range p.Also {
		kinds = append(kinds, d.Spec.Name)
		var o struct {
			URL          string   `yaml:"url"`
			Repositories []string `yaml:"repositories"`
			Refs         []string `yaml:"refs"`
			URLs         []struct {
				URL  string `yaml:"url"`
				Path string `yaml:"path"`
			} `yaml:"urls"`
		}
		if err := d.Spec.Decode(&o); err != nil {
			t.Fatal(err)
		}
		switch d.Spec.Kind {
		case "git":
			if all := append([]string{o.URL}, o.Repositories...); strings.Join(all, " ") != "https://git.example/c.git https://git.example/r.git https://git.example/s.git" || len(o.Refs) != 2 {
				t.Errorf("%+v", o)
			}
		case "files":
			if len(o.URLs) != 2 || o.URLs[1].URL != g.URL("/their/thing.tar.gz") || !strings.HasSuffix(o.URLs[1].Path, "/their/thing.tar.gz") {
				t.Errorf("%+v", o)
			}
		}
	}
	if strings.Join(kinds, " ") != "site/galaxy/git site/galaxy/files" {
		t.Errorf("%v", kinds)
	}
	inside := content(t, p, "requirements/requirements.yml")
	for _, want := range []string{"@BASE@/git/git.example/c.git", "@BASE@/files/", `"own.stuff"`, "@BASE@/galaxy/site-galaxy/roles/role-z.tar.gz"} {
		if !strings.Contains(inside, want) {
			t.Errorf("%s\nlacks %s", inside, want)
		}
	}
	write(t, b.dir, "own/requirements.yml", "collections: [{name: folder, type: dir}]")
	if err := os.Mkdir(filepath.Join(b.dir, "own/folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.refused(given{"server": g.Root(), "requirements": "own/requirements.yml"}, bundle.ErrUsage, "folder", "ansible-galaxy collection build")
}

func content(t *testing.T, p *sources.Plan, name string) string {
	t.Helper()
	for a, err := range p.Repositories[0].Artifacts() {
		if err != nil {
			t.Fatal(err)
		}
		if a.File.Path != name {
			continue
		}
		c, err := a.Open(t.Context(), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Body.Close()
		b, err := bundle.ReadAllBounded(c.Body, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	t.Fatalf("%s: not planned", name)
	return ""
}
