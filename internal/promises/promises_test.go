package promises

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// promises is how many there are, P1 to P38.
const promises = 38

const table = "../../docs/promises.md"

// TestEveryPromiseHasItsTest: the table has a row for each promise, in order,
// and each test that it names is there.
func TestEveryPromiseHasItsTest(t *testing.T) {
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| P(\d+) \| ([^|]+) \| ([^|]+) \|$`)
	test := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	rows := row.FindAllStringSubmatch(string(b), -1)
	if len(rows) != promises {
		t.Fatalf("%s: %d rows, want %d", table, len(rows), promises)
	}
	functions := map[string]string{}
	for i, r := range rows {
		if want := i + 1; r[1] != strconv.Itoa(want) {
			t.Errorf("row %d is of P%s", want, r[1])
		}
		tests := test.FindAllStringSubmatch(r[3], -1)
		if len(tests) == 0 {
			t.Errorf("P%s: no test is named", r[1])
		}
		if strings.Count(r[3], "`") != 2*len(tests) {
			t.Errorf("P%s: not every name is one of a test: %s", r[1], r[3])
		}
		for _, name := range tests {
			if functions[name[1]] == "" {
				functions[name[1]] = testsOf(t, name[1])
			}
			if !strings.Contains(functions[name[1]], "\nfunc "+name[2]+"(") {
				t.Errorf("P%s: package %s has no %s", r[1], name[1], name[2])
			}
		}
	}
}

// testsOf returns the text of all test files of a package.
func testsOf(t *testing.T, pkg string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	if err != nil || len(found) == 0 {
		t.Errorf("package %s has no tests: %v", pkg, err)
	}
	var all strings.Builder
	for _, name := range found {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
