//go:build linux && faults

package promises

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/faulttest"
)

// calls is a run of one command under faults, which is to end as an
// uninterrupted run does.
type calls struct {
	faults []faulttest.Fault
	// start brings everything to what it was before the command.
	start func()
	args  []string
	// sound looks at what there is after the fault.
	sound func(o faulttest.Outcome)
	// done looks at what there is once the same command has completed.
	done func()
	// code is that of an uninterrupted run.
	code int
}

// underAll meets every fault at calls that lie further and further apart.
func (s *site) underAll(t *testing.T, c calls) {
	for _, f := range c.faults {
		t.Run(f.String(), func(t *testing.T) {
			s := &site{t: t, dir: s.dir, env: s.env}
			for f.N = 1; ; f.N += max(1, f.N*3/4) {
				c.start()
				o := faulttest.Run(t, f, append(s.env, "GOMAXPROCS=1"), program(), c.args...)
				if !o.Hit {
					break
				}
				if !o.Killed && o.Exit != c.code && o.Exit != 6 {
					t.Errorf("%s: exit %d\n%s", f, o.Exit, o.Output)
				}
				c.sound(o)
				s.fails(c.code, nil, c.args...)
				c.done()
			}
			t.Logf("tried up to %d", f.N)
		})
	}
}

// What unpack's own loop does not meet: the medium cannot be read, files
// cannot be opened, renamed or made, descriptors run out; and the media come
// one by one. The fault is met while the first is placed.
func TestImportOfAMediumSurvivesFaults(t *testing.T) {
	faulttest.InMemory(t)
	s := carried(t)
	s.copy("good", "one")
	s.shell("mv one/site-000002 one/site-000002.partial && rm one/site-000002.partial/bundle* one/site-000002.partial/volume-00003.tar.zst")
	s.copy("good", "two")
	s.shell("rm two/site-000002/volume-0000[12].tar.zst")
	s.copy("mirror", "untouched")
	before := s.served("mirror")
	unserved := func(o faulttest.Outcome) {
		if diff := difference(s.served("mirror"), before); len(diff) > 0 {
			s.t.Errorf("what is served has changed: %q\n%s", diff, o.Output)
		}
	}
	args := []string{"import", s.path("two"), "--to", s.path("mirror")}
	s.underAll(t, calls{
		faults: []faulttest.Fault{
			{Call: "pread64"}, {Call: "pread64", Errno: "EIO"}, {Call: "openat"}, {Call: "openat", Errno: "EMFILE"},
			{Call: "write,pwrite64"}, {Call: "fsync,syncfs"}, {Call: "fsync,syncfs", Errno: "EIO"},
			{Call: "ftruncate", Errno: "EIO"}, {Call: "/chmod", Errno: "EIO"}, {Call: "getdents64", Errno: "EIO"}, {Call: "flock", Errno: "ENOLCK"},
		},
		start: func() { s.copy("untouched", "mirror") },
		args:  args,
		code:  5, // two volumes are still to come
		sound: unserved,
		done: func() {
			unserved(faulttest.Outcome{})
			s.ok("import", "one", "--to", "mirror")
			s.publishes("mirror", "data")
			s.ok("check", "mirror", "--data")
			if left, err := os.ReadDir(s.path("mirror/state/pending")); err != nil || len(left) > 0 {
				s.t.Errorf("still pending: %v, %v", left, err)
			}
		},
	})
}

// A mirror that is being made when the fault comes is made by the same
// command again; the ledger survives a receipt that could not be written.
func TestBeginningsSurviveFaults(t *testing.T) {
	faulttest.InMemory(t)
	s := newSite(t, map[string]string{"a": "a"})
	bundle := s.export("usb")
	faults := []faulttest.Fault{
		{Call: "write"}, {Call: "write", Errno: "ENOSPC"}, {Call: "fsync", Errno: "EIO"}, {Call: "/rename"}, {Call: "/rename", Errno: "EIO"},
		{Call: "/mkdir"}, {Call: "/mkdir", Errno: "ENOSPC"},
	}
	s.underAll(t, calls{
		faults: faults,
		start:  func() { s.check(os.RemoveAll(s.path("mirror"))) },
		args:   []string{"trust", "add", "--mirror", s.path("mirror"), "--role", "exporter", "--set", "site", "--yes", s.path("keys/exporter.pub")},
		sound:  func(faulttest.Outcome) {},
		done: func() {
			s.ok("import", bundle, "--to", "mirror")
			s.publishes("mirror", "data")
		},
	})
	s.ok("import", bundle, "--to", s.mirror("mirror"))
	s.copy(".gapbundle", "ledger")
	s.underAll(t, calls{
		faults: faults,
		start:  func() { s.copy("ledger", ".gapbundle") },
		args:   []string{"receipts", "add", s.receipt("mirror"), "--destination", "ship", "--yes", "--spec", s.path("gapbundle.yaml")},
		sound:  func(faulttest.Outcome) {},
		done: func() {
			if r := s.ok("receipts", "list"); !strings.Contains(r.stdout, "ship") {
				s.t.Errorf("the receipt is not there:\n%s", r.stdout)
			}
		},
	})
}

// A medium that changes while it is imported, which is stopped for that at
// the n-th read: what is published then is right, or nothing is.
func TestMediumChangesDuringImport(t *testing.T) {
	faulttest.InMemory(t)
	s := carried(t)
	s.copy("mirror", "untouched")
	before := s.served("mirror")
	changes := map[string]func(){
		"in place": func() {
			s.shell("for v in medium/site-000002/volume-*; do dd if=/dev/zero of=$v bs=1000 count=1 seek=500 conv=notrunc status=none; done")
		},
		"replaced": func() {
			s.shell("cd medium/site-000002 && for v in volume-*; do cp $v x && dd if=/dev/zero of=x bs=1000 count=1 seek=200 conv=notrunc status=none && mv x $v; done")
		},
		"root and catalogue": func() { s.shell("cp -f first/site-000001/* medium/site-000002/") },
		"pulled out":         func() { s.check(os.RemoveAll(s.path("medium/site-000002"))) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: s.dir, env: s.env}
			codes := []int{}
			for n := 1; ; n *= 2 {
				s.copy("untouched", "mirror")
				s.copy("good", "medium")
				code, out, stopped := s.stoppedAt(n, change, "import", "medium", "--to", "mirror")
				if code == 0 {
					s.publishes("mirror", "data")
				} else if diff := difference(s.served("mirror"), before); len(diff) > 0 || !slices.Contains([]int{3, 4, 5, 6}, code) {
					t.Errorf("stopped at %d: exit %d, changed: %q\n%s", n, code, diff, out)
				}
				s.copy("good", "medium")
				s.ok("import", "medium", "--to", "mirror")
				s.publishes("mirror", "data")
				if !stopped {
					break
				}
				codes = append(codes, code)
			}
			if !slices.ContainsFunc(codes, func(code int) bool { return code != 0 }) {
				t.Errorf("no change was ever noticed: %v", codes)
			}
			t.Logf("exit codes %v", codes)
		})
	}
}

// stoppedAt runs the program, stops it at its n-th read of a file, calls
// change, and lets it go on. stopped is false when it never read so often.
func (s *site) stoppedAt(n int, change func(), args ...string) (code int, out string, stopped bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", append([]string{
		"-f", "-qq", "-o", "/dev/null", "-e", "trace=pread64", "-e", fmt.Sprintf("inject=pread64:signal=SIGSTOP:when=%d", n), program(),
	}, args...)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), append(s.env, "GOMAXPROCS=1")...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	s.check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			} else {
				s.check(err)
			}
			return code, text.String(), stopped
		case <-again.C:
			if child := stoppedChild(cmd.Process.Pid); child != 0 {
				if !stopped {
					change()
				}
				stopped = true
				if err := syscall.Kill(child, syscall.SIGCONT); !errors.Is(err, syscall.ESRCH) { // or it has just ended
					s.check(err)
				}
			}
		}
	}
}

// stoppedChild returns the child of a process, if it is stopped.
func stoppedChild(parent int) int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return 0
	}
	for field := range strings.FieldsSeq(string(children)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			continue
		}
		status, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", child))
		if err != nil || len(status) == 0 {
			continue
		}
		for _, name := range status {
			stat, err := os.ReadFile(name)
			if _, after, ok := strings.Cut(string(stat), ") "); err == nil && ok && (after[0] == 'T' || after[0] == 't') && groupStopped(child) {
				return child
			}
		}
	}
	return 0
}

// groupStopped reports whether all threads of a process stand still.
func groupStopped(pid int) bool {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, name := range names {
		stat, err := os.ReadFile(name)
		_, after, ok := strings.Cut(string(stat), ") ")
		if err != nil || !ok || after[0] != 'T' && after[0] != 't' {
			return false
		}
	}
	return true
}
