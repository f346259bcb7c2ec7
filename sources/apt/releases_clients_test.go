//go:build clients

package apt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// fillReleases makes two releases side by side with packages of the same names,
// the second with a pocket; a vendor with a suite for each of them; and one flat
// repository that says no release.
func (w *world) fillReleases() {
	amd64 := []string{"amd64"}
	for release, version := range map[string]string{"bookworm": "1", "trixie": "2"} {
		os := "os-" + release
		w.deb(os, "pool/main/b", "dpkg", version, "amd64")
		w.deb(os, "pool/main/b", "libc", version, "amd64", "Provides: libc-abi-"+version)
		w.deb(os, "pool/main/b", "libold", version, "amd64")
		w.deb(os, "pool/main/b", "shared", "5", "all")
		w.deb(os, "pool/main/b", "mta-"+version, "1", "amd64", "Provides: mta", "Conflicts: mta")
		depends := "Depends: libc (>= " + version + "), mta-1 | mta, shared"
		if release == "bookworm" {
			depends += ", libssl1"
			w.deb(os, "pool/main/b", "libssl1", "1", "amd64", "Depends: libold (<< 2)")
		}
		w.deb(os, "pool/main/b", "slurm", version, "amd64", depends)
		w.deb("vendor", "pool/"+release, "docker", "28-"+version, "amd64", "Depends: libc-abi-"+version+", runc")
		w.suite(os, release, []string{"main"}, amd64)
		w.suite("vendor", release, []string{release}, amd64)
	}
	w.deb("os-trixie-security", "pool/main/b", "slurm", "2.1", "amd64", "Depends: libc (>= 2), mta-1 | mta, shared, libsafe")
	w.deb("os-trixie-security", "pool/main/b", "libsafe", "1", "amd64")
	w.suite("os-trixie-security", "trixie-security", []string{"main"}, amd64)
	w.deb("tools", "packages", "runc", "1", "amd64", "Depends: libc")
	w.deb("tools", "packages", "tool", "1", "amd64", "Depends: slurm, libold")
	w.flat("tools")
}

// specReleases has a source for each release of the system and of the vendor;
// more is added to each.
func (w *world) specReleases(prefix string, packages func(string) string) string {
	var b strings.Builder
	for _, s := range []struct{ name, url, suites, packages string }{
		{"bookworm", "os-bookworm", "bookworm", "slurm"},
		{"trixie", "os-trixie", "trixie", "slurm"},
		{"trixie-security", "os-trixie-security", "trixie-security", ""},
		{"docker-bookworm", "vendor", "bookworm", "docker"},
		{"docker-trixie", "vendor", "trixie", "docker"},
		{"tools", "tools", "./", "tool"},
	} {
		if s.packages == "" {
			s.packages = "slurm"
		}
		fmt.Fprintf(&b, "- name: %s%s\n  kind: apt\n  url: %s/%s\n  suites: %s\n  architectures: [amd64]\n  keyring: upstream.asc\n%s", prefix, s.name, w.url, s.url, s.suites, packages(s.packages))
	}
	return b.String()
}

// TestEachReleaseChoosesAsFull: a client of each release, and one that has the
// sources of both, take from the partial mirror what they would from the whole.
func TestEachReleaseChoosesAsFull(t *testing.T) {
	w := newWorld(t)
	w.fillReleases()
	w.publish("whole", w.specReleases("whole-", func(string) string { return "" }))
	w.publish("part", w.specReleases("part-", func(name string) string { return "  packages: [" + name + "]\n" }))
	clients := map[string][]string{
		"bookworm": {"bookworm", "docker-bookworm", "tools"},
		"trixie":   {"trixie", "trixie-security", "docker-trixie", "tools"},
		"both":     {"bookworm", "docker-bookworm", "trixie", "trixie-security", "docker-trixie", "tools"},
	}
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		for name, sources := range clients {
			client := func(prefix string) *apt {
				names := make([]string, len(sources))
				for i, s := range sources {
					names[i] = prefix + s
				}
				a := here.newApt(s.URL, "amd64", names...)
				a.update()
				return a
			}
			whole, part := client("whole-"), client("part-")
			asked := []string{"slurm", "docker", "tool", "slurm docker tool"}
			if name == "both" { // as people mix: one release, and some of the other
				asked = append(asked, "-t bookworm slurm", "-t bookworm tool", "-t bookworm docker", "libold/bookworm slurm")
			}
			for _, args := range asked {
				install := append([]string{"install", "--print-uris", "-qq", "--yes", "--no-install-recommends"}, strings.Fields(args)...)
				want := strings.ReplaceAll(whole.must("apt-get", install...), "/apt/whole-", "/apt/part-")
				got, err := part.try("apt-get", install...)
				if err != nil || lines(got) != lines(want) || got == "" {
					t.Errorf("%s, %s: %v: from the partial mirror\n%sfrom the full one\n%s", name, args, err, got, want)
				}
			}
		}
	})
}
