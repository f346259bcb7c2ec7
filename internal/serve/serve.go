package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Times after which a connection that does nothing is given up. There is no
// limit on how long a download takes.
const (
	// headerTime bounds a client that sends its request byte by byte.
	headerTime = 15 * time.Second
	// idleTime is how long a kept-alive connection may wait for a request.
	idleTime = 2 * time.Minute
	// writeTime is how long one piece of an answer (writePiece bytes) may
	// take: a client that stopped reading must not hold a file open for ever.
	writeTime = 2 * time.Minute
	// GracePeriod is how long downloads may go on once the server was told to stop.
	GracePeriod = 30 * time.Second
)

// Server is how a handler is put on a network.
type Server struct {
	// Listener is closed by Run.
	Listener net.Listener
	Handler  http.Handler
	// TLS is what LoadTLS returned; nil: plain HTTP.
	TLS *tls.Config
	// Grace is GracePeriod if 0.
	Grace time.Duration
}

// KeyPair are the PEM files of a certificate and its private key.
type KeyPair struct{ Cert, Key string }

// LoadTLS reads certificates with their keys. If there are several, the one is used that is valid for
// the name that a client asks for, otherwise the first. Without any it returns nil. It is
// apart from Run, so that nobody is told an address that then serves nothing.
func LoadTLS(pairs []KeyPair) (*tls.Config, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, p := range pairs {
		pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		if err != nil {
			err = fmt.Errorf("TLS certificate %s, key %s: %w", p.Cert, p.Key, err)
			if !errors.As(err, new(*fs.PathError)) { // what the files have, and not that they cannot be read
				err = bundle.About(bundle.AboutCertificate, fmt.Errorf("%w: %w", err, bundle.ErrUsage))
			}
			return nil, err
		}
		config.Certificates = append(config.Certificates, pair)
	}
	return config, nil
}

// Run serves until ctx ends, then accepts nothing more, lets requests in
// flight finish within the grace period, and returns nil. Requests that are
// cut off by its end are an error.
func (s Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           bounded(s.Handler, bodyTime),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    32 << 10,
		TLSConfig:         s.TLS,
	}
	listener := limit(s.Listener, maxConnections, maxOfOne)
	ended := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace := s.Grace
	if grace == 0 {
		grace = GracePeriod
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(last)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests in flight cut off after %v: %w", grace, err), server.Close())
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
