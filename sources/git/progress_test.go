package git

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/relay"
)

// While an answer of upstream comes, lines say how much of it did.
func TestProgress(t *testing.T) {
	up := upstreamtest.New(t)
	sent, line := make(chan struct{}), make(chan struct{})
	up.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = w.Write(make([]byte, 3<<20))
		_ = http.NewResponseController(w).Flush()
		close(sent)
		select { // the answer does not end before a line is there
		case <-line:
		case <-r.Context().Done():
		}
	}))
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: t.TempDir(), Retries: 1, Wait: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.Name(up.URL(""))
	to, err := relay.New(t.Context(), client, up.URL("/a.git"))
	if err != nil {
		t.Fatal(err)
	}
	log := &watched{line: line, want: `received="3.0 MiB"`}
	defer to.Close()
	steps := &tools{interval: time.Millisecond, env: &sources.Env{Log: slog.New(slog.NewTextHandler(log, nil))}}
	failed := errors.New("as the step ends")
	err = steps.during(&repository{address: address{url: up.URL("/a.git")}, relay: to}, "fetching", func() error {
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.URL()+"/git-upload-pack", nil)
		if err != nil {
			return err
		}
		config := to.Config()
		name, value, _ := strings.Cut(config[1], ": ")
		ask.Header.Set(name, value)
		answer, err := http.DefaultClient.Do(ask)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		var all bytes.Buffer
		if _, err := all.ReadFrom(answer.Body); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v, want the step's error", err)
	}
	<-sent
	if text := log.String(); !strings.Contains(text, "msg=\"git: fetching\"") || !strings.Contains(text, up.URL("/a.git")) || !strings.Contains(text, log.want) {
		t.Errorf("the lines are\n%.2000s", text)
	}
}

// watched is a log that closes line when it has a text.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan struct{}
	want string
	done bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done && bytes.Contains(p, []byte(w.want)) {
		w.done = true
		close(w.line)
	}
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
