package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// Options are what a handler may be given; the zero value is right.
type Options struct {
	// AccessLog gets one line in combined form per request; nil: none.
	AccessLog io.Writer
	// Metrics counts requests; nil: nobody asks.
	Metrics *Metrics
}

// Metrics counts what a handler does and shows it in Prometheus' text form.
// The zero value is ready.
type Metrics struct{}

func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Handler serves a mirror. Close releases what it holds open; requests that
// still run finish.
type Handler struct{}

// New makes a handler for the mirror in dir. A mirror in which nothing was
// published yet is served as an empty one.
func New(dir string, o Options) (*Handler, error) { return nil, errors.ErrUnsupported }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Close ends the use of the mirror's folder.
func (h *Handler) Close() error { return nil }

// Server is how a handler is put on a network.
type Server struct {
	Listener net.Listener // closed by Run
	Handler  http.Handler
	// TLSCert and TLSKey are PEM files, both or neither.
	TLSCert, TLSKey string
}

// Run serves until ctx ends, then lets requests in flight finish within
// GracePeriod. It returns nil after such an end.
func (s Server) Run(ctx context.Context) error { return errors.ErrUnsupported }
