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
	"time"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// gap is an exporter and a mirror.
type gap struct {
	t           *testing.T
	dir, mirror string
}

func newGap(t *testing.T) *gap {
	t.Helper()
	g := &gap{t: t, dir: t.TempDir(), mirror: filepath.Join(t.TempDir(), "mirror")}
	private, public, id, err := keys.GenerateExporter([]byte("x"))
	g.check(err)
	g.check(os.WriteFile(filepath.Join(g.dir, "exporter.key"), private, 0o600))
	m, err := unpack.Create(g.mirror, unpack.Options{})
	g.check(err)
	defer m.Close()
	g.check(m.Trust().Update(t.Context(), "test", func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: verify.RoleExporter, Set: "any", ID: id, PEM: string(public), Added: time.Now()})
	}))
	return g
}

func (g *gap) check(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// publish exports the sources and imports them.
func (g *gap) publish(text string) *export.Result {
	g.t.Helper()
	spec := filepath.Join(g.dir, "set.yaml")
	g.check(os.WriteFile(spec, []byte("version: 1\nname: set\nsigning: {exporter: exporter.key}\nsources:\n"+text), 0o600))
	made, err := export.Run(g.t.Context(), export.Options{
		SpecPath: spec, Targets: []string{g.dir}, NoReadback: true, Now: time.Now(),
		Passphrase: func(string) ([]byte, error) { return []byte("x"), nil },
		Kinds:      sources.Kinds{Kind(), files.Kind()}, Tool: "test", Env: func(string) string { return "" },
	})
	g.check(err)
	m, err := unpack.Open(g.mirror, unpack.Options{})
	g.check(err)
	defer m.Close()
	_, err = m.Receive(g.t.Context(), made.Dirs, unpack.ImportOptions{AcceptKeys: true})
	g.check(err)
	tree, err := m.Tree(Name)
	g.check(err)
	_, err = pages.Check(g.t.Context(), tree)
	g.check(err)
	return made
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

// TestPinnedOnce: a file that a lock pins is at two places of the mirror, and is fetched once; of an
// unchanged one nothing is fetched.
func TestPinnedOnce(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"})
	lib := w.Projects["lib"][0]
	g := newGap(t)
	g.check(os.WriteFile(filepath.Join(g.dir, "r.txt"), []byte("lib==1.0 --hash=sha256:"+lib.Digest()+"\n"), 0o600))
	spec := "- name: python\n  kind: pypi\n  index: " + w.URL() + "\n  requirements: r.txt\n" + indented(for312)
	g.publish(spec)
	host := strings.ReplaceAll(strings.TrimPrefix(w.Server.URL(""), "http://"), ":", "_")
	if content, err := os.ReadFile(filepath.Join(g.mirror, "current/files", host, "files", lib.Name)); err != nil || piptest.Digest(content) != lib.Digest() {
		t.Errorf("at the address of its host: %v", err)
	}
	if n := w.Server.Bytes("/files/" + lib.Name); n != int64(len(lib.Content)) {
		t.Errorf("%d bytes of the file were fetched, want its %d once", n, len(lib.Content))
	}
	w.add(piptest.Wheel{Name: "other", Version: "1.0"})
	g.check(os.WriteFile(filepath.Join(g.dir, "r.txt"), []byte("lib==1.0 --hash=sha256:"+lib.Digest()+"\nother==1.0 --hash=sha256:"+w.Projects["other"][0].Digest()+"\n"), 0o600))
	g.publish(spec)
	if n := w.Server.Bytes("/files/" + lib.Name); n != int64(len(lib.Content)) {
		t.Errorf("the second time: %d bytes of the file were fetched in all, want its %d once", n, len(lib.Content))
	}
}

// indented returns a part of a source's options as a list entry has them.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// Real pips and uv install from every server, by name and by lock, and take
// JSON where they ask for it.
func TestInstallFromEveryServer(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "demo-app", Version: "1.0", Requires: []string{"demo-lib[fast]>=1"}, Module: "import demo_lib\n"},
		piptest.Wheel{Name: "demo-lib", Version: "1.5", Extras: []string{"fast"}, Requires: []string{`demo-fast; extra == "fast"`}, RequiresPython: ">=3.6"},
		piptest.Wheel{Name: "demo-lib", Version: "2.0", RequiresPython: ">=3.99"}, piptest.Wheel{Name: "demo-fast", Version: "0.1+local"},
	)
	g := newGap(t)
	g.publish(fmt.Sprintf("- name: python\n  kind: pypi\n  index: %s\n  packages: demo.App\n  targets: [{python: %q, platform: manylinux_2_28_x86_64}, {python: \"3.9\", platform: manylinux2014_aarch64}]\n", w.URL(), python(t)))
	lock := "cp3" + strings.Split(python(t), ".")[1] + "-manylinux_2_28_x86_64"
	webtest.Each(t, g.mirror, func(t *testing.T, s *webtest.Server) {
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
		for _, pip := range piptest.Pips() {
			t.Run("pip "+pip, func(t *testing.T) {
				target := t.TempDir()
				install(t, "pip-"+pip, target, "--index-url", index, "demo_app")
				imports(t, target, "demo_app", "demo_fast")
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

// The client files are what the programs read.
func TestClientFiles(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "demo-app", Version: "1.0", Requires: []string{"demo-lib"}}, piptest.Wheel{Name: "demo-lib", Version: "1.0"})
	g := newGap(t)
	g.publish(fmt.Sprintf("- name: python\n  kind: pypi\n  index: %s\n  packages: demo-app\n  targets: [{python: %q, platform: manylinux_2_28_x86_64}]\n", w.URL(), python(t)))
	s := webtest.Start(t, webtest.Nginx, g.mirror)
	file := func(name, to string) string {
		content, err := os.ReadFile(filepath.Join(g.mirror, "current", "_gapbundle/clients/pypi", name))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(t.TempDir(), to)
		text := strings.NewReplacer("@BASE@", s.URL, "@HOST@", strings.TrimPrefix(s.URL, "http://")).Replace(string(content))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
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
	g.check(os.WriteFile(filepath.Join(dir, "pyproject.toml"), []byte(project), 0o600))
	run(dir, nil, uv, "sync", "--no-cache", "--config-file", config, "--python", piptest.Python(t, "uv"))
	for tool, args := range map[string][]string{"poetry": {"lock", "--no-interaction"}, "pdm": {"lock"}} {
		more, err := os.ReadFile(file(tool+"/python.toml", "x.toml"))
		g.check(err)
		dir := t.TempDir()
		g.check(os.WriteFile(filepath.Join(dir, "pyproject.toml"), []byte(project+"\n"+string(more)), 0o600))
		run(dir, []string{"POETRY_VIRTUALENVS_CREATE=false"}, piptest.Program(t, tool, tool), args...)
		if found, _ := filepath.Glob(filepath.Join(dir, "*.lock")); len(found) != 1 {
			t.Errorf("%s wrote no lock", tool)
		}
	}
}

// What pip would take for other machines from the upstream it takes from the
// mirror: asked with those machines' environments.
func TestOtherMachines(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"native>=1", `back; python_version < "3.10"`, `arm; platform_machine == "aarch64"`}},
		piptest.Wheel{Name: "back", Version: "1.0"}, piptest.Wheel{Name: "arm", Version: "1.0"}, piptest.Wheel{Name: "arm", Version: "2.0", RequiresPython: ">=3.10"},
	)
	for _, tag := range []string{"cp39-cp39-manylinux2014_x86_64", "cp312-cp312-manylinux_2_28_x86_64", "cp39-abi3-manylinux2014_aarch64", "cp39-cp39-musllinux_1_1_x86_64", "cp312-cp312-win_amd64"} {
		w.add(piptest.Wheel{Name: "native", Version: "1.0", Tag: tag})
	}
	g := newGap(t)
	g.publish("- name: python\n  kind: pypi\n  index: " + w.URL() + "\n  packages: app\n  targets:\n    - {python: \"3.9\", platform: [manylinux2014_x86_64, manylinux2014_aarch64, musllinux_1_2_x86_64]}\n    - {python: \"3.12\", platform: [manylinux_2_34_x86_64, win_amd64]}\n")
	s := webtest.Start(t, webtest.Nginx, g.mirror)
	entry, err := newEntry(newSite(t).spec("kind: pypi")[0], options{Index: w.URL(), Packages: []string{"app"}, Targets: []targetEntry{
		{Python: "3.9", Platform: []string{"manylinux2014_x86_64", "manylinux2014_aarch64", "musllinux_1_2_x86_64"}}, {Python: "3.12", Platform: []string{"manylinux_2_34_x86_64", "win_amd64"}},
	}})
	g.check(err)
	for _, pip := range []string{"23.2.1", piptest.NewestPip} {
		var jobs []piptest.Job
		dir := t.TempDir()
		for i, target := range entry.targets {
			m := piptest.Machine{Python: target.Python, Environment: target.Env.Values, Platforms: target.Platforms()}
			for j, index := range []string{w.URL(), s.URL + "/pypi/python/simple/"} {
				jobs = append(jobs, piptest.Question(m, dir, 2*i+j, index, "app"))
			}
		}
		outcomes := piptest.Ask(t, pip, jobs)
		for i, target := range entry.targets {
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
