package fetch

import (
	"fmt"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// Lowest is how slow upstreams may be: a server that sends a byte a minute never stalls,
// and never ends. Only the time counts that is spent waiting for the network; a slow
// disk, a medium that is changed and a limit of HostOptions.Rate do not. The zero value of
// a field is its default.
type Lowest struct {
	// A request whose body brings less than Rate bytes a second over Window is given up and
	// made again, as often as one that breaks off: 1,000 bytes a second (dnf's minrate)
	// over two minutes.
	Rate   int64
	Window time.Duration
	// All requests of a client together that bring less than AllRate bytes for each second
	// that one of them waits, over AllWindow of such seconds, end it: 100 bytes a second over
	// 15 minutes. An answer counts as answerBytes more, so that many small ones are not
	// slow; one in ten seconds is.
	AllRate   int64
	AllWindow time.Duration
}

const (
	lowestRate      = 1_000 // bytes a second
	lowestWindow    = 2 * time.Minute
	lowestAllRate   = 100 // bytes a second
	lowestAllWindow = 15 * time.Minute
	// answerBytes stands for the header of an answer.
	answerBytes = 1_000
)

func (l Lowest) filled() Lowest {
	if l.Rate == 0 {
		l.Rate = lowestRate
	}
	if l.Window == 0 {
		l.Window = lowestWindow
	}
	if l.AllRate == 0 {
		l.AllRate = lowestAllRate
	}
	if l.AllWindow == 0 {
		l.AllWindow = lowestAllWindow
	}
	return l
}

func (l Lowest) one() limit { return limit{l.Rate, l.Window, false} }
func (l Lowest) all() limit { return limit{l.AllRate, l.AllWindow, true} }

type limit struct {
	rate   int64
	window time.Duration
	all    bool
}

// pace measures how fast something comes, window by window. It is safe for concurrent use.
type pace struct {
	mu     sync.Mutex
	bytes  int64
	waited time.Duration
}

// count adds what one wait for the network brought. It returns an error at the end of a
// window that brought too little.
func (p *pace) count(bytes int, waited time.Duration, l limit) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(bytes)
	p.waited += waited
	if p.waited < l.window {
		return nil
	}
	got, over := p.bytes, p.waited
	p.bytes, p.waited = 0, 0
	want := float64(l.rate) * over.Seconds()
	switch {
	case float64(got) >= want:
		return nil
	case l.all:
		return &endlessError{slowError{got: got, over: over, rate: l.rate}}
	}
	return &slowError{got: got, over: over, rate: l.rate}
}

// slowError is an answer whose body came too slowly. Another attempt may find a better way.
type slowError struct {
	got  int64
	over time.Duration
	rate int64
}

func (e *slowError) Error() string {
	return fmt.Sprintf("too slow: %s in %v of waiting, want at least %d a second", spelling.Count(e.got, "byte"), e.over.Round(time.Second), e.rate)
}

// endlessError means that all requests together bring too little. No attempt cures that. It
// matches ErrUpstream.
type endlessError struct{ slowError }

func (e *endlessError) Error() string { return "all requests together are " + e.slowError.Error() }

// Unwrap returns ErrUpstream.
func (e *endlessError) Unwrap() error { return ErrUpstream }
