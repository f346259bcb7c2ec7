package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// The classes of what goes wrong between here and an upstream. Every error of
// this package wraps exactly one of them, except for the end of a context,
// which matches context.Canceled or context.DeadlineExceeded alone. No error
// holds a secret: URLs in them went through Redact, and what a server sent is
// repeated only as numbers and host names.
var (
	// ErrUpstream: not reachable, or not what it said it is. Worth repeating.
	ErrUpstream = errors.New("upstream")
	// ErrRefused: the upstream wanted something that is not allowed: a redirect
	// to a host that nobody named, to plain http, or a certificate that no
	// known authority signed. Repeating does not help.
	ErrRefused = errors.New("refused")
	// ErrConfig: an option or a URL that cannot be used as it stands.
	ErrConfig = errors.New("not a valid configuration")
)

// StatusError is an answer that is neither content nor worth another attempt,
// or was not in spite of all attempts. It matches ErrUpstream.
type StatusError struct {
	URL    string // redacted, the last hop
	Status int    // as in RFC 9110 section 15
	// Credential names where the credential that was sent came from, or why
	// there was none. It never holds the credential. Only set for 401, 403 and 407.
	Credential string

	after    time.Duration // Retry-After, 0: none
	attempts int
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: status %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Credential != "" {
		s += ", credential: " + e.Credential
	}
	if e.attempts > 1 {
		s += fmt.Sprintf(", %d attempts", e.attempts)
	}
	return s
}

// Unwrap is ErrUpstream.
func (e *StatusError) Unwrap() error { return ErrUpstream }

// RedirectError is a redirect that the options do not allow. It matches ErrRefused.
type RedirectError struct {
	URL string // redacted, what redirected
	To  string // scheme, host and port of where it pointed
	Why string
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: redirect to %s: %s", e.URL, e.To, e.Why)
}

// Unwrap is ErrRefused.
func (e *RedirectError) Unwrap() error { return ErrRefused }

// errStall is the cause with which a request ends that no byte arrived for.
var errStall = errors.New("stalled")

// failure turns what net/http returned for a request to u into an error of this
// package. *url.Error is taken off because it repeats the URL with its query.
func failure(ctx context.Context, u string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", Redact(u), context.Cause(ctx))
	}
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrConfig), errors.Is(err, ErrUpstream):
		return err
	case isCertificate(err):
		return fmt.Errorf("%s: %w: %w", Redact(u), ErrRefused, err)
	}
	return fmt.Errorf("%s: %w: %w", Redact(u), ErrUpstream, err)
}

func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) ||
		errors.As(err, &hostname) || errors.As(err, &invalid)
}

// noHost says that the name service is sure that there is no such host.
func noHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
