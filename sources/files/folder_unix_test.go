//go:build unix

package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

func TestFolder(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"a.txt", "a/b", "a/c/d", "a-b", "a0", "Z", "ü/x", ".hidden"} {
		s.write("d/"+name, name)
	}
	s.write("d/empty", "")
	if err := os.MkdirAll(filepath.Join(s.dir, "d/nothing"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"l": "a.txt", "k": "a/c", "a/up": "../a0"} {
		if err := os.Symlink(to, filepath.Join(s.dir, "d", link)); err != nil {
			t.Fatal(err)
		}
	}
	all := s.mustPlan("- {name: h, dir: ./d}\n")["h"]
	want := []string{"h/.hidden", "h/Z", "h/a/b", "h/a/c/d", "h/a/up", "h/a-b", "h/a.txt", "h/a0", "h/empty", "h/k/d", "h/l", "h/ü/x"}
	if got := paths(all); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for path, content := range map[string]string{"h/a/up": "a0", "h/k/d": "a/c/d", "h/l": "a.txt", "h/empty": ""} {
		a := find(t, all, path)
		b, c, err := read(t, a)
		if err != nil || string(b) != content || a.File.Size != int64(len(content)) || c.Validator != a.Validator {
			t.Errorf("%s: %q, %+v, %v", path, b, a.File, err)
		}
		if a.Evidence.Vouched != bundle.VouchedLocal || a.Evidence.Origin != "" {
			t.Errorf("%s: %+v", path, a.Evidence)
		}
	}
}

func TestFolderErrors(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, dir string) error
		want string
	}{
		"link out":            {func(_ *testing.T, dir string) error { return os.Symlink("../secret", filepath.Join(dir, "x")) }, "x: a link has to lead to something inside"},
		"absolute link":       {func(_ *testing.T, dir string) error { return os.Symlink("/etc/hostname", filepath.Join(dir, "x")) }, "x: a link has to lead to something inside"},
		"link to the outside": {func(_ *testing.T, dir string) error { return os.Symlink("..", filepath.Join(dir, "x")) }, "x: a link has to lead to something inside"},
		"link to nothing":     {func(_ *testing.T, dir string) error { return os.Symlink("y", filepath.Join(dir, "x")) }, "x: a link has to lead to something inside"},
		"link to itself":      {func(_ *testing.T, dir string) error { return os.Symlink("x", filepath.Join(dir, "x")) }, "x: a link has to lead to something inside"},
		"loop": {func(_ *testing.T, dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "x"), 0o755), os.Symlink("..", filepath.Join(dir, "x/y")))
		}, "x/y: a link to a folder that it is in"},
		"pipe": {func(_ *testing.T, dir string) error { return unix.Mkfifo(filepath.Join(dir, "x"), 0o644) }, "x: neither a file nor a folder"},
		"link to pipe": {func(_ *testing.T, dir string) error {
			return errors.Join(unix.Mkfifo(filepath.Join(dir, "x"), 0o644), os.Symlink("x", filepath.Join(dir, "a")))
		}, "a: neither a file nor a folder"},
		"backslash": {func(_ *testing.T, dir string) error { return os.WriteFile(filepath.Join(dir, `a\b`), nil, 0o644) }, `U+005C`},
		"not UTF-8": {func(_ *testing.T, dir string) error { return os.WriteFile(filepath.Join(dir, "a\xff"), nil, 0o644) }, "not UTF-8"},
		"no folder": {func(_ *testing.T, dir string) error { return os.Remove(dir) }, "spec.yaml:2:4: dir: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.write("secret", "s")
			dir := filepath.Join(s.dir, "d")
			if err := errors.Join(os.Mkdir(dir, 0o755), test.make(t, dir)); err != nil {
				t.Fatal(err)
			}
			_, err := s.plan("- {name: h, dir: d}\n")
			if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A file that is not the one that was planned, or does not stay it, is the
// system's fault and no content.
func TestChangingFile(t *testing.T) {
	for name, change := range map[string]func(file string) error{
		"grown": func(file string) error { return os.WriteFile(file, make([]byte, 200<<10), 0o644) },
		"cut":   func(file string) error { return os.Truncate(file, 10) },
		"replaced": func(file string) error {
			return errors.Join(os.WriteFile(file+".new", make([]byte, 100<<10), 0o644), os.Rename(file+".new", file))
		},
		"gone": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			file := s.write("d/x", strings.Repeat("x", 100<<10))
			a := s.mustPlan("- {name: h, dir: d}\n")["h"][0]
			during, err := a.Open(t.Context(), 0, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := change(file); err != nil {
				t.Fatal(err)
			}
			var path *fs.PathError
			if _, err := a.Open(t.Context(), 0, ""); !errors.As(err, &path) {
				t.Errorf("opened after the change: %v, want fs.PathError", err)
			}
			b, err := io.ReadAll(during.Body)
			if name == "replaced" || name == "gone" { // the old content is still there, and whole
				if !errors.As(err, &path) && string(b) != strings.Repeat("x", 100<<10) {
					t.Errorf("changed while open: %d bytes, %v", len(b), err)
				}
			} else if !errors.As(err, &path) || !strings.Contains(err.Error(), "changed while it was read") {
				t.Errorf("changed while open: %v, want fs.PathError", err)
			}
			if err := during.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFolderReuse(t *testing.T) {
	s := newSite(t)
	s.write("d/a", "a")
	changed := s.write("d/b", "b")
	const text = "- {name: h, dir: d}\n"
	all := s.mustPlan(text)
	if !all["h"][0].File.Digest.IsZero() {
		t.Error("a digest before anything was read")
	}
	if err := s.collect(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(changed, []byte("c"), 0o644); err != nil {
		t.Fatal(err)
	}
	all = s.mustPlan(text)
	if all["h"][0].File.Digest != bundle.DigestOf([]byte("a")) {
		t.Error("an unchanged file would be read again")
	}
	if !all["h"][1].File.Digest.IsZero() {
		t.Error("a changed file is taken for the recorded one")
	}
}

func TestFolderResume(t *testing.T) {
	s := newSite(t)
	s.write("d/a", "0123456789")
	a := s.mustPlan("- {name: h, dir: d}\n")["h"][0]
	for _, test := range []struct {
		validator string
		at        int64
		want      string
	}{{a.Validator, 4, "456789"}, {"other", 0, "0123456789"}, {"", 0, "0123456789"}} {
		c, err := a.Open(t.Context(), 4, test.validator)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c.Body)
		if err != nil || c.At != test.at || string(b) != test.want {
			t.Errorf("validator %q: %q at %d, %v", test.validator, b, c.At, err)
		}
		if err := c.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A folder is walked once for a plan: every later look has the same files, whatever
// became of the folder, and one that changed is refused when it is read.
func TestFolderIsWalkedOnce(t *testing.T) {
	s := newSite(t)
	deep := "d/" + strings.Repeat("x/", 2*openDirectories) + "end"
	s.write(deep, "deep")
	for _, name := range []string{"a", "b/c", "b/d"} {
		s.write("d/"+name, name)
	}
	r, err := collect.Resolve(t.Context(), sources.Kinds{Kind()}, s.specs("- {name: h, dir: d}\n"), s.env)
	if err != nil {
		t.Fatal(err)
	}
	look := func() (all []sources.Artifact) {
		for a, err := range r.Repositories[0].Artifacts() {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		return all
	}
	first := look()
	s.write("d/b/new", "new")
	s.write("d/b/c", "changed")
	again := look()
	if want := []string{"h/a", "h/b/c", "h/b/d", "h" + strings.TrimPrefix(deep, "d")}; !slices.Equal(paths(first), want) || !slices.Equal(paths(again), want) {
		t.Errorf("want %v, got %v and then %v", want, paths(first), paths(again))
	}
	for i, a := range again {
		if a.Validator != first[i].Validator || a.File.Size != first[i].File.Size || a.File.Digest != first[i].File.Digest {
			t.Errorf("%s: %+v and then %+v", a.File.Path, first[i].File, a.File)
		}
		switch b, _, err := read(t, a); {
		case a.File.Path == "h/b/c":
			if !errors.Is(err, errChanged) {
				t.Errorf("%s: want %v, got %v", a.File.Path, errChanged, err)
			}
		case err != nil || len(b) != int(a.File.Size):
			t.Errorf("%s: %q, %v", a.File.Path, b, err)
		}
	}
}

// What is kept of a walk is cut off in the middle of a file only where the disk lost it.
func TestSeen(t *testing.T) {
	want := seen{name: "a/b", size: 1 << 40, validator: "1.2 3.4", digest: bundle.DigestOf([]byte("x"))}
	line := want.append(nil)
	for cut := range len(line) + 1 {
		got, err := readSeen(bufio.NewReader(bytes.NewReader(line[:cut])))
		switch {
		case cut == 0 && err == io.EOF, cut == len(line) && err == nil && got == want, cut > 0 && cut < len(line) && errors.Is(err, io.ErrUnexpectedEOF):
		default:
			t.Errorf("%d of %d bytes: %+v, %v", cut, len(line), got, err)
		}
	}
}

// Memory for the names of a folder, not for its files: they come one by one.
func TestFolderStreams(t *testing.T) {
	s := newSite(t)
	const n = 3000
	for i := range n {
		s.write(fmt.Sprintf("d/%04d", i), "x")
	}
	r, err := collect.Resolve(t.Context(), sources.Kinds{Kind()}, s.specs("- {name: h, dir: d}\n"), s.env)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // replayable, and it may be left at any point
		count := 0
		for a, err := range r.Repositories[0].Artifacts() {
			if err != nil || a.File.Path != fmt.Sprintf("h/%04d", count) {
				t.Fatalf("%d: %s, %v", count, a.File.Path, err)
			}
			if count++; count == n/2 {
				break
			}
		}
	}
}

// BenchmarkFolder looks twice at a folder of 2,000 files of which the base has every one,
// as an export does that finds nothing new.
func BenchmarkFolder(b *testing.B) {
	dir := b.TempDir()
	const n = 2000
	for i := range n {
		name := filepath.Join(dir, "d", fmt.Sprintf("%02d", i/100), fmt.Sprintf("%04d", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("x"), 0o644)); err != nil {
			b.Fatal(err)
		}
	}
	scratch, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer scratch.Close()
	env := &sources.Env{Scratch: scratch}
	for b.Loop() {
		f := &folder{name: "h", dir: filepath.Join(dir, "d"), walked: walked{file: "walk-0"}}
		for range 2 {
			count := 0
			for _, err := range f.artifacts(env) {
				if err != nil {
					b.Fatal(err)
				}
				count++
			}
			if count != n {
				b.Fatal(count)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/file")
}
