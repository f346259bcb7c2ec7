//go:build clients

package apt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// fill makes an upstream with a suite of two components and architectures, a
// flat repository, and one for each architecture.
func (w *world) fill() {
	for _, arch := range []string{"amd64", "arm64"} {
		w.deb("os", "pool/main/h/hello", "hello", "2.10+b~1-3", arch, "Source: hello (2.10)", "Depends: libhello (>= 2), data | nothing")
		w.deb("os", "pool/main/h/hello", "libhello", "2.10-3", arch, "Source: hello (2.10)", "Multi-Arch: same")
		w.deb("vendor/"+arch, "", "driver", "570.1", arch, "Depends: libhello")
	}
	w.deb("os", "pool/main/d/data", "data", "1:1.0", "all", "Source: hello (2.10)", "Multi-Arch: foreign")
	w.deb("os", "pool/main/o/other", "other", "1", "amd64")
	w.deb("os", "pool/contrib/e/extra", "extra", "1.0~rc1", "amd64", "Depends: hello", "Recommends: other")
	w.deb("flat", "packages", "tool", "3", "amd64", "Depends: hello")
	w.source("os", "pool/main/h/hello", "hello", "2.10")
	w.suite("os", "stable", []string{"main", "contrib"}, []string{"amd64", "arm64"})
	w.flat("flat")
	w.flat("vendor/amd64")
	w.flat("vendor/arm64")
}

func (w *world) specFull() string {
	return fmt.Sprintf(`- name: full
  kind: apt
  url: %[1]s/os
  suites: stable
  architectures: [amd64, arm64]
  sources: true
  keyring: upstream.asc
- name: flat
  kind: apt
  line: "deb %[1]s/flat ./"
  keyring: upstream.asc
- name: vendor
  kind: apt
  url: %[1]s/vendor/$(ARCH)
  suites: /
  architectures: [amd64, arm64]
  keyring: upstream.asc
`, w.url)
}

func (w *world) specPartial(more string) string {
	return fmt.Sprintf(`- name: partial
  kind: apt
  url: %[1]s/os
  suites: stable
  architectures: [amd64]
  keyring: upstream.asc
  packages: [hello]
%[2]s- name: tools
  kind: apt
  url: %[1]s/flat
  suites: ./
  architectures: [amd64]
  keyring: upstream.asc
  packages: [tool]
`, w.url, more)
}

const helloAndDependencies = "data_1%3a1.0_all.deb hello_2.10+b~1-3_amd64.deb libhello_2.10-3_amd64.deb"

// TestAptFromEveryServer: full, flat, by architecture, and partial mirrors, by
// every server that a mirror has a configuration for.
func TestAptFromEveryServer(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.publish("whole", w.specFull())
	w.publish("part", w.specPartial("  sources: true\n  recommends: false\n  contents: true\n"))
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		t.Run("full", func(t *testing.T) { here.t = t; here.full(s) })
		t.Run("multi-arch", func(t *testing.T) { here.t = t; here.multiArch(s) })
		t.Run("flat", func(t *testing.T) {
			here.t = t
			a := here.newApt(s.URL, "amd64", "flat", "full-amd64")
			a.update()
			a.must("apt-get", "install", "--download-only", "--yes", "tool")
			if got := a.downloaded(); !strings.Contains(got, "tool_3_amd64.deb") || !strings.Contains(got, helloAndDependencies) {
				t.Errorf("downloaded %s", got)
			}
		})
		t.Run("by architecture", func(t *testing.T) {
			here.t = t
			a := here.newApt(s.URL, "arm64", "vendor", "full-arm64")
			a.update()
			a.must("apt-get", "install", "--download-only", "--yes", "driver")
			if got := a.downloaded(); got != "driver_570.1_arm64.deb libhello_2.10-3_arm64.deb" {
				t.Errorf("downloaded %s", got)
			}
		})
		t.Run("partial", func(t *testing.T) { here.t = t; here.partial(s) })
	})
}

// updateWithContents updates with the index target that apt-file has, and
// gives the Contents of main.
func (a *apt) updateWithContents() string {
	a.w.t.Helper()
	contents := []string{
		"-o", "Acquire::IndexTargets::deb::Contents-deb::MetaKey=$(COMPONENT)/Contents-$(ARCHITECTURE)",
		"-o", "Acquire::IndexTargets::deb::Contents-deb::flatMetaKey=Contents-$(ARCHITECTURE)",
		"-o", "Acquire::IndexTargets::deb::Contents-deb::ShortDescription=Contents",
		"-o", "Acquire::IndexTargets::deb::Contents-deb::Description=$(RELEASE) Contents",
		"-o", "Acquire::By-Hash=force",
	}
	a.update(contents...)
	files := a.must("apt-get", append(contents, "indextargets", "--format", "$(FILENAME)", "Created-By: Contents-deb", "Component: main", "Architecture: amd64")...)
	return a.must("/usr/lib/apt/apt-helper", "cat-file", strings.TrimSpace(files))
}

func (w *world) full(s *webtest.Server) {
	a := w.newApt(s.URL, "amd64", "full")
	if out := a.updateWithContents(); !strings.Contains(out, "usr/share/hello/content") || !strings.Contains(out, "usr/share/other/content") {
		w.t.Errorf("Contents: %s", out)
	}
	if out := a.must("apt-cache", "show", "hello"); !strings.Contains(out, "At length, hello is there") {
		w.t.Errorf("no long description:\n%s", out)
	}
	a.must("apt-get", "install", "--download-only", "--yes", "hello")
	if got := a.downloaded(); got != helloAndDependencies {
		w.t.Errorf("downloaded %s", got)
	}
	a.must("apt-get", "source", "hello")
	if _, err := os.Stat(filepath.Join(a.root, "hello-2.10", "hello.c")); err != nil {
		w.t.Error(err)
	}
}

// multiArch sets up a client of one architecture that has another one too.
func (w *world) multiArch(s *webtest.Server) {
	a := w.newApt(s.URL, "amd64", "full")
	both := []string{"-o", "APT::Architectures::=arm64"}
	a.update(both...)
	a.must("apt-get", append(both, "install", "--download-only", "--yes", "hello", "libhello:arm64")...)
	if got := a.downloaded(); got != helloAndDependencies+" libhello_2.10-3_arm64.deb" {
		w.t.Errorf("downloaded %s", got)
	}
}

func (w *world) partial(s *webtest.Server) {
	a := w.newApt(s.URL, "amd64", "partial", "tools")
	if out := a.updateWithContents(); !strings.Contains(out, "usr/share/hello/content") || strings.Contains(out, "usr/share/other/content") {
		w.t.Errorf("Contents: %s", out)
	}
	a.must("apt-get", "install", "--download-only", "--yes", "tool")
	if got := a.downloaded(); got != helloAndDependencies+" tool_3_amd64.deb" {
		w.t.Errorf("downloaded %s", got)
	}
	if out := a.must("apt-cache", "show", "hello"); !strings.Contains(out, "At length, hello is there") {
		w.t.Errorf("no long description:\n%s", out)
	}
	if out, err := a.try("apt-get", "install", "--download-only", "--yes", "other"); err == nil {
		w.t.Errorf("other was not asked for, and is there:\n%s", out)
	}
	a.must("apt-get", "source", "hello")
	if _, err := os.Stat(filepath.Join(a.root, "hello-2.10", "hello.c")); err != nil {
		w.t.Error(err)
	}
}

// TestAptHoldsOldLists: a client that read the lists before the mirror was
// brought up to date is not cut off, and sees the new state when it asks.
func TestAptHoldsOldLists(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.publish("whole", w.specFull())
	w.publish("part", w.specPartial(""))
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		clients := map[string]*apt{"full": here.newApt(s.URL, "amd64", "full-amd64"), "partial": here.newApt(s.URL, "amd64", "partial")}
		for _, a := range clients {
			a.update()
		}
		version := fmt.Sprintf("2.%d-1", 11+slices.Index(webtest.Names(), s.Name))
		if err := os.RemoveAll(filepath.Join(w.www, "os/pool/main/h/hello")); err != nil {
			t.Fatal(err)
		}
		for _, arch := range []string{"amd64", "arm64"} {
			here.deb("os", "pool/main/h/hello", "hello", version, arch, "Depends: libhello, data")
			here.deb("os", "pool/main/h/hello", "libhello", version, arch)
		}
		here.source("os", "pool/main/h/hello", "hello", strings.TrimSuffix(version, "-1"))
		here.suite("os", "stable", []string{"main", "contrib"}, []string{"amd64", "arm64"})
		here.receive(slices.Concat(here.export("part", w.specPartial("")), here.export("whole", w.specFull())))
		for name, a := range clients {
			a.must("apt-get", "install", "--download-only", "--yes", "hello")
			if got := a.downloaded(); strings.Contains(got, "hello_"+version) || !strings.Contains(got, "hello_2.") {
				t.Errorf("%s, by its old lists: downloaded %s", name, got)
			}
			a.update()
			a.must("apt-get", "install", "--download-only", "--yes", "hello")
			if got := a.downloaded(); !strings.Contains(got, "hello_"+version+"_amd64.deb") {
				t.Errorf("%s: downloaded %s", name, got)
			}
		}
	})
}

// TestPartialChoosesAsFull: for everything that was requested, apt takes the
// same files from the partial mirror as from the full one.
func TestPartialChoosesAsFull(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.deb("os", "pool/main/m/mta", "mta-b", "1", "amd64", "Provides: mail-transport-agent", "Conflicts: mail-transport-agent")
	w.deb("os", "pool/main/m/mta", "mta-a", "1", "amd64", "Provides: mail-transport-agent", "Conflicts: mail-transport-agent")
	w.deb("os", "pool/main/m/mailer", "mailer", "1", "amd64", "Pre-Depends: data (>= 1:0.5)", "Depends: mta-z | mta-b | mail-transport-agent", "Recommends: other")
	w.deb("os", "pool/main/v/virtual", "virtual", "1", "amd64", "Depends: mail-transport-agent")
	w.suite("os", "stable", []string{"main", "contrib"}, []string{"amd64", "arm64"})
	asked := []string{"mailer", "virtual", "extra", "hello"}
	w.publish("whole", w.specFull())
	w.publish("part", fmt.Sprintf(`- name: some
  kind: apt
  url: %s/os
  suites: stable
  architectures: [amd64]
  keyring: upstream.asc
  recommends: true
  packages: [%s]
`, w.url, strings.Join(asked, ", ")))
	webtest.Each(t, w.mirror, func(t *testing.T, s *webtest.Server) {
		here := *w
		here.t = t
		whole, some := here.newApt(s.URL, "amd64", "full-amd64"), here.newApt(s.URL, "amd64", "some")
		whole.update()
		some.update()
		for _, name := range asked {
			for _, option := range []string{"--no-install-recommends", "--install-recommends"} {
				want := strings.ReplaceAll(whole.must("apt-get", "install", "--print-uris", "-qq", "--yes", option, name), "/apt/full/", "/apt/some/")
				got := some.must("apt-get", "install", "--print-uris", "-qq", "--yes", option, name)
				if lines(got) != lines(want) || got == "" {
					t.Errorf("%s %s: from the partial mirror\n%sfrom the full one\n%s", option, name, got, want)
				}
			}
		}
	})
}

// lines sorts the lines of a text.
func lines(s string) string {
	all := strings.Split(s, "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}
