package fetch_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestRedirects(t *testing.T) {
	a, b, secure := up.New(t), up.New(t), up.NewTLS(t)
	for _, s := range []*up.Server{a, b, secure} {
		s.Put("/x", []byte("content"))
	}
	a.FailAlways("/same", up.Redirect("/x"))
	a.FailAlways("/b", up.Redirect(b.URL("/x")))
	a.FailAlways("/b/a", up.Redirect(b.URL("/a")))
	b.FailAlways("/a", up.Redirect(a.URL("/x")))
	a.FailAlways("/b/secure", up.Redirect(b.URL("/secure")))
	b.FailAlways("/secure", up.Redirect(secure.URL("/x")))
	a.FailAlways("/secure", up.Redirect(secure.URL("/x")))
	secure.FailAlways("/plain", up.Redirect(a.URL("/x")))
	_, portOfB, _ := strings.Cut(b.Host(), ":")
	for name, row := range map[string]struct {
		url    string
		to     []string // redirect-to of the first host
		secure bool
		class  error
	}{
		"same host":               {url: a.URL("/same")},
		"another port":            {url: a.URL("/b"), class: fetch.ErrRefused},
		"named":                   {url: a.URL("/b"), to: []string{"elsewhere", b.Host()}},
		"named without its port":  {url: a.URL("/b"), to: []string{"127.0.0.1"}, class: fetch.ErrRefused},
		"named with another port": {url: a.URL("/b"), to: []string{"127.0.0.1:1" + portOfB[1:]}, class: fetch.ErrRefused},
		"there and back":          {url: a.URL("/b/a"), to: []string{b.Host()}},
		"two hops, one named":     {url: a.URL("/b/secure"), to: []string{b.Host()}, class: fetch.ErrRefused},
		"two hops, both named":    {url: a.URL("/b/secure"), to: []string{b.Host(), secure.Host()}},
		"to https":                {url: a.URL("/secure"), to: []string{secure.Host()}},
		"https":                   {url: secure.URL("/x"), secure: true},
		"from https to http":      {url: secure.URL("/plain"), to: []string{a.Host()}, class: fetch.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(row.url)
			if err != nil {
				t.Fatal(err)
			}
			hosts := map[string]fetch.HostOptions{secure.Host(): {CA: secure.CA()}}
			first := hosts[u.Host]
			first.RedirectTo = row.to
			hosts[u.Host] = first
			c, _ := newClient(t, fetch.Options{Hosts: hosts})
			content, meta, err := c.ReadAll(t.Context(), row.url, 100)
			if !errors.Is(err, row.class) || (err == nil) != (row.class == nil) {
				t.Fatalf("error: %v", err)
			}
			var refused *fetch.RedirectError
			if err != nil && (!errors.As(err, &refused) || refused.To == "") {
				t.Errorf("error: %v", err)
			}
			if err == nil && (string(content) != "content" || meta.Secure != row.secure) {
				t.Errorf("%q, secure %v", content, meta.Secure)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	s := up.NewTLS(t)
	s.Put("/x", []byte("content"))
	s.FailAlways("/private", up.NeedClientCert)
	s.Put("/private", []byte("content"))
	cert, key := s.ClientCert()
	for name, row := range map[string]struct {
		options fetch.HostOptions
		path    string
		class   error
	}{
		"unknown authority":      {path: "/x", class: fetch.ErrRefused},
		"private authority":      {options: fetch.HostOptions{CA: s.CA()}, path: "/x"},
		"no client certificate":  {options: fetch.HostOptions{CA: s.CA()}, path: "/private", class: fetch.ErrUpstream},
		"client certificate":     {options: fetch.HostOptions{CA: s.CA(), ClientCert: cert, ClientKey: key}, path: "/private"},
		"of another authority":   {options: fetch.HostOptions{CA: up.NewTLS(t).CA()}, path: "/x", class: fetch.ErrRefused},
		"the authority's is not": {options: fetch.HostOptions{CA: cert}, path: "/x", class: fetch.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{s.Host(): row.options}})
			_, _, err := c.ReadAll(t.Context(), s.URL(row.path), 100)
			if !errors.Is(err, row.class) || (err == nil) != (row.class == nil) {
				t.Errorf("error: %v", err)
			}
			if len(p.all) > 0 {
				t.Errorf("tried %d times more", len(p.all))
			}
		})
	}
	c, p := newClient(t, fetch.Options{})
	plain := strings.Replace(s.URL("/x"), "https:", "http:", 1)
	if _, err := c.Stat(t.Context(), plain); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("http to an https port: %v", err)
	}
	plainServer := up.New(t)
	secure := strings.Replace(plainServer.URL("/x"), "http:", "https:", 1)
	c.Name(secure)
	if _, err := c.Stat(t.Context(), secure); !errors.Is(err, fetch.ErrUpstream) || len(p.all) > 0 {
		t.Errorf("https to an http port: %v, %v", err, p.all)
	}
}

// TestNoClientCertificate: a handshake that the other side ends with a reason
// is not tried again.
func TestNoClientCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})), 0o600)
	c, p := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{s.Listener.Addr().String(): {CA: ca}}})
	_, err := c.Stat(t.Context(), s.URL+"/x")
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "certificate") || len(p.all) > 0 {
		t.Errorf("%v, %d more attempts", err, len(p.all))
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	s := up.NewHTTP2(t)
	content := noise(300_000)
	s.Put("/x", content)
	s.Fail("/x", up.Cut(100_000), up.Stall(50_000), up.Status(503), up.Stall(-1), up.Cut(0))
	c, _ := newClient(t, fetch.Options{Stall: 10 * shortStall, Hosts: map[string]fetch.HostOptions{s.Host(): {CA: s.CA()}}})
	got, b, err := readFrom(t, c, s.URL("/x"), 0, "")
	if err != nil || !bytes.Equal(got, content) || !b.Meta.Secure || s.Requests("/x") != 6 {
		t.Errorf("%d bytes, %v, %d requests", len(got), err, s.Requests("/x"))
	}
	for _, r := range s.Seen("/x") {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol %s", r.Proto)
		}
	}
}

func TestParallel(t *testing.T) {
	s := up.New(t)
	s.Put("/x", noise(10_000))
	for name, o := range map[string]fetch.Options{
		"of one host": {Hosts: map[string]fetch.HostOptions{"127.0.0.1": {Parallel: 2}}},
		"of all":      {Hosts: map[string]fetch.HostOptions{"127.0.0.1": {}}, Parallel: 2},
		"without":     {Parallel: 2},
	} {
		s.ResetCounts()
		c, _ := newClient(t, o)
		for range 2 {
			b, err := c.Open(t.Context(), s.URL("/x"), 0, "")
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), shortStall)
		defer cancel()
		if _, err := c.Stat(ctx, s.URL("/x")); !errors.Is(err, context.DeadlineExceeded) || s.AllRequests() != 2 {
			t.Errorf("%s: a third request: %v", name, err)
		}
	}
	// An open body holds its place, a closed one does not, read or not.
	one, _ := newClient(t, fetch.Options{Parallel: 1, Stall: time.Hour})
	for range 3 {
		b, err := one.Open(t.Context(), s.URL("/x"), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("read after close: %v", err)
		}
	}
}

func TestRate(t *testing.T) {
	s := up.New(t)
	s.Put("/x", noise(1_000_000))
	c, p := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{s.Host(): {Rate: 100_000}}})
	for range 2 {
		if _, _, err := c.ReadAll(t.Context(), s.URL("/x"), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	// The clock stands still for the limiter: each wait is up to its own piece.
	if last := p.all[len(p.all)-1]; last < 18*time.Second || last > 20*time.Second {
		t.Errorf("2 MB at 100 kB/s: done after %v", last)
	}
}

// TestUserAgent: a host may be told another name of the program; the others are not.
func TestUserAgent(t *testing.T) {
	one, other := up.New(t), up.New(t)
	one.Put("/x", []byte("x"))
	other.Put("/x", []byte("x"))
	c, _ := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{one.Host(): {UserAgent: "libdnf/1"}}})
	for s, want := range map[*up.Server]string{one: "libdnf/1", other: "gapbundle"} {
		if _, _, err := c.ReadAll(t.Context(), s.URL("/x"), 10); err != nil {
			t.Fatal(err)
		}
		if seen := s.Seen("/x"); len(seen) == 0 || seen[0].Header.Get("User-Agent") != want {
			t.Errorf("%v, want %s", seen, want)
		}
	}
}

func TestProxy(t *testing.T) {
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String() + " " + r.Header.Get("Proxy-Authorization"))
		_, _ = io.WriteString(w, "by proxy")
	}))
	defer proxy.Close()
	s := up.New(t)
	s.Put("/x", []byte("directly"))
	withLogin := strings.Replace(proxy.URL, "http://", "http://user:canary@", 1)
	for name, row := range map[string]struct {
		env   map[string]string
		hosts map[string]fetch.HostOptions
		url   string
		want  string
		asked string
	}{
		"by environment": {env: map[string]string{"HTTP_PROXY": withLogin}, url: "http://repo.test/x", want: "by proxy",
			asked: "http://repo.test/x Basic dXNlcjpjYW5hcnk="},
		"lower case":     {env: map[string]string{"http_proxy": strings.TrimPrefix(proxy.URL, "http://")}, url: "http://repo.test/x", want: "by proxy", asked: "http://repo.test/x "},
		"never loopback": {env: map[string]string{"HTTP_PROXY": proxy.URL}, url: s.URL("/x"), want: "directly"},
		"of one host":    {hosts: map[string]fetch.HostOptions{s.Host(): {Proxy: proxy.URL}}, url: s.URL("/x"), want: "by proxy", asked: s.URL("/x") + " "},
		"around":         {env: map[string]string{"HTTP_PROXY": "http://127.0.0.1:1"}, hosts: map[string]fetch.HostOptions{s.Host(): {Proxy: "direct"}}, url: s.URL("/x"), want: "directly"},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store("")
			c, _ := newClient(t, fetch.Options{Hosts: row.hosts, Env: func(name string) string { return row.env[name] }})
			got, _, err := c.ReadAll(t.Context(), row.url, 100)
			if err != nil || string(got) != row.want || asked.Load() != row.asked {
				t.Errorf("%q, %v, asked %q", got, err, asked.Load())
			}
		})
	}
	down := strings.Replace(withLogin, proxy.Listener.Addr().String(), "127.0.0.1:1", 1)
	c, _ := newClient(t, fetch.Options{Env: func(string) string { return down }, Retries: -1})
	if _, err := c.Stat(t.Context(), "https://repo.test/x"); !errors.Is(err, fetch.ErrUpstream) || strings.Contains(err.Error(), "canary") {
		t.Errorf("proxy down: %v", err)
	}
}

// TestLibraries: what is handed to a library keeps the same rules.
func TestLibraries(t *testing.T) {
	s, other := up.New(t), up.New(t)
	s.Put("/x", []byte("content"))
	s.Fail("/x", up.Status(503), up.Reset(-1))
	s.FailAlways("/busy", up.Status(503))
	s.FailAlways("/other", up.Redirect(other.URL("/x")))
	c, _ := newClient(t, fetch.Options{Retries: 2})
	get := func(path string) (*http.Response, error) { return c.HTTP().Get(s.URL(path)) }
	fail := func(url string) error {
		resp, err := c.HTTP().Get(url)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	resp, err := get("/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "content" || s.Requests("/x") != 3 {
		t.Errorf("%q, %v", b, err)
	}
	if resp, err := get("/busy"); err != nil || resp.StatusCode != http.StatusServiceUnavailable || s.Requests("/busy") != 3 {
		t.Errorf("busy: %v, %d requests", err, s.Requests("/busy"))
	} else {
		resp.Body.Close()
	}
	if err := fail(s.URL("/other?sig=canary")); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("redirect: %v", err)
	} else if err := fetch.RedactError(err); strings.Contains(err.Error(), "canary") || !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("redacted: %v", err)
	}
	if resp, err := c.HTTP().Post(s.URL("/busy"), "text/plain", strings.NewReader("x")); err != nil || s.Requests("/busy") != 4 {
		t.Errorf("post: %v, %d requests", err, s.Requests("/busy"))
	} else {
		resp.Body.Close()
	}
	if err := fail(strings.Replace(s.URL("/x"), "//", "//u:p@", 1)); !errors.Is(err, fetch.ErrConfig) {
		t.Errorf("login in a URL: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	s := up.NewTLS(t)
	cert, key := s.ClientCert()
	none := filepath.Join(t.TempDir(), "none")
	for name, o := range map[string]fetch.HostOptions{
		"no such ca":               {CA: none},
		"ca without a certificate": {CA: key},
		"certificate alone":        {ClientCert: cert},
		"key alone":                {ClientKey: key},
		"key of another":           {ClientCert: s.CA(), ClientKey: key},
		"unknown auth":             {Auth: "password"},
		"two ways":                 {BearerEnv: "A", BasicEnv: "B"},
		"two ways, one by auth":    {Auth: "netrc", BearerEnv: "A"},
		"auth without a variable":  {Auth: "bearer-env"},
		"auth, other variable":     {Auth: "bearer-env", BasicEnv: "B"},
		"bearer not set":           {BearerEnv: "NONE"},
		"bearer with a line end":   {BearerEnv: "LINES"},
		"basic without a colon":    {BasicEnv: "TOKEN"},
		"basic not set":            {BasicEnv: "NONE"},
		"no netrc":                 {Auth: "netrc"},
		"proxy of another kind":    {Proxy: "ftp://x"},
		"proxy with a login":       {Proxy: "http://user:canary@x:1"},
		"proxy unreadable":         {Proxy: "http://canary\x7f@x"},
		"parallel below zero":      {Parallel: -1},
		"rate below zero":          {Rate: -1},
		"redirect-to a URL":        {RedirectTo: []string{"https://cdn.lan"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"TOKEN": "canary", "LINES": "canary\ncanary"}
			_, err := fetch.New(fetch.Options{Home: t.TempDir(), Env: func(n string) string { return env[n] },
				Hosts: map[string]fetch.HostOptions{"repo.lan:8443": o}})
			if !errors.Is(err, fetch.ErrConfig) || !strings.Contains(err.Error(), `host "repo.lan:8443"`) {
				t.Errorf("error: %v", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret in: %v", err)
			}
		})
	}
	for _, key := range []string{"", "https://repo.lan", "user@repo.lan", "repo.lan:0", "repo.lan:http", "repo.lan:65536", "*.lan", "::zz"} {
		if _, err := fetch.New(fetch.Options{Hosts: map[string]fetch.HostOptions{key: {}}}); !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("host %q: %v", key, err)
		}
	}
	if _, err := fetch.New(fetch.Options{Hosts: map[string]fetch.HostOptions{"A.lan": {}, "a.lan": {}}}); !errors.Is(err, fetch.ErrConfig) {
		t.Errorf("named twice: %v", err)
	}
	for _, value := range []string{"http://user:canary%zz@proxy", "gopher://canary@proxy"} {
		_, err := fetch.New(fetch.Options{Env: func(n string) string { return value }})
		if !errors.Is(err, fetch.ErrConfig) || !strings.Contains(err.Error(), "HTTP_PROXY") || strings.Contains(err.Error(), "canary") {
			t.Errorf("environment: %v", err)
		}
	}
	c, _ := newClient(t, fetch.Options{})
	for _, u := range []string{"", "repo.lan/x", "ftp://repo.lan/x", "https://", "https://user:canary@repo.lan/", "https://repo.lan/a b", "https://repo.lan/\n", "http:opaque", "https://repo.lan:x/"} {
		if err := fetch.CheckURL(u); !errors.Is(err, fetch.ErrConfig) || strings.Contains(err.Error(), "canary") {
			t.Errorf("URL %q: %v", u, err)
		}
		if _, err := c.Open(t.Context(), u, 0, ""); !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("URL %q: opened: %v", u, err)
		}
		if _, err := c.Stat(t.Context(), u); !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("URL %q: asked: %v", u, err)
		}
	}
}
