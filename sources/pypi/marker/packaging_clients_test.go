//go:build clients

package marker

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// markersToAsk has every variable with every operator, on both sides.
func markersToAsk() []string {
	literals := map[string][]string{
		PythonVersion:     {"3.9", "3.10", "3", "2.7", "3.12.1", "3.9, 3.10", "x", "3.*", ""},
		PythonFullVersion: {"3.9.1", "3.9", "3.12.4", "3.12.4rc1", "3.12.*", "x"},
		OSName:            {"posix", "nt", "p", "1.0"}, SysPlatform: {"linux", "win32", "linux2", ""},
		PlatformMachine: {"x86_64", "aarch64", "x86", "1.0"}, PlatformSystem: {"Linux", "linux"},
		PlatformPythonImplementation: {"CPython", "PyPy"}, ImplementationName: {"cpython", "pypy"},
		ImplementationVersion: {"3.9.1", "3.10"}, PlatformRelease: {"5.10", "6.1.0-x", "x"}, PlatformVersion: {"#1"},
		"os.name": {"posix"}, "sys.platform": {"linux"}, "platform.version": {"#1"}, "platform.machine": {"x86_64"},
		"platform.python_implementation": {"CPython"}, "python_implementation": {"CPython"},
		extraVariable: {"a", "B_c", "b-c", "d", ""},
	}
	var all []string
	for variable, values := range literals {
		for _, value := range values {
			for _, op := range []string{"==", "!=", "<", "<=", ">", ">=", "~=", "===", "in", "not in"} {
				all = append(all, fmt.Sprintf("%s %s %q", variable, op, value), fmt.Sprintf("'%s' %s %s", value, op, variable))
			}
		}
	}
	slices.Sort(all)
	return append(all,
		`python_version>"3.9"and os_name=="posix"`, `(os_name == "posix" or extra == "a") and (python_version < "3" or python_version > "3.11")`,
		`os_name == "nt" or os_name == "posix" and python_version < "3"`, `((((os_name == "posix"))))`, `os_name == "posix" and`, `os_name`, `"a" == "a"`,
		`os_name == 'po"six'`, `python_version notin "3"`, `not os_name == "a"`,
	)
}

func TestMarkersAgainstPackaging(t *testing.T) {
	machines := []map[string]string{}
	for _, python := range []string{"3.9.18", "3.12.4"} {
		values := linux(python).Values
		values[PlatformRelease], values[PlatformVersion] = "6.1.0", "#1 SMP"
		machines = append(machines, values)
	}
	var questions [][]any
	for _, text := range markersToAsk() {
		for _, m := range machines {
			for _, extras := range [][]string{{}, {"a"}, {"b-c", "d"}} {
				questions = append(questions, []any{"holds", text, m, extras})
			}
		}
	}
	differ, answered := 0, 0
	for i, answer := range piptest.Packaging(t, questions) {
		q := questions[i]
		m, err := Parse(q[1].(string))
		got := false
		if err == nil {
			got, err = m.Holds(&Environment{Values: q[2].(map[string]string)}, Selection{Extras: q[3].([]string)})
		}
		same := answer.Error != "" && err != nil
		if answer.Error == "" {
			answered++
			var want bool
			answer.Into(t, &want)
			same = err == nil && got == want
		}
		if !same {
			if differ++; differ < 25 {
				t.Errorf("%s %s %v: %t, %v; packaging: %s %s", q[1], q[2].(map[string]string)[PythonVersion], q[3], got, err, answer.Answer, answer.Error)
			}
		}
	}
	t.Logf("%d questions, %d answered, %d differ", len(questions), answered, differ)
	if answered < 1000 || differ > 0 {
		t.Errorf("%d answered, %d differ", answered, differ)
	}
}

func TestRequirementsAgainstPackaging(t *testing.T) {
	texts := []string{
		"a", "A.b", "a>=1", "a >= 1 , < 2", "a (>=1)", "a(>=1,<2)", "a ()", "a[x]", "a[x,Y_z]>=1", "a [ x , y ] (==1.*) ; os_name == 'a'", "a[]", "a[,]", "a[x,]",
		"a;os_name=='a'", "a ; os_name == 'a' and extra == 'b'", "a>=1;os_name=='a'", "a @ https://x.example/a.whl", "a@https://x.example/a.whl", "a @ https://x.example/a ; os_name=='a'",
		"a @ https://x.example/a;os_name=='a'", "a>=1,", "a,>=1", "a>=1,,<2", "a 1", "a=1", "a>1 b", "-a", "a-", "_a", "a.", "a>=1.0+x", "a==1.0+x", "a~=1", "a===x-y", "a===x;os_name=='a'",
		"a!=1.*,>=1a1", "a[x]@ https://x.example", "a (1.0)", "a>=1 ; ", "a;", "a\t>=1", "a>=1\n", "a>=\t1", "a>=1.*", "a==1.*.*", "ä", "a/b", "a>=1 # comment", "a[x][y]", "a[x", "a(>=1", "a>=1)",
	}
	var questions [][]any
	for _, text := range texts {
		questions = append(questions, []any{"requirement", text})
	}
	for i, answer := range piptest.Packaging(t, questions) {
		r, err := ParseRequirement(texts[i])
		got := ""
		if err == nil {
			specs := []string{}
			for _, s := range r.Set {
				specs = append(specs, s.String())
			}
			slices.Sort(specs)
			extras := r.Extras
			if extras == nil {
				extras = []string{}
			}
			b, _ := json.Marshal([]any{r.Name, extras, specs, r.URL, r.Marker != nil})
			got = string(b)
		}
		var want string
		if answer.Error == "" {
			var v []any
			answer.Into(t, &v)
			b, _ := json.Marshal(v)
			want = string(b)
		}
		if got != want {
			t.Errorf("%q: %s, %v; packaging: %s %s", texts[i], got, err, want, answer.Error)
		}
	}
}
