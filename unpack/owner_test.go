package unpack_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// lines are the log lines of a run.
type lines struct{ strings.Builder }

func (l *lines) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestOthersMayWrite: a mirror, a state, a policy that others may write, and a key that they may
// read, are refused before anything is changed, with the command that mends it.
func TestOthersMayWrite(t *testing.T) {
	r := newIll(t)
	for name, c := range map[string]struct {
		bad, good os.FileMode
	}{
		".": {0o777, 0o755}, "state": {0o707, 0o700}, "state/trust.json": {0o606, 0o600}, "state/sets": {0o702, 0o700}, "state/receipt.key": {0o640, 0o600},
	} {
		path := filepath.Join(r.dir, name)
		must(t, os.Chmod(path, c.bad))
		before := treeOf(t, r.dir)
		for what, run := range map[string]func(o unpack.Options) error{
			"import": func(o unpack.Options) error {
				m, err := unpack.Create(r.dir, o)
				if err == nil {
					_, err = m.Receive(t.Context(), []string{r.full, r.next}, unpack.ImportOptions{})
					must(t, m.Close())
				}
				return err
			},
			"rebuild": func(o unpack.Options) error { _, err := unpack.RebuildState(t.Context(), r.dir, o); return err },
			"verify":  func(unpack.Options) error { return unpack.Audit(r.Mirror) },
		} {
			var refused interface{ Hint() string }
			err := run(unpack.Options{Now: r.clock.now})
			if !errors.Is(err, bundle.ErrUntrusted) || !errors.As(err, &refused) || !strings.HasPrefix(refused.Hint(), "chmod ") || !strings.HasSuffix(refused.Hint(), path) {
				t.Errorf("%s of mode %04o: %s: %v", name, c.bad, what, err)
			}
		}
		if !sameTree(before, treeOf(t, r.dir)) {
			t.Errorf("%s: something was changed", name)
		}
		must(t, os.Chmod(path, c.good))
	}
	r.reopen(unpack.Options{})
	r.receive(r.full, r.next)
}

// TestRestoredMirror: a mirror that was copied or restored works, and the first command that
// changes it says whose it is, once.
func TestRestoredMirror(t *testing.T) {
	r := newIll(t)
	other := filepath.Join(t.TempDir(), "mirror")
	must(t, os.CopyFS(other, os.DirFS(r.dir)))
	must(t, os.Chmod(filepath.Join(other, "state"), 0o700))
	must(t, os.Chmod(filepath.Join(other, "state/receipt.key"), 0o600))
	next := r.e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "y"})}, bundletest.Options{Full: true})
	for i, want := range []bool{true, false} {
		var log lines
		m, err := unpack.Create(other, unpack.Options{Now: r.clock.now, Log: log.log()})
		must(t, err)
		_, err = m.Receive(t.Context(), next.Dirs, unpack.ImportOptions{})
		must(t, errors.Join(err, m.Close()))
		if says := strings.Contains(log.String(), "is a mirror of user "); says != want {
			t.Errorf("run %d: %s", i+1, log.String())
		} else if want && (!strings.Contains(log.String(), "site (bundle 2)") || !strings.Contains(log.String(), other)) {
			t.Errorf("it does not say which: %s", log.String())
		}
	}
}

// TestReadyMadeState: a state that another user put into the folder is not used, and a mirror of
// another user is changed by that user alone. Only root can make what this needs; others see
// internal/access.TestOwner.
func TestReadyMadeState(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	const nobodys = 3_999_999
	r := newIll(t)
	must(t, os.Lchown(filepath.Join(r.dir, "state"), nobodys, nobodys))
	_, err := r.Receive(t.Context(), []string{r.full, r.next}, unpack.ImportOptions{})
	if !errors.Is(err, bundle.ErrUntrusted) || !strings.Contains(err.Error(), "belongs to user 3999999, and this is user root") {
		t.Errorf("a mirror of another user: %v", err)
	}
	must(t, unpack.Audit(r.Mirror)) // whoever may read it may
	trap := t.TempDir()
	must(t, os.Mkdir(filepath.Join(trap, "state"), 0o700))
	must(t, os.Lchown(filepath.Join(trap, "state"), nobodys, nobodys))
	if _, err := unpack.Create(trap, unpack.Options{}); !errors.Is(err, bundle.ErrUntrusted) {
		t.Errorf("a ready-made state of another user: %v", err)
	}
	if all, err := os.ReadDir(trap); err != nil || len(all) != 1 {
		t.Errorf("something was made: %v, %v", all, err)
	}
}
