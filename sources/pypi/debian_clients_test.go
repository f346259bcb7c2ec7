//go:build clients

package pypi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// debianWheels are those that Debian packages for its own virtual environments.
const debianWheels = "/usr/share/python-wheels"

// newDebian has the wheels that Debian packages, and some of the test's.
func newDebian(t *testing.T) packages {
	w := newWorld(t)
	packaged, err := filepath.Glob(debianWheels + "/*.whl")
	if err != nil || len(packaged) < 3 {
		t.Fatalf("%s: %d wheels, %v: .ci/clients installs them", debianWheels, len(packaged), err)
	}
	for _, at := range packaged {
		content, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Split(filepath.Base(at), "-")[0]
		w.Projects[name] = append(w.Projects[name], &piptest.File{Name: filepath.Base(at), Content: content})
	}
	w.add(
		piptest.Wheel{Name: "demo-app", Version: "1.0", Requires: []string{"setuptools", "wheel", "native", `back; python_version < "3.10"`, `arm; platform_machine == "aarch64"`}, Module: "import setuptools, wheel, native\n"},
		piptest.Wheel{Name: "back", Version: "1.0"}, piptest.Wheel{Name: "arm", Version: "1.0"},
	)
	for _, tag := range []string{"cp39-cp39-manylinux2014_x86_64", "cp310-abi3-manylinux2014_x86_64", "cp39-abi3-manylinux2014_aarch64", "cp39-cp39-musllinux_1_1_x86_64"} {
		w.add(piptest.Wheel{Name: "native", Version: "1.0", Tag: tag})
	}
	const targets = `[{python: "3.11.2", platform: manylinux_2_28_x86_64}, {python: "3.9", platform: [manylinux2014_x86_64, manylinux2014_aarch64, musllinux_1_2_x86_64]}, {python: "3.12", platform: manylinux_2_28_x86_64}]`
	return w.source("debian", "packages: [demo-app, pip]\ntargets: "+targets)
}

// installDebian: Debian's own pip installs by name with an empty cache from every server. From one
// it installs by the lock in a fresh virtual environment, and from one for machines that are not this one.
func installDebian(t *testing.T, w *sourcetest.World, s *webtest.Server) {
	index, target := s.URL+"/pypi/debian/simple/", t.TempDir()
	mustRun(t, piptest.DebianPython, "-m", "pip", "install", "--no-cache-dir", "--quiet", "--target", target, "--index-url", index, "demo_app")
	mustRun(t, piptest.DebianPython, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import demo_app, setuptools; assert setuptools.__file__.startswith(sys.argv[1])", target)
	switch s.Name {
	case webtest.Apache:
		freshDebian(t, index, s.URL+"/pypi/debian/locks/cp311-manylinux_2_28_x86_64.txt")
	case webtest.Caddy:
		downloadDebian(t, w, index)
	}
}

func mustRun(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := client(t, program, args...); err != nil {
		t.Fatal(out)
	}
}

// freshDebian installs by a lock in a virtual environment of Debian's own Python.
func freshDebian(t *testing.T, index, lock string) {
	fresh := filepath.Join(t.TempDir(), "venv")
	mustRun(t, piptest.DebianPython, "-m", "venv", fresh)
	mustRun(t, fresh+"/bin/python", "-m", "pip", "install", "--no-cache-dir", "--quiet", "--index-url", index, "--require-hashes", "-r", lock)
	mustRun(t, fresh+"/bin/python", "-c", "import demo_app")
}

// downloadDebian downloads for machines that are not this one what their locks have.
func downloadDebian(t *testing.T, w *sourcetest.World, index string) {
	targets := targetsOf(t, targetEntry{Python: "3.9", Platform: []string{"manylinux2014_x86_64", "manylinux2014_aarch64", "musllinux_1_2_x86_64"}},
		targetEntry{Python: "3.12", Platform: []string{"manylinux_2_28_x86_64"}})
	var jobs []piptest.Job
	var folders []string
	for _, target := range targets {
		m := piptest.Machine{Python: target.Python, Environment: target.Env.Values, Platforms: target.Platforms()}
		folders = append(folders, t.TempDir())
		jobs = append(jobs, piptest.Download(m, folders[len(folders)-1], index, "demo-app"))
	}
	for i, outcome := range piptest.AskPython(t, piptest.DebianPython, jobs) {
		lock, err := os.ReadFile(filepath.Join(w.Mirror, "current", "pypi/debian/locks", targets[i].Name()+".txt"))
		if outcome.Code != 0 || err != nil {
			t.Fatal(outcome.Output, err)
		}
		found, _ := filepath.Glob(folders[i] + "/*.whl")
		for _, at := range found {
			content, err := os.ReadFile(at)
			if err != nil || !strings.Contains(string(lock), piptest.Digest(content)) {
				t.Errorf("%s: %s is not in its lock: %v", targets[i].Name(), filepath.Base(at), err)
			}
		}
		if want := strings.Count(string(lock), "--hash") - 1; len(found) != want { // pip itself is in the lock too
			t.Errorf("%s: %d files, want %d", targets[i].Name(), len(found), want)
		}
	}
}

// newPages has one project.
func newPages(t *testing.T) packages {
	return newWorld(t).add(piptest.Wheel{Name: "demo-app", Version: "1.0"}).source("pages", "packages: demo-app\n"+for312)
}

// withoutJSON takes the form as JSON from a page.
func withoutJSON(t *testing.T, w *sourcetest.World) {
	if err := os.Remove(filepath.Join(w.Mirror, "current/pypi/pages/simple/demo-app", "index.v1_json")); err != nil {
		t.Fatal(err)
	}
}

// pagesOf: a page that has no form as JSON is HTML for whoever asks, and a project's name without
// a slash leads to its page at the server's own address.
func pagesOf(t *testing.T, s *webtest.Server) {
	index := s.URL + "/pypi/pages/simple/"
	for _, page := range []string{"demo-app/", "demo-app"} {
		if media, _ := get(t, index+page, piptest.JSONType+", text/html; q=0.01"); !strings.HasPrefix(media, "text/html") {
			t.Errorf("%s without JSON: %s", page, media)
		}
	}
	if media, _ := get(t, index, piptest.JSONType); media != piptest.JSONType {
		t.Errorf("the list of names: %s", media)
	}
	install(t, "pip-"+piptest.NewestPip, t.TempDir(), "--index-url", index, "--only-binary=:all:", "demo.app")
}
