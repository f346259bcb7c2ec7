package fetch_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// stranger returns a client that nobody told about the servers of the tests.
func stranger(t *testing.T, o fetch.Options) *fetch.Client {
	t.Helper()
	o.Env, o.Home, o.Retries = either(o.Env), t.TempDir(), -1
	c, err := fetch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func either(env func(string) string) func(string) string {
	if env != nil {
		return env
	}
	return func(string) string { return "" }
}

// TestAddressesNobodyNamed: what leads to this machine, to a network within or to many is
// refused in every form, before a byte is sent.
func TestAddressesNobodyNamed(t *testing.T) {
	s := up.New(t)
	s.Put("/x", []byte("secret"))
	_, port, err := net.SplitHostPort(s.Host())
	if err != nil {
		t.Fatal(err)
	}
	for host, class := range map[string]string{
		"127.0.0.1": "loopback", "127.8.9.10": "loopback", "[::1]": "loopback", "localhost": "loopback", "LOCALHOST.": "loopback",
		"a.localhost": "loopback", "[::ffff:127.0.0.1]": "loopback", "[::ffff:7f00:1]": "loopback",
		"[64:ff9b::127.0.0.1]": "loopback", "[64:ff9b::a9fe:a9fe]": "link-local", "[2002:7f00:1::]": "loopback", "[2002:a00:1::1]": "private",
		"[::127.0.0.1]": "loopback", "[2001:0:4136:e378:8000:63bf:80ff:fffe]": "loopback",
		"169.254.169.254": "link-local", "[fe80::1]": "link-local", "[fe80::1%25lo]": "link-local",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private", "[fd00::1]": "private",
		"[fec0::1]": "private", "[64:ff9b:1::1]": "private", "100.64.0.1": "carrier", "100.127.255.255": "carrier",
		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "[::]": "unspecified", "224.0.0.1": "multicast", "[ff02::1]": "multicast",
		"255.255.255.255": "reserved", "240.0.0.1": "reserved",
		"2130706433": "several ways", "0x7f000001": "several ways", "127.1": "several ways", "0177.0.0.1": "several ways", "x.0x7f": "several ways",
	} {
		for name, c := range map[string]*fetch.Client{
			"directly": stranger(t, fetch.Options{}),
			"by proxy": stranger(t, fetch.Options{Env: func(string) string { return s.URL("") }}),
		} {
			_, _, err := c.ReadAll(t.Context(), "http://"+host+":"+port+"/x", 100)
			var refused *fetch.AddressError
			if !errors.As(err, &refused) || !errors.Is(err, fetch.ErrRefused) || errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), class) {
				t.Errorf("%s, %s: %v, want a refusal as %s", host, name, err, class)
			}
			if refused != nil && refused.Private != (class == "private" || class == "carrier") {
				t.Errorf("%s: private %t", host, refused.Private)
			}
		}
	}
	if n := s.AllRequests(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestPublicAddresses: addresses of the public Internet are nobody's business.
func TestPublicAddresses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the decision comes before the dial
	for _, host := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::101:101]", "[2002:101:101::1]"} {
		_, err := stranger(t, fetch.Options{}).Stat(ctx, "https://"+host+"/x")
		if errors.Is(err, fetch.ErrRefused) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestNamesThatLeadInside: what the spec names with its port is asked, and nothing else.
func TestNamesThatLeadInside(t *testing.T) {
	s, other := up.New(t), up.New(t)
	s.Put("/x", []byte("inside"))
	other.Put("/x", []byte("another port"))
	named := stranger(t, fetch.Options{})
	named.Name("deb [signed-by=x.asc] " + s.URL("/debian") + " stable main")
	if b, _, err := named.ReadAll(t.Context(), s.URL("/x"), 100); err != nil || string(b) != "inside" {
		t.Errorf("named: %q, %v", b, err)
	}
	if _, _, err := named.ReadAll(t.Context(), other.URL("/x"), 100); !errors.As(err, new(*fetch.AddressError)) {
		t.Errorf("another port of a named host: %v", err)
	}
	for name, test := range map[string]struct {
		options fetch.HostOptions
		key     string
		want    bool
	}{
		"host and port":        {fetch.HostOptions{}, s.Host(), true},
		"host alone":           {fetch.HostOptions{}, "127.0.0.1", false},
		"private is not local": {fetch.HostOptions{Addresses: "private"}, "127.0.0.1", false},
		"redirect-to":          {fetch.HostOptions{RedirectTo: []string{s.Host()}}, "elsewhere.test", true},
		"token-service":        {fetch.HostOptions{TokenService: []string{s.Host()}}, "elsewhere.test", true},
		"another host":         {fetch.HostOptions{}, "elsewhere.test", false},
	} {
		c := stranger(t, fetch.Options{Hosts: map[string]fetch.HostOptions{test.key: test.options}})
		_, _, err := c.ReadAll(t.Context(), s.URL("/x"), 100)
		if (err == nil) != test.want || err != nil && !errors.As(err, new(*fetch.AddressError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := stranger(t, fetch.Options{})
	c.Name(s.Host() + "/app:1.0")
	if _, _, err := c.ReadAll(t.Context(), s.URL("/x"), 100); err != nil {
		t.Errorf("a registry of the spec: %v", err)
	}
}

// TestRedirectsThatLeadInside: redirect-to with a pattern names no host.
func TestRedirectsThatLeadInside(t *testing.T) {
	from, to := up.New(t), up.New(t)
	to.Put("/x", []byte("inside"))
	_, port, _ := net.SplitHostPort(to.Host())
	from.FailAlways("/x", func(http.Handler) http.Handler {
		return http.RedirectHandler("http://a.localhost:"+port+"/x", http.StatusFound)
	})
	c := stranger(t, fetch.Options{Hosts: map[string]fetch.HostOptions{from.Host(): {RedirectTo: []string{"a.localhost:" + port}}}})
	if _, _, err := c.ReadAll(t.Context(), from.URL("/x"), 100); errors.As(err, new(*fetch.AddressError)) {
		t.Errorf("named: %v", err)
	}
	from.FailAlways("/x", func(http.Handler) http.Handler {
		return http.RedirectHandler(strings.Replace(from.URL("/y"), "127.0.0.1", "127.0.0.2", 1), http.StatusFound)
	})
	if _, _, err := c.ReadAll(t.Context(), from.URL("/x"), 100); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("another host: %v", err)
	}
}

// TestPatternsOfHosts: what a pattern may have.
func TestPatternsOfHosts(t *testing.T) {
	for name, o := range map[string]fetch.HostOptions{"nothing": {}, "a login": {Addresses: "private", BearerEnv: "X"}, "another word": {Addresses: "any"}} {
		_, err := fetch.New(fetch.Options{Hosts: map[string]fetch.HostOptions{"*.example.org": o}, Env: func(string) string { return "x" }})
		if !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
