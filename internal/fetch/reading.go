package fetch

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// Reading learns what is read, for progress. Its methods may be called by many
// goroutines at once.
type Reading interface {
	// Begin is an answer whose content will be read: the URL that was asked first, without
	// secrets, and its size, -1 if it is not known. end is called when nothing more of it
	// is read.
	Begin(url string, size int64) (end func())
	// Read is n bytes of content that were read.
	Read(n int)
	// Grow corrects the sum of the sizes that Begin named: by what came without a size,
	// and by what was not read in the end.
	Grow(bytes int64)
}

type readingKey struct{}

// WithReading returns a context whose requests report to r what they read.
func WithReading(ctx context.Context, r Reading) context.Context {
	return context.WithValue(ctx, readingKey{}, r)
}

// told informs a Reading in a request's context about the answer's content.
type told struct{ next http.RoundTripper }

func (t *told) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	r, ok := req.Context().Value(readingKey{}).(Reading)
	if err != nil || !ok || req.Method == http.MethodHead || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		return resp, err
	}
	first := req
	for first.Response != nil { // the answer that sent this request on
		first = first.Response.Request
	}
	end := r.Begin(Redact(first.URL.String()), resp.ContentLength)
	resp.Body = &toldBody{ReadCloser: resp.Body, to: r, left: resp.ContentLength, end: end}
	return resp, nil
}

// toldBody is content whose reading is reported.
type toldBody struct {
	io.ReadCloser
	to   Reading
	left int64 // of what Begin named; -1: it named nothing
	end  func()
	once sync.Once
}

func (b *toldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		if b.left < 0 {
			b.to.Grow(int64(n))
		} else {
			b.left -= int64(n)
		}
		b.to.Read(n)
	}
	return n, err
}

func (b *toldBody) Close() error {
	b.once.Do(func() {
		if b.left > 0 {
			b.to.Grow(-b.left)
		}
		b.end()
	})
	return b.ReadCloser.Close()
}
