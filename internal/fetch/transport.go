package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// identity is the outermost layer of one hop: what the request reveals about us,
// and what the answer may be wrapped in.
type identity struct {
	c    *Client
	next http.RoundTripper
}

func (t *identity) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkURL(req.URL); err != nil {
		return nil, abandon(req, err)
	}
	out := req.Clone(req.Context())
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", cmp.Or(t.c.hostFor(out.URL).userAgent, t.c.options.UserAgent))
	}
	out.Header.Set("Accept-Encoding", "identity")
	// net/http fills in the URL before, with a query that may be a signature.
	out.Header.Del("Referer")
	if strayed(req) {
		// net/http keeps these on the way to another port or a subdomain.
		out.Header.Del("Authorization")
		out.Header.Del("Cookie")
	} else {
		if err := t.authorize(out); err != nil {
			return nil, abandon(req, err)
		}
		t.c.hostFor(out.URL).addCookies(out)
	}
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = req // without what was added here
	if err := t.c.uncode(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// authorize adds the host's credential. For registries the layer around this
// one has decided what is sent.
func (t *identity) authorize(out *http.Request) error {
	h := t.c.hostFor(out.URL)
	if t.c.logins != nil || !h.sendsTo(originOf(out.URL)) || out.Header.Get("Authorization") != "" {
		return nil
	}
	s, err := h.credential.secret(out.Context())
	if err != nil {
		return fmt.Errorf("host %q: %w", h.key, err)
	}
	if s.header != "" {
		out.Header.Set("Authorization", s.header)
	}
	return nil
}

// abandon closes the body of a request that is not sent, as a RoundTripper must.
func abandon(req *http.Request, err error) error {
	if req.Body != nil {
		req.Body.Close()
	}
	return err
}

// asked returns the URL that was asked first: a store that redirects lead to has names that
// show nothing.
func asked(req *http.Request) *url.URL {
	for req.Response != nil {
		req = req.Response.Request
	}
	return req.URL
}

// limits keeps to a host's parallel requests and its rate. A slot is held
// until the body has ended or was closed.
type limits struct {
	c    *Client
	next http.RoundTripper
}

func (t *limits) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, h := req.Context(), t.c.hostFor(req.URL)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, abandon(req, context.Cause(ctx))
	}
	release := sync.OnceFunc(func() { <-h.slots })
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		release()
		return nil, err
	}
	if resp.Body == http.NoBody {
		release()
		return resp, nil
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, ctx: ctx, c: t.c, h: h, release: release}
	return resp, nil
}

type limitedBody struct {
	io.ReadCloser
	ctx     context.Context // of the request, which the body belongs to
	c       *Client
	h       *host
	release func()
}

func (b *limitedBody) Read(p []byte) (int, error) {
	limiter := b.h.limiter
	if limiter != nil {
		p = p[:min(len(p), limiter.Burst())]
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	if limiter != nil && n > 0 {
		now := time.Now()
		if d := limiter.ReserveN(now, n).DelayFrom(now); d > 0 {
			if waited := b.c.options.Wait(b.ctx, d); waited != nil && err == nil {
				err = waited
			}
		}
	}
	return n, err
}

func (b *limitedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// watch ends a request for which no byte arrives: not the headers, nor, while
// somebody waits for it, the next piece of the body.
type watch struct {
	c    *Client
	next http.RoundTripper
}

func (t *watch) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	stall := t.c.options.Stall
	timer := time.AfterFunc(stall, func() { cancel(errStall) })
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sentBody{ReadCloser: req.Body, timer: timer, stall: stall}
	}
	began := time.Now()
	resp, err := t.next.RoundTrip(req)
	timer.Stop()
	if slow := t.c.pace.count(answerBytes, time.Since(began), t.c.options.Lowest.all()); slow != nil && err == nil && req.Body == nil {
		resp.Body.Close()
		err = slow
	}
	if err != nil {
		err = stalled(ctx, stall, err)
		cancel(nil)
		return nil, err
	}
	if resp.Body == http.NoBody {
		cancel(nil)
		return resp, nil
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, timer: timer, stall: stall, c: t.c}
	return resp, nil
}

// stalled returns err, or the stall that is its cause.
func stalled(ctx context.Context, d time.Duration, err error) error {
	if errors.Is(context.Cause(ctx), errStall) {
		return fmt.Errorf("no byte in %v: %w", d, errStall)
	}
	return err
}

// storing is how many times as long as a stall a server may be silent once it
// has all of an upload: a registry checks, and some copy, what they were sent.
const storing = 10

// sentBody is the body of a request: every piece of it that goes out shows
// that the connection lives.
type sentBody struct {
	io.ReadCloser
	timer *time.Timer
	stall time.Duration
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.timer.Reset(b.stall)
	} else {
		b.timer.Reset(storing * b.stall)
	}
	return n, err
}

type watchedBody struct {
	io.ReadCloser
	ctx    context.Context // of the request, which the body belongs to
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
	c      *Client
	pace   pace
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	waited := time.Since(began) // for the network alone: what the reader does with it is its own time
	if slow := b.c.pace.count(n, waited, b.c.options.Lowest.all()); slow != nil && err == nil {
		return n, slow
	}
	if slow := b.pace.count(n, waited, b.c.options.Lowest.one()); slow != nil && err == nil {
		return n, slow
	}
	if err != nil && err != io.EOF {
		err = stalled(b.ctx, b.stall, err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// dispatch is the innermost layer: each host's own connections.
type dispatch struct{ c *Client }

func (t *dispatch) RoundTrip(req *http.Request) (*http.Response, error) {
	h := t.c.hostFor(req.URL)
	rule, err := t.c.ruleOf(req, h)
	if err != nil {
		return nil, abandon(req, err)
	}
	return h.transport.RoundTrip(req.WithContext(context.WithValue(req.Context(), ruleKey{}, rule)))
}
