package unpack_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// P24: a disk that was full after the first of several lines of a publish
// does not cost the journal the others.
func TestJournalIsCompleted(t *testing.T) {
	for kept := range 4 {
		e := bundletest.New(t, "site")
		r := newRig(t, e)
		stick := t.TempDir()
		months(t, e, stick)
		r.receive(stick)
		name := filepath.Join(r.dir, "state/journal.jsonl")
		journal := []byte(readFile(t, name))
		entries, err := r.History()
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(journal, []byte{'\n'})
		if len(entries) != 4 { // trust, superseded, superseded, imported
			t.Fatalf("%d entries, want 4", len(entries))
		}
		intent, err := json.Marshal(struct {
			Generation int            `json:"generation"`
			Head       bundle.Digest  `json:"head"`
			Journal    []unpack.Entry `json:"journal"`
		}{1, bundle.DigestOf(bytes.TrimSuffix(lines[0], []byte{'\n'})), entries[1:]})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, "state/publishing.json"), intent, 0o600); err != nil {
			t.Fatal(err)
		}
		torn := bytes.Join(lines[:1+kept], nil)
		if kept < 3 {
			torn = append(torn, lines[1+kept][:7]...)
		}
		if err := os.WriteFile(name, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.GC(t.Context(), unpack.GCOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, name); !bytes.HasPrefix([]byte(got), journal) {
			t.Errorf("with %d of 3 lines: the journal is\n%swant\n%s", kept, got, journal)
		}
	}
}
