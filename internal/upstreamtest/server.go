// Package upstreamtest is an upstream on loopback for tests: a real HTTP
// server that keeps HTTP's rules (ranges, validators, conditions) until a test
// tells it to break one, and that counts what it was asked and what it sent.
//
// It is not a mock of our own code: what it answers is what a client of any
// kind would see.
package upstreamtest

import (
	"net/http"
	"testing"
	"time"
)

// Server is a fake upstream. Its methods are safe while requests are served.
type Server struct{ t testing.TB }

// File is what a path holds.
type File struct {
	Content  []byte
	ModTime  time.Time // zero: a fixed day in the past; NoModTime: not told
	ETag     string    // "": made from the content; "-": not sent
	Type     string    // Content-Type; "": by name
}

// Fault wraps the right answer to one request in a wrong one.
type Fault func(right http.Handler) http.Handler

// New starts a server by plain http that ends with the test.
func New(t testing.TB) *Server { return &Server{t: t} }

// NewTLS starts a server by https with a certificate of an authority of its own.
func NewTLS(t testing.TB) *Server { return &Server{t: t} }

// URL is the address of path, which begins with '/'.
func (s *Server) URL(path string) string { return path }

// Host is "127.0.0.1:port", a key for fetch.Options.Hosts.
func (s *Server) Host() string { return "" }

// Put sets what path holds, with an ETag made from it.
func (s *Server) Put(path string, content []byte) {}

// PutFile sets what path holds.
func (s *Server) PutFile(path string, f File) {}

// Remove makes path a 404.
func (s *Server) Remove(path string) {}

// Fail lets the next requests for path meet these faults, one each, in this order.
func (s *Server) Fail(path string, faults ...Fault) {}

// FailAlways lets every request for path that Fail has no fault for meet this one.
func (s *Server) FailAlways(path string, f Fault) {}

// Requests is how many requests for path came, of whatever method.
func (s *Server) Requests(path string) int { return 0 }

// Bytes is how many bytes of bodies were sent for path.
func (s *Server) Bytes(path string) int64 { return 0 }
