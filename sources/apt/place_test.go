package apt

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
)

// TestPlacement: where addresses are in the mirror, and how a client's entry has them.
func TestPlacement(t *testing.T) {
	const toolkit, archs = "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)", "\n  architectures: [amd64, arm64]\n  suites: /"
	for _, test := range []struct{ spec, mount, prefixes, patterns string }{
		{"url: http://a.example/ubuntu\n  suites: s\n  architectures: amd64", "apt/os", "", ""},
		{"url: http://a.example/ubuntu\n  suites: s\n  architectures: amd64\n  at: ubuntu/", "apt/os/ubuntu", "", ""},
		{"url: http://a.example/ubuntu\n  suites: s\n  architectures: amd64\n  base: archive\n  at: a+b/c~d", "apt/archive/a+b/c~d", "", ""},
		{"url: " + toolkit + archs, "apt/os", "libnvidia-container/stable/deb/amd64/ libnvidia-container/stable/deb/arm64/", "libnvidia-container/stable/deb/$(ARCH)/"},
		{"url: " + toolkit + archs + "\n  base: nvidia", "apt/nvidia", "libnvidia-container/stable/deb/amd64/ libnvidia-container/stable/deb/arm64/", "libnvidia-container/stable/deb/$(ARCH)/"},
		{"url: " + toolkit + archs + "\n  at: stable/deb/$(ARCH)", "apt/os/stable/deb", "amd64/ arm64/", "$(ARCH)/"},
		{"url: " + toolkit + archs + "\n  base: nvidia\n  at: deb-$(ARCH)/stable", "apt/nvidia", "deb-amd64/stable/ deb-arm64/stable/", "deb-$(ARCH)/stable/"},
		{"url: " + toolkit + archs + "\n  at: $(ARCH)", "apt/os", "amd64/ arm64/", "$(ARCH)/"},
		{"url: https://$(ARCH).a.example/deb" + archs, "apt/os", "amd64/ arm64/", "$(ARCH)/"},
		{"url: https://a.example/a%20b//deb/$(ARCH)" + archs, "apt/os", "a b/deb/amd64/ a b/deb/arm64/", "a%20b/deb/$(ARCH)/"},
		{"architectures: amd64\n  line: [deb http://a.example/$(ARCH)/x /, deb http://b.example/stable/$(ARCH) /, deb http://C.example:8080/ s]", "apt/os",
			"amd64/x/ stable/amd64/ c.example_8080/", "$(ARCH)/x/ stable/$(ARCH)/ c.example_8080/"},
	} {
		made, err := newSource(plantest.Load(t, t.TempDir(), "- name: os\n  kind: apt\n  keyring: k.asc\n  "+test.spec+"\n"))
		if err != nil {
			t.Errorf("%s: %v", test.spec, err)
			continue
		}
		e := made.(*source).entries[0]
		var prefixes, patterns []string
		for _, s := range e.suites {
			prefixes, patterns = append(prefixes, s.root.prefix), append(patterns, s.root.pattern)
		}
		if got := strings.Join(prefixes, " "); e.mount != test.mount || got != test.prefixes || strings.Join(slices.Compact(patterns), " ") != test.patterns {
			t.Errorf("%s\nmount %s, folders %s, entries %s", test.spec, e.mount, got, patterns)
		}
	}
}

func TestPlacementRefuses(t *testing.T) {
	const plain = "architectures: [amd64, arm64]\n  suites: /\n  url: http://a.example/x\n  "
	const byArch = "architectures: [amd64, arm64]\n  suites: /\n  url: http://a.example/$(ARCH)\n  "
	for spec, want := range map[string]string{
		byArch + "at: stable":         "want $(ARCH) in it",
		plain + "at: deb/$(ARCH)":     "the address has no $(ARCH)",
		plain + "at: ../x":            "want a folder like",
		plain + "at: /x":              "want a folder like",
		plain + "at: a//b":            "want a folder like",
		plain + "at: .hidden":         "must not begin with .",
		plain + "at: a/_upstream":     "must not begin with _",
		plain + "at: a b":             "want a folder of letters",
		byArch + "at: $(ARCH)/$(ARCH": "want a folder of letters",
		plain + "base: a/b":           "base: name",
		plain + "base: Nvidia":        "base: name",
		plain + "as: epel.repo":       ".list or .sources",
		plain + "as: x/y.list":        "a file name",
		plain + "as: .list":           "a file name",
		plain + "as: .x.list":         "a file name",
		plain + "as: a+b.sources":     "a file name",
		plain + "as: '@BASE@.list'":   "a file name",
		"at: x\n  architectures: amd64\n  line: [deb http://a.example/a s, deb http://a.example/b s]": "at: is for one address, and there are http://a.example/a/ and http://a.example/b/",
	} {
		_, err := newSource(plantest.Load(t, t.TempDir(), "- name: os\n  kind: apt\n  keyring: k.asc\n  "+spec+"\n"))
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "spec.yaml:") {
			t.Errorf("%s\ngot %v, want %s", spec, err, want)
		}
	}
}

// byArchitecture returns an upstream with a flat repository for each architecture.
func byArchitecture(t *testing.T, a *archive, at string) string {
	a.flat, a.extra = true, map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		a.at = at + arch
		a.packages = map[string][]string{"main " + arch: {pkg("tool", "1", arch, "")}}
		a.publish()
	}
	text := a.spec("suites: [/]", "architectures: [amd64, arm64]")
	return strings.Replace(text, a.server.URL(a.at), `"`+a.server.URL(at+"$(ARCH)")+`"`, 1)
}

// TestSharedBase: sources that have one base, and public addresses that lead to each.
func TestSharedBase(t *testing.T) {
	a := newArchive(t, t.TempDir())
	stable := byArchitecture(t, a, "/libnvidia-container/stable/deb/")
	experimental := strings.Replace(byArchitecture(t, a, "/libnvidia-container/experimental/deb/"), "name: os", "name: next", 1)
	text := stable + "  base: nvidia\n  at: stable/deb/$(ARCH)\n" + experimental + "  base: nvidia\n  at: experimental/deb/$(ARCH)\n  newest: 1\n"
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site, _ = siteKey(t)
	r, err := plan(t, env, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, repo := range r.Repositories {
		channel := map[string]string{"os": "stable", "next": "experimental"}[repo.Name]
		if repo.Mount != "apt/nvidia/"+channel+"/deb" {
			t.Errorf("%s: mount %s", repo.Name, repo.Mount)
		}
		if _, ok := plantest.Artifacts(t, r, repo.Name)["arm64/pool/main/tool/tool_1_arm64.deb"]; !ok {
			t.Errorf("%s: no package", repo.Name)
		}
		for i, p := range repo.Public {
			arch := []string{"amd64", "arm64"}[i]
			if p.Path != "/libnvidia-container/"+channel+"/deb/"+arch || p.At != arch {
				t.Errorf("%s: public %+v", repo.Name, p)
			}
		}
		files, err := clients(t.Context(), []bundle.Repository{{Name: repo.Name, Mount: repo.Mount, Annotations: repo.Annotations}}, nil)
		if err != nil || !strings.Contains(string(files[0].Content), "URIs: @BASE@/apt/nvidia/"+channel+"/deb/$(ARCH)/\n") {
			t.Errorf("%v\n%s", err, files[0].Content)
		}
	}
	if _, err := check(t.Context(), collectAll(t, r)); err != nil {
		t.Error(err)
	}
	for _, at := range []string{"stable/deb/$(ARCH)", "stable/$(ARCH)"} {
		_, err := plan(t, env, strings.Replace(text, "experimental/deb/$(ARCH)\n  newest", at+"\n  newest", 1))
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "sources ") || !strings.Contains(err.Error(), "overlap") {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// TestMovedFolders: what an earlier exporter put into a folder for each architecture is
// somewhere else now, which is said once, and not where the spec keeps it.
func TestMovedFolders(t *testing.T) {
	for _, more := range []string{"", "  newest: 1\n"} {
		a := newArchive(t, t.TempDir())
		text := byArchitecture(t, a, "/stable/deb/") + more
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, _ = siteKey(t)
		of := func(base sources.Base, at string) (plantest.Base, string) {
			t.Helper()
			env.Base = base
			r, err := plan(t, env, text+at)
			if err != nil {
				t.Fatal(err)
			}
			return plantest.Record(t, r), strings.Join(r.Repositories[0].Notes, "\n")
		}
		before, _ := of(nil, "  at: $(ARCH)\n")
		after, notes := of(before, "")
		if !strings.Contains(notes, "apt/os/stable/deb/$(ARCH)/, no longer apt/os/$(ARCH)") || !strings.Contains(notes, "at: $(ARCH)") {
			t.Errorf("notes %q", notes)
		}
		if _, notes := of(after, ""); strings.Contains(notes, "no longer") {
			t.Errorf("once more: notes %q", notes)
		}
		if same, notes := of(before, "  at: $(ARCH)\n"); strings.Contains(notes, "no longer") || len(same["os"]) != len(before["os"]) {
			t.Errorf("kept where it was: notes %q", notes)
		}
	}
}

// TestClientNames: the file has the name that the spec says, in the form that it has.
func TestClientNames(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.packages["main arm64"], a.packages["contrib arm64"] = a.packages["main amd64"], nil
	a.publish()
	of := func(more ...string) map[string]string {
		t.Helper()
		r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec(more...))
		if err != nil {
			t.Fatal(err)
		}
		files, err := clients(t.Context(), []bundle.Repository{{Name: "os", Mode: "verbatim", Mount: "apt/os", Annotations: r.Repositories[0].Annotations}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, f := range files {
			all[f.Path] = string(f.Content)
		}
		return all
	}
	const key = "/usr/share/keyrings/gapbundle-os.asc"
	files := of("as: cuda-ubuntu2404-x86_64.list", "languages: [en, de]", "allow-expired: true", "components: [main, contrib]")
	want := "# os, verbatim. As /etc/apt/sources.list.d/cuda-ubuntu2404-x86_64.list, with its keys:\n#   curl -f -o " + key + " @BASE@/keys/os.asc\n" +
		"deb [arch=amd64 lang=en,de check-valid-until=no signed-by=" + key + "] @BASE@/apt/os/ stable main contrib\n"
	if got := files["os/cuda-ubuntu2404-x86_64.list"]; len(files) != 1 || got != want {
		t.Errorf("got %v\nwant %s", files, want)
	}
	files = of("as: vendor.sources", "architectures: [amd64, arm64]", "components: main")
	if got := strings.Join(slices.Sorted(maps.Keys(files)), " "); got != "os-amd64/vendor.sources os-arm64/vendor.sources os/vendor.sources" {
		t.Errorf("files %s", got)
	}
	for name, content := range files {
		arch, _ := strings.CutPrefix(path.Dir(name), "os-")
		if arch == "os" {
			arch = "amd64 arm64"
		}
		if !strings.Contains(content, "\nArchitectures: "+arch+"\n") || !strings.Contains(content, "sources.list.d/vendor.sources,") {
			t.Errorf("%s:\n%s", name, content)
		}
	}
}
