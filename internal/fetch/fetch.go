// Package fetch is gapbundle's one window to the world: every byte that comes
// from a network comes through a Client.
//
// It speaks HTTP as RFC 9110 has it, http and https only: resume by Range and
// If-Range (sections 13.1.5 and 14), retries with back-off and Retry-After
// (section 10.2.3), time-outs on stall and never on duration, parallelism and
// rate per host, proxies, private authorities, client certificates, and
// credentials by reference that reach their origin and nothing else.
//
// It is not a cache and knows no digests: content is what the upstream sent,
// all of it and from one version, and only its reader can say whether it is
// the right content.
package fetch

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// HostOptions are the settings of one host, for every source that uses it. The
// zero value is a public host.
type HostOptions struct {
	CA         string   // PEM file of authorities that are trusted besides the system's
	ClientCert string   // PEM file; with ClientKey
	ClientKey  string   // PEM file
	Auth       string   // netrc | docker-config | basic-env | bearer-env; "": by the two fields below
	BearerEnv  string   // name of a variable that holds a token
	BasicEnv   string   // name of a variable that holds user:password
	Parallel   int      // requests at a time; 0: Options.Parallel
	Rate       int64    // bytes a second, over all requests; 0: as fast as it goes
	RedirectTo []string // "host" (its default port) or "host:port" to which this host may send on
	Proxy      string   // URL of the proxy for this host; "direct": none; "": by the environment
}

// Options are the settings of a Client. The zero value is a usable one.
type Options struct {
	// Hosts holds settings by "host", which is good for every port, or
	// "host:port", which goes before it. Credentials of a "host" are sent by
	// https to port 443 alone: who wants them elsewhere, or in the clear, says
	// so by naming the port.
	Hosts     map[string]HostOptions
	Parallel  int           // requests to one host at a time; 0: 4
	Stall     time.Duration // how long no byte may arrive; 0: one minute
	Retries   int           // further attempts without progress; 0: 6; negative: none
	Env       func(string) string
	Home      string // where .netrc and .docker are; "": the user's home directory
	UserAgent string
	Log       *slog.Logger // nil: nowhere
	// Wait waits for d or the end of ctx, before another attempt or to keep to
	// a rate. nil: by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client fetches. It is safe for concurrent use. Close it to let its idle
// connections go.
type Client struct {
	http *http.Client
}

// New makes a Client and reads what Options.Hosts name: certificates, keys,
// credentials. Errors match ErrConfig.
func New(o Options) (*Client, error) { return &Client{}, nil }

// Close closes idle connections. Requests under way are not touched, and the
// Client may be used again.
func (c *Client) Close() {}

// HTTP is the same chain (credentials, limits, retries, rules for redirects)
// for a library that wants an *http.Client. Bodies are not resumed.
func (c *Client) HTTP() *http.Client { return c.http }
