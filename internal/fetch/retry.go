package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

const (
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	// maxRetryAfter bounds how long a server may make us wait: beyond it a
	// person should know.
	maxRetryAfter = 15 * time.Minute
)

// attempts counts the attempts at one thing that brought nothing.
type attempts struct {
	c      *Client
	failed int
	slow   int // how many of them were too slow: what little they brought is no progress
}

// progress forgets the failures: something arrived.
func (a *attempts) progress() { a.failed = 0 }

// again waits until another attempt after err is due. It returns an error,
// mostly err itself, if there is none.
func (a *attempts) again(ctx context.Context, err error) error {
	after, ok := transient(err)
	if !ok {
		return err
	}
	if errors.As(err, new(*slowError)) {
		a.slow++
		a.failed = max(a.failed, a.slow-1)
	}
	if a.failed >= a.c.options.Retries {
		if a.failed == 0 {
			return err
		}
		return fmt.Errorf("%w (%s)", err, spelling.Count(a.failed+1, "attempt"))
	}
	if after > maxRetryAfter {
		return fmt.Errorf("%w: asks to try again in %v, want at most %v", err, after, maxRetryAfter)
	}
	pause := max(after, backOff(a.failed))
	a.failed++
	a.c.options.Log.InfoContext(ctx, fmt.Sprintf("attempt %d in %s, after: %s", a.failed+1, pause.Round(100*time.Millisecond), err.Error()))
	if waited := a.c.options.Wait(ctx, pause); waited != nil {
		return fmt.Errorf("%w, while waiting after %s", waited, err.Error())
	}
	return nil
}

// transient reports whether another attempt may cure err, and how long the server
// wants to be left alone before.
func transient(err error) (after time.Duration, ok bool) {
	if errors.As(err, new(*endlessError)) {
		return 0, false
	}
	var status *StatusError
	if errors.As(err, &status) {
		return status.after, transientStatus(status.Status)
	}
	return 0, errors.As(err, new(*brokenError))
}

func transientStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return true
	}
	return false
}

// backOff doubles with each failure; its upper half is chance, so that many
// clients of one server do not come back together.
func backOff(failed int) time.Duration {
	d := min(firstPause<<min(failed, 16), maxPause)
	return d/2 + rand.N(d/2)
}

// retryAfter reads Retry-After: seconds, or a date, which is compared with the
// server's own clock if it sent that.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, ok := number(value); ok {
		return time.Duration(min(seconds, int64(24*time.Hour/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(at.Sub(now), 0)
}

// Pause waits for d or the end of ctx, as before another attempt: Options.Wait decides how.
func (c *Client) Pause(ctx context.Context, d time.Duration) error { return c.options.Wait(ctx, d) }

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retries is the layer that repeats requests of libraries, those that may be
// repeated: GET and HEAD without a body.
type retries struct {
	c    *Client
	next http.RoundTripper
}

func (t *retries) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead || req.Body != nil && req.Body != http.NoBody {
		return t.next.RoundTrip(req)
	}
	ctx, a := req.Context(), attempts{c: t.c}
	for {
		resp, err := t.next.RoundTrip(req)
		if err == nil && (!transientStatus(resp.StatusCode) || a.failed >= t.c.options.Retries) {
			return resp, nil // the library reads what is wrong itself
		}
		if err == nil {
			err = t.c.statusError(resp)
		} else {
			err = failure(ctx, req.URL.String(), err)
		}
		if err = a.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Attempts calls f until it succeeds, or fails with what another attempt
// cannot cure, or has failed as often as Options.Retries allow, with the
// pauses that the upstream wants in between. It is for what Exchange cannot
// repeat: a request whose body can be read only once.
func (c *Client) Attempts(ctx context.Context, f func() error) error {
	a := attempts{c: c}
	for {
		err := f()
		if err == nil {
			return nil
		}
		if err = a.again(ctx, err); err != nil {
			return err
		}
	}
}

// statusError takes an answer that is not content for what it is, and closes it.
func (c *Client) statusError(resp *http.Response) *StatusError {
	e := &StatusError{URL: Redact(resp.Request.URL.String()), Status: resp.StatusCode, after: retryAfter(resp.Header)}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		e.Credential = c.credentialSource(resp.Request)
	}
	// A short body is read so that the connection can be used again; a long or
	// a broken one only costs that.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
	return e
}
