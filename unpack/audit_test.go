package unpack_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// ratchet is what the tests look at in state/sets/site.json.
type ratchet struct {
	Stream   string
	Sequence int64
	Root     bundle.Digest
	Roots    []verify.AcceptedRoot
	Floor    string
	Mounts   []string
}

func (r *rig) ratchet() ratchet {
	r.t.Helper()
	var out ratchet
	must(r.t, json.Unmarshal([]byte(readFile(r.t, filepath.Join(r.dir, "state/sets/site.json"))), &out))
	return out
}

// rebuild restores the state and expects that to work.
func (r *rig) rebuild() *unpack.RebuildResult {
	r.t.Helper()
	o := unpack.Options{Now: r.clock.now, Tool: "test"}
	o.DryRun = true
	before := treeOf(r.t, r.dir)
	if res, err := unpack.RebuildState(context.Background(), r.dir, o); len(res.Restored) == 0 {
		r.t.Errorf("dry run: %+v, %v", res, err)
	}
	if !sameTree(before, treeOf(r.t, r.dir)) {
		r.t.Error("the dry run changed something")
	}
	o.DryRun = false
	res, err := unpack.RebuildState(context.Background(), r.dir, o)
	if err != nil {
		r.t.Fatalf("state rebuild: %v\n%+v", err, res)
	}
	return res
}

// P37: what of the state is gone, cut or older than the rest of the mirror is refused, and
// restored to what it was.
func TestLostState(t *testing.T) {
	at := func(r *ill, name string) string { return filepath.Join(r.dir, "state", name) }
	losses := map[string]struct {
		lose func(r *ill, older string)
		// trusted means that keys are still trusted after the state is restored.
		trusted bool
	}{
		"a set gone":       {func(r *ill, _ string) { must(t, os.Remove(at(r, "sets/site.json"))) }, true},
		"a set cut":        {func(r *ill, _ string) { must(t, os.Truncate(at(r, "sets/site.json"), 20)) }, true},
		"a set empty":      {func(r *ill, _ string) { must(t, os.Truncate(at(r, "sets/site.json"), 0)) }, true},
		"a set older":      {func(r *ill, older string) { must(t, os.WriteFile(at(r, "sets/site.json"), []byte(older), 0o600)) }, true},
		"all sets gone":    {func(r *ill, _ string) { must(t, os.RemoveAll(at(r, "sets"))); must(t, os.Mkdir(at(r, "sets"), 0o700)) }, true},
		"settings gone":    {func(r *ill, _ string) { must(t, os.Remove(at(r, "mirror.json"))) }, true},
		"settings cut":     {func(r *ill, _ string) { must(t, os.Truncate(at(r, "mirror.json"), 5)) }, true},
		"policy gone":      {func(r *ill, _ string) { must(t, os.Remove(at(r, "trust.json"))) }, false},
		"policy cut":       {func(r *ill, _ string) { must(t, os.Truncate(at(r, "trust.json"), 30)) }, false},
		"journal gone":     {func(r *ill, _ string) { must(t, os.Remove(at(r, "journal.jsonl"))) }, true},
		"journal cut":      {func(r *ill, _ string) { r.cutJournal(1) }, true},
		"receipt key gone": {func(r *ill, _ string) { must(t, os.Remove(at(r, "receipt.key"))) }, true},
	}
	for name, c := range losses {
		t.Run(name, func(t *testing.T) {
			e := bundletest.New(t, "site")
			r := &ill{rig: newRig(t, e), e: e}
			first := e.Export(t, illRepositories(), bundletest.Options{})
			r.receive(first.Dirs...)
			older := readFile(t, filepath.Join(r.dir, "state/sets/site.json"))
			lost := e.Export(t, illRepositories(), bundletest.Options{Full: true}) // never imported
			second := e.Export(t, illRepositories(), bundletest.Options{Full: true})
			r.receive(second.Dirs...)
			was := r.ratchet()
			c.lose(r, older)
			before := treeOf(t, r.dir)
			m, err := unpack.Create(r.dir, unpack.Options{Now: r.clock.now})
			if err == nil {
				_, err = m.Receive(t.Context(), lost.Dirs, unpack.ImportOptions{})
				must(t, m.Close())
			}
			var state *unpack.StateError
			if !errors.As(err, &state) || !errors.Is(err, bundle.ErrUntrusted) {
				t.Fatalf("import: %v, want a StateError", err)
			}
			if !sameTree(before, treeOf(t, r.dir)) {
				t.Error("the refused import changed something")
			}
			res := r.rebuild()
			r.reopen(unpack.Options{})
			if got := r.ratchet(); !sameJSON(t, got, was) {
				t.Errorf("restored %+v\nwas %+v", got, was)
			}
			if !c.trusted {
				if len(res.Notes) == 0 || !strings.Contains(res.Notes[0], "nobody is trusted") {
					t.Errorf("notes %v", res.Notes)
				}
				r.trust(e)
			}
			var replay *verify.ReplayError
			if _, err := r.Receive(t.Context(), lost.Dirs, unpack.ImportOptions{}); !errors.As(err, &replay) {
				t.Errorf("the older bundle: %v, want a ReplayError", err)
			}
			r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "y"})}, bundletest.Options{}).Dirs...)
			r.intact()
			if _, err := r.History(); err != nil {
				t.Error(err)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	must(t, err)
	y, err := json.Marshal(b)
	must(t, err)
	return string(x) == string(y)
}

// cutJournal takes lines from the end of the journal.
func (r *rig) cutJournal(n int) {
	name := filepath.Join(r.dir, "state/journal.jsonl")
	lines := strings.SplitAfter(strings.TrimSuffix(readFile(r.t, name), "\n"), "\n")
	must(r.t, os.WriteFile(name, []byte(strings.Join(lines[:len(lines)-n], "")), 0o600))
}

// What an operator does to a state is no loss: after forget the last bundle may come
// again, and after adopt a stream begins again.
func TestOperatorsChangeTheState(t *testing.T) {
	r := newIll(t)
	if _, err := r.Forget(t.Context(), "site"); err != nil {
		t.Fatal(err)
	}
	r.receive(r.full, r.next)
	other := bundletest.New(t, "site")
	other.Stream = bundle.DigestOf([]byte("other")).Hex()[:32]
	must(t, r.Trust().AdoptStream(t.Context(), "site", other.Stream))
	r.trust(other)
	must(t, unpack.Audit(r.Mirror))
	r.receive(other.Export(t, []bundletest.Repository{apt(map[string]string{"x": "y"})}, bundletest.Options{}).Dirs...)
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: 2}); err != nil {
		t.Fatal(err)
	}
	must(t, unpack.Audit(r.Mirror))
	must(t, os.Remove(filepath.Join(r.dir, "state/sets/site.json")))
	r.rebuild()
	if got := r.ratchet(); got.Stream != other.Stream || got.Sequence != 1 {
		t.Errorf("restored %+v", got)
	}
}

// The receipt says how the journal ended before the import.
func TestReceiptHasTheJournalsHead(t *testing.T) {
	r := newIll(t)
	lines := strings.SplitAfter(readFile(t, filepath.Join(r.dir, "state/journal.jsonl")), "\n")
	content, err := r.Receipt("site")
	must(t, err)
	signed, err := bundle.ParseReceipt(content)
	must(t, err)
	key, _, err := signed.Key()
	must(t, err)
	receipt, err := signed.Verify(key)
	must(t, err)
	before := strings.TrimSuffix(lines[len(lines)-3], "\n") // the last but the import's own line
	if want := bundle.DigestOf([]byte(before)); receipt.Journal != want {
		t.Errorf("journal %s, want %s", receipt.Journal, want)
	}
}
