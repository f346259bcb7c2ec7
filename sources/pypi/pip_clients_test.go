//go:build clients

package pypi

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// TestClients: real pips, uv, poetry, pdm and Debian's own pip take packages from one mirror, which
// each server serves in turn.
func TestClients(t *testing.T) {
	w := sourcetest.NewWorld(t, Kind(), files.Kind())
	t.Run("a pinned file is fetched once", func(t *testing.T) { pinnedOnce(t, w) })
	demo, debian, old, other := newDemo(t), newDebian(t), newPages(t), newOtherMachines(t)
	w.Publish("set", demo.spec+debian.spec+old.spec+other.spec)
	t.Run("pages without JSON", func(t *testing.T) { withoutJSON(t, w) })
	w.Each(t, func(t *testing.T, s *webtest.Server) {
		t.Run("install", func(t *testing.T) { installDemo(t, s) })
		t.Run("pages", func(t *testing.T) { pagesOf(t, s) })
		t.Run("debian", func(t *testing.T) { installDebian(t, w, s) })
		if s.Name == webtest.Nginx {
			t.Run("client files", func(t *testing.T) { clientFiles(t, w) })
			t.Run("other machines", func(t *testing.T) { otherMachines(t, other.URL(), s) })
		}
	})
}

// packages are an index of upstream and the source that carries some of its projects.
type packages struct {
	*world
	spec string
}

// source returns a source of this name whose index is w.
func (w *world) source(name, options string) packages {
	return packages{w, "- name: " + name + "\n  kind: pypi\n  index: " + w.URL() + "\n" + indented(options)}
}

// targetsOf returns the targets that a spec would have.
func targetsOf(t *testing.T, all ...targetEntry) []pages.Target {
	t.Helper()
	e, err := newEntry(newSite(t).spec("kind: pypi")[0], options{Index: "http://a.example/", Packages: []string{"x"}, Targets: all})
	if err != nil {
		t.Fatal(err)
	}
	return e.targets
}

// client returns a real program with a fresh environment.
func client(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = piptest.Clean(t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func python(t *testing.T) string {
	out, err := client(t, "python3", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// get asks a server for a page.
func get(t *testing.T, url, accept string) (contentType, vary string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Header.Get("Content-Type"), strings.Join(resp.Header.Values("Vary"), ",")
}

// pinnedOnce: a file that a lock pins is at two places of the mirror, and is fetched once; of an
// unchanged one nothing is fetched.
func pinnedOnce(t *testing.T, w *sourcetest.World) {
	up := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"})
	lib := up.Projects["lib"][0]
	pinned := up.source("pinned", "requirements: r.txt\n"+for312)
	publish := func(lines string) {
		w.Write(filepath.Join(w.Dir, "r.txt"), []byte(lines))
		w.Publish("pinned", pinned.spec)
	}
	line := "lib==1.0 --hash=sha256:" + lib.Digest() + "\n"
	publish(line)
	host := strings.ReplaceAll(strings.TrimPrefix(up.Server.URL(""), "http://"), ":", "_")
	if content, err := os.ReadFile(filepath.Join(w.Mirror, "current/files", host, "files", lib.Name)); err != nil || piptest.Digest(content) != lib.Digest() {
		t.Errorf("at the address of its host: %v", err)
	}
	if n := up.Server.Bytes("/files/" + lib.Name); n != int64(len(lib.Content)) {
		t.Errorf("%d bytes of the file were fetched, want its %d once", n, len(lib.Content))
	}
	up.add(piptest.Wheel{Name: "other", Version: "1.0"})
	publish(line + "other==1.0 --hash=sha256:" + up.Projects["other"][0].Digest() + "\n")
	if n := up.Server.Bytes("/files/" + lib.Name); n != int64(len(lib.Content)) {
		t.Errorf("the second time: %d bytes of the file were fetched in all, want its %d once", n, len(lib.Content))
	}
}

// indented returns a part of a source's options as a list entry has them.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// newDemo has packages with extras, and one that this Python is too old for.
func newDemo(t *testing.T) packages {
	return newWorld(t).add(
		piptest.Wheel{Name: "demo-app", Version: "1.0", Requires: []string{"demo-lib[fast]>=1"}, Module: "import demo_lib\n"},
		piptest.Wheel{Name: "demo-lib", Version: "1.5", Extras: []string{"fast"}, Requires: []string{`demo-fast; extra == "fast"`}, RequiresPython: ">=3.6"},
		piptest.Wheel{Name: "demo-lib", Version: "2.0", RequiresPython: ">=3.99"}, piptest.Wheel{Name: "demo-fast", Version: "0.1+local"},
	).source("python", fmt.Sprintf("packages: demo.App\ntargets: [{python: %q, platform: manylinux_2_28_x86_64}, {python: \"3.9\", platform: manylinux2014_aarch64}]", python(t)))
}

// installDemo: pips and uv install by name and by lock, and take JSON where they ask for it.
func installDemo(t *testing.T, s *webtest.Server) {
	lock := "cp3" + strings.Split(python(t), ".")[1] + "-manylinux_2_28_x86_64"
	index := s.URL + "/pypi/python/simple/"
	for _, page := range []string{"", "demo-lib/"} {
		for accept, want := range map[string]string{
			"text/html,*/*": "text/html", piptest.JSONType + ", application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01": piptest.JSONType, "": "text/html",
		} {
			if have, vary := get(t, index+page, accept); !strings.HasPrefix(have, want) || !strings.Contains(vary, "Accept") {
				t.Errorf("%s%s for %q: %s, Vary %s", index, page, accept, have, vary)
			}
		}
	}
	for i, pip := range piptest.Pips() {
		t.Run("pip "+pip, func(t *testing.T) {
			target := t.TempDir()
			install(t, "pip-"+pip, target, "--index-url", index, "demo_app")
			imports(t, target, "demo_app", "demo_fast")
			if s.Name != webtest.Names()[i%len(webtest.Names())] {
				return // each pip installs by the lock from one server
			}
			again := t.TempDir()
			install(t, "pip-"+pip, again, "--index-url", index, "--require-hashes", "-r", s.URL+"/pypi/python/locks/"+lock+".txt")
			imports(t, again, "demo_app", "demo_fast")
		})
	}
	t.Run("uv", func(t *testing.T) {
		target := t.TempDir()
		out, err := client(t, piptest.Program(t, "uv", "uv"), "pip", "install", "--no-cache", "--python", piptest.Python(t, "uv"), "--target", target, "--default-index", index, "Demo.App")
		if err != nil {
			t.Fatal(out)
		}
		imports(t, target, "demo_app", "demo_fast")
	})
}

func install(t *testing.T, env, target string, args ...string) {
	t.Helper()
	all := append([]string{"-m", "pip", "install", "--no-cache-dir", "--quiet", "--target", target}, args...)
	if out, err := client(t, piptest.Python(t, env), all...); err != nil {
		t.Fatal(out)
	}
}

func imports(t *testing.T, target string, modules ...string) {
	t.Helper()
	out, err := client(t, "python3", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import "+strings.Join(modules, ", "), target)
	if err != nil {
		t.Error(out)
	}
}

// clientFiles: the client files are what the programs read.
func clientFiles(t *testing.T, w *sourcetest.World) {
	file := func(name, to string) string {
		at := filepath.Join(t.TempDir(), to)
		w.Write(at, w.Client(Name, name))
		return at
	}
	run := func(dir string, env []string, program string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir, cmd.Env = dir, append(piptest.Clean(t.TempDir()), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %v: %s", program, args, out)
		}
	}
	for _, name := range []string{"pip/python.conf", "pip/python-plain-http.conf"} {
		run(t.TempDir(), []string{"PIP_CONFIG_FILE=" + file(name, "pip.conf")}, piptest.Python(t, "pip-"+piptest.NewestPip), "-m", "pip", "install", "--no-cache-dir", "--target", t.TempDir(), "demo-app")
	}
	env, err := os.ReadFile(file("pip/python.env", "env"))
	if err != nil {
		t.Fatal(err)
	}
	var set []string
	for line := range strings.Lines(string(env)) {
		if !strings.HasPrefix(line, "#") {
			set = append(set, strings.TrimSpace(line))
		}
	}
	run(t.TempDir(), set, piptest.Python(t, "pip-"+piptest.NewestPip), "-m", "pip", "download", "--no-cache-dir", "demo-app")
	uv := piptest.Program(t, "uv", "uv")
	run(t.TempDir(), set, uv, "pip", "install", "--no-cache", "--target", t.TempDir(), "--python", piptest.Python(t, "uv"), "demo-app")
	project := "[project]\nname = \"x\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"demo-app\"]\n"
	dir := t.TempDir()
	config := file("uv/python.toml", "uv.toml")
	w.Write(filepath.Join(dir, "pyproject.toml"), []byte(project))
	run(dir, nil, uv, "sync", "--no-cache", "--config-file", config, "--python", piptest.Python(t, "uv"))
	for tool, args := range map[string][]string{"poetry": {"lock", "--no-interaction"}, "pdm": {"lock"}} {
		more, err := os.ReadFile(file(tool+"/python.toml", "x.toml"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		w.Write(filepath.Join(dir, "pyproject.toml"), []byte(project+"\n"+string(more)))
		run(dir, []string{"POETRY_VIRTUALENVS_CREATE=false"}, piptest.Program(t, tool, tool), args...)
		if found, _ := filepath.Glob(filepath.Join(dir, "*.lock")); len(found) != 1 {
			t.Errorf("%s wrote no lock", tool)
		}
	}
}

// otherTargets returns machines that are not this one.
func otherTargets(t *testing.T) []pages.Target {
	return targetsOf(t, targetEntry{Python: "3.9", Platform: []string{"manylinux2014_x86_64", "manylinux2014_aarch64", "musllinux_1_2_x86_64"}},
		targetEntry{Python: "3.12", Platform: []string{"manylinux_2_34_x86_64", "win_amd64"}})
}

// newOtherMachines has packages for them.
func newOtherMachines(t *testing.T) packages {
	w := newWorld(t).add(
		piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"native>=1", `back; python_version < "3.10"`, `arm; platform_machine == "aarch64"`}},
		piptest.Wheel{Name: "back", Version: "1.0"}, piptest.Wheel{Name: "arm", Version: "1.0"}, piptest.Wheel{Name: "arm", Version: "2.0", RequiresPython: ">=3.10"},
	)
	for _, tag := range []string{"cp39-cp39-manylinux2014_x86_64", "cp312-cp312-manylinux_2_28_x86_64", "cp39-abi3-manylinux2014_aarch64", "cp39-cp39-musllinux_1_1_x86_64", "cp312-cp312-win_amd64"} {
		w.add(piptest.Wheel{Name: "native", Version: "1.0", Tag: tag})
	}
	return w.source("machines", "packages: app\ntargets:\n- {python: \"3.9\", platform: [manylinux2014_x86_64, manylinux2014_aarch64, musllinux_1_2_x86_64]}\n- {python: \"3.12\", platform: [manylinux_2_34_x86_64, win_amd64]}")
}

// otherMachines: what pip would take for other machines from the upstream it takes from the
// mirror. It is asked with those machines' environments.
func otherMachines(t *testing.T, upstream string, s *webtest.Server) {
	targets := otherTargets(t)
	for _, pip := range []string{"23.2.1", piptest.NewestPip} {
		var jobs []piptest.Job
		dir := t.TempDir()
		for i, target := range targets {
			m := piptest.Machine{Python: target.Python, Environment: target.Env.Values, Platforms: target.Platforms()}
			for j, index := range []string{upstream, s.URL + "/pypi/machines/simple/"} {
				jobs = append(jobs, piptest.Question(m, dir, 2*i+j, index, "app"))
			}
		}
		outcomes := piptest.Ask(t, pip, jobs)
		for i, target := range targets {
			outside, inside := outcomes[2*i], outcomes[2*i+1]
			if outside.Code != 0 || inside.Code != 0 {
				t.Fatalf("pip %s, %s: %s %s", pip, target.Name(), outside.Output, inside.Output)
			}
			if have, want := installed(inside), installed(outside); have != want || have == "" {
				t.Errorf("pip %s, %s: %s, outside %s", pip, target.Name(), have, want)
			}
		}
	}
}

func installed(o piptest.Outcome) string {
	var names []string
	for _, one := range o.Report {
		names = append(names, filepath.Base(one[2]))
	}
	return strings.Join(sortedStrings(names), " ")
}
