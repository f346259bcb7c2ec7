package fetch

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"https://repo.lan/a":                    "https://repo.lan/a",
		"https://user:s3cret@repo.lan:8/a":      "https://repo.lan:8/a",
		"https://user:s3@cret@repo.lan/a@b":     "https://repo.lan/a@b",
		"https://user:s3cret@repo.lan":          "https://repo.lan",
		"https://repo.lan/a?X=s3cret&v=&Y=cret": "https://repo.lan/a?X=***&v=&Y=***",
		"https://repo.lan/a?s3cret":             "https://repo.lan/a?***",
		"https://repo.lan/a?b=s3cret?c=cret":    "https://repo.lan/a?b=***",
		"https://repo.lan/a#s3cret":             "https://repo.lan/a",
		"https://user:s3cret@repo.lan?x=cret/a": "https://repo.lan?x=***",
		"user:s3cret@repo.lan/x":                "repo.lan/x",
		"http:user:s3cret@repo.lan":             "repo.lan",
		"https://user:s3cret%zz@repo.lan/":      "https://repo.lan/",
		"":                                      "",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("https://user:pass@host/path?a=b&c#d")
	f.Fuzz(func(t *testing.T, s string) {
		once := Redact(s)
		if again := Redact(once); again != once {
			t.Errorf("%q: %q, again %q", s, once, again)
		}
		if u, err := url.Parse(once); err == nil && (u.User != nil || u.Fragment != "") {
			t.Errorf("%q: %q", s, once)
		}
	})
}

func TestContentRange(t *testing.T) {
	for in, want := range map[string][3]int64{
		"bytes 0-0/1":                    {0, 0, 1},
		"bytes 5-9/10":                   {5, 9, 10},
		"bytes 5-9/*":                    {5, 9, -1},
		"bytes */10":                     {-1, -1, 10},
		"bytes 5-10/10":                  {},
		"bytes 9-5/10":                   {},
		"bytes 5-/10":                    {},
		"bytes -5/10":                    {},
		"bytes +5-9/10":                  {},
		"bytes 5-9":                      {},
		"bytes 5-9/":                     {},
		"bits 5-9/10":                    {},
		"":                               {},
		"bytes 5-9/1e3":                  {},
		"bytes  5-9/10":                  {},
		"bytes 5-9/99999999999999999999": {},
	} {
		first, last, total, err := contentRange(in)
		if got := [3]int64{first, last, total}; got != want || (err == nil) != (want != [3]int64{}) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	date := "Mon, 02 Nov 2026 10:00:00 GMT"
	for in, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"120":                           2 * time.Minute,
		"-1":                            0,
		"soon":                          0,
		"99999999999999":                24 * time.Hour,
		"Mon, 02 Nov 2026 10:00:30 GMT": 30 * time.Second,
		"Mon, 02 Nov 2026 09:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {in}, "Date": {date}}); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func TestBackOff(t *testing.T) {
	for failed, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		for range 100 {
			if d := backOff(failed); d < want/2 || d >= want {
				t.Fatalf("after %d: %v", failed, d)
			}
		}
	}
	if d := backOff(1 << 30); d > maxPause || d < maxPause/2 {
		t.Errorf("after many: %v", d)
	}
}

func TestNetrc(t *testing.T) {
	const text = `
# machine repo.lan login comment password comment
machine other.lan login other password 0
macdef init
machine repo.lan login macro password macro

machine repo.lan login user password login
machine repo.lan login second password second
machine repo.lan:8443
	login port
	account acc
	password 8443
machine nologin.lan password x
default login anonymous password default
machine after.lan login after password 1
`
	for in, want := range map[string]login{
		"repo.lan":      {"user", "login"},
		"repo.lan:8443": {"port", "8443"},
		"repo.lan:1":    {"user", "login"},
		"OTHER.lan":     {"other", "0"},
		"unknown.lan":   {"anonymous", "default"},
		"after.lan":     {"after", "1"},
		"nologin.lan":   {},
	} {
		name, port, _ := splitHost(in)
		got, ok := readNetrc(text, name, port)
		if ok != (want != login{}) || ok && got != want {
			t.Errorf("%s: %v, %v", in, got, ok)
		}
	}
	if got, ok := readNetrc("machine a login", "a", ""); ok {
		t.Errorf("cut: %v", got)
	}
}

func TestGoesAround(t *testing.T) {
	for in, want := range map[string]string{ // NO_PROXY: hosts that go around it
		"*":                    "a.lan:1 b.lan:2 10.0.0.1:1",
		"lan":                  "a.lan:1 b.lan:2",
		".lan, b.lan":          "a.lan:1 b.lan:2",
		"*.a.lan":              "",
		"a.lan":                "a.lan:1",
		" A.lan:1 ,x":          "a.lan:1",
		"a.lan:2":              "",
		"10.0.0.0/8":           "10.0.0.1:1",
		"10.0.0.1":             "10.0.0.1:1",
		"0.0.1":                "",
		"an":                   "",
		"":                     "",
		"[::1]:1,192.0.2.0/24": "",
	} {
		var got []string
		for _, host := range []string{"a.lan:1", "b.lan:2", "10.0.0.1:1"} {
			name, port, _ := splitHost(host)
			if goesAround(strings.Split(in, ","), origin{scheme: "http", host: name, port: port}) {
				got = append(got, host)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
