package rpmtest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
)

// DNF runs a script over dnf's own interface, which reads in from its standard
// input and writes its answers, of type T, to standard output, both as JSON. One
// process for many questions: starting dnf is slow. It is for tests with the
// tag clients: dnf is there for the system's Python alone.
func DNF[T any](t testing.TB, script string, in any) (answers T) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-c", script)
	cmd.Stdin = bytes.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dnf: %v: %s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}
