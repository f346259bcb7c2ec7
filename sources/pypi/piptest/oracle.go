package piptest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

//go:embed oracle.py
var oracleScript string

// Job is one run of pip for a target.
type Job struct {
	Environment map[string]string `json:"environment"`
	Arguments   []string          `json:"arguments"`
	Report      string            `json:"report"`
}

// Outcome is what pip would install: name, version and URL of each.
type Outcome struct {
	Code   int         `json:"code"`
	Output string      `json:"output"`
	Report [][3]string `json:"report"`
}

// Machine is a target as pip has to be told of it.
type Machine struct {
	Python      string // "3.12" or "3.12.4"
	Environment map[string]string
	Platforms   []string
}

// DebianPython is the interpreter that has Debian's own pip.
const DebianPython = "/usr/bin/python3"

// Download makes a job that downloads what pip installs of an index on a machine into
// the folder to.
func Download(m Machine, to, index string, arguments ...string) Job {
	job := Question(m, to, 0, index, arguments...)
	at := slices.Index(job.Arguments, "--target")
	return Job{Environment: job.Environment, Arguments: slices.Concat([]string{"download", "--quiet", "--no-cache-dir", "--index-url", index, "--dest", to}, job.Arguments[at+2:])}
}

// Question makes a job that asks what pip installs of an index on a machine,
// for arguments such as requirements and "--pre". number makes its report
// unique in dir.
func Question(m Machine, dir string, number int, index string, arguments ...string) Job {
	environment := maps.Clone(m.Environment)
	environment["platform_release"], environment["platform_version"] = "6.1.0", "#1 SMP"
	full := m.Python
	if strings.Count(full, ".") == 1 {
		full += ".0"
		environment["python_full_version"], environment["implementation_version"] = full, full
	}
	report := filepath.Join(dir, fmt.Sprintf("report-%d.json", number))
	all := []string{
		"install", "--quiet", "--dry-run", "--ignore-installed", "--no-cache-dir", "--report", report, "--index-url", index,
		"--target", filepath.Join(dir, "target"), "--only-binary=:all:", "--python-version", full,
		"--implementation", "cp", "--abi", "cp" + strings.ReplaceAll(environment["python_version"], ".", ""),
	}
	for _, p := range m.Platforms {
		all = append(all, "--platform", p)
	}
	return Job{Environment: environment, Arguments: append(all, arguments...), Report: report}
}

// Ask runs jobs with a version of pip.
func Ask(t testing.TB, pip string, jobs []Job) []Outcome {
	t.Helper()
	return AskPython(t, Python(t, "pip-"+pip), jobs)
}

// AskPython runs jobs with the pip of an interpreter.
func AskPython(t testing.TB, python string, jobs []Job) []Outcome {
	t.Helper()
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, j := range jobs {
		if err := encoder.Encode(j); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "-c", oracleScript)
	cmd.Stdin, cmd.Env, cmd.Stderr = &in, Clean(t.TempDir()), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	outcomes := make([]Outcome, len(jobs))
	decoder := json.NewDecoder(bytes.NewReader(out))
	for i := range outcomes {
		if err := decoder.Decode(&outcomes[i]); err != nil {
			t.Fatal(err)
		}
	}
	return outcomes
}
