package fetch_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// trickle plays a server that sends a byte now and then, as long as anybody listens.
func trickle(s *up.Server, size int, asked *atomic.Int64) {
	s.FailAlways("/x", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("ETag", `"same"`)
			w.Header().Set("Content-Length", "1000000")
			for range size {
				if _, err := w.Write([]byte("x")); err != nil || r.Context().Err() != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				<-time.After(5 * time.Millisecond)
			}
		})
	})
}

// TestSlowAnswers: a server that never stalls and never ends is given up, and what little it
// sends does not count as progress.
func TestSlowAnswers(t *testing.T) {
	s := up.New(t)
	var asked atomic.Int64
	trickle(s, 1_000_000, &asked)
	c, _ := newClient(t, fetch.Options{Retries: 2, Lowest: fetch.Lowest{Rate: 1_000_000, Window: 50 * time.Millisecond}})
	_, _, err := c.ReadAll(t.Context(), s.URL("/x"), 10_000_000)
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "too slow") || asked.Load() < 3 {
		t.Errorf("%v after %d attempts, want three", err, asked.Load())
	}
}

// TestSlowUpstreams: many answers, each fast enough by its own rule, and all together not.
func TestSlowUpstreams(t *testing.T) {
	s := up.New(t)
	s.FailAlways("/x", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(20 * time.Millisecond)
			_, _ = io.WriteString(w, "x")
		})
	})
	c, _ := newClient(t, fetch.Options{Retries: 2, Lowest: fetch.Lowest{AllRate: 1_000_000, AllWindow: 100 * time.Millisecond}})
	for range 1000 {
		_, _, err := c.ReadAll(t.Context(), s.URL("/x"), 100)
		if err == nil {
			continue
		}
		if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "all requests together") {
			t.Error(err)
		}
		return
	}
	t.Error("a thousand slow answers, and nobody minded")
}

// TestSlowReaders: a reader that takes its time, as while a medium is changed, is no slow
// upstream.
func TestSlowReaders(t *testing.T) {
	s := up.New(t)
	s.Put("/x", make([]byte, 1<<20))
	c, _ := newClient(t, fetch.Options{Retries: -1, Lowest: fetch.Lowest{Rate: 100_000, Window: 300 * time.Millisecond, AllRate: 100_000, AllWindow: 300 * time.Millisecond}})
	b, err := c.Open(t.Context(), s.URL("/x"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for piece := make([]byte, 1<<18); ; <-time.After(150 * time.Millisecond) {
		if _, err := io.ReadFull(b, piece); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			return
		}
	}
}

// TestBodyWithoutEnd: content whose length nobody announces has an end.
func TestBodyWithoutEnd(t *testing.T) {
	s := up.New(t)
	s.FailAlways("/x", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for piece := make([]byte, 1<<16); r.Context().Err() == nil; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		})
	})
	c, _ := newClient(t, fetch.Options{MostBytes: 1 << 20})
	b, err := c.Open(t.Context(), s.URL("/x"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	n, err := io.Copy(io.Discard, b)
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "no length was announced") || n > 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// onHead makes a fault of answers to HEAD alone.
func onHead(fault up.Fault) up.Fault {
	return func(next http.Handler) http.Handler {
		faulty := fault(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				faulty.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
