package rpm

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

func TestReleases(t *testing.T) {
	for given, want := range map[string]string{
		"": "", " 9": "9", "9 8 9": "8 9", "9 9.4 9.2": "9.2 9.4", "8 8-stream": "8-stream", "1 10": "1 10",
	} {
		var all []*loaded
		for _, own := range strings.Split(given, " ") {
			all = append(all, &loaded{entry: &entry{options: options{Vars: map[string]string{"releasever": own}}}})
		}
		if got := strings.Join(releases(all), " "); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	g := &loaded{entry: &entry{options: options{Vars: map[string]string{"releasever": "9"}}}}
	if !g.isOf("9.4") || !g.isOf("9") || g.isOf("8") || g.isOf("90") {
		t.Error("9 is of 9 and 9.4 alone")
	}
}

// A source that says no release is chosen from for each of them, and what is
// asked of it is found with the dependencies of each.
func TestSourceOfEveryRelease(t *testing.T) {
	r := newTwoReleases(t, t.TempDir())
	tools := &archive{t: t, server: r.new.server, dir: r.new.dir, at: "/tools", key: r.new.key}
	tools.Signer = r.new.key
	tools.Packages = []*rpmtest.Package{tools.pkg("tool", "1", "noarch", "hello"), tools.pkg("unused", "1", "noarch")}
	tools.publish()
	env := newEnv(t, r.new.dir, nil)
	env.Site = siteKey(t)
	spec := r.spec("  architectures: [x86_64]\n  packages: [data]\n") +
		"- name: tools\n  kind: rpm\n  baseurl: " + r.new.server.URL("/tools") + "\n  gpgkey: archive.asc\n  architectures: [x86_64]\n  packages: [tool]\n"
	resolved := mustPlan(t, env, spec)
	for source, want := range map[string]string{
		"epel": "data-1 hello-2.10 libhello-2.10", "epel8": "data-0.8 hello-1.8 libold-1", "tools": "tool-1",
	} {
		var got []string
		for _, p := range slices.Sorted(maps.Keys(artifacts(t, resolved, source))) {
			if name, ok := strings.CutPrefix(p, "Packages/"); ok {
				got = append(got, name[:strings.Index(name, "-1.el9")])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}
