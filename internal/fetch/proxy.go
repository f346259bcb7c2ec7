package fetch

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// proxyFunc returns which proxy a request goes through; nil: none. It is
// http.Transport's Proxy.
type proxyFunc = func(*http.Request) (*url.URL, error)

// direct is the value of HostOptions.Proxy that goes around the environment's.
const direct = "direct"

func fixedProxy(s string) (proxyFunc, error) {
	if s == direct {
		return nil, nil
	}
	u, err := parseProxy(s)
	if err != nil {
		return nil, fmt.Errorf("proxy %.100q: %w", Redact(s), err)
	}
	if u.User != nil {
		return nil, fmt.Errorf("proxy %.100q: user or password in it; only the environment may hold one: %w", Redact(s), ErrConfig)
	}
	return http.ProxyURL(u), nil
}

// environmentProxy reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or their
// lower-case forms, as curl and Go's own client do. Go's reads the process's
// environment once for all clients and cannot be given another.
func environmentProxy(env func(string) string) (proxyFunc, error) {
	proxies := map[string]*url.URL{}
	for _, scheme := range []string{"http", "https"} {
		name := strings.ToUpper(scheme) + "_PROXY"
		value := either(env, name)
		if value == "" {
			continue
		}
		u, err := parseProxy(value)
		if err != nil {
			// The value stays unsaid: it may hold a password.
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		proxies[scheme] = u
	}
	if len(proxies) == 0 {
		return nil, nil
	}
	around := strings.Split(either(env, "NO_PROXY"), ",")
	return func(req *http.Request) (*url.URL, error) {
		o := originOf(req.URL)
		if isLoopback(o.host) || goesAround(around, o) {
			return nil, nil
		}
		return proxies[o.scheme], nil
	}, nil
}

func either(env func(string) string, name string) string {
	if v := env(name); v != "" {
		return v
	}
	return env(strings.ToLower(name))
}

func parseProxy(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("not the URL of a proxy: %w", ErrConfig)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("scheme %.20q of a proxy, want http, https, socks5 or socks5h: %w", u.Scheme, ErrConfig)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// goesAround reports whether an entry of NO_PROXY covers o: "*", an address, a
// network, a domain with all below it, or only what is below it if it begins
// with a dot; each but the network with a port if it ends with one.
func goesAround(entries []string, o origin) bool {
	ip, err := netip.ParseAddr(o.host)
	isIP := err == nil
	for _, entry := range entries {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "" {
			continue
		}
		if entry == "*" {
			return true
		}
		if network, err := netip.ParsePrefix(entry); err == nil {
			if isIP && network.Contains(ip.Unmap()) {
				return true
			}
			continue
		}
		if name, port, err := net.SplitHostPort(entry); err == nil {
			if port != o.port {
				continue
			}
			entry = name
		}
		entry = strings.TrimPrefix(entry, "*")
		below, isBelow := strings.CutPrefix(entry, ".")
		if !isBelow && o.host == entry || !isIP && strings.HasSuffix(o.host, "."+below) {
			return true
		}
	}
	return false
}
