//go:build clients

package rpm

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// modularSpecs returns packages of modules, and packages outside that have their
// names or provide them.
func modularSpecs() map[string]string {
	label := func(s string) string { return "ModularityLabel: " + s }
	return map[string]string{
		"lang1":  one("lang", "1.0", label("lang:1:1:a")),
		"lang2":  one("lang", "2.0", label("lang:2:1:b")),
		"lib1":   one("lib", "1~lang1", label("lib:x:1:c")+"\nRequires: lang = 1.0"),
		"lib2":   one("lib", "1~lang2", label("lib:x:1:d")+"\nRequires: lang = 2.0"),
		"app":    one("app", "1", label("app:x:1:e")+"\nRequires: lib", "app-tools\n"+label("app:x:1:e")),
		"tiny":   one("tiny", "1", label("tiny:x:1:f")),
		"far":    one("far", "1", label("far:x:1:g")),
		"orphan": one("orphan", "1", label("gone:x:1:h")),
		"lang9":  one("lang", "9", ""),
		"clang":  one("better-lang", "9", "Provides: lang = 9"),
		"plain":  one("plain", "1", "Requires: lang"),
		"freed":  one("app-tools", "9", ""),
		"hot":    one("lang", "1.5", ""),
	}
}

func modularFile() string {
	doc := func(module, stream, context, requires, more string, artifacts ...string) string {
		return fmt.Sprintf(`---
document: modulemd
version: 2
data:
  name: %s
  stream: "%s"
  version: 1
  context: %s
  arch: x86_64
  summary: It is there
  description: for a test.
  license: {module: [MIT]}
  dependencies:
  - requires: {platform: [%s}
%s  profiles:
    common: {rpms: [%[1]s]}
  artifacts:
    rpms:
    - %[6]s
...
`, module, stream, context, requires, more, strings.Join(artifacts, "\n    - "))
	}
	standard := func(module, stream, profiles string) string {
		return fmt.Sprintf("---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: %s\n  stream: \"%s\"\n  profiles: {%s}\n...\n", module, stream, profiles)
	}
	return doc("lang", "1", "a", "el9]", "", "lang-0:1.0-1.x86_64") +
		doc("lang", "2", "b", "el9]", "", "lang-0:2.0-1.x86_64", "plain-0:1-1.src") +
		doc("lib", "x", "c", "el9], lang: [\"1\"]", "", "lib-0:1~lang1-1.x86_64") +
		doc("lib", "x", "d", "el9], lang: [\"2\"]", "", "lib-0:1~lang2-1.x86_64") +
		doc("app", "x", "e", "el9], lang: [-1]", "", "app-0:1-1.x86_64", "app-tools-0:1-1.x86_64") +
		doc("tiny", "x", "f", "el9], lang: [\"2\"]", "  demodularized: {rpms: [app-tools]}\n", "tiny-0:1-1.x86_64") +
		doc("far", "x", "g", "el8]", "", "far-0:1-1.x86_64") +
		standard("lang", "1", "\"1\": [common], \"2\": [common]") + standard("lib", "x", "x: [common]") + standard("far", "x", "x: [common]") +
		"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: app\n  profiles: {x: [common]}\n...\n" +
		"---\ndocument: modulemd-obsoletes\nversion: 1\ndata:\n  module: tiny\n  stream: x\n  modified: 2026-10-01T00:00Z\n  eol_date: 2026-10-02T00:00Z\n  message: It is old\n...\n"
}

// modular makes an upstream of three repositories: with modules, without, and
// with packages that modules do not hide.
func (w *world) modular() {
	for _, name := range []string{"lang1", "lang2", "lib1", "lib2", "app", "tiny", "far", "orphan"} {
		w.put("app/Packages", "signed/"+name)
	}
	for _, name := range []string{"lang9", "clang", "plain", "freed"} {
		w.put("base/Packages", "signed/"+name)
	}
	w.put("hot/Packages", "signed/hot")
	for _, folder := range []string{"app", "base", "hot"} {
		w.createrepo(folder, false, "--no-database")
	}
	file := filepath.Join(w.www, "modules.yaml")
	w.Write(file, []byte(modularFile()))
	w.run(w.www, "modifyrepo_c", "--mdtype=modules", file, filepath.Join(w.www, "app/repodata"))
	for _, folder := range []string{"app", "base", "hot"} {
		w.sign(folder)
	}
	w.Write(filepath.Join(w.dir, "hot.repo"), []byte("[hot]\nname=Hot\nbaseurl="+w.url+"/hot\nmodule_hotfixes=1\n"))
}

// selection returns a spec with a source for each of the three repositories whose
// selection is given.
func (w *world) selection(prefix string, selections ...string) string {
	var b strings.Builder
	for i, folder := range []string{"app", "base", "hot"} {
		if i >= len(selections) || selections[i] == "" {
			continue
		}
		where := "baseurl: " + w.url + "/" + folder
		if folder == "hot" {
			where = "repofile: hot.repo"
		}
		fmt.Fprintf(&b, "- name: %s%s\n  kind: rpm\n  %s\n  gpgkey: upstream.asc\n  architectures: [x86_64]\n  %s\n", prefix, folder, where, selections[i])
	}
	return b.String()
}

// upstreamDNF returns a client of the upstream itself.
func (w *world) upstreamDNF(folders ...string) *dnf {
	w.t.Helper()
	d := &dnf{w: w, root: w.t.TempDir()}
	repos := filepath.Join(d.root, "etc/yum.repos.d")
	for _, folder := range folders {
		more := ""
		if folder == "hot" {
			more = "module_hotfixes=1\n"
		}
		w.Write(filepath.Join(repos, folder+".repo"), []byte("["+folder+"]\nname="+folder+"\nbaseurl="+w.url+"/"+folder+"\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://"+filepath.Join(w.dir, "upstream.asc")+"\n"+more))
	}
	d.configure(repos)
	return d
}

// streams returns the lines of module list, without the repositories they come from.
func (d *dnf) streams() []string {
	d.w.t.Helper()
	var all []string
	for line := range strings.Lines(d.must("--quiet", "module", "list")) {
		if strings.Contains(line, "It is there") {
			all = append(all, strings.Join(strings.Fields(line), " "))
		}
	}
	return all
}

// TestDNFModules: over partial mirrors modules are what they are over the whole
// one: the streams that are carried have the same states, and the same packages
// are chosen, hidden, and refused.
func TestDNFModules(t *testing.T) {
	w := newWorld(t)
	w.modular()
	w.publish("first", w.selection("", "packages: [lib]", "packages: [plain]"))
	w.publish("second", w.selection("app-", "modules: [app]", "packages: [plain]"))
	w.publish("third", w.selection("tiny-", "modules: [\"tiny:x\"]", "packages: [app-tools]"))
	w.publish("fourth", w.selection("hot-", "packages: [orphan]", "packages: [plain]", "packages: [lang]"))
	w.publish("fifth", w.selection("newest-", "newest: 1", "newest: 1"))
	if got := names(t, filepath.Join(w.mirror, "current/rpm/base/Packages")); got != "plain-1-1.x86_64" {
		t.Errorf("carried beside modules: %s", got)
	}
	base := webtest.Start(t, webtest.Serve, w.mirror).URL
	for name, test := range map[string]struct {
		sources, upstream []string
		enable            []string
		ask               []string
		want              string
		streams           string
	}{
		"default stream":             {[]string{"app", "base"}, []string{"app", "base"}, nil, []string{"lib", "plain"}, "lang-1.0-1.x86_64 lib-1~lang1-1.x86_64 plain-1-1.x86_64", "lang 1 lib x"},
		"hidden by name and provide": {[]string{"base", "app"}, []string{"base", "app"}, nil, []string{"plain"}, "lang-1.0-1.x86_64 plain-1-1.x86_64", "lang 1 lib x"},
		"enabled with what it needs": {[]string{"app-app", "app-base"}, []string{"app", "base"}, []string{"app"}, []string{"app", "plain"}, "app-1-1.x86_64 lang-2.0-1.x86_64 lib-1~lang2-1.x86_64 plain-1-1.x86_64", "app x lang 2 lib x"},
		"profile":                    {[]string{"app-app"}, []string{"app"}, nil, []string{"@app:x"}, "app-1-1.x86_64 lang-2.0-1.x86_64 lib-1~lang2-1.x86_64", "app x lang 2 lib x"},
		"needed and not carried":     {[]string{"tiny-app", "tiny-base"}, []string{"app", "base"}, []string{"tiny:x"}, []string{"tiny", "app-tools"}, "app-tools-9-1.x86_64 tiny-1-1.x86_64", "lang 2 tiny x"},
		"hotfixes":                   {[]string{"hot-app", "hot-base", "hot-hot"}, []string{"app", "base", "hot"}, nil, []string{"lang", "plain"}, "lang-1.5-1.x86_64 plain-1-1.x86_64", ""},
		"newest of default streams":  {[]string{"newest-app", "newest-base"}, []string{"app", "base"}, nil, []string{"lib", "plain"}, "lang-1.0-1.x86_64 lib-1~lang1-1.x86_64 plain-1-1.x86_64", "app x far x lang 1 lang 2 lib x tiny x"},
		"newest of another stream":   {[]string{"newest-app", "newest-base"}, []string{"app", "base"}, []string{"lang:2"}, []string{"lib", "plain"}, "lang-2.0-1.x86_64 lib-1~lang2-1.x86_64 plain-1-1.x86_64", "app x far x lang 1 lang 2 lib x tiny x"},
	} {
		t.Run(name, func(t *testing.T) {
			here := *w
			here.t = t
			whole, part := here.upstreamDNF(test.upstream...), here.newDNF(base, test.sources...)
			for _, d := range []*dnf{whole, part} {
				if test.enable != nil {
					d.must(append([]string{"module", "enable"}, test.enable...)...)
				}
			}
			all, some := whole.streams(), part.streams()
			if less := without(some, all); len(less) > 0 {
				t.Errorf("modules over the partial mirror\n%s\nover the whole one\n%s", strings.Join(some, "\n"), strings.Join(all, "\n"))
			}
			var names []string
			for _, line := range some {
				names = append(names, strings.Join(strings.Fields(line)[:2], " "))
			}
			if got := strings.Join(names, " "); got != test.streams {
				t.Errorf("streams %s, want %s", got, test.streams)
			}
			if want, got := whole.download(test.ask...), part.download(test.ask...); want != test.want || got != want {
				t.Errorf("downloaded %s, from the whole one %s, want %s", got, want, test.want)
			}
		})
	}
	t.Run("obsolete", func(t *testing.T) {
		here := *w
		here.t = t
		for _, d := range []*dnf{here.upstreamDNF("app", "base"), here.newDNF(base, "tiny-app", "tiny-base")} {
			d.must("module", "enable", "tiny:x")
			out, err := d.try("install", "--setopt=module_obsoletes=1", "--downloadonly", "tiny")
			if err == nil || !strings.Contains(out, "Unable to find a match: tiny") {
				t.Errorf("got %v\n%s", err, out)
			}
		}
	})
	t.Run("orphan", func(t *testing.T) {
		here := *w
		here.t = t
		for _, d := range []*dnf{here.upstreamDNF("app", "base", "hot"), here.newDNF(base, "hot-app", "hot-base", "hot-hot")} {
			out, err := d.try("install", "orphan")
			if err == nil || !strings.Contains(out, "No available modular metadata for modular package") {
				t.Errorf("got %v\n%s", err, out)
			}
		}
	})
}

func without(all, less []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(less, s) })
}
