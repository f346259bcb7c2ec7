package upstreamtest

import (
	"context"
	"net"
	"net/http"
	"strconv"
)

// Fault wraps the right answer to one request in a wrong one. Faults nest: a
// test may write its own around these.
type Fault func(right http.Handler) http.Handler

// Status answers with a status alone, and with header pairs like "Retry-After", "2".
func Status(code int, header ...string) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		})
	}
}

// Redirect sends on to a URL.
func Redirect(to string) Fault { return Status(http.StatusFound, "Location", to) }

// Header sets a header of the right answer, over what it has; "" takes it away.
func Header(name, value string) Fault {
	return edit(func(w http.ResponseWriter) {
		if value == "" {
			w.Header().Del(name)
		} else {
			w.Header().Set(name, value)
		}
	})
}

// NoValidators leaves out ETag and Last-Modified.
func NoValidators(right http.Handler) http.Handler {
	return Header("ETag", "")(Header("Last-Modified", "")(right))
}

// Chunked leaves out Content-Length: the size is known from the end of the body alone.
func Chunked(right http.Handler) http.Handler {
	// Bytes that are flushed before the end was seen cannot be counted by net/http.
	return Header("Content-Length", "")(Do(0, func() {})(right))
}

// LieLength announces n bytes more than are sent, or fewer.
func LieLength(n int64) Fault {
	return edit(func(w http.ResponseWriter) {
		size, _ := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
		w.Header().Set("Content-Length", strconv.FormatInt(size+n, 10))
	})
}

// NoRange answers every request with the whole.
func NoRange(right http.Handler) http.Handler { return without(right, "Range") }

// NoIfRange answers a request for a part with a part of whatever is there now.
func NoIfRange(right http.Handler) http.Handler { return without(right, "If-Range") }

func without(right http.Handler, header string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Del(header)
		right.ServeHTTP(w, r)
	})
}

// NoHead refuses HEAD with a status.
func NoHead(status int) Fault {
	return func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			right.ServeHTTP(w, r)
		})
	}
}

// NeedHeader refuses requests that lack a header of this value with 401:
// NeedHeader("Authorization", "Bearer x").
func NeedHeader(name, value string) Fault {
	return need(http.StatusUnauthorized, func(r *http.Request) bool { return r.Header.Get(name) == value })
}

// NeedBasic refuses requests without this login with 401.
func NeedBasic(user, password string) Fault {
	return need(http.StatusUnauthorized, func(r *http.Request) bool {
		u, p, ok := r.BasicAuth()
		return ok && u == user && p == password
	})
}

// NeedClientCert refuses requests without a certificate of Server.ClientCert with 403.
func NeedClientCert(right http.Handler) http.Handler {
	return need(http.StatusForbidden, func(r *http.Request) bool {
		return r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	})(right)
}

func need(status int, ok func(*http.Request) bool) Fault {
	return func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !ok(r) {
				w.WriteHeader(status)
				return
			}
			right.ServeHTTP(w, r)
		})
	}
}

// Cut ends the connection in an orderly way after n bytes of the body.
func Cut(n int64) Fault {
	return after(n, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// Reset resets the connection after n bytes of the body; below zero: before
// any answer.
func Reset(n int64) Fault {
	reset := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		raw := conn
		if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
			raw = tls.NetConn()
		}
		// Bytes that were not sent yet are thrown away, RST follows.
		if err := raw.(*net.TCPConn).SetLinger(0); err != nil {
			panic(err)
		}
		raw.Close()
		panic(http.ErrAbortHandler)
	}
	if n < 0 {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(reset)
		}
	}
	return after(n, reset)
}

// Stall sends nothing more after n bytes of the body; below zero: not even
// headers. The connection stays open until the client hangs up.
func Stall(n int64) Fault {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if n < 0 {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(hang)
		}
	}
	return after(n, hang)
}

// Do calls f, once n bytes of the body are on their way, and goes on: another
// version may be Put meanwhile, or a context cancelled.
func Do(n int64, f func()) Fault {
	return after(n, func(http.ResponseWriter, *http.Request) { f() })
}

// Both returns the fault inner within the fault outer.
func Both(outer, inner Fault) Fault {
	return func(right http.Handler) http.Handler { return outer(inner(right)) }
}

// edit changes the header of the right answer before it is sent.
func edit(f func(http.ResponseWriter)) Fault {
	return func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			right.ServeHTTP(&editor{ResponseWriter: w, edit: f}, r)
		})
	}
}

type editor struct {
	http.ResponseWriter
	edit func(http.ResponseWriter)
	done bool
}

func (e *editor) WriteHeader(status int) {
	if !e.done {
		e.done = true
		e.edit(e.ResponseWriter)
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *editor) Write(p []byte) (int, error) {
	if !e.done {
		e.WriteHeader(http.StatusOK)
	}
	return e.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the writer below.
func (e *editor) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// after calls then, once, when n bytes of the body are on their way.
func after(n int64, then func(http.ResponseWriter, *http.Request)) Fault {
	return func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			right.ServeHTTP(&trigger{ResponseWriter: w, r: r, left: n, then: then}, r)
		})
	}
}

type trigger struct {
	http.ResponseWriter
	r    *http.Request
	left int64
	then func(http.ResponseWriter, *http.Request)
}

func (t *trigger) Write(p []byte) (int, error) {
	if t.then == nil || int64(len(p)) < t.left {
		t.left -= int64(len(p))
		return t.ResponseWriter.Write(p)
	}
	n, err := t.ResponseWriter.Write(p[:t.left])
	if err != nil {
		return n, err
	}
	if err := http.NewResponseController(t.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	then := t.then
	t.then = nil
	then(t.ResponseWriter, t.r)
	m, err := t.ResponseWriter.Write(p[n:])
	return n + m, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (t *trigger) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// withDone returns a ctx that also ends when done is closed.
func withDone(ctx context.Context, done <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-done:
		case <-ctx.Done():
		}
	}()
	return ctx
}
