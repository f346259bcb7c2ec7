package fetch

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// CheckURL reports what is wrong with raw as the URL of something to fetch:
// absolute, http or https, with a host, without control characters or blanks,
// and without userinfo, because credentials never come from the text of a spec
// or of an upstream's index. Errors match ErrConfig.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

func parseURL(raw string) (*url.URL, error) {
	for _, r := range raw {
		if r <= ' ' || r == 0x7f {
			return nil, fmt.Errorf("URL %.200q: a blank or control character: %w", Redact(raw), ErrConfig)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The cause repeats the URL with all that is in it.
		return nil, fmt.Errorf("URL %.200q: not readable: %w", Redact(raw), ErrConfig)
	}
	if err := checkURL(u); err != nil {
		return nil, fmt.Errorf("URL %.200q: %w", Redact(raw), err)
	}
	return u, nil
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %.20q, want http or https: %w", u.Scheme, ErrConfig)
	case u.Opaque != "" || u.Hostname() == "":
		return fmt.Errorf("no host: %w", ErrConfig)
	case u.User != nil:
		return fmt.Errorf("user or password in a URL; name a credential for the host instead: %w", ErrConfig)
	}
	return nil
}

const redacted = "***"

// Redact returns raw without what may be a secret: userinfo, the values of query
// parameters (signed URLs carry their signature there; the names stay) and the
// fragment. It works on any string, so that even a URL that cannot be parsed
// is safe in an error, and returns the same result for the same URL always.
func Redact(raw string) string {
	s, _, _ := strings.Cut(raw, "#")
	s, query, hasQuery := strings.Cut(s, "?")
	authority, path := 0, len(s)
	if i := strings.Index(s, "//"); i >= 0 {
		authority = i + 2
		if j := strings.IndexByte(s[authority:], '/'); j >= 0 {
			path = authority + j
		}
	}
	// The last '@': a password may hold one that was not escaped. Without a
	// "//" there is no telling where an authority ends, so all of it counts.
	if at := strings.LastIndexByte(s[authority:path], '@'); at >= 0 {
		s = s[:authority] + s[authority+at+1:]
	}
	if !hasQuery {
		return s
	}
	return s + "?" + redactQuery(query)
}

func redactQuery(query string) string {
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		switch {
		case !ok && part != "":
			parts[i] = redacted // a name, or a bare token: no telling
		case value != "":
			parts[i] = name + "=" + redacted
		}
	}
	return strings.Join(parts, "&")
}

// origin is scheme, host and port: what a credential belongs to.
type origin struct {
	scheme, host, port string
}

func originOf(u *url.URL) origin {
	o := origin{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port()}
	if o.port == "" {
		o.port = defaultPort(u.Scheme)
	}
	return o
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// address returns the origin as a key of Options.Hosts with a port.
func (o origin) address() string { return net.JoinHostPort(o.host, o.port) }

// String returns the origin as people write it.
func (o origin) String() string {
	if o.port == defaultPort(o.scheme) {
		return o.scheme + "://" + o.host
	}
	return o.scheme + "://" + o.address()
}
