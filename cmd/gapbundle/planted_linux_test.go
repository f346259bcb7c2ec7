package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/unpack"
)

// folders returns all folders below dir, relative to it, without what is published.
func folders(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir || !e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all = append(all, name)
		if strings.Count(name, "/") > 0 && (strings.HasPrefix(name, "generations/") || strings.HasPrefix(name, "trees/")) {
			return fs.SkipDir
		}
		return err
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d folders, %v", len(all), err)
	}
	return all
}

// TestPlantedLinks: a link in the place of any folder of a mirror, here of one that an
// earlier program wrote, never ends in an error without a class. What a command needs of the
// folder is refused with the folder's path (exit 6), or found damaged and repaired, and
// nothing is written through the link.
func TestPlantedLinks(t *testing.T) {
	work := t.TempDir()
	in := func(name string) string { return filepath.Join(work, name) }
	if err := unpackAll("testdata/continued.tar.gz", in); err != nil {
		t.Fatal(err)
	}
	for _, name := range folders(t, in("mirror")) {
		away, path := in("away"), in("mirror/"+name)
		for what, run := range map[string]func(*unpack.Mirror) error{
			"check":  func(m *unpack.Mirror) error { _, err := m.Check(t.Context(), unpack.CheckOptions{Data: 1}); return err },
			"status": func(m *unpack.Mirror) error { _, err := m.Status(t.Context()); return err },
			"gc":     func(m *unpack.Mirror) error { _, err := m.GC(t.Context(), unpack.GCOptions{Keep: 1}); return err },
			"rollback": func(m *unpack.Mirror) error {
				_, err := m.Rollback(t.Context(), unpack.RollbackOptions{To: 1})
				return err
			},
			"repair": func(m *unpack.Mirror) error {
				_, err := unpack.Repair(t.Context(), m, []string{in("after")})
				return err
			},
		} {
			if err := os.Rename(path, away); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(away, path); err != nil {
				t.Fatal(err)
			}
			before := listing(t, away)
			m, err := unpack.Open(in("mirror"), unpack.Options{})
			if err == nil {
				err = run(m)
				_ = m.Close()
			}
			code := command.ExitCode(t.Context(), err)
			switch {
			case code == command.ExitEnvironment && !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), "current"):
				t.Errorf("%s, %s: the error does not name the folder: %v", name, what, err)
			case code == command.ExitInternal, code == command.ExitUsage:
				t.Errorf("%s, %s: exit %d: %v", name, what, code, err)
			}
			if after := listing(t, away); after != before {
				t.Errorf("%s, %s: written through the link:\n%s\nwas\n%s", name, what, after, before)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(away, path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// listing returns the names below dir.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		all.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
