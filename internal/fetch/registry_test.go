package fetch

import (
	"net/http"
	"net/url"
	"testing"
)

// TestRegistryRedirect: a registry may send a reader on to a public host by
// https, and to nothing else that nobody named.
func TestRegistryRedirect(t *testing.T) {
	cert := t.TempDir()
	plain, err := New(Options{Env: func(string) string { return "" }, Home: cert,
		Hosts: map[string]HostOptions{"strict.test": {RedirectTo: []string{"cdn.test"}}, "inside.test": {}}})
	if err != nil {
		t.Fatal(err)
	}
	plain.hosts["inside.test"].clientCert = true
	c, err := plain.Registry(RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		c                *Client
		method, from, to string
		want             bool
	}{
		{c, "GET", "https://quay.test/v2/a", "https://cdn.test/x", true},
		{c, "HEAD", "https://quay.test/v2/a", "https://cdn.test/x", true},
		{c, "GET", "http://plain.test/v2/a", "https://cdn.test/x", true},
		{plain, "GET", "https://quay.test/v2/a", "https://cdn.test/x", false},
		{c, "PUT", "https://quay.test/v2/a", "https://cdn.test/x", false},
		{c, "POST", "https://quay.test/v2/a", "https://cdn.test/x", false},
		{c, "GET", "https://quay.test/v2/a", "http://cdn.test/x", false},
		{c, "GET", "http://plain.test/v2/a", "http://cdn.test/x", false},
		{c, "GET", "https://quay.test/v2/a", "https://cdn.test:8443/x", false},
		{c, "GET", "https://quay.test/v2/a", "https://10.0.0.1/x", false},
		{c, "GET", "https://quay.test/v2/a", "https://[fd00::1]/x", false},
		{c, "GET", "https://quay.test/v2/a", "https://inside.test/x", false},
		{c, "GET", "https://strict.test/v2/a", "https://cdn.test/x", true},
		{c, "GET", "https://strict.test/v2/a", "https://other.test/x", false},
	} {
		first, _ := http.NewRequest(tt.method, tt.from, nil)
		next, _ := http.NewRequest(tt.method, tt.to, nil)
		if got := tt.c.checkRedirect(next, []*http.Request{first}) == nil; got != tt.want {
			t.Errorf("%s %s to %s: %v", tt.method, tt.from, tt.to, got)
		}
	}
}

// TestTokenServiceOfItsOwn: whose login may be sent where.
func TestTokenServiceOfItsOwn(t *testing.T) {
	c, err := New(Options{Env: func(string) string { return "" }, Home: t.TempDir(),
		Hosts: map[string]HostOptions{"named.test": {TokenService: []string{"auth.test", "odd.test:8443"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.Registry(RegistryOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		registry, realm string
		want            bool
	}{
		{"https://registry-1.docker.io", "https://auth.docker.io/token", true},
		{"https://registry-1.docker.io", "https://auth.docker.io:8443/token", false},
		{"https://registry-1.docker.io", "http://auth.docker.io/token", false},
		{"https://registry-1.docker.io", "https://auth.docker.io.evil.test/token", false},
		{"https://evil.test", "https://auth.docker.io/token", false},
		{"https://quay.test", "https://quay.test/v2/auth", true},
		{"https://quay.test", "http://quay.test/v2/auth", false},
		{"https://quay.test", "https://other.quay.test/auth", false},
		{"https://reg.test:5000", "https://reg.test:5001/auth", true},
		{"http://reg.test:5000", "http://reg.test:5001/auth", true},
		{"https://named.test", "https://auth.test/x", true},
		{"https://named.test", "https://auth.test:444/x", false},
		{"https://named.test", "https://odd.test:8443/x", true},
		{"https://named.test", "https://odd.test/x", false},
	} {
		registry, realm := mustParse(t, tt.registry), mustParse(t, tt.realm)
		if got := c.logins.mayAsk(originOf(registry), realm, secret{header: "Basic x"}) == nil; got != tt.want {
			t.Errorf("login of %s to %s: %v", tt.registry, tt.realm, got)
		}
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := parseURL(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
