// Package faulttest runs the real program while the kernel refuses to do what
// it is asked to, or kills it at a chosen call. It needs strace, which reaches
// a static Go binary, so the program itself has no layer for faults.
//
// It is for tests under the build tag "faults".
package faulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runLimit ends a program that hangs after an injected fault: a defect that a
// test has to report, not wait for.
const runLimit = 2 * time.Minute

// runtimeDied is what the Go runtime prints when its own write to the poller's eventfd is refused.
const runtimeDied = "runtime: netpollBreak write failed"

// Program builds the real program once for the test and returns its path.
func Program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gapbundle")
	build := exec.Command("go", "build", "-o", path, "github.com/gapbundle/gapbundle/cmd/gapbundle")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// roomInMemory is what a file system in memory has to have free to be used: containers often have 64 MiB.
const roomInMemory = 2 << 30 // bytes

// InMemory moves the folders that the test makes from here on into memory, if the machine has a file system there.
// A loop over faults syncs thousands of times. It looks only at the calls and their order, and a disk would only slow it down.
func InMemory(t testing.TB) {
	t.Helper()
	const memory = "/dev/shm"
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) >= roomInMemory {
		t.Setenv("TMPDIR", memory)
	}
}

// Fault is what happens at a system call.
type Fault struct {
	// Call is the system call, as strace names it: "fsync", "/rename".
	Call string
	// N is which one of them, from 1, counted for each thread. With OnPath
	// set, only calls on that path count.
	N      int
	OnPath string
	// Errno is the error it gets, "ENOSPC"; empty: the process is killed.
	Errno string
}

// String names the fault.
func (f Fault) String() string {
	what := f.Errno
	if what == "" {
		what = "KILL"
	}
	return fmt.Sprintf("%s at %s %d", what, strings.TrimPrefix(f.Call, "/"), f.N)
}

// Outcome is how a run under a fault ended.
type Outcome struct {
	// Hit means that the fault was reached; otherwise the run was a plain one.
	Hit bool
	// Killed means that the process was killed, Exit is its status otherwise. It counts as killed when the call was one by which
	// the Go runtime wakes itself: the program cannot act on that.
	Killed bool
	Exit   int
	// Output is what it wrote to stdout and stderr.
	Output string
}

// Run runs the program with args and env (in addition to the process's own) under f.
func Run(t testing.TB, f Fault, env []string, program string, args ...string) Outcome {
	t.Helper()
	inject := fmt.Sprintf("inject=%s:error=%s:when=%d", f.Call, f.Errno, f.N)
	if f.Errno == "" {
		inject = fmt.Sprintf("inject=%s:signal=KILL:when=%d", f.Call, f.N)
	}
	log := filepath.Join(t.TempDir(), "strace")
	straceArgs := []string{"-f", "-qq", "-o", log, "-e", "trace=" + f.Call, "-e", inject}
	if f.OnPath != "" {
		straceArgs = append(straceArgs, "-P", f.OnPath)
	}
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", append(append(straceArgs, program), args...)...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s: still running after %s\n%s", f, runLimit, out.String())
	}
	o := Outcome{Output: out.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status, ok := exit.Sys().(syscall.WaitStatus)
		o.Killed = ok && status.Signaled() && status.Signal() == syscall.SIGKILL || strings.Contains(o.Output, runtimeDied)
		o.Exit = exit.ExitCode()
	case err != nil:
		t.Fatalf("strace: %v", err)
	}
	trace, err := os.ReadFile(log)
	if err != nil {
		t.Fatalf("strace: %v\n%s", err, o.Output)
	}
	o.Hit = o.Killed || bytes.Contains(trace, []byte("INJECTED"))
	return o
}
