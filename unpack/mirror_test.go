package unpack_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// clock is a local clock that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// rig is a mirror in the making and the exporters that it trusts.
type rig struct {
	*unpack.Mirror
	t     testing.TB
	dir   string
	clock *clock
}

func newRig(t testing.TB, exporters ...*bundletest.Exporter) *rig {
	t.Helper()
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "mirror"), clock: &clock{time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)}}
	r.reopen(unpack.Options{})
	for _, e := range exporters {
		r.trust(e)
	}
	return r
}

// reopen opens the mirror again, with other options.
func (r *rig) reopen(o unpack.Options) {
	r.t.Helper()
	o.Now, o.Tool = r.clock.now, "test"
	o.Built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m, err := unpack.Create(r.dir, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.Mirror = m
}

func (r *rig) trust(e *bundletest.Exporter) {
	r.t.Helper()
	if err := r.Trust().Update(context.Background(), "trust "+e.Set, e.Trust); err != nil {
		r.t.Fatal(err)
	}
}

// receive imports and expects it to work.
func (r *rig) receive(paths ...string) *unpack.Result {
	r.t.Helper()
	r.clock.t = r.clock.t.Add(time.Hour)
	res, err := r.Receive(context.Background(), paths, unpack.ImportOptions{})
	if err != nil {
		r.t.Fatalf("import of %v: %v", paths, err)
	}
	return res
}

// refused imports and expects an error of the class.
func (r *rig) refused(class error, o unpack.ImportOptions, paths ...string) (*unpack.Result, error) {
	r.t.Helper()
	r.clock.t = r.clock.t.Add(time.Hour)
	res, err := r.Receive(context.Background(), paths, o)
	if !errors.Is(err, class) {
		r.t.Fatalf("import of %v: %v, want %v", paths, err, class)
	}
	return res, err
}

// outcomes returns "name outcome" of each bundle, sorted.
func outcomes(res *unpack.Result) []string {
	var out []string
	for _, b := range res.Bundles {
		out = append(out, b.Name+" "+string(b.Outcome))
	}
	slices.Sort(out)
	return out
}

// stat is what a client can see of a file.
type stat struct {
	content string
	mtime   time.Time
}

// served returns everything below current, links followed as a web server does,
// without what the publish generates itself.
func (r *rig) served() map[string]stat {
	r.t.Helper()
	all := map[string]stat{}
	for name, s := range servedAll(r.t, r.dir) {
		if name != "index.html" && !strings.HasPrefix(name, "_gapbundle/") {
			all[name] = s
		}
	}
	return all
}

func servedAll(t testing.TB, dir string) map[string]stat {
	t.Helper()
	all := map[string]stat{}
	var walk func(dir, prefix string)
	walk = func(dir, prefix string) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) && prefix == "" {
			return // nothing published yet
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			fi, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if fi.IsDir() {
				walk(name, prefix+e.Name()+"/")
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[prefix+e.Name()] = stat{string(b), fi.ModTime()}
		}
	}
	walk(filepath.Join(dir, "current"), "")
	return all
}

// contents returns the served files without their times.
func (r *rig) contents() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	for name, s := range r.served() {
		out[name] = s.content
	}
	return out
}

// expect compares what is served with contents by web path.
func (r *rig) expect(want map[string]string) {
	r.t.Helper()
	if got := r.contents(); !maps.Equal(got, want) {
		r.t.Errorf("served %s\nwant %s", brief(got), brief(want))
	}
}

func brief(files map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "\n  %s: %d bytes, %s", name, len(files[name]), bundle.DigestOf([]byte(files[name])).Short())
	}
	return b.String()
}

// intact expects that check, reading everything, finds nothing.
func (r *rig) intact() {
	r.t.Helper()
	res, err := r.Check(context.Background(), unpack.CheckOptions{Data: 1})
	if err != nil {
		r.t.Errorf("check: %v\n%v", err, res)
	}
}

// apt and shared make repositories: one that owns its mount, one that does not.
func apt(files map[string]string) bundletest.Repository {
	return bundletest.Repository{Name: "debs", Kind: "apt", Mount: "apt/debs", Files: files}
}

func shared(name string, files map[string]string) bundletest.Repository {
	return bundletest.Repository{Name: name, Mount: "files", Files: files}
}

// noise returns content that does not compress.
func noise(seed string, n int) string {
	var b strings.Builder
	d := bundle.DigestOf([]byte(seed))
	for b.Len() < n {
		b.Write(d[:])
		d = bundle.DigestOf(d[:])
	}
	return b.String()[:n]
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func copyDir(t testing.TB, from, to string, keep func(name string) bool) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !keep(e.Name()) {
			continue
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), []byte(readFile(t, filepath.Join(from, e.Name()))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// treeOf returns every name below dir with its kind, mode, time and content.
func treeOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		s := fmt.Sprint(fi.Mode(), fi.ModTime())
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			s += target
		case fi.Mode().IsRegular():
			s += bundle.DigestOf([]byte(readFile(t, name))).Hex()
		}
		all[strings.TrimPrefix(name, dir)] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameTree(a, b map[string]string) bool { return maps.Equal(a, b) }
