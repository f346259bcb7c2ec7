package fetch

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jar is a file as browsers' add-ons write it.
const jar = "# Netscape HTTP Cookie File\r\n\r\n" +
	".files.example\tTRUE\t/\tTRUE\t4102444800\tsession\tabc=1\r\n" +
	"#HttpOnly_cdn.files.example\tFALSE\t/d/\tFALSE\t0\tonly\tx\r\n" +
	"files.example\tFALSE\t/\tFALSE\t1000000000\told\tgone\r\n" +
	"cdn.files.example\tFALSE\t/\tFALSE\t0\tempty\r\n" +
	"other.example\tTRUE\t/\tFALSE\t0\tother\tsecret\r\n"

// TestCookies: what a host's file has for it, and nothing of others, and nothing that has expired.
func TestCookies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cookies.txt")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(jar)
	now := time.Unix(1_800_000_000, 0)
	for _, row := range []struct{ host, port, url, want string }{
		{"files.example", "", "https://files.example/a", "session=abc=1"},
		{"files.example", "", "http://files.example/a", ""},
		{"files.example", "", "https://files.example:8443/a", ""},
		{"cdn.files.example", "", "https://cdn.files.example/a", "session=abc=1; empty="},
		{"cdn.files.example", "", "https://cdn.files.example/d/a", "session=abc=1; only=x; empty="},
		{"cdn.files.example", "", "https://cdn.files.example/dd", "session=abc=1; empty="},
		{"cdn.files.example", "8080", "http://cdn.files.example:8080/d/", "only=x; empty="},
	} {
		cookies, err := readCookies(file, row.host, now)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodGet, row.url, nil)
		h := &host{port: row.port, cookies: cookies}
		if h.addCookies(req); req.Header.Get("Cookie") != row.want {
			t.Errorf("%s: got %q, want %q", row.url, req.Header.Get("Cookie"), row.want)
		}
	}
	for text, want := range map[string]string{
		jar: "none of them is for unknown.example",
		"unknown.example\tFALSE\t/\tFALSE\t1\ta\tb\n":                       "have expired: sign in again",
		"unknown.example FALSE / FALSE 0 a b\n":                             "line 1: want 7 fields",
		"\nunknown.example\tF\t/\tF\tnever\ta\tb\n":                         "line 2: the expiry",
		"unknown.example\tF\t/\tF\t0\ta\tb;c\n":                             "no header can have",
		strings.Repeat("#", maxCookieFile+1):                                "more than",
		strings.Repeat("unknown.example\tF\t/\tF\t0\ta\tb\n", maxCookies+1): "at most",
	} {
		put(text)
		if _, err := readCookies(file, "unknown.example", now); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}

// TestCookiesStay: a redirect to another host, and back, carries none.
func TestCookiesStay(t *testing.T) {
	var seen []string
	note := func(r *http.Request) { seen = append(seen, r.Host+r.URL.Path+" "+r.Header.Get("Cookie")) }
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { note(r) }))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r)
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other.URL+"/x", http.StatusFound)
		}
	}))
	defer first.Close()
	address, elsewhere := strings.TrimPrefix(first.URL, "http://"), strings.TrimPrefix(other.URL, "http://")
	file := filepath.Join(t.TempDir(), "cookies.txt")
	if err := os.WriteFile(file, []byte("127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Hosts: map[string]HostOptions{address: {Cookies: file, RedirectTo: []string{elsewhere}}}, Env: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"/here", "/away"} {
		if _, _, err := c.ReadAll(t.Context(), first.URL+name, 100); err != nil {
			t.Fatal(err)
		}
	}
	want := address + "/here session=abc, " + address + "/away session=abc, " + elsewhere + "/x "
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzCookies: what is accepted can be sent, and is for the host.
func FuzzCookies(f *testing.F) {
	f.Add(jar)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseCookies(text, "cdn.files.example")
		if err != nil {
			return
		}
		for _, c := range all {
			if strings.ContainsAny(c.text, "\r\n;\t\x00") || !strings.Contains(c.text, "=") {
				t.Errorf("%q", c.text)
			}
		}
	})
}
