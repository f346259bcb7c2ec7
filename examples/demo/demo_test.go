package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The demo is what a newcomer runs first. It checks by itself that each
// command ends as it should and that digests agree; here is looked at what it
// told, and that it left nothing.
func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("GAPBUNDLE_TO", "nowhere") // a person's own settings must not reach the demo

	var out bytes.Buffer
	if err := run(t.Context(), &out, options{megabytes: 2}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	told := out.String()
	for _, want := range []string{
		"connected$ gapbundle export gapbundle.yaml --to ../usb",
		"inside$ gapbundle import ../usb --to mirror",
		"/files/127.0.0.1_", driver, update571,
		"Refused with exit code 3",
		"first bundle (full)", "second bundle (delta)", "done in",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	if n := strings.Count(told, "The same digest as upstream's."); n != 2 {
		t.Errorf("files fetched and compared: want 2, got %d", n)
	}
	if t.Failed() {
		t.Log(told)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "gapbundle-demo-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// What is only damaged for show must be damaged for real, and whole again.
func TestFlipTwiceIsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "volume")
	want := []byte("twelve bytes")
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, same := range []bool{false, true} {
		if err := flip(path); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) != same {
			t.Errorf("equal to the first content: want %v, got %q", same, got)
		}
	}
}
