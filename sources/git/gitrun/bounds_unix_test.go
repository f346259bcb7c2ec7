//go:build unix

package gitrun

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A cancelled call ends with its children; output is bounded; what git says is
// one printable line.
func TestBounds(t *testing.T) {
	g := find(t)
	// The child holds one end of a pipe, which ends when nobody holds it.
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	d := g.In("", []string{"alias.wait", "!sh -c 'exec 9>" + name + "; echo started; sleep 1000'", "alias.shout", "!printf 'a\\033[1m\\nb' >&2; exit 3"})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped for a test")
	err = d.Run(ctx, Call{Args: []string{"wait"}, Stdout: writerFunc(func([]byte) error { cancel(stop); return nil })})
	if !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	if err := pipe.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := pipe.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a child lives: %d, %v", n, err)
	}
	if _, err := d.Output(t.Context(), 4, Call{Args: []string{"version"}}); err == nil || !strings.Contains(err.Error(), "more output") {
		t.Errorf("too much output: %v", err)
	}
	var failed *Error
	if err := d.Run(t.Context(), Call{Args: []string{"shout"}}); !errors.As(err, &failed) || failed.Code != 3 || failed.Stderr != "a[1m; b" {
		t.Errorf("%+v, %v", failed, err)
	}
	full := &Error{Args: []string{"fetch"}, Code: 128, Stderr: "fatal: write error: No space left on device"}
	if !errors.Is(full, syscall.ENOSPC) || errors.Is(failed, syscall.ENOSPC) {
		t.Error("a full disk is not told from other failures")
	}
}

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) { return len(p), f(p) }
