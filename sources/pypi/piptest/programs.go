package piptest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
)

// Pips returns the versions of pip that tests drive, the newest last. The first knows
// pages as HTML alone.
func Pips() []string { return []string{"18.1", "23.0.1", "23.2.1", "24.2", "25.3", NewestPip} }

// NewestPip is the oracle of choices.
const NewestPip = "26.3"

// Program returns the path of a program in the virtual environment env, such as "pip-26.3".
func Program(t testing.TB, env, name string) string { return prepared.Python(t, env, name) }

// Python returns the interpreter in the virtual environment env.
func Python(t testing.TB, env string) string { return Program(t, env, "python") }

// Clean returns the environment for a program under test: none of the machine's own
// settings for pip, uv and Python, and nothing of home.
func Clean(home string, more ...string) []string {
	env := []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TMPDIR=" + home,
		"PIP_CONFIG_FILE=" + os.DevNull, "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_NO_COLOR=1", "PYTHONDONTWRITEBYTECODE=1",
		"UV_NO_PROGRESS=1", "UV_NO_CONFIG=1", "UV_PYTHON_DOWNLOADS=never",
	}
	return append(env, more...)
}

//go:embed packaging.py
var packagingScript string

// Answer is what packaging answers to one question, or that it raises.
type Answer struct {
	Answer json.RawMessage
	Error  string
}

// Into reads the answer.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	if a.Error != "" {
		t.Fatal(a.Error)
	}
	if err := json.Unmarshal(a.Answer, v); err != nil {
		t.Fatal(err)
	}
}

// Packaging asks the packaging library of the newest pip; each question is the
// name of a function of packaging.py and its arguments.
func Packaging(t testing.TB, questions [][]any) []Answer {
	t.Helper()
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, q := range questions {
		if err := encoder.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(Python(t, "pip-"+NewestPip), "-c", packagingScript)
	cmd.Stdin, cmd.Env, cmd.Stderr = &in, Clean(t.TempDir()), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]Answer, len(questions))
	decoder := json.NewDecoder(bytes.NewReader(out))
	for i := range answers {
		if err := decoder.Decode(&answers[i]); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}
