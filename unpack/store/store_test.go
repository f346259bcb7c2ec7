package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/store"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), root.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, b *store.Batch, content string) bundle.Digest {
	t.Helper()
	d := bundle.DigestOf([]byte(content))
	w, err := b.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(d); err != nil {
		t.Fatal(err)
	}
	return d
}

func has(t *testing.T, s *store.Store, d bundle.Digest, size int64) bool {
	t.Helper()
	ok, err := s.Has(d, size)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestBatchBecomesVisibleTogether(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := s.Begin()
	d := put(t, b, "hello")
	if has(t, s, d, 5) {
		t.Error("visible before Flush")
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !has(t, s, d, 5) {
		t.Error("not visible after Flush")
	}
	if has(t, s, d, 6) {
		t.Error("a blob of another size counts as there")
	}
	fi, err := os.Stat(filepath.Join(dir, s.Path(d)))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode() != 0o444 {
		t.Errorf("mode %v, want 0444", fi.Mode())
	}
	if want := "sha256/" + d.Hex()[:2] + "/" + d.Hex(); s.Path(d) != want {
		t.Errorf("path %s, want %s", s.Path(d), want)
	}
	if left := names(t, filepath.Join(dir, "staging")); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestConcurrentWriters(t *testing.T) {
	s := open(t, t.TempDir())
	b := s.Begin()
	const each = 200
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				put(t, b, fmt.Sprint(g, i))
			}
		})
	}
	wg.Wait()
	if b.Len() != 4*each {
		t.Errorf("%d in the batch, want %d", b.Len(), 4*each)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, last := 0, bundle.Digest{}
	for i, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		if i.Digest.Compare(last) <= 0 {
			t.Error("All is not in ascending order")
		}
		last = i.Digest
		n++
	}
	if n != 4*each {
		t.Errorf("%d blobs, want %d", n, 4*each)
	}
}

func TestAbortedAndDiscardedLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := s.Begin()
	put(t, b, "discarded")
	w, err := b.Create()
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	b.Discard()
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := names(t, filepath.Join(dir, "staging")); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	for i, err := range s.All() {
		t.Errorf("in the store: %s %v", i.Digest, err)
	}
}

func TestRubbishOfACrashIsSweptAndNeverInTheWay(t *testing.T) {
	dir := t.TempDir()
	kept, lost := bundle.DigestOf([]byte("kept")), bundle.DigestOf([]byte("lost"))
	crashed := open(t, dir)
	put(t, crashed.Begin(), "never flushed")
	for _, d := range []bundle.Digest{kept, lost} {
		f, err := crashed.OpenPartial(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	b := s.Begin()
	d := put(t, b, "next run") // its first staging name is taken
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(func(d bundle.Digest) bool { return d == kept }); err != nil {
		t.Fatal(err)
	}
	if left := names(t, filepath.Join(dir, "staging")); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	if left := names(t, filepath.Join(dir, "partial")); len(left) != 1 || left[0] != kept.Hex() {
		t.Errorf("partial: %v, want the one that is kept", left)
	}
	if !has(t, s, d, 8) {
		t.Error("a blob was swept")
	}
}

func TestSegmentsInAnyOrder(t *testing.T) {
	s := open(t, t.TempDir())
	content := strings.Repeat("a", 1000) + strings.Repeat("b", 500)
	d := bundle.DigestOf([]byte(content))
	write := func(at int64, part string) {
		t.Helper()
		f, err := s.OpenPartial(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(part), at); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), s.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	write(1000, content[1000:])
	write(0, content[:1000])
	if err := s.FinishPartial(t.Context(), d, 1500); err != nil {
		t.Fatal(err)
	}
	if !has(t, s, d, 1500) {
		t.Error("not on the shelf")
	}
	if err := s.Verify(d); err != nil {
		t.Error(err)
	}

	write(0, "something else")
	err := s.FinishPartial(t.Context(), d, 14)
	if !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("wrong content: %v, want ErrCorrupt", err)
	}
	if err := s.FinishPartial(t.Context(), d, 14); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the wrong content is still there: %v", err)
	}
}

// TestVacant: a shelf that was there when the store was opened is looked at. A blob that
// comes twice into one that was not is written twice.
func TestVacant(t *testing.T) {
	dir := t.TempDir()
	s, d := open(t, dir), bundle.DigestOf([]byte("content"))
	vacant := func(s *store.Store) bool {
		t.Helper()
		v, err := s.Vacant(d)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if !vacant(s) {
		t.Error("a store that was just made: not vacant")
	}
	for range 2 {
		b := s.Begin()
		put(t, b, "content")
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(d); err != nil || !vacant(s) {
			t.Errorf("after it was stored: %v, vacant: %v", err, vacant(s))
		}
	}
	if fi, err := s.Lstat(d); err != nil || fi.Mode() != store.Mode {
		t.Errorf("stored: %v, %v", fi, err)
	}
	if again := open(t, dir); vacant(again) {
		t.Error("a store that has the blob: vacant")
	}
	if err := s.Remove(d); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir); vacant(again) {
		t.Error("a store with an empty shelf, at which nobody has looked: vacant")
	}
}

// TestShelvePartial: what its caller hashed is not read again; a file of another length is
// not what was hashed.
func TestShelvePartial(t *testing.T) {
	s := open(t, t.TempDir())
	content := []byte("written and hashed")
	d, size := bundle.DigestOf(content), int64(len(content))
	for name, c := range map[string]struct {
		written string
		want    error
	}{
		"cut": {"written", bundle.ErrCorrupt}, "longer": {"written and hashed twice", bundle.ErrCorrupt}, "whole": {string(content), nil},
	} {
		f, err := s.OpenPartial(d)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(c.written)
		if err := errors.Join(err, f.Close(), s.Sync()); err != nil {
			t.Fatal(err)
		}
		if err := s.ShelvePartial(t.Context(), d, size); !errors.Is(err, c.want) {
			t.Errorf("%s: want %v, got %v", name, c.want, err)
		}
		if here := has(t, s, d, size); here != (c.want == nil) {
			t.Errorf("%s: on the shelf: %v", name, here)
		}
		if err := s.ShelvePartial(t.Context(), d, size); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: once more: %v, want ErrNotExist", name, err)
		}
		if err := s.Remove(d); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamageIsFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := s.Begin()
	d := put(t, b, "content")
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, s.Path(d))
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("c0ntent"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(d); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("Verify: %v, want ErrCorrupt", err)
	}
	stray := filepath.Join(dir, "sha256", d.Hex()[:2], "notes.txt")
	if err := os.WriteFile(stray, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	blobs, strays := 0, 0
	for _, err := range s.All() {
		if errors.Is(err, bundle.ErrCorrupt) {
			strays++
		} else if err == nil {
			blobs++
		}
	}
	if blobs != 1 || strays != 1 {
		t.Errorf("All: %d blobs and %d strays, want 1 and 1", blobs, strays)
	}
}

func TestFlushThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := s.Begin()
	d := put(t, b, "cancelled")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v", err)
	}
	if has(t, s, d, 9) || len(names(t, filepath.Join(dir, "staging"))) > 0 {
		t.Error("something was left")
	}
}

func TestRemove(t *testing.T) {
	s := open(t, t.TempDir())
	b := s.Begin()
	d := put(t, b, "x")
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is gone already
		if err := s.Remove(d); err != nil {
			t.Fatal(err)
		}
	}
	if has(t, s, d, 1) {
		t.Error("still there")
	}
}
