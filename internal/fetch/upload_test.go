package fetch_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// slowBody hands out a byte at each tick.
type slowBody struct {
	ticks *time.Ticker
	left  int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	<-b.ticks.C
	b.left--
	p[0] = 'x'
	return 1, nil
}

// TestSlowUpload: an upload that goes on is no stall, however long it takes; a
// server that does not answer afterwards is one.
func TestSlowUpload(t *testing.T) {
	const stall = time.Second // so long that a machine with other work does not miss a tick
	s := up.New(t)
	took := make(chan int, 1)
	s.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		took <- len(b)
	}))
	s.FailAlways("/silent", up.Stall(-1))
	ticks := time.NewTicker(stall / 6)
	defer ticks.Stop()
	c, _ := newClient(t, fetch.Options{Stall: stall})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL("/x"), &slowBody{ticks, 9})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Exchange(req, 100)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err)
	}
	if n := <-took; n != 9 {
		t.Errorf("%d bytes", n)
	}
	c, _ = newClient(t, fetch.Options{Stall: shortStall})
	begun := time.Now()
	req, err = http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL("/silent"), io.NopCloser(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Exchange(req, 100); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "no byte in") || time.Since(begun) < 5*shortStall {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}
