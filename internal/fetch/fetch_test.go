package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortStall is far longer than loopback takes and short enough to wait for.
const shortStall = 150 * time.Millisecond

// stallFor returns a short time where the name says that a stall is what is tested, so that
// a busy machine does not look like one elsewhere.
func stallFor(name string, short time.Duration) time.Duration {
	if strings.HasPrefix(name, "stall") {
		return short
	}
	return time.Minute
}

// pauses stands in for the clock and remembers what it was asked to wait for.
type pauses struct {
	mu  sync.Mutex
	all []time.Duration
}

func (p *pauses) wait(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, d)
	return context.Cause(ctx)
}

func (p *pauses) sum() (d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		d += one
	}
	return d
}

func newClient(t *testing.T, o fetch.Options) (*fetch.Client, *pauses) {
	t.Helper()
	p := &pauses{}
	if o.Wait == nil {
		o.Wait = p.wait
	}
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	c, err := fetch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Name(up.Running())
	return c, p
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func readFrom(t *testing.T, c *fetch.Client, url string, at int64, validator string) ([]byte, *fetch.Body, error) {
	t.Helper()
	b, err := c.Open(t.Context(), url, at, validator)
	if err != nil {
		return nil, nil, err
	}
	defer b.Close()
	content, err := io.ReadAll(b)
	return content, b, err
}

func TestZeroOptionsRead(t *testing.T) {
	s := up.New(t)
	s.PutFile("/a", up.File{Content: []byte("content"), Type: "text/x"})
	c, err := fetch.New(fetch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Name(s.URL(""))
	defer c.Close()
	content, meta, err := c.ReadAll(t.Context(), s.URL("/a?token=secret"), 100)
	if err != nil || string(content) != "content" {
		t.Fatalf("%q, %v", content, err)
	}
	if meta.URL != s.URL("/a?token=***") || meta.Size != 7 || meta.ContentType != "text/x" || meta.Secure ||
		meta.Validator() != meta.ETag || meta.ETag == "" {
		t.Errorf("meta %+v", meta)
	}
	if got := s.Seen("/a")[0].Header.Get("Accept-Encoding"); got != "identity" {
		t.Errorf("Accept-Encoding %q", got)
	}
}

// TestRecovers: what another attempt can cure is not seen by the reader.
func TestRecovers(t *testing.T) {
	content := noise(300_000)
	dateOnly := up.Header("ETag", "")
	inTwoMinutes := time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)
	for name, row := range map[string]struct {
		always   up.Fault
		faults   []up.Fault
		requests int
		bytes    int64         // at most; 0: the content once, and what was cut off in flight
		waited   time.Duration // at least
	}{
		"cut before the first byte":   {faults: []up.Fault{up.Cut(0)}, requests: 2},
		"cut":                         {faults: []up.Fault{up.Cut(100_000)}, requests: 2},
		"cut twice":                   {faults: []up.Fault{up.Cut(100_000), up.Cut(50_000)}, requests: 3},
		"cut by date":                 {always: dateOnly, faults: []up.Fault{up.Cut(100_000)}, requests: 2},
		"cut, size unknown":           {always: up.Chunked, faults: []up.Fault{up.Cut(100_000)}, requests: 2},
		"cut, ranges ignored":         {always: up.NoRange, faults: []up.Fault{up.Cut(100_000)}, requests: 2, bytes: 400_000},
		"cut, no validators":          {always: up.NoValidators, faults: []up.Fault{up.Cut(100_000)}, requests: 2, bytes: 400_000},
		"cut while skipping":          {always: up.NoRange, faults: []up.Fault{up.Cut(100_000), up.Cut(50_000)}, requests: 3, bytes: 450_000},
		"reset before headers":        {faults: []up.Fault{up.Reset(-1)}, requests: 2},
		"reset":                       {faults: []up.Fault{up.Reset(100_000)}, requests: 2, bytes: 400_000},
		"stall before headers":        {faults: []up.Fault{up.Stall(-1)}, requests: 2},
		"stall":                       {faults: []up.Fault{up.Stall(100_000)}, requests: 2},
		"429 with seconds":            {faults: []up.Fault{up.Status(429, "Retry-After", "7")}, requests: 2, waited: 7 * time.Second},
		"503 with a date":             {faults: []up.Fault{up.Status(503, "Retry-After", inTwoMinutes)}, requests: 2, waited: 110 * time.Second},
		"500, 502, 504":               {faults: []up.Fault{up.Status(500), up.Status(502), up.Status(504)}, requests: 4},
		"503 between cuts":            {faults: []up.Fault{up.Cut(100_000), up.Status(503), up.Cut(10)}, requests: 4},
		"part that ends early":        {faults: []up.Fault{up.Cut(100_000), firstBytes(10)}, requests: 3},
		"more failures than attempts": {faults: []up.Fault{up.Cut(10), up.Cut(10), up.Cut(10), up.Cut(10), up.Cut(10)}, requests: 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := up.New(t)
			s.Put("/a", content)
			s.Fail("/a", row.faults...)
			if row.always != nil {
				s.FailAlways("/a", row.always)
			}
			c, p := newClient(t, fetch.Options{Stall: stallFor(name, 10*shortStall), Retries: 3})
			got, _, err := readFrom(t, c, s.URL("/a"), 0, "")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, content) {
				t.Error("other content")
			}
			if n := s.Requests("/a"); n != row.requests {
				t.Errorf("%d requests, want %d", n, row.requests)
			}
			if n := s.Bytes("/a"); n > max(row.bytes, int64(len(content))) {
				t.Errorf("%d bytes sent", n)
			}
			if p.sum() < max(row.waited, time.Millisecond) {
				t.Errorf("waited %v", p.sum())
			}
		})
	}
}

// firstBytes keeps what it announces about a part, and sends n bytes of it.
func firstBytes(n int64) up.Fault {
	return up.Both(up.Chunked, func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			right.ServeHTTP(&shortWriter{ResponseWriter: w, left: n}, r)
		})
	})
}

type shortWriter struct {
	http.ResponseWriter
	left int64
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(w.left, int64(len(p)))
	w.left -= n
	if _, err := w.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TestFails: each failure is of its class, names the URL and what it was, and
// was not tried more often than makes sense.
func TestFails(t *testing.T) {
	content := noise(100_000)
	rangeHeader := func(value string) up.Fault { return up.Header("Content-Range", value) }
	for name, row := range map[string]struct {
		always   up.Fault
		faults   []up.Fault
		class    error
		says     string
		requests int
	}{
		"404":                      {faults: []up.Fault{up.Status(404)}, class: fetch.ErrUpstream, says: "status 404 Not Found", requests: 1},
		"410":                      {faults: []up.Fault{up.Status(410)}, class: fetch.ErrUpstream, says: "status 410", requests: 1},
		"401":                      {faults: []up.Fault{up.Status(401)}, class: fetch.ErrUpstream, says: "credential: none, the host has none set", requests: 1},
		"403":                      {faults: []up.Fault{up.Status(403)}, class: fetch.ErrUpstream, says: "credential: none", requests: 1},
		"204":                      {faults: []up.Fault{up.Status(204)}, class: fetch.ErrUpstream, says: "status 204", requests: 1},
		"503 for ever":             {always: up.Status(503), class: fetch.ErrUpstream, says: "status 503 Service Unavailable (4 attempts)", requests: 4},
		"429 until tomorrow":       {always: up.Status(429, "Retry-After", "86400"), class: fetch.ErrUpstream, says: "24h0m0s", requests: 1},
		"reset for ever":           {always: up.Reset(-1), class: fetch.ErrUpstream, says: "(4 attempts)", requests: 4},
		"stall for ever":           {always: up.Stall(-1), class: fetch.ErrUpstream, says: "no byte in", requests: 4},
		"cut at the same byte":     {always: up.Both(up.NoRange, up.Cut(5000)), class: fetch.ErrUpstream, says: "ended after 5000 of 100000 bytes", requests: 4},
		"longer than it is":        {faults: []up.Fault{up.LieLength(5)}, class: fetch.ErrUpstream, says: "want 100005 bytes, got none from 100000 on", requests: 2},
		"range not asked for":      {faults: []up.Fault{up.Cut(5000), rangeHeader("bytes 6000-99999/100000")}, class: fetch.ErrUpstream, says: "range 6000-99999 of 100000, want from byte 5000", requests: 2},
		"range that ends early":    {faults: []up.Fault{up.Cut(5000), rangeHeader("bytes 5000-99998/100000")}, class: fetch.ErrUpstream, says: "range 5000-99998 of 100000", requests: 2},
		"range of a larger whole":  {faults: []up.Fault{up.Both(up.LieLength(5), up.Cut(5000))}, class: fetch.ErrUpstream, says: "a part of 100000 bytes in all, want of 100005", requests: 2},
		"range of another whole":   {faults: []up.Fault{up.Cut(5000), rangeHeader("bytes 5000-99999/200000")}, class: fetch.ErrUpstream, says: "range 5000-99999 of 200000", requests: 2},
		"range longer than stated": {faults: []up.Fault{up.Cut(5000), rangeHeader("bytes 5000-200000/200001")}, class: fetch.ErrUpstream, says: "95000 bytes for range 5000-200000", requests: 2},
		"range of unknown size":    {faults: []up.Fault{up.Cut(5000), rangeHeader("bytes 5000-99999/*")}, class: fetch.ErrUpstream, says: "unknown size", requests: 2},
		"range unreadable":         {faults: []up.Fault{up.Cut(5000), rangeHeader("secret-echo")}, class: fetch.ErrUpstream, says: "Content-Range not readable", requests: 2},
		"gone in between":          {faults: []up.Fault{up.Cut(5000), up.Status(404)}, class: fetch.ErrUpstream, says: "status 404", requests: 2},
		"not satisfiable":          {faults: []up.Fault{up.Cut(5000), up.Status(416)}, class: fetch.ErrUpstream, says: "changed while it was read", requests: 2},
		"a part unasked":           {faults: []up.Fault{up.Status(206, "Content-Range", "bytes 0-1/2")}, class: fetch.ErrUpstream, says: "a part, want the whole", requests: 1},
		"compressed unasked":       {faults: []up.Fault{up.Header("Content-Encoding", "gzip")}, class: fetch.ErrUpstream, says: `content coding "gzip", want none`, requests: 1},
		"redirect elsewhere":       {faults: []up.Fault{up.Redirect("http://127.0.0.2:1/b?signature=x")}, class: fetch.ErrRefused, says: "redirect to http://127.0.0.2:1: a host that redirect-to", requests: 1},
		"redirect without a place": {faults: []up.Fault{up.Status(302)}, class: fetch.ErrUpstream, says: "status 302", requests: 1},
		"redirect to a file":       {faults: []up.Fault{up.Redirect("file:///etc/passwd")}, class: fetch.ErrRefused, says: "an unusable URL", requests: 1},
		"redirect with a login":    {faults: []up.Fault{up.Redirect("//user:secret-echo@127.0.0.1/")}, class: fetch.ErrRefused, says: "an unusable URL", requests: 1},
		"redirect in a circle":     {always: up.Redirect("/a"), class: fetch.ErrRefused, says: "more than 10 redirects", requests: 11},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := up.New(t)
			s.Put("/a", content)
			s.Fail("/a", row.faults...)
			if row.always != nil {
				s.FailAlways("/a", row.always)
			}
			c, _ := newClient(t, fetch.Options{Stall: stallFor(name, shortStall), Retries: 3})
			_, _, err := readFrom(t, c, s.URL("/a?key=secret-query"), 0, "")
			if !errors.Is(err, row.class) || !onlyOneClass(err) {
				t.Fatalf("class of: %v", err)
			}
			if !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), s.URL("/a")) {
				t.Errorf("says: %v", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret in: %v", err)
			}
			if n := s.Requests("/a"); n != row.requests {
				t.Errorf("%d requests, want %d", n, row.requests)
			}
		})
	}
}

func nothing(right http.Handler) http.Handler { return right }

func onlyOneClass(err error) bool {
	n := 0
	for _, class := range []error{fetch.ErrUpstream, fetch.ErrRefused, fetch.ErrConfig} {
		if errors.Is(err, class) {
			n++
		}
	}
	return n == 1
}

// TestNeverMixes: content that changes in mid-body ends in an error whatever
// the server tells or ignores, and the next reading is of the new content.
func TestNeverMixes(t *testing.T) {
	before := noise(200_000)
	after := append([]byte("other"), before[5:]...)
	for name, always := range map[string]up.Fault{
		"by ETag":                 nothing,
		"by date":                 up.Header("ETag", ""),
		"by bytes":                up.NoValidators,
		"ranges ignored":          up.NoRange,
		"If-Range ignored":        up.NoIfRange,
		"If-Range ignored, dates": up.Both(up.Header("ETag", ""), up.NoIfRange),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := up.New(t)
			s.Put("/a", before)
			s.FailAlways("/a", always)
			s.Fail("/a", up.Both(up.Do(50_000, func() {
				s.PutFile("/a", up.File{Content: after, ModTime: up.Day().Add(time.Hour)})
			}), up.Cut(60_000)))
			c, _ := newClient(t, fetch.Options{})
			got, _, err := readFrom(t, c, s.URL("/a"), 0, "")
			var changed *fetch.ChangedError
			if !errors.As(err, &changed) || !errors.Is(err, fetch.ErrUpstream) {
				t.Fatalf("error: %v", err)
			}
			if !bytes.Equal(got, before[:len(got)]) {
				t.Error("bytes of both versions")
			}
			if again, _, err := readFrom(t, c, s.URL("/a"), 0, ""); err != nil || !bytes.Equal(again, after) {
				t.Errorf("read again: %v", err)
			}
		})
	}
}

func TestReadAllReadsOnceMore(t *testing.T) {
	s := up.New(t)
	s.Put("/a", []byte("before"))
	s.Fail("/a", up.Both(up.Do(2, func() { s.Put("/a", []byte("after!")) }), up.Cut(3)))
	c, _ := newClient(t, fetch.Options{})
	got, _, err := c.ReadAll(t.Context(), s.URL("/a"), 6)
	if err != nil || string(got) != "after!" {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err = c.ReadAll(t.Context(), s.URL("/a"), 5); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("6 bytes of at most 5: %v", err)
	}
	s.FailAlways("/a", up.Chunked)
	if _, _, err = c.ReadAll(t.Context(), s.URL("/a"), 5); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("chunked, 6 bytes of at most 5: %v", err)
	}
}

// TestOpenAt: what an interrupted run left off is taken up only if it is the
// same version.
func TestOpenAt(t *testing.T) {
	content := noise(1000)
	for name, row := range map[string]struct {
		fault     up.Fault
		validator func(fetch.Meta) string
		at        int64
		want      int64
	}{
		"same ETag":          {at: 400, want: 400},
		"same date and size": {fault: up.Header("ETag", ""), at: 400, want: 400},
		"other ETag":         {validator: func(fetch.Meta) string { return `"x"` }, at: 400, want: 0},
		"other, not honest":  {validator: func(fetch.Meta) string { return `"x"` }, fault: up.NoIfRange, at: 400, want: 0},
		"other size":         {fault: up.Header("ETag", ""), validator: func(m fetch.Meta) string { return m.LastModified + " 999" }, at: 400, want: 0},
		"no ranges":          {fault: up.NoRange, at: 400, want: 0},
		"behind the end":     {at: 1000, want: 0},
		"no validator":       {validator: func(fetch.Meta) string { return "" }, at: 400, want: 0},
		"a foreign one":      {validator: func(fetch.Meta) string { return "mtime-12" }, at: 400, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := up.New(t)
			s.Put("/a", content)
			if row.fault != nil {
				s.FailAlways("/a", row.fault)
			}
			c, _ := newClient(t, fetch.Options{})
			meta, err := c.Stat(t.Context(), s.URL("/a"))
			if err != nil {
				t.Fatal(err)
			}
			validator := meta.Validator()
			if row.validator != nil {
				validator = row.validator(*meta)
			}
			got, b, err := readFrom(t, c, s.URL("/a"), row.at, validator)
			if err != nil || b.At != row.want || !bytes.Equal(got, content[b.At:]) {
				t.Errorf("at %d, %d bytes, %v", b.At, len(got), err)
			}
			if b.Meta.Size != 1000 || b.Meta.Validator() != meta.Validator() {
				t.Errorf("meta %+v", b.Meta)
			}
		})
	}
}

func TestStat(t *testing.T) {
	for name, row := range map[string]struct {
		fault    up.Fault
		content  string
		size     int64
		requests int
	}{
		"HEAD":           {content: "12345", size: 5, requests: 1},
		"405":            {fault: up.NoHead(405), content: "12345", size: 5, requests: 2},
		"403":            {fault: up.NoHead(403), content: "12345", size: 5, requests: 2},
		"404":            {fault: up.NoHead(404), content: "12345", size: 5, requests: 2},
		"501":            {fault: up.NoHead(501), content: "12345", size: 5, requests: 2},
		"405, no ranges": {fault: up.Both(up.NoHead(405), up.NoRange), content: "12345", size: 5, requests: 2},
		"405, empty":     {fault: up.NoHead(405), content: "", size: 0, requests: 2},
		"400":            {fault: up.NoHead(400), content: "12345", size: 5, requests: 2},
		"401":            {fault: up.NoHead(401), content: "12345", size: 5, requests: 2},
		"500":            {fault: up.NoHead(500), content: "12345", size: 5, requests: 2},
		"503":            {fault: up.NoHead(503), content: "12345", size: 5, requests: 2},
		"broken":         {fault: onHead(up.Reset(-1)), content: "12345", size: 5, requests: 2},
		"HEAD is empty": {fault: onHead(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") })
		}), content: "12345", size: 5, requests: 2},
		"empty":            {content: "", size: 0, requests: 2},
		"size not told":    {fault: up.Chunked, content: "12345", size: -1, requests: 1},
		"busy for a while": {content: "12345", size: 5, requests: 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := up.New(t)
			s.Put("/a", []byte(row.content))
			if row.fault != nil {
				s.FailAlways("/a", row.fault)
			}
			if row.requests == 3 {
				s.Fail("/a", up.Status(503), up.Reset(-1))
			}
			c, _ := newClient(t, fetch.Options{})
			m, err := c.Stat(t.Context(), s.URL("/a"))
			if err != nil || m.Size != row.size || m.ETag == "" || s.Requests("/a") != row.requests {
				t.Errorf("%+v, %v, %d requests", m, err, s.Requests("/a"))
			}
			if s.Bytes("/a") > 5 {
				t.Errorf("%d bytes sent", s.Bytes("/a"))
			}
		})
	}
	s := up.New(t)
	c, _ := newClient(t, fetch.Options{})
	var status *fetch.StatusError
	if _, err := c.Stat(t.Context(), s.URL("/none")); !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("nothing there: %v", err)
	}
}

// TestYoungDate: content that was modified in the second in which it was
// fetched may be modified again in it, so its date names no version.
func TestYoungDate(t *testing.T) {
	s := up.New(t)
	s.PutFile("/a", up.File{Content: []byte("x"), ModTime: time.Now()})
	s.FailAlways("/a", up.Header("ETag", `W/"weak"`))
	c, _ := newClient(t, fetch.Options{})
	if m, err := c.Stat(t.Context(), s.URL("/a")); err != nil || m.Validator() != "" {
		t.Errorf("%+v, %v", m, err)
	}
	s.Put("/a", []byte("x"))
	if m, err := c.Stat(t.Context(), s.URL("/a")); err != nil || m.Validator() != "Fri, 02 Jan 2026 03:04:05 GMT 1" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestCancel: wherever a request is when its context ends, nothing of it stays.
func TestCancel(t *testing.T) {
	for _, name := range []string{"before headers", "in the body", "while waiting"} {
		t.Run(name, func(t *testing.T) {
			s := up.New(t)
			s.Put("/a", noise(5000))
			ignore := goleak.IgnoreCurrent()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			log := slog.New(slog.DiscardHandler)
			switch name {
			case "before headers":
				s.FailAlways("/a", func(http.Handler) http.Handler {
					return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						cancel()
						<-r.Context().Done()
					})
				})
			case "in the body":
				s.FailAlways("/a", up.Both(up.Do(1000, cancel), up.Stall(1000)))
			case "while waiting":
				s.FailAlways("/a", up.Status(503, "Retry-After", "600"))
				log = slog.New(slog.NewTextHandler(writerFunc(cancel), nil))
			}
			c, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			c.Name(s.URL(""))
			b, err := c.Open(ctx, s.URL("/a?sig=secret"), 0, "")
			if err == nil {
				_, err = io.ReadAll(b)
				b.Close()
			}
			if !errors.Is(err, context.Canceled) || errors.Is(err, fetch.ErrUpstream) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error: %v", err)
			}
			c.Close()
			goleak.VerifyNone(t, ignore)
		})
	}
}

type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}
