package fetch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestDialIsChecked: a name is judged by the address that its name service gave for this
// very connection, whatever it gave before.
func TestDialIsChecked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	c, err := New(Options{Env: func(string) string { return "" }, Home: t.TempDir(),
		Hosts: map[string]HostOptions{"*.inside.test": {Addresses: "private"}, "mirror.test": {Addresses: "private"}}})
	if err != nil {
		t.Fatal(err)
	}
	dial := func(asked, address string) error {
		req := &http.Request{URL: &url.URL{Scheme: "https", Host: asked}}
		rule, err := c.ruleOf(req, c.hostFor(req.URL))
		if err != nil {
			return err
		}
		ctx := context.WithValue(t.Context(), ruleKey{}, rule)
		if address == "" { // a name that the resolver of every machine leads to itself
			conn, err := c.plain.DialContext(ctx, "tcp", "localhost:"+port)
			if err == nil {
				_ = conn.Close()
			}
			return err
		}
		return checkDial(ctx, "tcp", address, nil)
	}
	for name, test := range map[string]struct {
		asked, address string
		want           bool
	}{
		"resolved here":               {"cdn.test", "", false},
		"public":                      {"cdn.test", "192.0.43.8:443", true},
		"private":                     {"cdn.test", "10.1.2.3:443", false},
		"mapped":                      {"cdn.test", "[::ffff:10.1.2.3]:443", false},
		"pattern, private":            {"a.inside.test", "10.1.2.3:443", true},
		"pattern, deeper":             {"b.a.inside.test", "100.64.0.1:443", true},
		"pattern, the domain itself":  {"inside.test", "10.1.2.3:443", false},
		"pattern, loopback":           {"a.inside.test", "127.0.0.1:443", false},
		"pattern, link-local":         {"a.inside.test", "169.254.169.254:80", false},
		"host, any port":              {"mirror.test:8443", "192.168.0.1:8443", true},
		"host, loopback":              {"mirror.test:8443", "127.0.0.1:8443", false},
		"host, its usual port is one": {"mirror.test", "127.0.0.1:443", true},
	} {
		err := dial(test.asked, test.address)
		var refused *AddressError
		if (err == nil) != test.want || err != nil && (!errors.As(err, &refused) || refused.Host == refused.Address) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkDial(t.Context(), "tcp", "192.0.43.8:443", nil); err == nil {
		t.Error("a dial without a rule")
	}
}

// TestHelperEnvironment: a helper gets what it needs, and no passphrase or credential of
// another host.
func TestHelperEnvironment(t *testing.T) {
	got := helperEnvironment([]string{"PATH=/bin", "HOME=/h", "AWS_PROFILE=x", "LC_ALL=C", "https_proxy=http://p", "GAPBUNDLE_PASSPHRASE=canary",
		"GAPBUNDLE_SITE_PASSPHRASE=canary", "REGISTRY_TOKEN=canary", "LD_PRELOAD=/x.so", "odd"})
	if want := "PATH=/bin HOME=/h AWS_PROFILE=x LC_ALL=C https_proxy=http://p"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTokenFields: a token is what the two fields hold, by their exact names.
func TestTokenFields(t *testing.T) {
	for answer, want := range map[string]string{
		`{"token":"a"}`: "a", `{"access_token":"b"}`: "b", `{"token":"","access_token":"b"}`: "b", `{"token":"a","access_token":"b","Token":"c","TOKEN":"d"}`: "a",
		`{"Token":"c"}`: "", `{"accessToken":"c"}`: "", `{"ACCESS_TOKEN":"c","secret":"d"}`: "", `{"token":7}`: "", `[]`: "", `"a"`: "",
	} {
		value, _, err := readToken(&http.Response{Body: io.NopCloser(strings.NewReader(answer)), Request: &http.Request{URL: &url.URL{Scheme: "https", Host: "x.test"}}})
		if value != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", answer, value, err)
		}
	}
}
