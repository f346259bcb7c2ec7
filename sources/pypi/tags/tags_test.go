package tags

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
)

func target(t *testing.T, python, implementation, platform string) *Target {
	t.Helper()
	target, err := NewTarget(python, implementation, platform)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestRank(t *testing.T) {
	// Of each target: wheels that it takes, the best first, and some that it does not.
	for _, c := range []struct {
		python, implementation, platform string
		takes, refuses                   []string
	}{
		{"3.12", "", "manylinux_2_28_x86_64", []string{
			"a-1-cp312-cp312-linux_x86_64.whl", "a-1-cp312-cp312-manylinux_2_28_x86_64.whl", "a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "a-1-cp312-cp312-manylinux2014_x86_64.whl",
			"a-1-cp312-cp312-manylinux1_x86_64.whl", "a-1-cp312-abi3-manylinux1_x86_64.whl",
			"a-1-cp312-none-linux_x86_64.whl", "a-1-cp39-abi3-manylinux2010_x86_64.whl", "a-1-cp32-abi3-manylinux1_x86_64.whl",
			"a-1-py312-none-linux_x86_64.whl", "a-1-py3-none-manylinux_2_12_x86_64.whl", "a-1-cp312-none-any.whl", "a-1-py312-none-any.whl",
			"a-1-py2.py3-none-any.whl", "a-1-py30-none-any.whl",
		}, []string{
			"a-1-cp312-cp312-manylinux_2_29_x86_64.whl", "a-1-cp312-cp312-manylinux_2_28_aarch64.whl", "a-1-cp312-cp312t-manylinux1_x86_64.whl",
			"a-1-cp313-abi3-manylinux1_x86_64.whl", "a-1-py2-none-any.whl", "a-1-cp311-cp311-linux_x86_64.whl", "a-1-cp312-cp312-musllinux_1_1_x86_64.whl", "a-1-py313-none-any.whl",
		}},
		{"3.13t", "", "manylinux2014_aarch64", []string{"a-1-cp313-cp313t-manylinux_2_17_aarch64.whl", "a-1-cp313-abi3t-linux_aarch64.whl", "a-1-cp313-none-any.whl", "a-1-py3-none-any.whl"},
			[]string{"a-1-cp313-cp313-manylinux2014_aarch64.whl", "a-1-cp313-abi3-manylinux2014_aarch64.whl", "a-1-cp39-abi3-linux_aarch64.whl", "a-1-cp313-cp313t-manylinux2010_aarch64.whl"}},
		{"3.7", "cpython", "musllinux_1_2_x86_64", []string{"a-1-cp37-cp37m-linux_x86_64.whl", "a-1-cp37-cp37m-musllinux_1_2_x86_64.whl", "a-1-cp37-cp37m-musllinux_1_0_x86_64.whl"},
			[]string{"a-1-cp37-cp37-musllinux_1_2_x86_64.whl", "a-1-cp37-cp37m-manylinux1_x86_64.whl", "a-1-cp37-cp37m-musllinux_1_3_x86_64.whl"}},
		{"3.10", "pypy", "manylinux2014_x86_64", []string{"a-1-pp310-pypy310_pp73-manylinux2014_x86_64.whl", "a-1-pp310-none-any.whl", "a-1-py3-none-any.whl"},
			[]string{"a-1-cp310-cp310-manylinux2014_x86_64.whl", "a-1-cp39-abi3-manylinux2014_x86_64.whl"}},
		{"3.11", "", "macosx_12_0_arm64", []string{"a-1-cp311-cp311-macosx_12_0_arm64.whl", "a-1-cp311-cp311-macosx_12_0_universal2.whl", "a-1-cp311-cp311-macosx_11_0_arm64.whl", "a-1-cp311-cp311-macosx_10_9_universal2.whl"},
			[]string{"a-1-cp311-cp311-macosx_10_9_x86_64.whl", "a-1-cp311-cp311-macosx_13_0_arm64.whl", "a-1-cp311-cp311-macosx_10_9_arm64.whl"}},
		{"3.11", "", "macosx_10_15_x86_64", []string{"a-1-cp311-cp311-macosx_10_15_x86_64.whl", "a-1-cp311-cp311-macosx_10_9_intel.whl"}, []string{"a-1-cp311-cp311-macosx_11_0_x86_64.whl"}},
		{"3.11", "", "win_amd64", []string{"a-1-cp311-cp311-win_amd64.whl", "a-1-py3-none-win_amd64.whl"}, []string{"a-1-cp311-cp311-win32.whl"}},
		{"3.11", "", "linux_x86_64", []string{"a-1-cp311-cp311-linux_x86_64.whl"}, []string{"a-1-cp311-cp311-manylinux1_x86_64.whl"}},
	} {
		target := target(t, c.python, c.implementation, c.platform)
		last := -1
		for _, name := range append(c.takes, "a-1.tar.gz") {
			f, err := ParseFile("a", name)
			if err != nil {
				t.Fatal(err)
			}
			if rank := target.Rank(f); rank <= last {
				t.Errorf("%s: %s has rank %d, the one before %d", target.Name(), name, rank, last)
			} else {
				last = rank
			}
		}
		for _, name := range c.refuses {
			f, err := ParseFile("a", name)
			if err != nil {
				t.Fatal(err)
			}
			if rank := target.Rank(f); rank != -1 {
				t.Errorf("%s takes %s", target.Name(), name)
			}
		}
	}
}

func TestTargetRefused(t *testing.T) {
	for _, c := range [][3]string{
		{"3", "", "win32"}, {"2.7", "", "win32"}, {"3.12.x", "", "win32"}, {"3.012", "", "win32"}, {"3.12t", "", "win32"}, {"3.13t", "pypy", "win32"},
		{"3.12", "jython", "win32"}, {"3.12", "", "linux"}, {"3.12", "", "manylinux_2_4_x86_64"}, {"3.12", "", "manylinux_2_16_aarch64"},
		{"3.12", "", "manylinux_3_1_x86_64"}, {"3.12", "", "manylinux_2_28_vax"}, {"3.12", "", "musllinux_2_0_x86_64"}, {"3.12", "", "macosx_10_15_arm64"},
		{"3.12", "", "manylinux_2_100_x86_64"}, {"3.100", "", "win32"}, {"3.12", "", ""}, {"", "", "win32"},
	} {
		if got, err := NewTarget(c[0], c[1], c[2]); err == nil {
			t.Errorf("%v: %s", c, got.Name())
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := target(t, "3.9", "", "manylinux2014_aarch64").Environment()
	if !env.Partial || env.Values[marker.PlatformMachine] != "aarch64" || env.Values[marker.PythonVersion] != "3.9" || env.Values[marker.SysPlatform] != "linux" {
		t.Error(env)
	}
	if env := target(t, "3.12.4", "", "win_amd64").Environment(); env.Partial || env.Values[marker.PlatformMachine] != "AMD64" || env.Values[marker.OSName] != "nt" || env.Values[marker.ImplementationVersion] != "3.12.4" {
		t.Error(env)
	}
	if _, known := target(t, "3.10.1", "pypy", "win_amd64").Environment().Values[marker.ImplementationVersion]; known {
		t.Error("PyPy's own version is not the one of Python")
	}
}

func TestParseFile(t *testing.T) {
	for _, c := range []struct{ project, name, version string }{
		{"foo-bar", "foo_bar-1.0-py3-none-any.whl", "1.0"}, {"foo-bar", "Foo.Bar-1.0-2_x-py3-none-any.whl", "1.0"},
		{"foo-bar", "foo-bar-1.0.tar.gz", "1.0"}, {"foo-bar", "foo_bar-1.0.post1.zip", "1.0.post1"}, {"foo", "foo-1-2.tgz", "1.post2"},
	} {
		f, err := ParseFile(c.project, c.name)
		if err != nil || f.Version.String() != c.version {
			t.Errorf("%s: %v, %v", c.name, f, err)
		}
	}
	for _, c := range [][2]string{
		{"foo", "foo-1.0-py3-none.whl"}, {"foo", "foo-x-py3-none-any.whl"}, {"foo", "bar-1.0-py3-none-any.whl"}, {"foo", "foo-1.0-x-py3-none-any.whl"},
		{"foo", "foo-1.0.exe"}, {"foo", "foo-1.0.egg"}, {"foo", "foo.tar.gz"}, {"foo", "foo-bar-1.0.tar.gz"}, {"foo", "../foo-1.0.tar.gz"},
		{"foo", "foo-1.0\x00.tar.gz"}, {"foo", "foo-" + strings.Repeat("1", 300) + ".zip"}, {"foo", "foo-1-" + strings.Repeat("a.", 100) + "-" + strings.Repeat("b.", 20) + "-any.whl"}, {"foo", ".zip"},
	} {
		if f, err := ParseFile(c[0], c[1]); !errors.Is(err, ErrName) {
			t.Errorf("%.40q: %v, %v", c[1], f, err)
		}
	}
}

func TestBuildOrder(t *testing.T) {
	var builds []Build
	for _, name := range []string{"a-1-py3-none-any.whl", "a-1-0-py3-none-any.whl", "a-1-2-py3-none-any.whl", "a-1-2b-py3-none-any.whl", "a-1-10-py3-none-any.whl"} {
		f, err := ParseFile("a", name)
		if err != nil {
			t.Fatal(err)
		}
		builds = append(builds, f.Build)
	}
	if !slices.IsSortedFunc(builds, Build.Compare) || builds[0].Compare(builds[1]) == 0 {
		t.Error(builds)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("foo", "foo-1.0-1-py2.py3-none-any.whl")
	f.Add("foo-bar", "foo-bar-1.0.tar.gz")
	target, err := NewTarget("3.12", "", "manylinux_2_28_x86_64")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, project, name string) {
		file, err := ParseFile(project, name)
		if err != nil {
			return
		}
		if file.Project != project || file.Version.IsZero() || strings.Contains(name, "/") {
			t.Fatalf("%q: %v", name, file)
		}
		target.Rank(file)
	})
}

func FuzzTarget(f *testing.F) {
	f.Add("3.12", "cpython", "manylinux_2_28_x86_64")
	f.Add("3.13t", "", "macosx_14_0_arm64")
	f.Fuzz(func(t *testing.T, python, implementation, platform string) {
		target, err := NewTarget(python, implementation, platform)
		if err != nil {
			return
		}
		if n := len(target.List()); n == 0 || n > 50_000 {
			t.Fatalf("%d tags", n)
		}
	})
}
