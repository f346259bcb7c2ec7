package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// AddressError is a request to an address that nobody on this side named: of this machine,
// of a network that the public Internet does not reach, or of many. It matches ErrRefused.
type AddressError struct {
	URL string // redacted
	// Host and Port are what was requested, Address is where it leads; the same as Host
	// if that is an address, and empty if no name service was asked.
	Host, Port, Address string
	Class               string // for people, as in "loopback"
	// Private reports that HostOptions.Addresses would allow it.
	Private bool
}

func (e *AddressError) Error() string {
	at := net.JoinHostPort(e.Host, e.Port)
	if e.Address == "" || e.Address == e.Host {
		return fmt.Sprintf("%s: %s is %s, and the spec does not name %s", e.URL, e.Host, e.Class, at)
	}
	return fmt.Sprintf("%s: %s leads to %s, which is %s, and the spec does not name %s", e.URL, e.Host, e.Address, e.Class, at)
}

// Unwrap returns ErrRefused.
func (e *AddressError) Unwrap() error { return ErrRefused }

// privateAddresses is the value of HostOptions.Addresses.
const privateAddresses = "private"

// names are the hosts that somebody on this side named, with their ports: what an upstream
// states adds nothing to them. They are safe for concurrent use.
type names struct {
	mu  sync.RWMutex
	all map[string]bool // "host:port"
}

func (n *names) add(host, port string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	host = plainHost(host)
	ports := []string{port}
	if port == "" || port == "80" || port == "443" { // who asks by http may be sent to https
		ports = []string{"80", "443"}
	}
	for _, p := range ports {
		n.all[net.JoinHostPort(host, p)] = true
	}
}

func (n *names) has(o origin) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.all[net.JoinHostPort(plainHost(o.host), o.port)]
}

// addSet adds what hostSet returned; a pattern names no host.
func (n *names) addSet(set map[string]bool) {
	for key := range set {
		if name, port, err := splitHost(key); err == nil {
			n.add(name, port)
		}
	}
}

// plainHost returns a host in one form: an address as netip writes it, a name in lower case
// without the dot at its end.
func plainHost(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return host
}

// Name keeps that text, which somebody on this side wrote, names hosts: requests to them may
// go to any address. Words of it count that are URLs, and those that begin like the name of
// an image in a registry, as in "registry.example.org:5000/app".
func (c *Client) Name(text string) {
	for word := range strings.FieldsSeq(text) {
		word = strings.Trim(word, `"'<>()[],;=`)
		if i := strings.Index(word, "://"); i >= 0 {
			scheme := strings.TrimPrefix(word[:i], "git+")
			if at := strings.LastIndexAny(scheme, `=('"@[`); at >= 0 {
				scheme = scheme[at+1:]
			}
			u, err := url.Parse(scheme + word[i:])
			if err == nil && u.Hostname() != "" {
				port := u.Port()
				c.named.add(u.Hostname(), port)
			}
			continue
		}
		first, _, isPath := strings.Cut(word, "/")
		if host, port, err := splitHost(first); err == nil && isPath && (port != "" || strings.Contains(host, ".") || host == "localhost") {
			c.named.add(host, port)
		}
	}
}

// IsNamed reports whether somebody on this side named the host of a URL, with its port.
func (c *Client) IsNamed(raw string) bool {
	u, err := parseURL(raw)
	return err == nil && c.named.has(originOf(u))
}

// rule states where the connections of one request may lead.
type rule struct {
	url     *url.URL
	at      origin
	any     bool // the spec names the host, or a proxy is dialled that somebody here set
	private bool
}

// ruleKey is the key of a rule in a context.
type ruleKey struct{}

// ruleOf decides about a request before anything is dialled. A proxy resolves names by
// itself, so that only what is written as an address can be refused here.
func (c *Client) ruleOf(req *http.Request, h *host) (*rule, error) {
	r := &rule{url: req.URL, at: originOf(req.URL)}
	r.any = c.named.has(r.at)
	r.private = h.private || c.privateBelow(r.at.host)
	if r.any {
		return r, nil
	}
	if class, private := classOfText(r.at.host); class != "" && !(private && r.private) {
		return nil, r.refuse("", class, private)
	}
	if h.proxy == nil {
		return r, nil
	}
	proxy, err := h.proxy(req)
	r.any = err == nil && proxy != nil
	return r, nil
}

func (r *rule) refuse(address, class string, private bool) error {
	return &AddressError{URL: Redact(r.url.String()), Host: r.at.host, Port: r.at.port, Address: address, Class: class, Private: private}
}

// privateBelow reports whether a pattern of Options.Hosts lets a name lead to private addresses.
func (c *Client) privateBelow(name string) bool { return below(c.private, plainHost(name)) }

// checkDial serves as net.Dialer's ControlContext: it sees the address that will be connected to,
// after the name service has answered, so that another answer later changes nothing.
func checkDial(ctx context.Context, _, address string, _ syscall.RawConn) error {
	r, ok := ctx.Value(ruleKey{}).(*rule)
	if !ok {
		return fmt.Errorf("connection to %s without a rule: %w", address, ErrConfig) // a mistake here, never upstream's
	}
	if r.any {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	if class, private := classOf(ip); class != "" && !(private && r.private) {
		return r.refuse(ip.String(), class, private)
	}
	return nil
}

// The classes of addresses that are refused, for people.
const (
	classLoopback  = "loopback (this machine)"
	classLinkLocal = "link-local"
	classPrivate   = "private"
	classCarrier   = "of a carrier's own network (RFC 6598)"
	classNone      = "unspecified"
	classMulticast = "multicast"
	classReserved  = "reserved"
	classLiteral   = "an address in a form that name services and proxies read in several ways"
)

// refusedNetworks are what classOf refuses, besides what netip knows.
var refusedNetworks = []struct {
	network netip.Prefix
	class   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), classNone},
	{netip.MustParsePrefix("100.64.0.0/10"), classCarrier},
	{netip.MustParsePrefix("240.0.0.0/4"), classReserved},
	{netip.MustParsePrefix("fec0::/10"), classPrivate},      // site-local, RFC 3879
	{netip.MustParsePrefix("64:ff9b:1::/48"), classPrivate}, // a network's own NAT64, RFC 8215
}

// Forms of IPv6 addresses that have an IPv4 address in them, at byte at.
var embedded = []struct {
	network netip.Prefix
	at      int
	flipped bool
}{
	{netip.MustParsePrefix("::/96"), 12, false},        // IPv4-compatible, RFC 4291 section 2.5.5.1
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false}, // NAT64, RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2, false},     // 6to4, RFC 3056
	{netip.MustParsePrefix("2001::/32"), 12, true},     // Teredo, RFC 4380: the client's, inverted
}

// classOf returns why an address is refused that nobody named; "" if it is an address of the
// public Internet. private reports whether it is one of those that networks use within.
func classOf(ip netip.Addr) (class string, private bool) {
	ip = ip.Unmap().WithZone("")
	switch {
	case ip.IsUnspecified():
		return classNone, false
	case ip.IsLoopback():
		return classLoopback, false
	case ip.IsLinkLocalUnicast():
		return classLinkLocal, false
	case ip.IsMulticast():
		return classMulticast, false
	case ip.IsPrivate():
		return classPrivate, true
	}
	for _, n := range refusedNetworks {
		if n.network.Contains(ip) {
			return n.class, n.class == classPrivate || n.class == classCarrier
		}
	}
	for _, form := range embedded {
		if form.network.Contains(ip) {
			bytes := ip.As16()
			inner := [4]byte(bytes[form.at : form.at+4])
			if form.flipped {
				for i := range inner {
					inner[i] ^= 0xff
				}
			}
			return classOf(netip.AddrFrom4(inner))
		}
	}
	return "", false
}

// classOfText works like classOf, for a host as it is written: names that mean this machine, and
// numbers that are not four of them, which some resolvers and proxies take for an address
// (WHATWG URL, "ends in a number").
func classOfText(host string) (class string, private bool) {
	host = plainHost(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return classOf(ip)
	}
	switch last := host[strings.LastIndexByte(host, '.')+1:]; {
	case last == "localhost", host == "localhost.localdomain", host == "ip6-localhost", host == "ip6-loopback":
		return classLoopback, false
	case endsInNumber(last):
		return classLiteral, false
	}
	return "", false
}

func endsInNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		_, err := strconv.ParseUint(hex, 16, 64)
		return hex == "" || err == nil
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}
