package promises

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/peak"
)

// programEnv names the program under test, built once for all tests.
const programEnv = "GAPBUNDLE_PROMISES_PROGRAM"

// tinyFilesEnv sets how many files TestMemoryOfTinyFiles carries: 1000000 is
// what docs/benchmarks.md tells, minutes on a small machine.
const tinyFilesEnv = "GAPBUNDLE_TINY_FILES"

// patience ends a program that hangs, on however busy a machine.
func patience() time.Duration {
	if os.Getenv(tinyFilesEnv) != "" {
		return time.Hour
	}
	return 3 * time.Minute
}

func TestMain(m *testing.M) {
	if name := os.Getenv(makeEnv); name != "" {
		writeLarge(name, ".")
		return
	}
	os.Exit(withProgram(m))
}

func withProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gapbundle-promises-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	path := filepath.Join(dir, "gapbundle")
	build := exec.Command("go", "build", "-o", path, "github.com/gapbundle/gapbundle/cmd/gapbundle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(programEnv, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func program() string { return os.Getenv(programEnv) }

// site is a folder with everything a test has: a spec that exports the folder
// data, keys, media and mirrors, by names relative to it.
type site struct {
	t   *testing.T
	dir string
	env []string
}

// newSite makes a site with keys and these files below data.
func newSite(t *testing.T, data map[string]string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), env: []string{"GAPBUNDLE_PASSPHRASE=open sesame"}}
	s.write("gapbundle.yaml", "version: 1\nname: site\nsigning: {exporter: keys/exporter.key}\nsources:\n  - {name: data, kind: files, dir: data}\n")
	for name, content := range data {
		s.write("data/"+name, content)
	}
	s.ok("keygen", "--out", "keys")
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, content string) {
	s.t.Helper()
	s.check(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.check(os.WriteFile(s.path(name), []byte(content), 0o644))
}

func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	s.check(err)
	return string(b)
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// copy copies a file or a folder with its times, in the place of what is there.
func (s *site) copy(from, to string) {
	s.t.Helper()
	s.check(os.RemoveAll(s.path(to)))
	s.shell("cp -a " + from + " " + to)
}

// shell runs a line of a shell in the site's folder.
func (s *site) shell(line string) string {
	s.t.Helper()
	r := s.exec("sh", "-ec", line)
	if r.code != 0 {
		s.t.Fatalf("%s: exit %d\n%s%s", line, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// ran is how a run of a program ended.
type ran struct {
	code           int // -1: by a signal
	stdout, stderr string
	usage          *syscall.Rusage
}

func (s *site) exec(name string, args ...string) ran {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), s.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	s.check(peak.Forget()) // tests compare the program's peak with bounds
	err := cmd.Run()
	if ctx.Err() != nil {
		s.t.Fatalf("%s %q: still running after %s\n%s", name, args, patience(), stderr.String())
	}
	r := ran{stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
	} else {
		s.check(err)
	}
	r.usage, _ = cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return r
}

func (s *site) run(args ...string) ran {
	s.t.Helper()
	return s.exec(program(), args...)
}

// ok runs the program, which has to succeed.
func (s *site) ok(args ...string) ran {
	s.t.Helper()
	return s.fails(0, nil, args...)
}

// fails runs the program, which has to end with this code and to name these
// things in its error.
func (s *site) fails(code int, names []string, args ...string) ran {
	s.t.Helper()
	r := s.run(args...)
	if r.code != code {
		s.t.Fatalf("gapbundle %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	for _, n := range names {
		if !strings.Contains(r.stderr, n) {
			s.t.Errorf("gapbundle %s: does not name %q:\n%s", strings.Join(args, " "), n, r.stderr)
		}
	}
	if code != 0 && (!strings.Contains(r.stderr, "error: ") || !strings.Contains(r.stderr, "hint: ")) {
		s.t.Errorf("gapbundle %s: exit %d without error and hint:\n%s", strings.Join(args, " "), code, r.stderr)
	}
	return r
}

// export exports to a medium and gives the bundle's folder.
func (s *site) export(medium string, args ...string) string {
	s.t.Helper()
	r := s.ok(append([]string{"export", "--quiet", "--to", medium}, args...)...)
	return strings.TrimSpace(r.stdout)
}

// mirror makes a mirror that trusts the site's exporter.
func (s *site) mirror(name string) string {
	s.t.Helper()
	s.ok("trust", "add", "--mirror", name, "--role", "exporter", "--set", "site", "--yes", "keys/exporter.pub")
	return name
}

// tree returns everything below a folder: names, kinds, times, contents.
func (s *site) tree(name string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	root := s.path(name)
	s.check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode(), " ", info.ModTime())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%s %x", what, sha256.Sum256(b))
		case d.Type()&fs.ModeSymlink != 0:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		all[strings.TrimPrefix(path, root)] = what
		return nil
	}))
	return all
}

// served returns what clients of a mirror see; nothing while nothing is published.
func (s *site) served(mirror string) map[string]string {
	s.t.Helper()
	target, err := os.Readlink(s.path(mirror + "/current"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s.check(err)
	return s.tree(filepath.Join(mirror, target))
}

// contents returns the contents of the files below a folder.
func (s *site) contents(name string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	root := s.path(name)
	s.check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, root)] = string(b)
		return err
	}))
	return all
}

// difference names what differs between two trees.
func difference(is, want map[string]string) (names []string) {
	for name, w := range want {
		if is[name] != w {
			names = append(names, name)
		}
	}
	for name := range is {
		if _, ok := want[name]; !ok {
			names = append(names, name+" (new)")
		}
	}
	return names
}

// publishes requires that a mirror serves the files of the folder want.
func (s *site) publishes(mirror, want string) {
	s.t.Helper()
	if diff := difference(s.contents(mirror+"/current/files/data"), s.contents(want)); len(diff) > 0 {
		s.t.Fatalf("%s does not serve what %s has: %q", mirror, want, diff)
	}
}

// noise returns content that does not compress, the same for the same seed.
func noise(seed uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}
