package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// host is what a Client holds for one key of Options.Hosts, or for the address
// of a host that has no settings.
type host struct {
	key        string // as in Options.Hosts, for messages
	port       string // "": the key names none
	credential *credential
	transport  *http.Transport
	proxy      proxyFunc // of transport; nil: none
	private    bool      // may have private addresses
	tls        bool      // has settings that only make sense with https
	clientCert bool
	slots      chan struct{}
	limiter    *rate.Limiter // nil: no limit
	redirectTo map[string]bool
	tokensFrom map[string]bool // token services
	userAgent  string          // "": Options.UserAgent
	cookies    []cookie
}

// Bytes that a limited body may take at once: small enough for a smooth
// stream, large enough not to wake up for every packet.
const (
	minBurst = 4 << 10
	maxBurst = 256 << 10
)

func (c *Client) addHost(key string, o HostOptions, proxy proxyFunc) error {
	fail := func(err error) error { return fmt.Errorf("host %.100q: %w", key, err) }
	if o.Addresses != "" && o.Addresses != privateAddresses {
		return fail(fmt.Errorf("addresses %.20q: want %s: %w", o.Addresses, privateAddresses, ErrConfig))
	}
	if strings.HasPrefix(key, "*.") {
		if err := c.addPattern(key, o); err != nil {
			return fail(err)
		}
		return nil
	}
	name, port, err := splitHost(key)
	if err != nil {
		return fail(err)
	}
	if c.hosts[mapKey(name, port)] != nil {
		return fail(fmt.Errorf("named twice: %w", ErrConfig))
	}
	if o.Parallel < 0 || o.Rate < 0 {
		return fail(fmt.Errorf("parallel %d, rate %d: below zero: %w", o.Parallel, o.Rate, ErrConfig))
	}
	h := &host{key: key, port: port, tls: o.CA != "" || o.ClientCert != "", clientCert: o.ClientCert != "", userAgent: o.UserAgent}
	if h.redirectTo, err = hostSet("redirect-to", o.RedirectTo); err != nil {
		return fail(err)
	}
	if h.tokensFrom, err = hostSet("token-service", o.TokenService); err != nil {
		return fail(err)
	}
	if h.credential, err = c.options.kept().newCredential(o, name, port); err != nil {
		return fail(err)
	}
	if o.Cookies != "" {
		if h.cookies, err = readCookies(o.Cookies, name, time.Now()); err != nil {
			return fail(err)
		}
	}
	settings, err := tlsConfig(o)
	if err != nil {
		return fail(err)
	}
	if o.Proxy != "" {
		if proxy, err = fixedProxy(o.Proxy); err != nil {
			return fail(err)
		}
	}
	h.transport, h.proxy, h.private = newTransport(proxy, settings), proxy, o.Addresses == privateAddresses
	c.named.add(name, port)
	c.named.addSet(h.redirectTo)
	c.named.addSet(h.tokensFrom)
	h.limit(o, c.options.Parallel)
	c.hosts[mapKey(name, port)] = h
	return nil
}

// addPattern adds a key that stands for every name below a domain.
func (c *Client) addPattern(key string, o HostOptions) error {
	set, err := hostSet("pattern", []string{key})
	if err != nil {
		return err
	}
	if only := (HostOptions{Addresses: o.Addresses}); o.Addresses == "" || !reflect.DeepEqual(o, only) {
		return fmt.Errorf("a pattern is for addresses: %s, and for nothing else: %w", privateAddresses, ErrConfig)
	}
	maps.Copy(c.private, set)
	return nil
}

func hostSet(option string, list []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, entry := range list {
		rest, pattern := strings.CutPrefix(entry, "*.")
		name, port, err := splitHost(rest)
		if err == nil && pattern {
			if port != "" || !strings.Contains(name, ".") || net.ParseIP(name) != nil {
				err = fmt.Errorf("a pattern is *. and a domain: %w", ErrConfig)
			}
			name = "*." + name
		}
		if err != nil {
			return nil, fmt.Errorf("%s %.100q: %w", option, entry, err)
		}
		set[mapKey(name, port)] = true
	}
	return set, nil
}

func (h *host) limit(o HostOptions, parallel int) {
	if o.Parallel > 0 {
		parallel = o.Parallel
	}
	h.slots = make(chan struct{}, parallel)
	if o.Rate > 0 {
		h.limiter = rate.NewLimiter(rate.Limit(o.Rate), int(min(max(o.Rate/8, minBurst), maxBurst)))
	}
}

// hostFor finds the settings for u, or makes those of a host that has none.
func (c *Client) hostFor(u *url.URL) *host {
	o := originOf(u)
	if h := c.hosts[o.address()]; h != nil {
		return h
	}
	if h := c.hosts[o.host]; h != nil {
		return h
	}
	c.others.mu.Lock()
	defer c.others.mu.Unlock()
	h := c.others.hosts[o.address()]
	if h == nil {
		h = &host{transport: c.plain, proxy: c.proxy}
		h.limit(HostOptions{}, c.options.Parallel)
		c.others.hosts[o.address()] = h
	}
	return h
}

// Configured reports whether the options name a host, with or without a port.
func (c *Client) Configured(host string) bool {
	host = strings.ToLower(host)
	for key := range c.hosts {
		if name, _, err := splitHost(key); err == nil && name == host {
			return true
		}
	}
	return false
}

// splitHost takes a key of Options.Hosts apart.
func splitHost(key string) (name, port string, err error) {
	name, port, err = net.SplitHostPort(key)
	if err != nil || strings.Count(key, ":") > 1 && key[0] != '[' {
		name, port = strings.TrimSuffix(strings.TrimPrefix(key, "["), "]"), ""
	} else if n, ok := number(port); !ok || n < 1 || n > 65535 {
		return "", "", fmt.Errorf("port %.20q: want 1 to 65535: %w", port, ErrConfig)
	}
	if name == "" || strings.ContainsAny(name, "/@?#[]* ") || strings.Contains(name, ":") && net.ParseIP(name) == nil {
		return "", "", fmt.Errorf("want host or host:port: %w", ErrConfig)
	}
	return strings.ToLower(name), port, nil
}

func mapKey(name, port string) string {
	if port == "" {
		return name
	}
	return net.JoinHostPort(name, port)
}

// tlsConfig returns nil where o has nothing about it.
func tlsConfig(o HostOptions) (*tls.Config, error) {
	if (o.ClientCert == "") != (o.ClientKey == "") {
		return nil, fmt.Errorf("client certificate and client key: one without the other: %w", ErrConfig)
	}
	if o.CA == "" && o.ClientCert == "" {
		return nil, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w: %w", ErrConfig, err)
		}
		// A machine without a pool of its own trusts the named authorities alone.
		if settings.RootCAs, err = x509.SystemCertPool(); err != nil {
			settings.RootCAs = x509.NewCertPool()
		}
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca %s: no certificate in it: %w", o.CA, ErrConfig)
		}
	}
	if o.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(o.ClientCert, o.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client certificate %s, key %s: %w: %w", o.ClientCert, o.ClientKey, ErrConfig, err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// newTransport has no time-outs of its own: watch counts from the first dial
// to the last byte, and only while nothing arrives.
func newTransport(proxy proxyFunc, settings *tls.Config) *http.Transport {
	if settings == nil {
		settings = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{KeepAlive: 30 * time.Second, ControlContext: checkDial}).DialContext,
		TLSClientConfig:        settings,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // content is what the server holds, byte for byte
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20, // a hostile server cannot fill the memory with headers
	}
}
