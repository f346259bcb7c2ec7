package apt

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// newUbuntu returns an archive as Ubuntu's is laid out: three suites over one pool,
// four components, Contents of a whole suite next to its Release, AppStream,
// command-not-found and English alone, phased updates, and indexes that Release
// lists for architectures that are somewhere else.
func newUbuntu(t *testing.T, dir string) *archive {
	t.Helper()
	a := newArchive(t, dir)
	a.at = "/ubuntu"
	for _, suite := range []string{"noble", "noble-updates", "noble-security"} {
		a.suite = suite
		a.fields = "Origin: Ubuntu\nLabel: Ubuntu\nSuite: " + suite + "\nVersion: 24.04\nCodename: noble\nDate: Sat, 31 Oct 2026 12:00:00 UTC\nDescription: Ubuntu Noble 24.04\n"
		a.packages, a.extra = map[string][]string{}, map[string]string{"Contents-amd64": "usr/bin/tool main/tool,universe/game\n"}
		a.hidden = nil
		for _, component := range []string{"main", "restricted", "universe", "multiverse"} {
			a.packages[component+" amd64"] = nil
			a.extra[component+"/binary-i386/Packages"] = ""
			a.extra[component+"/binary-riscv64/Packages"] = ""
			a.hidden = append(a.hidden, component+"/binary-riscv64/Packages.gz")
			a.extra[component+"/i18n/Translation-en"] = ""
			a.extra[component+"/cnf/Commands-amd64"] = "suite: " + suite + "\n"
			a.extra[component+"/dep11/Components-amd64.yml"] = "---\n"
			a.extra[component+"/dep11/icons-48x48.tar"] = "icons"
			a.extra[component+"/debian-installer/binary-amd64/Packages"] = ""
			a.extra[component+"/source/Sources"] = ""
		}
		a.packages["main amd64"] = []string{pkg("tool", "1", "amd64", "Depends: lib")}
		a.packages["universe amd64"] = []string{pkg("lib", "1", "amd64", ""), pkg("game", "1", "amd64", "")}
		if suite == "noble-updates" {
			a.packages["main amd64"] = []string{pkg("tool", "1.1", "amd64", "Depends: lib\nPhased-Update-Percentage: 10")}
		}
		a.publish()
	}
	return a
}

func (a *archive) ubuntuSpec(more ...string) string {
	return a.spec(append([]string{"suites: [noble, noble-updates, noble-security]", "components: [main, universe]"}, more...)...)
}

// Of a suite laid out as Ubuntu's, what a client of the chosen components and
// architecture may ask for is there, and nothing of the others.
func TestUbuntuVerbatim(t *testing.T) {
	a := newUbuntu(t, t.TempDir())
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.ubuntuSpec())
	if err != nil {
		t.Fatal(err)
	}
	got := plantest.Artifacts(t, r, "os")
	for p := range maps.Clone(got) {
		if strings.Contains(p, "/by-hash/") {
			delete(got, p)
		}
	}
	want := []string{
		"pool/main/tool/tool_1_amd64.deb", "pool/main/tool/tool_1.1_amd64.deb",
		"pool/universe/lib/lib_1_amd64.deb", "pool/universe/game/game_1_amd64.deb",
	}
	for _, suite := range []string{"noble", "noble-updates", "noble-security"} {
		want = append(want, "dists/"+suite+"/InRelease", "dists/"+suite+"/Contents-amd64.gz")
		for _, component := range []string{"main", "universe"} {
			for _, name := range []string{"binary-amd64/Packages", "i18n/Translation-en", "cnf/Commands-amd64", "dep11/Components-amd64.yml", "dep11/icons-48x48.tar"} {
				want = append(want, "dists/"+suite+"/"+component+"/"+name+".gz")
			}
		}
	}
	slices.Sort(want)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(names, " "), strings.Join(want, " "))
	}
	tr := collectAll(t, r)
	if _, err := check(t.Context(), tr); err != nil {
		t.Error(err)
	}
	files, err := clients(t.Context(), tr.Repos, tr)
	if err != nil || len(files) != 1 || !strings.Contains(string(files[0].Content),
		"Types: deb\nURIs: @BASE@/apt/os/\nSuites: noble noble-updates noble-security\nComponents: main universe\nArchitectures: amd64\nSigned-By: ") {
		t.Errorf("%v\n%s", err, files[0].Content)
	}
}

// A selection takes the newest of three suites as apt does, with what it needs
// of another component, and says in the stanza that it is a phased update.
func TestUbuntuRebuilt(t *testing.T) {
	a := newUbuntu(t, t.TempDir())
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, a.ubuntuSpec("packages: [tool]", "contents: true"))
	if err != nil {
		t.Fatal(err)
	}
	tr := collectAll(t, r)
	var pool []string
	for p := range tr.files["os"] {
		if strings.HasPrefix(p, "pool/") {
			pool = append(pool, filepath.Base(p))
		}
	}
	if slices.Sort(pool); !slices.Equal(pool, []string{"lib_1_amd64.deb", "tool_1.1_amd64.deb"}) {
		t.Errorf("chose %v", pool)
	}
	if text := string(tr.content["os"]["dists/noble-updates/main/binary-amd64/Packages"]); !strings.Contains(text, "Phased-Update-Percentage: 10\n") {
		t.Errorf("Packages:\n%s", text)
	}
	if _, err := check(t.Context(), tr); err != nil {
		t.Error(err)
	}
}

// What DeepOps adds, in one set: a flat repository that has the plain index
// next to the packed one and no by-hash (CUDA), one with the architecture in its
// address (Container Toolkit), a PPA, and one suite of several components (DGX).
func TestVendors(t *testing.T) {
	dir := t.TempDir()
	cuda := newArchive(t, dir)
	cuda.at, cuda.flat, cuda.byHash, cuda.extra = "/compute/cuda/repos/ubuntu2404/x86_64", true, false, map[string]string{}
	cuda.packages = map[string][]string{"main amd64": {pkg("cuda", "13.0-1", "amd64", "")}}
	cuda.publish()
	plain := cuda.stanza("main", cuda.packages["main amd64"][0]) + "\n"
	cuda.server.Put(cuda.at+"/Packages", []byte(plain))
	toolkit := newArchive(t, dir)
	toolkit.at, toolkit.flat, toolkit.byHash, toolkit.extra = "/libnvidia-container/stable/deb/amd64", true, false, map[string]string{}
	toolkit.packages = map[string][]string{"main amd64": {pkg("nvidia-container-toolkit", "1.18.0-1", "amd64", "")}}
	toolkit.publish()
	ppa := newArchive(t, dir)
	ppa.at, ppa.suite, ppa.extra = "/maas/3.6/ubuntu", "noble", map[string]string{"main/i18n/Translation-en": ""}
	ppa.fields = "Origin: LP-PPA-maas-3.6\nSuite: noble\nCodename: noble\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n"
	ppa.packages = map[string][]string{"main amd64": {pkg("maas", "1:3.6.1", "all", "")}}
	ppa.publish()
	dgx := newArchive(t, dir)
	dgx.at, dgx.suite, dgx.extra = "/baseos/ubuntu/noble/x86_64", "noble", map[string]string{}
	dgx.fields = "Origin: NVIDIA\nSuite: noble\nCodename: noble\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n"
	dgx.packages = map[string][]string{"common amd64": {pkg("dgx-release", "7.0", "amd64", "")}, "dgx amd64": {pkg("dgx-conf", "7.0", "amd64", "")}}
	dgx.publish()
	text := ""
	for name, a := range map[string]*archive{"cuda": cuda, "toolkit": toolkit, "ppa": ppa, "dgx": dgx} {
		plantest.WriteKeys(t, filepath.Join(dir, name+".asc"), a.signer)
		more := map[string]string{"cuda": "suites: [/]", "toolkit": "suites: [/]"}[name]
		if more == "" {
			more = "suites: [noble]"
		}
		one := strings.Replace(a.spec(more), "name: os", "name: "+name, 1)
		text += strings.Replace(one, "keyring: archive.asc", "keyring: "+name+".asc", 1)
	}
	text = strings.Replace(text, "/stable/deb/amd64", `/stable/deb/$(ARCH)`, 1)
	r, err := plan(t, plantest.NewEnv(t, dir, nil), text)
	if err != nil {
		t.Fatal(err)
	}
	tr := collectAll(t, r)
	for repo, want := range map[string]string{
		"cuda": "pool/main/cuda/cuda_13.0-1_amd64.deb", "toolkit": strings.TrimPrefix(toolkit.at, "/") + "/pool/main/nvidia-container-toolkit/nvidia-container-toolkit_1.18.0-1_amd64.deb",
		"ppa": "pool/main/maas/maas_1:3.6.1_all.deb", "dgx": "pool/dgx/dgx-conf/dgx-conf_7.0_amd64.deb",
	} {
		if f, ok := tr.files[repo][want]; !ok || f.Digest == (bundle.Digest{}) {
			t.Errorf("%s: %s is not there", repo, want)
		}
	}
	if _, ok := tr.files["cuda"]["Packages.gz"]; !ok {
		t.Error("cuda: Packages.gz is not there")
	}
	if _, err := check(t.Context(), tr); err != nil {
		t.Error(err)
	}
}
