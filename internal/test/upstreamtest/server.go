// Package upstreamtest is an upstream on loopback for tests: a real HTTP
// server that keeps HTTP's rules (ranges, validators, conditions) until a test
// orders it to break one, and that counts what it was asked and what it sent.
//
// It is not a mock of our own code: what it answers is what a client of any
// kind would see.
package upstreamtest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Any stands for every path in FailAlways.
const Any = "*"

// Server is a fake upstream. Its methods are safe while requests are served.
type Server struct {
	t         testing.TB
	http      *httptest.Server
	authority *authority    // nil: plain http
	done      chan struct{} // closed at the end of the test

	mu     sync.Mutex
	files  map[string]File
	other  http.Handler // for paths without a file
	next   map[string][]Fault
	always map[string][]Fault
	seen   map[string][]*http.Request
	bytes  map[string]int64
}

// File is what a path holds.
type File struct {
	Content []byte
	ModTime time.Time // zero: Day; sent as Last-Modified
	ETag    string    // with its quotes; "": made from the content
	Type    string    // Content-Type; "": application/octet-stream
}

// Day returns the modification time of files that have none of their own: long
// enough ago to be a strong validator.
func Day() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// New starts a server by plain http that ends with the test.
func New(t testing.TB) *Server {
	s := newServer(t)
	s.http.Start()
	return s
}

// running has the servers of all tests of this process.
var running sync.Map

// Running returns the addresses of all servers that tests of this process have, separated
// by blanks: what fetch.Client.Name takes, since no spec names them.
func Running() string {
	var all []string
	running.Range(func(_, address any) bool {
		all = append(all, address.(string))
		return true
	})
	return strings.Join(all, " ")
}

// NewTLS starts a server by https with a certificate of an authority of its
// own, for 127.0.0.1 and localhost.
func NewTLS(t testing.TB) *Server { return newTLS(t, false) }

// NewHTTP2 works like NewTLS, for clients that speak HTTP/2, as most upstreams do. Cut
// and Stall end or hold one stream of the connection; there is no Reset.
func NewHTTP2(t testing.TB) *Server { return newTLS(t, true) }

func newTLS(t testing.TB, http2 bool) *Server {
	s := newServer(t)
	s.http.EnableHTTP2 = http2
	s.authority = newAuthority(t)
	s.http.TLS = s.authority.serverConfig(t)
	s.http.StartTLS()
	return s
}

func newServer(t testing.TB) *Server {
	s := &Server{t: t, done: make(chan struct{}), files: map[string]File{},
		next: map[string][]Fault{}, always: map[string][]Fault{}}
	s.ResetCounts()
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that tests break
	running.Store(s, "http://"+s.http.Listener.Addr().String())
	t.Cleanup(func() {
		running.Delete(s)
		close(s.done) // lets stalled answers go
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// URL returns the address of path, which begins with '/'.
func (s *Server) URL(path string) string { return s.http.URL + path }

// Host returns "127.0.0.1:port", a key for fetch.Options.Hosts.
func (s *Server) Host() string { return s.http.Listener.Addr().String() }

// Put sets what path holds, from the next request on, with an ETag made from it.
func (s *Server) Put(path string, content []byte) { s.PutFile(path, File{Content: content}) }

// PutFile sets what path holds, from the next request on.
func (s *Server) PutFile(path string, f File) {
	if f.ETag == "" {
		f.ETag = fmt.Sprintf(`"%x"`, sha256.Sum256(f.Content))
	}
	if f.Type == "" {
		f.Type = "application/octet-stream"
	}
	if f.ModTime.IsZero() {
		f.ModTime = Day()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = f
}

// Handle sets what answers for paths that hold no file.
func (s *Server) Handle(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.other = h
}

// Remove makes path a 404.
func (s *Server) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, path)
}

// Fail lets the next requests for path meet these faults, one each, in this
// order. A nil fault is a right answer.
func (s *Server) Fail(path string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[path] = append(s.next[path], faults...)
}

// FailAlways lets every request for path, or for Any, meet this fault too,
// outside of those of Fail.
func (s *Server) FailAlways(path string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always[path] = append(s.always[path], f)
}

// Heal forgets all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.next)
	clear(s.always)
}

// Requests returns how many requests for path came, of whatever method.
func (s *Server) Requests(path string) int { return len(s.Seen(path)) }

// AllRequests returns how many requests came.
func (s *Server) AllRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, seen := range s.seen {
		n += len(seen)
	}
	return n
}

// Seen returns the requests for path in their order. Their bodies are gone.
func (s *Server) Seen(path string) []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.seen[path]...)
}

// Bytes returns how many bytes of bodies were sent for path.
func (s *Server) Bytes(path string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes[path]
}

// ResetCounts forgets what was asked and sent.
func (s *Server) ResetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = map[string][]*http.Request{}
	s.bytes = map[string]int64{}
}

// CA returns the path of a PEM file with the authority of NewTLS.
func (s *Server) CA() string { return s.authority.file }

// ClientCert returns the paths of PEM files of a client certificate that the
// server knows, see NeedClientCert.
func (s *Server) ClientCert() (cert, key string) { return s.authority.client(s.t) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	s.mu.Lock()
	s.seen[path] = append(s.seen[path], r.Clone(r.Context()))
	var handler http.Handler = http.HandlerFunc(s.serveFile)
	if queue := s.next[path]; len(queue) > 0 {
		s.next[path] = queue[1:]
		if queue[0] != nil {
			handler = queue[0](handler)
		}
	}
	for _, f := range append(append([]Fault(nil), s.always[path]...), s.always[Any]...) {
		handler = f(handler)
	}
	s.mu.Unlock()
	ctx := withDone(r.Context(), s.done)
	handler.ServeHTTP(&counter{ResponseWriter: w, s: s, path: path}, r.WithContext(ctx))
}

// serveFile sends the right answer.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f, ok := s.files[r.URL.Path]
	other := s.other
	s.mu.Unlock()
	if !ok && other != nil {
		other.ServeHTTP(w, r)
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", f.ETag)
	w.Header().Set("Content-Type", f.Type)
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	http.ServeContent(w, r, name, f.ModTime, bytes.NewReader(f.Content))
}

// counter counts what is sent.
type counter struct {
	http.ResponseWriter
	s    *Server
	path string
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.bytes[c.path] += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
