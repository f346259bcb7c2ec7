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
	"strings"
	"time"
)

// The classes of what goes wrong between here and an upstream. Every error of
// this package wraps exactly one of them, except for the end of a context,
// which matches context.Canceled or context.DeadlineExceeded alone. No error
// holds a secret: URLs in them went through Redact, and what a server sent is
// repeated only as numbers, versions and host names.
var (
	// ErrUpstream: not reachable, or not what it said it is. Worth repeating.
	ErrUpstream = errors.New("upstream")
	// ErrRefused: the upstream wanted something that is not allowed: a redirect
	// to a host that nobody named, to plain http, or trust in a certificate
	// that no known authority signed. Repeating does not help.
	ErrRefused = errors.New("refused")
	// ErrConfig: an option or a URL that cannot be used as it is.
	ErrConfig = errors.New("not a valid configuration")
)

// StatusError is an answer that is neither content nor worth another attempt,
// or was not in spite of all attempts. It matches ErrUpstream.
type StatusError struct {
	URL    string // redacted, the last hop
	Status int    // as in RFC 9110 section 15
	// Credential names where the credential that was sent came from, or why
	// there was none. It never holds the credential. Set for 401, 403 and 407.
	Credential string

	after time.Duration // Retry-After; 0: none
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: status %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Credential != "" {
		s += ", credential: " + e.Credential
	}
	return s
}

// Unwrap returns ErrUpstream.
func (e *StatusError) Unwrap() error { return ErrUpstream }

// OfflineError is a request of a client that asks nobody. It matches ErrUpstream.
type OfflineError struct{ URL string } // redacted

func (e *OfflineError) Error() string { return e.URL + ": not asked: offline" }

// Unwrap returns ErrUpstream.
func (e *OfflineError) Unwrap() error { return ErrUpstream }

// RedirectError is a redirect that the options do not allow. It matches ErrRefused.
type RedirectError struct {
	URL string // redacted, what redirected
	To  string // scheme, host and port of where it pointed
	Why string
	// TokenService: it was a registry that named a token service on another
	// host, which HostOptions.TokenService would allow.
	TokenService bool
	// Loop: there were too many redirects, which may be the same ones again and again.
	Loop bool
	// Final: no option allows it, whatever the reason.
	Final bool
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: redirect to %s: %s", e.URL, e.To, e.Why)
}

// Unwrap returns ErrRefused.
func (e *RedirectError) Unwrap() error { return ErrRefused }

// ChangedError means that a URL's content became another one while it was read:
// what was read so far belongs to a version that is gone. It matches
// ErrUpstream; who reads it once more from its first byte gets the new one.
type ChangedError struct {
	URL        string // redacted
	Want, Have string // the versions, for people
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s: changed while it was read: want %s, got %s", e.URL, e.Want, e.Have)
}

// Unwrap returns ErrUpstream.
func (e *ChangedError) Unwrap() error { return ErrUpstream }

// errStall is the cause with which a request ends when no byte arrived for it.
var errStall = errors.New("stalled")

// brokenError is a connection that could not be made or did not last: the kind
// of failure that another attempt may cure. It matches ErrUpstream.
type brokenError struct {
	url string // redacted
	err error
}

// Broken returns the error of an answer whose body, which Stream returned, broke off:
// Attempts takes it for one that another attempt may cure. url is redacted.
func Broken(url string, err error) error { return &brokenError{url: Redact(url), err: err} }

func (e *brokenError) Error() string   { return e.url + ": " + e.err.Error() }
func (e *brokenError) Unwrap() []error { return []error{ErrUpstream, e.err} }

// failure turns what net/http returned for a request to u into an error of
// this package. *url.Error is taken off because it repeats the URL with its query.
func failure(ctx context.Context, u string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", Redact(u), context.Cause(ctx))
	}
	for {
		var outer *url.Error
		if !errors.As(err, &outer) {
			break
		}
		err = outer.Err
	}
	var address *AddressError
	switch {
	case errors.As(err, &address):
		return address // without the address that the dialer puts before it
	case errors.Is(err, ErrUpstream), errors.As(err, new(*RedirectError)):
		return err
	case errors.Is(err, ErrConfig):
		return fmt.Errorf("%s: %w", Redact(u), err)
	case isCertificate(err):
		return fmt.Errorf("%s: %w: %w", Redact(u), ErrRefused, err)
	case noHost(err), isAlert(err), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s: %w: %w", Redact(u), ErrUpstream, err)
	}
	return &brokenError{url: Redact(u), err: err}
}

func isCertificate(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) ||
		errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) ||
		errors.As(err, new(x509.CertificateInvalidError))
}

// isAlert reports whether the other side ended the TLS handshake with a reason: it
// wants a client certificate, or another version.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// Unreachable reports whether err is that of a connection or of a server in trouble, which
// another attempt may cure, and not about what an upstream sent.
func Unreachable(err error) bool {
	var status *StatusError
	return errors.As(err, new(*brokenError)) || errors.As(err, new(*OfflineError)) ||
		errors.As(err, &status) && (status.Status == http.StatusTooManyRequests || status.Status >= 500)
}

// UnknownHost returns the name that the name service does not know, "" if err is about
// something else.
func UnknownHost(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return dns.Name
	}
	return ""
}

// UntrustedCertificate reports whether err is about the certificate of a server.
func UntrustedCertificate(err error) bool { return isCertificate(err) }

// noHost reports whether the name service is sure that there is no such host.
func noHost(err error) bool {
	return UnknownHost(err) != ""
}

// RedactError returns err with a text that went through Redact where a *url.Error
// in it repeats a URL. Errors of a library that uses Client.HTTP need it
// before anybody sees them; errors of this package do not.
func RedactError(err error) error {
	var inner *url.Error
	if !errors.As(err, &inner) {
		return err
	}
	text := strings.ReplaceAll(err.Error(), fmt.Sprintf("%q", inner.URL), Redact(inner.URL))
	return &redactedError{text: strings.ReplaceAll(text, inner.URL, Redact(inner.URL)), err: err}
}

type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }
