package marker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

func linux(python string) *Environment {
	short := python
	if strings.Count(python, ".") > 1 {
		short = python[:strings.LastIndex(python, ".")]
	}
	return &Environment{Partial: short == python, Values: map[string]string{
		OSName: "posix", SysPlatform: "linux", PlatformMachine: "x86_64", PlatformSystem: "Linux",
		PlatformPythonImplementation: "CPython", ImplementationName: "cpython", ImplementationVersion: python,
		PythonVersion: short, PythonFullVersion: python,
	}}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		marker string
		python string
		extras []string
		want   string // yes, no, or the variable that is not known
	}{
		{`python_version < "3.10"`, "3.9", nil, "yes"},
		{`python_version < "3.10"`, "3.12.4", nil, "no"},
		{`"3.10" > python_version`, "3.9", nil, "yes"},
		{`python_version in "2.7 3.9"`, "3.9", nil, "yes"},
		{`python_version not in "2.7, 3.9"`, "3.9", nil, "no"},
		{`python_version == "3.*"`, "3.9", nil, "yes"},
		{`python_version ~= "3.8"`, "3.9", nil, "yes"},
		{`sys.platform == "linux" and platform.machine == 'x86_64'`, "3.9", nil, "yes"},
		{`sys_platform == "win32" or os_name == "nt" or (python_version > "3" and implementation_name == "cpython")`, "3.9", nil, "yes"},
		{`sys_platform == "win32" and platform_release >= "10"`, "3.9", nil, "no"},
		{`sys_platform == "linux" and platform_release >= "5"`, "3.9", nil, "platform_release"},
		{`sys_platform == "linux" or platform_version == "x"`, "3.9", nil, "yes"},
		{`python_full_version < "3.12.4"`, "3.12", nil, "python_full_version"},
		{`python_full_version < "3.12.4"`, "3.12.3", nil, "yes"},
		{`python_full_version < "3.13"`, "3.12", nil, "yes"},
		{`python_full_version >= "3.12"`, "3.12", nil, "yes"},
		{`python_full_version != "3.12.1"`, "3.12", nil, "python_full_version"},
		{`python_full_version == "3.12.*"`, "3.12", nil, "yes"},
		{`python_full_version >= "3.12.1" and extra == "x"`, "3.12", nil, "no"},
		{`implementation_version > "3.12.0"`, "3.12", nil, "implementation_version"},
		{`extra == "Foo_Bar"`, "3.9", []string{"foo-bar"}, "yes"},
		{`extra == "a"`, "3.9", []string{"b", "a"}, "yes"},
		{`extra == "a"`, "3.9", nil, "no"},
		{`extra != "a"`, "3.9", nil, "yes"},
		{`"a" == extra`, "3.9", []string{"a"}, "yes"},
		{`"a" in extras and "d.e" not in dependency_groups`, "3.9", []string{"a"}, "yes"},
		{`platform_machine < "z"`, "3.9", nil, "no"},
		{`platform_machine >= "x86_64"`, "3.9", nil, "yes"},
	} {
		m, err := Parse(c.marker)
		if err != nil {
			t.Error(err)
			continue
		}
		holds, err := m.Holds(linux(c.python), Selection{Extras: c.extras})
		got := "no"
		var missing *UnknownError
		switch {
		case errors.As(err, &missing):
			got = missing.Variable
		case err != nil:
			got = err.Error()
		case holds:
			got = "yes"
		}
		if got != c.want {
			t.Errorf("%s for Python %s and extras %v: %s, want %s", c.marker, c.python, c.extras, got, c.want)
		}
	}
}

func TestAdmitsPython(t *testing.T) {
	for _, c := range []struct{ set, python, want string }{
		{">=3.8", "3.9", "yes"}, {">=3.10", "3.9", "no"}, {"!=3.9.0,!=3.9.1,>=3.7", "3.9", "unknown"},
		{"!=3.9.0,>=3.7", "3.9.18", "yes"}, {">=3.10,!=3.9.0", "3.9", "no"}, {"", "3.9", "yes"}, {"<4.0,>=3.9.2", "3.9", "unknown"},
		{"~=3.6", "3.12", "yes"}, {">=3.6,<3.12.5", "3.12", "unknown"}, {"<=3.12", "3.12", "unknown"}, {"==3.9.*", "3.9", "yes"},
	} {
		set, err := pep440.ParseSet(c.set)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := linux(c.python).AdmitsPython(set)
		got := map[bool]string{true: "yes", false: "no"}[holds]
		if errors.Is(err, ErrUnknown) {
			got = "unknown"
		}
		if got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.set, c.python, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{
		"", "python_version", `python_version == 3`, `"a" == "b"`, `os_name == sys_platform`, `foo == "a"`, `python_version == "3`,
		`(python_version == "3"`, `python_version == "3" os_name == "a"`, `python_version not "3"`, `extras == "a"`, `extras in "a"`,
		`os_name ~= "a"`, `os_name == "a" and`, `python_version in`, `os_name inx "a"`,
		strings.Repeat("(", 1000) + `os_name == "a"` + strings.Repeat(")", 1000),
	} {
		if m, err := Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.60q: %s, %v", text, m, err)
		}
	}
}

func TestRequirement(t *testing.T) {
	for text, want := range map[string]string{
		"A.B_c": "a-b-c",
		" requests [security, Socks] (>=2.8.1, ==2.8.*) ; python_version < \"2.7\"": `requests[security,socks]>=2.8.1,==2.8.*; python_version < "2.7"`,
		"pip @ https://host.example/pip.zip;x#sha256=aa ; os_name == 'a'":           "pip @ https://host.example/pip.zip;x#sha256=aa ; os_name == 'a'",
		"a[]>=1,":                 "a>=1",
		"a @ https://x.example/y": "a @ https://x.example/y",
		"a===x y":                 "",
		"a ,>=1":                  "", "a[x": "", "a>=1 b": "", "-a": "", "a-": "", "a @": "", "a (>=1": "", "ä": "", "a;": "", "a/b": "", "a\x00": "",
	} {
		r, err := ParseRequirement(text)
		switch {
		case want == "" && !errors.Is(err, ErrInvalid):
			t.Errorf("%q: %s, %v", text, r.String(), err)
		case want != "" && (err != nil || r.String() != want):
			t.Errorf("%q: %s, %v, want %s", text, r.String(), err, want)
		}
	}
}

func TestNormalName(t *testing.T) {
	for name, want := range map[string]string{"Foo__Bar.-baz": "foo-bar-baz", "a": "a", "A1": "a1"} {
		if got := NormalName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if CheckName(strings.Repeat("a", maxName+1)) == nil || CheckName("../a") == nil || CheckName("") == nil {
		t.Error("a name that is none was taken")
	}
}

// A hostile marker costs no more than its length.
func TestLinear(t *testing.T) {
	long := strings.Repeat(`os_name == "a" or `, MaxLength/18-1) + `os_name == "b"`
	began := time.Now()
	m, err := Parse(long)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := m.Holds(linux("3.9"), Selection{}); holds || err != nil {
		t.Error(holds, err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("%d bytes took %s", len(long), d)
	}
}

func FuzzMarker(f *testing.F) {
	for _, text := range []string{`python_version < "3.10" and (os_name == 'a' or extra == "x")`, `"a" in extras`, `platform_release > "1"`, `((`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(m.String())
		if err != nil {
			t.Fatalf("%q: again: %v", text, err)
		}
		a, errA := m.Holds(linux("3.12"), Selection{Extras: []string{"x"}})
		b, errB := again.Holds(linux("3.12"), Selection{Extras: []string{"x"}})
		if a != b || (errA == nil) != (errB == nil) {
			t.Fatalf("%q: %t %v, again %t %v", text, a, errA, b, errB)
		}
	})
}

func FuzzRequirement(f *testing.F) {
	for _, text := range []string{`a[b,c]>=1,<2; os_name == "x"`, "a @ https://x.example/y ; extra == 'b'", "a (>=1)", "a===b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRequirement(text)
		if err != nil {
			return
		}
		again, err := ParseRequirement(r.String())
		if err != nil || again.String() != r.String() {
			t.Fatalf("%q: %q, again %q, %v", text, r.String(), again.String(), err)
		}
	})
}
