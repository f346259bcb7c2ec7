package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

var created = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), dir, "site", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// state commits a state with one empty repository named after n and gives its root.
func commit(t *testing.T, l *Ledger, destination string) *bundle.Manifest {
	t.Helper()
	n, err := l.Take(bundle.DigestOf([]byte("request")), []string{"/media/a"}, created)
	if err != nil {
		t.Fatal(err)
	}
	scratch, err := l.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scratch.Close() }()
	list := bundle.DigestOf([]byte(destination + string(rune('a'+n))))
	content := []byte("list " + list.Hex())
	list = bundle.DigestOf(content)
	if err := scratch.WriteFile("files", content, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := bundle.DigestOf(nil)
	m := &bundle.Manifest{
		Format: bundle.Format, Set: "site", Stream: l.Stream(), Sequence: n, Created: created, Full: true, Tool: "test",
		Destination: destination,
		Repositories: []bundle.Repository{{
			Name: "a", Kind: "files", Mount: "files", Count: 1, Carried: []string{"evidence", "files"},
			Files:    bundle.Descriptor(bundle.MediaTypeFileList, list, int64(len(content))),
			Evidence: bundle.Descriptor(bundle.MediaTypeEvidence, empty, 0),
		}},
		Catalog: []bundle.CatalogFile{{
			Name: "catalog-01.tar.zst", Size: 10, Digest: empty, Frames: []bundle.Frame{{Compressed: 10, Raw: 2048, Digest: empty}},
		}},
		Sums:    bundle.Descriptor(bundle.MediaTypeSums, empty, 100),
		Volumes: bundle.Descriptor(bundle.MediaTypeVolumeTable, empty, 0),
	}
	m.State = bundle.StateDigest(m.Repositories)
	if err := l.Commit(m, scratch, map[bundle.Digest]string{list: "files"}, nil); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNumbersAreTakenOnce(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	request := bundle.DigestOf([]byte("x"))
	first, err := l.Take(request, []string{"/media/a"}, created)
	if err != nil || first != 1 {
		t.Fatalf("first number %d, %v", first, err)
	}
	stream := l.Stream()
	// A process that dies here has used the number.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	if l.Next() != 2 || l.Stream() != stream {
		t.Fatalf("after a restart: next %d stream %s, want 2 and %s", l.Next(), l.Stream(), stream)
	}
	if p := l.Pending(); p == nil || p.Sequence != 1 || p.Request != request || !p.Created.Equal(created) {
		t.Fatalf("pending %+v", p)
	}
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	if l.Pending() != nil || l.Next() != 2 {
		t.Fatal("a given-up export keeps its number used and is not pending")
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	if _, err := Open(context.Background(), dir, "site", 0); !errors.Is(err, bundle.ErrBusy) {
		t.Fatalf("second open: %v", err)
	}
	if _, err := OpenReadOnly(dir, "site"); err != nil {
		t.Fatalf("readers are not blocked: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		second, err := Open(context.Background(), dir, "site", time.Minute)
		if err == nil {
			err = second.Close()
		}
		done <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("waiting open: %v", err)
	}
}

func TestReadOnlyMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	l, err := OpenReadOnly(dir, "site")
	if err != nil {
		t.Fatal(err)
	}
	if l.Next() != 1 || l.Stream() != "" {
		t.Fatalf("next %d stream %q", l.Next(), l.Stream())
	}
	for s, err := range l.Upstream().Seen("a") {
		t.Fatalf("seen in an empty ledger: %v %v", s, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("folder: %v", err)
	}
}

func TestBaseFollowsReceipts(t *testing.T) {
	l := open(t, t.TempDir())
	if b, err := l.Base("far"); b != nil || err != nil {
		t.Fatalf("base of nothing: %v %v", b, err)
	}
	one := commit(t, l, "far")
	two := commit(t, l, "far")
	b, err := l.Base("far")
	if err != nil || b.Manifest.Sequence != two.Sequence || b.Acknowledged {
		t.Fatalf("before any receipt: %+v %v, want the last exported", b, err)
	}
	if err := l.Acknowledge("far", one.Sequence, "key", nil); err != nil {
		t.Fatal(err)
	}
	b, err = l.Base("far")
	if err != nil || b.Manifest.Sequence != one.Sequence || !b.Acknowledged {
		t.Fatalf("after a receipt: %+v %v, want the acknowledged one", b, err)
	}
	if err := l.Acknowledge("far", two.Sequence, "other key", nil); !errors.Is(err, bundle.ErrUntrusted) {
		t.Fatalf("other receipt key: %v", err)
	}
	if err := l.Acknowledge("far", 99, "key", nil); !errors.Is(err, bundle.ErrUntrusted) {
		t.Fatalf("receipt for a number never given: %v", err)
	}
	if err := l.Acknowledge("far", two.Sequence, "key", nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Acknowledge("far", one.Sequence, "key", nil); err != nil {
		t.Fatal(err)
	}
	if got := l.Destinations()["far"].Acknowledged; got != two.Sequence {
		t.Fatalf("an older receipt set the base back to %d", got)
	}
	if b, err := l.Base("elsewhere"); b != nil || err != nil {
		t.Fatalf("another destination has a base: %v %v", b, err)
	}
}

func TestSelect(t *testing.T) {
	l := open(t, t.TempDir())
	one := commit(t, l, "")
	commit(t, l, "")
	for _, what := range []string{"1", StateCode(one.State), strings.ToUpper(StateCode(one.State)), one.State.Hex()} {
		b, err := l.Select("", what)
		if err != nil || b.Manifest.Sequence != 1 {
			t.Errorf("select %q: %+v %v", what, b, err)
		}
	}
	for _, what := range []string{"7", one.State.Hex()[:4], "x", ""} {
		if _, err := l.Select("", what); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "2 (") {
			t.Errorf("select %q: %v, want a refusal that lists the states", what, err)
		}
	}
}

func TestOldStatesGo(t *testing.T) {
	l := open(t, t.TempDir())
	for range keepStates + 5 {
		commit(t, l, "")
	}
	states := l.States()
	if len(states) != keepStates || states[0] != 6 {
		t.Fatalf("states %v", states)
	}
	m, err := l.Manifest(states[0])
	if err != nil {
		t.Fatal(err)
	}
	d, err := bundle.ParseDigest(string(m.Repositories[0].Files.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := l.Lists().Has(d); !ok || err != nil {
		t.Fatalf("list of a kept state: %v %v", ok, err)
	}
	entries, err := os.ReadDir(filepath.Join(l.root.Name(), listsDir))
	if err != nil || len(entries) != keepStates {
		t.Fatalf("%d lists are kept, want %d (%v)", len(entries), keepStates, err)
	}
}

func TestWaitingDestinationKeepsItsBase(t *testing.T) {
	l := open(t, t.TempDir())
	first := commit(t, l, "slow ship")
	for range keepStates + 5 {
		commit(t, l, "office")
	}
	b, err := l.Base("slow ship")
	if err != nil || b.Manifest.Sequence != first.Sequence {
		t.Fatalf("base of the slow destination: %+v %v", b, err)
	}
}

func TestAdopt(t *testing.T) {
	l := open(t, t.TempDir())
	stream := strings.Repeat("ab", 16)
	if err := l.Adopt(stream, 41); err != nil {
		t.Fatal(err)
	}
	if l.Next() != 42 || l.Stream() != stream {
		t.Fatalf("next %d stream %s", l.Next(), l.Stream())
	}
	if err := l.Adopt(stream, 7); err != nil || l.Next() != 42 {
		t.Fatalf("adopting an older bundle set the number to %d (%v)", l.Next(), err)
	}
	if err := l.Adopt(strings.Repeat("cd", 16), 50); !errors.Is(err, bundle.ErrUsage) {
		t.Fatalf("another stream: %v", err)
	}
}

func TestSeenRoundTrip(t *testing.T) {
	l := open(t, t.TempDir())
	scratch, err := l.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scratch.Close() }()
	want := []Seen{
		{File: bundle.File{Path: "a", Size: 1, Digest: bundle.DigestOf([]byte("a"))}, Origin: "https://h/a", Validator: `"e"`, Vouched: "pinned", Reason: "asked for"},
		{File: bundle.File{Path: "b", Size: 2, Digest: bundle.DigestOf([]byte("b")), Annotations: map[string]string{"origin": "the file's own"}}},
	}
	var b bytes.Buffer
	w := NewSeenWriter(&b)
	for _, s := range want {
		if err := w.Write(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := scratch.WriteFile("s", b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Upstream().Entries("gpu/oci"); ok {
		t.Error("entries of what was never kept")
	}
	named := bundle.Entry{Name: "a", Type: bundle.TypeImage, Version: "1", Path: "a"}
	line, err := bundle.AppendLine(nil, named)
	if err != nil {
		t.Fatal(err)
	}
	if err := scratch.WriteFile("e", append(line, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Upstream().Keep("gpu/oci", scratch, "s", "e"); err != nil {
		t.Fatal(err)
	}
	entries, ok := l.Upstream().Entries("gpu/oci")
	if !ok {
		t.Fatal("the entries are gone")
	}
	count := 0
	for e, err := range entries {
		if count++; err != nil || e.Name != "a" || e.Version != "1" || e.Path != "a" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if count != 1 {
		t.Errorf("%d entries", count)
	}
	var got []Seen
	for s, err := range l.Upstream().Seen("gpu/oci") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if len(got) != len(want) {
		t.Fatalf("got %d lines", len(got))
	}
	for i := range want {
		if got[i].File.Path != want[i].File.Path || got[i].File.Digest != want[i].File.Digest || got[i].Validator != want[i].Validator ||
			got[i].Origin != want[i].Origin || !maps.Equal(got[i].File.Annotations, want[i].File.Annotations) || got[i].Vouched != want[i].Vouched || got[i].Reason != want[i].Reason {
			t.Errorf("line %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
	// What another program, which knows no entries, has seen since is not what they are of.
	if err := l.root.WriteFile(seenName("gpu/oci"), b.Bytes()[:bytes.IndexByte(b.Bytes(), '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Upstream().Entries("gpu/oci"); ok {
		t.Error("entries of what was seen before")
	}
}

func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	commit(t, l, "")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, stateName)
	for what, content := range map[string]string{
		"cut":          `{"format":1,`,
		"another set":  `{"format":1,"next":2,"set":"other"}`,
		"newer format": `{"format":2,"next":2,"set":"site"}`,
		"zero":         `{"format":1,"next":0,"set":"site"}`,
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), dir, "site", 0); err == nil {
			t.Errorf("%s: opened", what)
		}
		if l, err := Open(context.Background(), dir, "site", 0); errors.Is(err, bundle.ErrBusy) {
			t.Errorf("%s: the refusal kept the lock", what)
		} else if err == nil {
			_ = l.Close()
		}
	}
}

// TestSameDocument: two repositories have one document, and both keep it at the same
// time.
func TestSameDocument(t *testing.T) {
	l := open(t, t.TempDir())
	for i := range 200 {
		content := fmt.Appendf(nil, "document %d", i)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if err := l.Documents().Keep(content); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

// TestDocuments: documents stay as long as a state names them, and a damaged one is
// as good as none.
func TestDocuments(t *testing.T) {
	l := open(t, t.TempDir())
	content := []byte("a document")
	d := bundle.DigestOf(content)
	if err := l.Documents().Keep(content); err != nil {
		t.Fatal(err)
	}
	if b, err := l.Documents().Open(d); err != nil || string(b) != string(content) || !l.Documents().Has(d, int64(len(content))) {
		t.Errorf("%q, %v", b, err)
	}
	if err := l.Documents().Keep(make([]byte, MaxDocument+1)); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("too large: %v", err)
	}
	if all, err := l.Documents().Of(7); err != nil || all != nil {
		t.Errorf("of a state that is not there: %v, %v", all, err)
	}
	if err := l.documents.record(7, []Document{{Repository: "b", Path: "x", Digest: d, Size: 10}, {Repository: "a", Path: "y", Digest: d, Size: 10}}); err != nil {
		t.Fatal(err)
	}
	if all, err := l.Documents().Of(7); err != nil || len(all) != 2 || all[0].Repository != "a" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := l.sweep(); err != nil { // no state is kept
		t.Fatal(err)
	}
	if _, err := l.Documents().Open(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("swept: %v", err)
	}
}

func TestCheckDocuments(t *testing.T) {
	many := make([]Document, 17)
	for i := range many {
		many[i] = Document{Repository: "a", Path: fmt.Sprint(i), Size: MaxDocument}
	}
	if err := CheckDocuments(many[:16]); err != nil {
		t.Error(err)
	}
	many[16].Path = "x"
	many[16].Size--
	if err := CheckDocuments(many); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "17 documents with 71303167 bytes") || !strings.Contains(err.Error(), "of source a") {
		t.Errorf("too many bytes: %v", err)
	}
	if err := CheckDocuments(make([]Document, 100_001)); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("too many: %v", err)
	}
}

// TestAdoptIsBounded: a number that no importer would accept next is not adopted.
func TestAdoptIsBounded(t *testing.T) {
	for _, x := range []struct {
		given, sequence int64
		class           error
	}{
		{0, 1, nil}, {0, MaxJump, nil}, {0, MaxJump + 1, bundle.ErrUntrusted}, {5, MaxJump + 5, nil}, {5, MaxJump + 6, bundle.ErrUntrusted},
		{0, bundle.MaxInteger - 1, bundle.ErrUntrusted}, {0, bundle.MaxInteger, bundle.ErrMalformed},
	} {
		l, err := Open(t.Context(), t.TempDir(), "site", 0)
		if err != nil {
			t.Fatal(err)
		}
		stream := strings.Repeat("ab", 16)
		if x.given > 0 {
			if err := l.Adopt(stream, x.given); err != nil {
				t.Fatal(err)
			}
		}
		before := l.Next()
		err = l.Adopt(stream, x.sequence)
		if x.class == nil && err != nil || x.class != nil && !errors.Is(err, x.class) {
			t.Errorf("%d after %d: %v", x.sequence, x.given, err)
		}
		if x.class != nil && l.Next() != before {
			t.Errorf("%d after %d: the next is %d", x.sequence, x.given, l.Next())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A link in the place of a folder of the ledger is named, and nothing is written through it.
func TestPlantedLinks(t *testing.T) {
	for _, name := range []string{"roots", "lists", "seen", "documents", "records", "scratch"} {
		dir, away := t.TempDir(), t.TempDir()
		l, err := Open(t.Context(), dir, "site", 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Remove(path), os.Symlink(away, path)); err != nil {
			t.Fatal(err)
		}
		var other *durable.FolderError
		if _, err := Open(t.Context(), dir, "site", 0); !errors.As(err, &other) || other.Path != path {
			t.Errorf("%s is a link: %v", name, err)
		}
	}
}
