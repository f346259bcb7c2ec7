package rpm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

const severalRepos = "[baseos]\nname=Base\nbaseurl=http://a.example/baseos\n[crb]\nname=CRB\nbaseurl=http://a.example/crb\n"

// TestPlacement: mounts, and what clients call the repositories.
func TestPlacement(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "os.repo"), []byte(severalRepos), 0o644); err != nil {
		t.Fatal(err)
	}
	const one, several = "gpgkey: k\nbaseurl: http://a.example/x\n", "gpgkey: k\nrepofile: os.repo\n"
	for _, test := range []struct{ spec, mount, ids string }{
		{one, "rpm/os", "os"},
		{several, "rpm/os", "os-baseos os-crb"},
		{one + "vars: {basearch: x86_64, releasever: '9'}\nat: stable/rpm/$(ARCH)/$releasever", "rpm/os/stable/rpm/x86_64/9", "os"},
		{one + "vars: {basearch: x86_64}\nbase: nvidia\nat: stable/rpm/$basearch", "rpm/nvidia/stable/rpm/x86_64", "os"},
		{one + "repoid: [powertools, crb]", "rpm/os", "powertools crb"},
		{several + "base: rocky\nat: '9'\nrepoid: [baseos, crb, crb=powertools]", "rpm/rocky/9", "baseos crb powertools"},
		{several + "repoid: crb=powertools\nas: rocky.repo", "rpm/os", "os-baseos powertools"},
		{"gpgkey: k\nrepofile: os.repo\nrepoids: crb\nrepoid: [powertools, crb=codeready]", "rpm/os", "powertools codeready"},
	} {
		s, err := newOne(t, dir, test.spec)
		if err != nil {
			t.Errorf("%s: %v", test.spec, err)
			continue
		}
		var ids []string
		for _, r := range s.entries[0].repos {
			ids = append(ids, r.clientIDs(s.entries[0])...)
		}
		if got := strings.Join(ids, " "); s.entries[0].mount != test.mount || got != test.ids {
			t.Errorf("%s\nmount %s, ids %s", test.spec, s.entries[0].mount, got)
		}
	}
	for spec, want := range map[string]string{
		one + "at: ../x":                           "at: want a folder like",
		one + "at: $(ARCH)":                        "at: $basearch: no value",
		one + "at: _upstream":                      "must not begin with _",
		one + "base: x/y":                          "base: name",
		one + "as: x.list":                         "ends with .repo",
		one + "as: ../x.repo":                      "as: want a file name",
		one + "repoid: main":                       "repoid: \"main\"",
		one + "repoid: '[x]'":                      "repoid: \"[x]\"",
		one + "repoid: a@b":                        "repoid: \"a@b\"",
		one + "repoid: [a, a]":                     "a: occurs twice",
		one + "repoid: x=y":                        "want a name alone",
		several + "repoid: powertools":             "want one of baseos, crb, or REPOID=ID",
		several + "repoid: [baseos=x, crb=x]":      "x: occurs twice",
		one + "repoid: [" + many("id", 17) + "]":   "more than 16",
		one + "repoid: " + strings.Repeat("a", 81): "repoid: ",
	} {
		if _, err := newOne(t, dir, spec); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "spec.yaml:") {
			t.Errorf("%s\ngot %v, want %s", spec, err, want)
		}
	}
}

// many returns a list of so many names.
func many(name string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = name + strings.Repeat("x", i)
	}
	return strings.Join(all, ", ")
}

// TestSharedBase: two architectures below one base, with the names that a vendor's own
// package has.
func TestSharedBase(t *testing.T) {
	a := newArchive(t, t.TempDir())
	one := func(name, arch, more string) string {
		a.at = "/libnvidia-container/stable/rpm/" + arch
		a.publish()
		return strings.Replace(a.spec("base: nvidia", "at: stable/rpm/"+arch, "as: nvidia-container-toolkit.repo", "repoid: nvidia-container-toolkit"), "name: epel", "name: "+name, 1) + more
	}
	text := one("toolkit", "x86_64", "") + one("toolkit-arm", "aarch64", "  newest: 1\n  architectures: x86_64\n")
	env := plantest.NewEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	r, err := plantest.Plan(t, Kind(), env, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, repo := range r.Repositories {
		arch := map[string]string{"toolkit": "x86_64", "toolkit-arm": "aarch64"}[repo.Name]
		if repo.Mount != "rpm/nvidia/stable/rpm/"+arch || len(repo.Public) != 1 || repo.Public[0].Path != "/libnvidia-container/stable/rpm/"+arch || repo.Public[0].At != "" {
			t.Errorf("%s: mount %s, public %+v", repo.Name, repo.Mount, repo.Public)
		}
		if notes := strings.Join(repo.Notes, "\n"); !strings.Contains(notes, "repository id nvidia-container-toolkit is also that of source toolkit") {
			t.Errorf("%s: notes %q", repo.Name, notes)
		}
		if repo.Annotations[bundle.ClientIDsKey] != "nvidia-container-toolkit" {
			t.Errorf("%s: annotations %v", repo.Name, repo.Annotations)
		}
		files, err := clients(t.Context(), []bundle.Repository{{Name: repo.Name, Mount: repo.Mount, Annotations: repo.Annotations}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f := files[0]; f.Path != "dnf/"+repo.Name+"/nvidia-container-toolkit.repo" ||
			!strings.Contains(string(f.Content), "\n[nvidia-container-toolkit]\nname=nvidia-container-toolkit\nbaseurl=@BASE@/rpm/nvidia/stable/rpm/"+arch+"/\nenabled=1\n") {
			t.Errorf("%s\n%s", f.Path, f.Content)
		}
	}
	if _, err := plantest.Plan(t, Kind(), env, strings.ReplaceAll(text, "at: stable/rpm/aarch64", "at: stable")); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "overlap") {
		t.Error(err)
	}
}

// TestSecondIDIsOff: dnf reads a repository once, and knows it by each of its names.
func TestSecondIDIsOff(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	r, err := plantest.Plan(t, Kind(), plantest.NewEnv(t, a.dir, nil), a.spec("repoid: [powertools, crb]"))
	if err != nil {
		t.Fatal(err)
	}
	repo := r.Repositories[0]
	files, err := clients(t.Context(), []bundle.Repository{{Name: repo.Name, Mount: repo.Mount, Annotations: repo.Annotations}}, nil)
	if err != nil || files[0].Path != "dnf/epel.repo" {
		t.Fatalf("%v, %v", files, err)
	}
	text := string(files[0].Content)
	for _, want := range []string{"[powertools]\nname=powertools\nbaseurl=@BASE@/rpm/epel/\nenabled=1\ngpgcheck=1\n", "[crb]\nname=crb\nbaseurl=@BASE@/rpm/epel/\nenabled=0\ngpgcheck=1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
}
