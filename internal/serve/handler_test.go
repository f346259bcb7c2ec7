package serve

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// publish lays out generation n by hand, with one file.
func publish(t *testing.T, dir, n, content string) {
	t.Helper()
	generation := filepath.Join(dir, "generations", n)
	for _, err := range []error{
		os.MkdirAll(generation, 0o755),
		os.WriteFile(filepath.Join(generation, "file"), []byte(content), 0o644),
		os.Symlink("generations/"+n, filepath.Join(dir, "new")),
		os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, current)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// One handle per generation, kept while it is current or in use, not longer.
func TestGenerationsAreClosedWhenNobodyUsesThem(t *testing.T) {
	dir := t.TempDir()
	publish(t, dir, "000001", "one")
	h, err := New(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	acquire := func() *generation {
		t.Helper()
		g, err := h.mirror.acquire(current)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	one := acquire()
	if again := acquire(); again != one {
		t.Error("the same generation was opened twice")
	} else {
		h.mirror.release(again)
	}
	publish(t, dir, "000002", "two")
	two := acquire()
	defer h.mirror.release(two)
	if two == one {
		t.Fatal("a switch was not noticed")
	}
	if b, err := one.root.ReadFile("file"); err != nil || string(b) != "one" {
		t.Errorf("in use: %q, %v", b, err)
	}
	h.mirror.release(one)
	if _, err := one.root.Stat("file"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("no longer in use: %v, want closed", err)
	}
}

// A client that stops reading is given up, with the file it held.
func TestStalledClientIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	publish(t, dir, "000001", "")
	if err := os.Truncate(filepath.Join(dir, current, "file"), 256<<20); err != nil { // more than sockets buffer
		t.Fatal(err)
	}
	h, err := New(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.piece = 50 * time.Millisecond
	ended := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: headerTime, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		close(ended)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("still writing to a client that does not read")
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
