package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/unpack/state"
)

// FuzzGeneration: the record of a generation is read or refused, and one that is read is the
// same after it was written again.
func FuzzGeneration(f *testing.F) {
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, state.GenerationsDir), 0o755); err != nil {
		f.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = root.Close() })
	f.Add([]byte(`{"number":1,"time":"2026-11-30T00:00:00Z"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"number":-1,"sets":null}`))
	trees := &Trees{root: root, dir: dir}
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, recordFile(1)), content, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := trees.Generation(1)
		if err != nil {
			return
		}
		if err := state.WriteJSON(root, recordFile(1), first); err != nil {
			t.Fatal(err)
		}
		again, err := trees.Generation(1)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := json.Marshal(first)
		b, errB := json.Marshal(again)
		if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s, then %s: %v", a, b, err)
		}
	})
}
