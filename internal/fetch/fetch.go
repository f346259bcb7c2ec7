// Package fetch is the only way to the network: every byte that comes from a
// network comes through a Client.
//
// It speaks HTTP as RFC 9110 has it, http and https only: resume by Range and
// If-Range (sections 13.1.5 and 14), attempts with back-off and Retry-After
// (section 10.2.3), time-outs on stall and never on duration, parallelism and
// rate per host, proxies, private authorities, client certificates, and
// credentials by reference that reach their origin and nothing else.
//
// It is not a cache. It returns what the upstream sent, complete and from one
// version of the file; only the reader can know whether that is the right
// content.
package fetch

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// HostOptions are the settings of one host, for every source that uses it. The
// zero value is right for a public host.
type HostOptions struct {
	CA         string   // PEM file of authorities that are trusted besides the system's
	ClientCert string   // PEM file; with ClientKey
	ClientKey  string   // PEM file
	Auth       string   // netrc | docker-config | basic-env | bearer-env; "": what the two fields below have
	BearerEnv  string   // name of a variable that holds a bearer token
	TokenEnv   string   // name of a variable that holds a token, sent as "Authorization: Token"
	BasicEnv   string   // name of a variable that holds user:password
	Parallel   int      // requests at a time; 0: Options.Parallel
	Rate       int64    // bytes a second, over all requests; 0: as fast as it goes
	RedirectTo []string // "host" (the scheme's own port) or "host:port" to which this host may send on
	// TokenService names hosts that a container registry may send on to for a
	// token, with the registry's credential, besides its own host. See Registry.
	TokenService []string
	Proxy        string // URL of the proxy for this host; "direct": none; "": as the environment has it
	UserAgent    string // "": Options.UserAgent
	// Cookies is a file of cookies in Netscape's form. Those of this host are sent as its
	// credential would be.
	Cookies string
	// Addresses: "private" lets a name lead to private addresses and those of a carrier's
	// network, on any port; "": only to those of the public Internet, unless somebody on
	// this side named host and port. It is all that a key "*.example.org" may have.
	Addresses string
}

// Options are the settings of a Client. The zero value is a usable one.
type Options struct {
	// Hosts holds settings by "host", which is good for every port, or by
	// "host:port", which goes before it. Credentials of a "host" are sent by
	// https to port 443 alone: who wants them sent elsewhere, or in the clear,
	// names the port. A key "*.example.org" is for HostOptions.Addresses alone.
	Hosts     map[string]HostOptions
	Parallel  int                 // requests to one host at a time; 0: 6
	Stall     time.Duration       // how long no byte may arrive; 0: a minute
	Lowest    Lowest              // how slow upstreams may be; zero: the defaults
	MostBytes int64               // of content whose length is not announced; 0: 64 GiB
	Retries   int                 // further attempts without progress; 0: 6; negative: none
	Env       func(string) string // nil: the process's environment
	Home      string              // where .netrc and .docker are; "": the user's home directory
	UserAgent string              // "": gapbundle
	// Offline: nobody is asked; every request fails with an *OfflineError.
	Offline bool
	Log     *slog.Logger // nil: nowhere
	// Decode undoes a content coding that nobody asked for; nil: none can be undone.
	Decode Decoder
	// Spool returns an empty file that is gone when it is closed, for an answer of which both
	// forms have to be compared with a digest; nil: in the system's temporary folder.
	Spool func() (*os.File, error)
	// Wait waits for d or the end of ctx, before another attempt or to keep to
	// a rate. nil: by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// Decoder reads what r has, packed by a content coding: gzip, x-gzip, zstd or br. It reads r
// to its end, and Close does not close it. Content that is cut off, or has something after
// its end, is an error.
type Decoder func(coding string, r io.Reader) (io.ReadCloser, error)

const (
	defaultParallel  = 6
	defaultStall     = time.Minute
	defaultRetries   = 6
	defaultMost      = 64 << 30 // bytes
	defaultUserAgent = "gapbundle"
)

// Client fetches. It is safe for concurrent use. Close it to let its idle
// connections go.
type Client struct {
	once    *http.Client // one attempt for each call: our own methods count them
	library *http.Client // with attempts inside
	plain   *http.Transport
	hosts   map[string]*host // by key of Options.Hosts
	others  *others
	proxy   proxyFunc       // of the environment; nil: none
	named   *names          // hosts that somebody on this side named
	private map[string]bool // patterns of hosts that may have private addresses
	pace    *pace           // of all requests
	options Options         // defaults filled in
	logins  *registries     // nil: not a client for registries
}

// others are the hosts without settings that were used, by address.
type others struct {
	mu    sync.Mutex
	hosts map[string]*host
}

// New makes a Client and reads what Options.Hosts name: certificates, keys,
// credentials. Errors match ErrConfig.
func New(o Options) (*Client, error) {
	c := &Client{options: o.filled(), hosts: map[string]*host{}, others: &others{hosts: map[string]*host{}},
		named: &names{all: map[string]bool{}}, private: map[string]bool{}, pace: &pace{}}
	proxy, err := environmentProxy(c.options.Env)
	if err != nil {
		return nil, err
	}
	c.plain, c.proxy = newTransport(proxy, nil), proxy
	for _, key := range slices.Sorted(maps.Keys(o.Hosts)) {
		if err := c.addHost(key, o.Hosts[key], proxy); err != nil {
			return nil, err
		}
	}
	c.clients(c.hop())
	return c, nil
}

// hop returns the chain of one request, from the outside in: who asks, how many at
// a time, for how long.
func (c *Client) hop() http.RoundTripper {
	if c.options.Offline {
		return offline{}
	}
	return &told{next: &identity{c: c, next: &limits{c: c, next: &watch{c: c, next: &dispatch{c: c}}}}}
}

// offline asks nobody.
type offline struct{}

func (offline) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close() // as the interface demands
	}
	return nil, &OfflineError{URL: Redact(req.URL.String())}
}

func (c *Client) clients(chain http.RoundTripper) {
	c.once = &http.Client{Transport: chain, CheckRedirect: c.checkRedirect}
	c.library = &http.Client{Transport: &retries{c: c, next: chain}, CheckRedirect: c.checkRedirect}
}

func (o Options) filled() Options {
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	o.Lowest = o.Lowest.filled()
	if o.MostBytes <= 0 {
		o.MostBytes = defaultMost
	}
	if o.Retries == 0 {
		o.Retries = defaultRetries
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Home == "" {
		// No home: then nothing is found there, which is said when it is needed.
		o.Home, _ = os.UserHomeDir()
	}
	if o.UserAgent == "" {
		o.UserAgent = defaultUserAgent
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return o
}

// Close closes idle connections. Requests under way are not touched, and the
// Client may be used again.
func (c *Client) Close() {
	c.plain.CloseIdleConnections()
	for _, h := range c.hosts {
		h.transport.CloseIdleConnections()
	}
}

// HTTP returns the same chain (credentials, limits, attempts, rules for redirects)
// for a library that wants an *http.Client. Requests with a body are sent
// once, bodies of answers are not resumed. Errors that the library returns
// go through RedactError.
func (c *Client) HTTP() *http.Client { return c.library }
