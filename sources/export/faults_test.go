//go:build faults

package export_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/faulttest"
)

// site is a folder with a spec, a key and files to export, and what is needed
// to carry them into a mirror.
type site struct {
	t       *testing.T
	program string
	dir     string
	env     []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, program: faulttest.Program(t), dir: t.TempDir(), env: []string{"GAPBUNDLE_PASSPHRASE=secret", "GAPBUNDLE_QUIET=true"}}
	s.write("gapbundle.yaml", "version: 1\nname: site\nsigning: {exporter: keys/exporter.key}\nsources:\n  - {name: data, kind: files, dir: data}\n")
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	s.write("data/large", noise(2500<<10))
	s.write("data/middle", noise(1100<<10))
	for i := range 12 {
		s.write(fmt.Sprintf("data/small/%02d", i), noise(i*9000))
	}
	s.must("keygen", "--out", filepath.Join(s.dir, "keys"))
	return s
}

func (s *site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) run(args ...string) (string, error) {
	cmd := exec.Command(s.program, args...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Fatalf("gapbundle %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// arrives carries what is on the medium into a new mirror and compares it
// with the files.
func (s *site) arrives(medium string) {
	s.t.Helper()
	mirror := filepath.Join(s.t.TempDir(), "mirror")
	s.must("trust", "add", "--mirror", mirror, "--role", "exporter", "--set", "site", "--yes", filepath.Join(s.dir, "keys/exporter.pub"))
	s.must("import", medium, "--to", mirror)
	got := filepath.Join(mirror, "current/files/data")
	if out, err := exec.Command("diff", "-r", filepath.Join(s.dir, "data"), got).CombinedOutput(); err != nil {
		s.t.Fatalf("the mirror differs from the files: %v\n%s", err, out)
	}
}

// TestExportSurvivesEveryFault kills the export, or refuses it a call, at the
// first, second, third... of every kind of call that changes a disk. Whatever
// is on the medium then is not taken for a bundle, and the same command
// finishes the job.
func TestExportSurvivesEveryFault(t *testing.T) {
	faulttest.InMemory(t)
	s := newSite(t)
	all := os.Getenv("GAPBUNDLE_ALL_FAULTS") != "" // every n instead of every so many; minutes
	for _, c := range []struct {
		call, errno string
		step        int
	}{
		{"fsync", "", 3}, {"/rename", "", 1}, {"/mkdir", "", 1}, {"write", "", 17}, {"/unlink", "", 2},
		{"fsync", "EIO", 3}, {"write", "ENOSPC", 23}, {"/rename", "EIO", 2}, {"ftruncate", "EIO", 1},
	} {
		t.Run(c.call+" "+c.errno, func(t *testing.T) {
			s := &site{t: t, program: s.program, dir: s.dir, env: s.env}
			step := c.step
			if all {
				step = 1
			}
			for n := 1; ; n += step {
				medium, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
				command := []string{"export", filepath.Join(s.dir, "gapbundle.yaml"), "--to", medium, "--state", state, "--volume-size", "1MiB"}
				fault := faulttest.Fault{Call: c.call, N: n, Errno: c.errno}
				o := faulttest.Run(t, fault, s.env, s.program, command...)
				if !o.Hit {
					if n == 1 {
						t.Fatalf("%s: never reached\n%s", fault, o.Output)
					}
					return
				}
				if !o.Killed && o.Exit == 0 {
					// A call whose failure does not matter, or came after
					// everything was done: then the bundle has to be whole.
					s.arrives(medium)
					continue
				}
				if c.errno != "" && o.Exit != 6 {
					t.Errorf("%s: exit %d, want 6\n%s", fault, o.Exit, o.Output)
				}
				if out, err := s.run(command...); err != nil {
					t.Fatalf("%s: the same command again: %v\n%s", fault, err, out)
				}
				s.arrives(medium)
			}
		})
	}
}
