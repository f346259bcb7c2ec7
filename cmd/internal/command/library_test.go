package command

import (
	"bytes"
	"encoding/json"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// lockedBuffer is written to by a connection of net/http, which nobody can wait for.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// What libraries log by themselves is a debug line in the form that was requested, and otherwise
// nothing: neither -q nor JSON on standard error is broken by it.
func TestLibrariesLog(t *testing.T) {
	defer func(l *slog.Logger) { slog.SetDefault(l); log.SetOutput(os.Stderr) }(slog.Default())
	for _, c := range []struct {
		format, level string
		lines         int
	}{{"text", "error", 0}, {"text", "info", 0}, {"json", "info", 0}, {"json", "debug", 4}, {"text", "debug", 4}} {
		var out lockedBuffer
		o := &Output{stderr: &out}
		o.useLog(c.format, c.level)
		log.Print("a line of log")
		slog.Warn("a line of slog", "key", "value")
		slog.Default().With("a", 1).WithGroup("g").Error("a line of slog", "b", 2)
		strayAnswer(t)
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if c.lines == 0 && out.String() != "" || c.lines > 0 && len(got) != c.lines {
			t.Errorf("%s, %s: %q", c.format, c.level, out.String())
		}
		for _, line := range got {
			var object struct{ Level, Msg string }
			if c.format == "json" && c.lines > 0 && (json.Unmarshal([]byte(line), &object) != nil || object.Level != "DEBUG" || object.Msg == "") {
				t.Errorf("not a line of JSON: %s", line)
			}
		}
	}
}

// strayAnswer has net/http log a line: a server answers what it was not asked.
func strayAnswer(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		buf := make([]byte, 4096)
		_, _ = c.Read(buf)
		_, err = c.Write([]byte(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2)))
		served <- err
		_, _ = c.Read(buf) // until the client has seen it and closes
		_ = c.Close()
		served <- nil
	}()
	transport := &http.Transport{}
	answer, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	for range 2 {
		if err := <-served; err != nil {
			t.Fatal(err)
		}
	}
}
