package state

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// fuzzed returns the state of a mirror in a folder that all inputs of a target use in turn.
func fuzzed(f *testing.F) (*Writer, string) {
	dir := f.TempDir()
	for _, folder := range []string{Dir, PendingDir} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = root.Close() })
	return &Writer{New(root, dir, Options{Now: func() time.Time { return time.Unix(1_790_000_000, 0) }})}, dir
}

func seed(f *testing.F, entries ...Entry) []byte {
	var out []byte
	var head bundle.Digest
	for _, e := range entries {
		line, err := e.line(head)
		if err != nil {
			f.Fatal(err)
		}
		head = bundle.DigestOf(line)
		out = append(append(out, line...), '\n')
	}
	return out
}

// FuzzJournal: whatever is in the journal, reading it ends with entries or with an error that
// names the line, and what is noted next continues the last line that is right.
func FuzzJournal(f *testing.F) {
	w, dir := fuzzed(f)
	at := time.Unix(1_790_000_000, 0).UTC()
	two := seed(f, Entry{Time: at, What: "import", Outcome: Imported, Set: "site", Sequence: 1, Generation: 1}, Entry{Time: at, What: "gc", Detail: "2 generations"})
	f.Add(two)
	f.Add(two[:len(two)-3])
	f.Add(append(two[:len(two):len(two)], "{}\n"...))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, JournalFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := w.History()
		if err != nil {
			return
		}
		journal, err := os.Open(filepath.Join(dir, JournalFile))
		if err != nil {
			t.Fatal(err)
		}
		head, end, err := journalHead(journal)
		if err := errors.Join(err, journal.Close()); err != nil {
			t.Fatal(err)
		}
		next, err := Entry{Time: at, What: "config"}.line(head)
		if err != nil {
			t.Fatal(err)
		}
		whole := slices.Concat(content[:end], next, []byte("\n"))
		if err := os.WriteFile(filepath.Join(dir, JournalFile), whole, 0o600); err != nil {
			t.Fatal(err)
		}
		after, err := w.History()
		if err != nil || len(after) != len(before)+1 || after[len(before)].What != "config" {
			t.Fatalf("%d lines, then %d: %v", len(before), len(after), err)
		}
	})
}

// FuzzPending: whatever is in the record of a bundle that waits, it is read or refused, and
// asking for its split blobs ends.
func FuzzPending(f *testing.F) {
	w, dir := fuzzed(f)
	f.Add([]byte(`{"root":"sha256:` + bundle.DigestOf(nil).Hex() + `","time":"2026-11-30T00:00:00Z"}` + "\n" +
		`{"volume":1,"segments":[{"digest":"sha256:` + bundle.DigestOf(nil).Hex() + `","at":0,"length":5,"size":9}]}` + "\n"))
	f.Add([]byte("{}\n{\"volume\":-1}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		const name = "site-000001"
		if err := os.WriteFile(filepath.Join(dir, placedFile(name)), content, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := w.ReadPending(name)
		if err != nil {
			return
		}
		for d := range p.Segments {
			p.Whole(d)
		}
	})
}
