package lockfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
)

func environment(python, platform string) *marker.Environment {
	values := map[string]string{
		marker.PythonFullVersion: python, marker.PythonVersion: python[:strings.LastIndex(python, ".")], marker.SysPlatform: platform, marker.OSName: "posix",
		marker.PlatformMachine: "x86_64", marker.ImplementationName: "cpython", marker.PlatformPythonImplementation: "CPython",
		marker.PlatformSystem: "Linux",
	}
	if platform == "win32" {
		values[marker.OSName], values[marker.PlatformMachine], values[marker.PlatformSystem] = "nt", "AMD64", "Windows"
	}
	return &marker.Environment{Values: values}
}

func names(all []*Package) string {
	var parts []string
	for _, p := range all {
		parts = append(parts, p.Name+"="+p.Version.String())
	}
	return strings.Join(parts, " ")
}

var digest = strings.Repeat("ab", 32)

const host = "https://host.example"

// locks has a lock of each form that wants a 1.0 everywhere, b 1.0 on Linux.
func locks() map[string]string {
	file := func(name string) string {
		return fmt.Sprintf("url = %q, hash = \"sha256:%s\"", host+"/"+name, digest)
	}
	return map[string]string{
		"pylock.toml": `lock-version = "1.0"
requires-python = ">=3.8"
environments = ["sys_platform == 'linux'", "sys_platform == 'win32'"]
extras = ["x"]
dependency-groups = ["dev"]
[[packages]]
name = "A"
version = "1.0"
marker = "'x' in extras and 'dev' in dependency_groups"
wheels = [{name = "a-1.0-py3-none-any.whl", url = "` + host + `/a", size = 3, hashes = {sha256 = "` + digest + `"}}]
[[packages]]
name = "b"
version = "1.0"
marker = "sys_platform == 'linux'"
sdist = {url = "` + host + `/b-1.0.tar.gz", hashes = {sha256 = "` + digest + `", sha512 = "aa"}}
`,
		"uv.lock": `version = 1
revision = 3
requires-python = ">=3.8"
[[package]]
name = "demo"
version = "0.1"
source = { virtual = "." }
dependencies = [{ name = "a" }, { name = "b", extra = ["y"], marker = "sys_platform == 'linux'" }]
[package.optional-dependencies]
x = [{ name = "a" }]
[[package]]
name = "a"
version = "1.0"
source = { registry = "` + host + `/simple" }
wheels = [{ ` + file("a-1.0-py3-none-any.whl") + `, size = 3 }]
[[package]]
name = "b"
version = "1.0"
source = { registry = "` + host + `/simple" }
sdist = { ` + file("b-1.0.tar.gz") + ` }
[package.optional-dependencies]
y = [{ name = "a", marker = "python_full_version < '4'" }]
z = [{ name = "c" }]
[[package]]
name = "c"
version = "1.0"
source = { registry = "` + host + `/simple" }
sdist = { ` + file("c-1.0.tar.gz") + ` }
`,
		"poetry.lock": `[[package]]
name = "a"
version = "1.0"
optional = false
python-versions = ">=3.8"
groups = ["main"]
files = [{file = "a-1.0-py3-none-any.whl", hash = "sha256:` + digest + `"}]
[[package]]
name = "b"
version = "1.0"
markers = {main = "sys_platform == 'linux'", dev = "sys_platform == 'darwin'"}
files = [{file = "b-1.0.tar.gz", hash = "sha256:` + digest + `"}]
[metadata]
lock-version = "2.1"
python-versions = ">=3.8"
content-hash = "x"
`,
		"pdm.lock": `[metadata]
groups = ["default"]
lock_version = "4.5.0"
[[package]]
name = "a"
version = "1.0"
requires_python = ">=3.8"
groups = ["default"]
files = [{file = "a-1.0-py3-none-any.whl", hash = "sha256:` + digest + `"}]
[[package]]
name = "a"
version = "1.0"
extras = ["x"]
files = [{file = "a-1.0-py3-none-any.whl", hash = "sha256:` + digest + `"}]
[[package]]
name = "b"
version = "1.0"
marker = "sys_platform == 'linux'"
files = [{url = "` + host + `/b-1.0.tar.gz", hash = "sha256:` + digest + `"}]
`,
	}
}

func TestLocks(t *testing.T) {
	for name, content := range locks() {
		t.Run(name, func(t *testing.T) {
			l, err := ReadLock("some/"+name, []byte(content))
			if err != nil {
				t.Fatal(err)
			}
			for platform, want := range map[string]string{"linux": "a=1.0 b=1.0", "win32": "a=1.0"} {
				all, err := l.For(environment("3.9.1", platform))
				if err != nil || names(all) != want {
					t.Errorf("%s: %s, %v, want %s", platform, names(all), err, want)
				}
				for _, p := range all {
					if len(p.Files) != 1 || p.Files[0].SHA256 != digest || !strings.HasPrefix(p.Files[0].Name, p.Name+"-1.0") {
						t.Errorf("%+v", p.Files)
					}
				}
			}
			// Every form refuses what is not a file of an index.
			for from, to := range map[string]string{
				`"1.0"`: `"x.y"`, digest: "abc", "/a-1.0-py3-none-any.whl": "/a/..", `"a-1.0-py3-none-any.whl"`: `"../a"`, `name = "b"`: `name = "b/c"`,
				"sys_platform == 'linux'": "sys_platform =",
			} {
				broken := strings.ReplaceAll(content, from, to)
				if broken == content {
					continue
				}
				if _, err := ReadLock(name, []byte(broken)); !errors.Is(err, ErrInvalid) {
					t.Errorf("%s for %s: %v", to, from, err)
				}
			}
		})
	}
}

func TestLocksRefused(t *testing.T) {
	all := locks()
	for _, c := range []struct{ name, from, to, want string }{
		{"pylock.toml", `lock-version = "1.0"`, `lock-version = "2.0"`, "lock-version"},
		{"pylock.toml", `sdist = {url`, `vcs = {url`, "built in place"}, {"pylock.toml", `sdist = {url`, `directory = {path`, "built in place"},
		{"pylock.toml", `url = "https://host.example/a"`, `path = "./a"`, "local path"}, {"pylock.toml", "https://host", "file://host", "want a URL"},
		{"uv.lock", "version = 1\n", "version = 2\n", "version 2, want 1"}, {"uv.lock", `{ registry = "https://host.example/simple" }`, `{ git = "https://host.example/r?rev=1" }`, "built in place"},
		{"uv.lock", `{ name = "a" }`, `{ name = "nobody" }`, "not in the lock"}, {"uv.lock", "revision = 3\n", "revision = 3\nconflicts = [[{extra = \"x\"}]]\n", "exclude each other"},
		{"poetry.lock", `"2.1"`, `"2.0"`, "Poetry 2"}, {"poetry.lock", "python-versions = \">=3.8\"\ngroups", "source = {type = \"git\", url = \"https://host.example\"}\ngroups", "built in place"},
		{"pdm.lock", `"4.5.0"`, `"4.4"`, "want 4.5"}, {"pdm.lock", "marker =", "git = \"https://host.example\"\nmarker =", "built in place"},
		{"other.lock", "", "", "want pylock.toml"}, {"uv.lock", "version = 1", "version = [", "1:"},
	} {
		content := strings.ReplaceAll(all[c.name], c.from, c.to)
		if _, err := ReadLock(c.name, []byte(content)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: %v, want %s", c.name, c.to, err, c.want)
		}
	}
	l, err := ReadLock("pylock.toml", []byte(all["pylock.toml"]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.For(environment("3.7.1", "linux")); !errors.Is(err, ErrInvalid) {
		t.Error("a Python that the lock is not for:", err)
	}
	if _, err := l.For(environment("3.9.1", "darwin")); !errors.Is(err, ErrInvalid) {
		t.Error("an environment that the lock is not for:", err)
	}
	two := all["pylock.toml"] + strings.ReplaceAll(all["pylock.toml"][strings.Index(all["pylock.toml"], "[[packages]]"):], "1.0", "2.0")
	if l, err = ReadLock("pylock.toml", []byte(two)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.For(environment("3.9.1", "linux")); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "1.0 and 2.0") {
		t.Error("two versions at once:", err)
	}
}

func FuzzLock(f *testing.F) {
	for name, content := range locks() {
		f.Add(name, []byte(content))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		l, err := ReadLock(name, content)
		if err != nil {
			return
		}
		if _, err := l.For(environment("3.9.1", "linux")); err != nil {
			return
		}
		for _, p := range l.Packages {
			for _, file := range p.Files {
				if file.Name == "" || strings.ContainsAny(file.Name, "/\\\x00") {
					t.Fatalf("%q", file.Name)
				}
			}
		}
	})
}
