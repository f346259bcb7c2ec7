//go:build clients

package lockfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

const project = `[project]
name = "demo"
version = "0.1"
requires-python = ">=3.9"
dependencies = ["alpha[fast]>=1", "winonly; sys_platform == 'win32'", "old; python_version < '3.11'"]

[project.optional-dependencies]
more = ["gamma"]

[dependency-groups]
dev = ["delta"]
`

// Locks that the tools themselves write are read, and want the same for a
// target as the tools' own markers say.
func TestLocksOfTheTools(t *testing.T) {
	server := upstreamtest.New(t)
	index := &piptest.Index{Server: server, HTML: true, Projects: map[string][]*piptest.File{}}
	for _, w := range []piptest.Wheel{
		{Name: "alpha", Version: "1.2", Extras: []string{"fast"}, Requires: []string{`beta>=1; extra == "fast"`, `linuxonly; sys_platform == "linux"`}},
		{Name: "beta", Version: "1.0"}, {Name: "gamma", Version: "1.0"}, {Name: "delta", Version: "1.0"}, {Name: "winonly", Version: "1.0"}, {Name: "linuxonly", Version: "1.0"},
		{Name: "old", Version: "1.0", Requires: []string{"beta"}},
	} {
		index.Projects[w.Name] = append(index.Projects[w.Name], w.Build(t))
	}
	index.Put()
	for _, c := range []struct {
		tool, lock, more string
		command          []string
	}{
		{"uv", "uv.lock", "", []string{"lock", "--index-url", index.URL()}},
		{"uv", "pylock.toml", "", []string{"export", "--format", "pylock.toml", "--all-extras", "--all-groups", "--index-url", index.URL(), "-o", "pylock.toml", "--quiet"}},
		{"poetry", "poetry.lock", "\n[[tool.poetry.source]]\nname = \"here\"\nurl = \"" + index.URL() + "\"\npriority = \"primary\"\n", []string{"lock", "--no-interaction"}},
		{"pdm", "pdm.lock", "\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"" + index.URL() + "\"\nverify_ssl = false\n", []string{"lock", "-G", ":all"}},
	} {
		t.Run(c.lock, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "pyproject.toml"), []byte(project+c.more), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(piptest.Program(t, c.tool, c.tool), c.command...)
			cmd.Dir, cmd.Env = dir, piptest.Clean(t.TempDir(), "POETRY_VIRTUALENVS_CREATE=false")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			content, err := os.ReadFile(filepath.Join(dir, c.lock))
			if err != nil {
				t.Fatal(err)
			}
			l, err := ReadLock(c.lock, content)
			if err != nil {
				t.Fatalf("%v\n%s", err, content)
			}
			for _, target := range []struct {
				env  *marker.Environment
				want string
			}{
				{environment("3.9.18", "linux"), "alpha=1.2 beta=1.0 delta=1.0 gamma=1.0 linuxonly=1.0 old=1.0"},
				{environment("3.12.1", "win32"), "alpha=1.2 beta=1.0 delta=1.0 gamma=1.0 winonly=1.0"},
			} {
				all, err := l.For(target.env)
				if err != nil {
					t.Fatal(err)
				}
				if got := names(all); got != target.want {
					t.Errorf("%s, want %s\n%s", got, target.want, content)
				}
				for _, p := range all {
					for _, f := range p.Files {
						if f.SHA256 == "" || !strings.HasSuffix(f.Name, ".whl") {
							t.Errorf("%s: %+v", p.Name, f)
						}
					}
				}
			}
		})
	}
}
