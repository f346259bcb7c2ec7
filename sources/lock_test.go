package sources_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

var (
	digestX = bundle.DigestOf([]byte("x"))
	digestY = bundle.DigestOf([]byte("y"))
)

func openLock(t *testing.T, path string, update bool) *sources.Lock {
	t.Helper()
	l, err := sources.OpenLock(path, update)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), sources.LockName)
	l := openLock(t, path, false)
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing to write, and a file: %v", err)
	}
	var group sync.WaitGroup
	for _, url := range []string{"https://b.example/x", "https://a.example/x?token=secret"} {
		group.Go(func() {
			if err := l.Record(url, digestX, 1); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if added := strings.Join(l.Added(), " "); added != "https://a.example/x?token=*** https://b.example/x" {
		t.Errorf("added: %s", added)
	}
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(first), "secret") || strings.Count(string(first), "\n") != 2 {
		t.Errorf("file: %s, %v", first, err)
	}

	// Pins that no source asks for stay; a difference is refused, or taken and said.
	l = openLock(t, path, false)
	err = l.Record("https://b.example/x", digestY, 1)
	want := "https://b.example/x: not what gapbundle.lock pins: want " + digestX.String() + ", 1 byte, got " + digestY.String() + ", 1 byte"
	if !errors.Is(err, fetch.ErrRefused) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := l.Record("https://b.example/x", digestX, 1); err != nil || len(l.Added()) != 0 || l.Updates() {
		t.Errorf("the same again: %v, added %v", err, l.Added())
	}
	l = openLock(t, path, true)
	if err := l.Record("https://b.example/x", digestY, 1); err != nil || !l.Updates() {
		t.Error(err)
	}
	changed := l.Changed()
	if len(changed) != 1 || changed[0] != (sources.Change{URL: "https://b.example/x", Old: sources.Pin{Digest: digestX, Size: 1}, New: sources.Pin{Digest: digestY, Size: 1}}) || len(l.Added()) != 0 {
		t.Errorf("changed: %+v, added %v", changed, l.Added())
	}
	if err := l.Save(); err != nil || len(l.Changed()) != 0 {
		t.Errorf("%v, changed after saving: %v", err, l.Changed())
	}
	l = openLock(t, path, false)
	if p, ok := l.Lookup("https://b.example/x"); !ok || p.Digest != digestY {
		t.Errorf("got %+v, %v", p, ok)
	}
	if p, ok := l.Lookup("https://a.example/x?token=secret"); !ok || p.Digest != digestX {
		t.Errorf("got %+v, %v", p, ok)
	}
}

// Two sources that see different content of one URL within one export.
func TestLockWithinOneExport(t *testing.T) {
	l := openLock(t, filepath.Join(t.TempDir(), sources.LockName), false)
	if err := l.Record("https://a.example/x", digestX, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Record("https://a.example/x", digestY, 1); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("got %v, want fetch.ErrUpstream", err)
	}
}

func TestLockRefusals(t *testing.T) {
	good := `{"digest":"` + digestX.String() + `","size":1,"url":"https://a.example/x"}`
	for name, text := range map[string]string{
		"not JSON": "hello\n", "unknown key": `{"digest":"` + digestX.String() + `","size":1,"url":"u","x":1}`, "not canonical": " " + good,
		"twice": good + "\n" + good + "\n", "no URL": `{"digest":"` + digestX.String() + `","size":1,"url":""}`,
		"negative": `{"digest":"` + digestX.String() + `","size":-1,"url":"u"}`, "no digest": `{"digest":"sha256:` + strings.Repeat("0", 64) + `","size":1,"url":"u"}`,
	} {
		path := filepath.Join(t.TempDir(), sources.LockName)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := sources.OpenLock(path, false); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), path+":") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestLockOfManyPins: a lock that an export wrote can be read by the next, however long it is.
func TestLockOfManyPins(t *testing.T) {
	path := filepath.Join(t.TempDir(), sources.LockName)
	l := openLock(t, path, false)
	const pins = 20_000 // of 2 kB: 40 MB
	long := strings.Repeat("a/", 1000)
	for i := range pins {
		if err := l.Record(fmt.Sprintf("https://a.example/%s%05d", long, i), digestX, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	again := openLock(t, path, false)
	if pin, ok := again.Lookup(fmt.Sprintf("https://a.example/%s%05d", long, pins-1)); !ok || pin.Digest != digestX {
		t.Errorf("the last pin: %v, %v", pin, ok)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 70<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sources.OpenLock(path, false); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), ":1: a line of more than 65536 bytes") {
		t.Errorf("a long line: %v", err)
	}
}
