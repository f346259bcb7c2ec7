package fetch_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// form is one way to name a credential, with its files set up in home.
type form struct {
	options fetch.HostOptions
	home    func(t *testing.T, home, host string)
	want    string // the header that reaches the origin
	source  string // what an error says about it
}

const canary = "c4nary" // in every secret; nowhere else

func forms() map[string]form {
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + canary))
	docker := func(text string) func(t *testing.T, home, host string) {
		return func(t *testing.T, home, host string) {
			write(t, filepath.Join(home, ".docker", "config.json"), strings.ReplaceAll(text, "HOST", host), 0o600)
			script := fmt.Sprintf("#!/bin/sh\nread host\n[ \"$1 $host\" = 'get %s' ] || { echo no %s; exit 1; }\necho '{\"ServerURL\":\"x\",\"Username\":\"user\",\"Secret\":\"%s\"}'\n", host, canary, canary)
			write(t, filepath.Join(home, "bin", "docker-credential-fake"), script, 0o700)
		}
	}
	return map[string]form{
		"token-env":  {options: fetch.HostOptions{TokenEnv: "TOKEN"}, want: "Token " + canary, source: "variable TOKEN (token)"},
		"bearer-env": {options: fetch.HostOptions{BearerEnv: "TOKEN"}, want: "Bearer " + canary, source: "variable TOKEN (bearer)"},
		"basic-env":  {options: fetch.HostOptions{Auth: "basic-env", BasicEnv: "LOGIN"}, want: basic("user", canary+":x"), source: "variable LOGIN (basic)"},
		"netrc": {options: fetch.HostOptions{Auth: "netrc"}, want: basic("user", canary), source: "netrc ",
			home: func(t *testing.T, home, host string) {
				write(t, filepath.Join(home, ".netrc"), "machine other login x password y\nmachine "+host+"\n  login user password "+canary+"\n", 0o600)
			}},
		"docker auth": {options: fetch.HostOptions{Auth: "docker-config"}, want: basic("user", canary), source: "docker config ",
			home: docker(`{"auths":{"other":{"auth":"eDp5"},"https://HOST/v1/":{"auth":"` + auth + `"}}}`)},
		"docker helper": {options: fetch.HostOptions{Auth: "docker-config"}, want: basic("user", canary), source: "docker config ",
			home: docker(`{"auths":{"HOST":{}},"credsStore":"none","credHelpers":{"HOST":"fake","a":"none","b":"none","c":"none","d":"none"}}`)},
		"docker store": {options: fetch.HostOptions{Auth: "docker-config"}, want: basic("user", canary), source: "docker config ",
			home: docker(`{"auths":{"HOST":{}},"credsStore":"fake"}`)},
		"docker token": {options: fetch.HostOptions{Auth: "docker-config"}, want: "Bearer " + canary, source: "docker config ",
			home: docker(`{"auths":{"HOST":{"registrytoken":"` + canary + `"}}}`)},
	}
}

func (f form) client(t *testing.T, s *up.Server, log *slog.Logger, o fetch.HostOptions) *fetch.Client {
	t.Helper()
	home := t.TempDir()
	if f.home != nil {
		f.home(t, home, s.Host())
	}
	env := map[string]string{"TOKEN": canary, "LOGIN": "user:" + canary + ":x", "PATH": filepath.Join(home, "bin") + ":/usr/bin:/bin"}
	f.options.RedirectTo, f.options.CA = o.RedirectTo, o.CA
	c, _ := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{s.Host(): f.options}, Home: home,
		Log: log, Env: func(name string) string { return env[name] }})
	return c
}

// TestCredentialsReachTheirOrigin and nothing else: not another host, by
// whatever way a redirect leads there, and no other scheme.
func TestCredentialsReachTheirOrigin(t *testing.T) {
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			s, other := up.New(t), up.New(t)
			s.Put("/x", []byte("content"))
			other.Put("/x", []byte("content"))
			s.FailAlways("/x", up.NeedHeader("Authorization", f.want))
			s.FailAlways("/away", up.Redirect(other.URL("/x")))
			s.FailAlways("/home", up.Redirect("/x"))
			s.FailAlways("/back", up.Redirect(other.URL("/back")))
			other.FailAlways("/back", up.Redirect(s.URL("/back/2")))
			s.Put("/back/2", []byte("content"))
			c := f.client(t, s, nil, fetch.HostOptions{RedirectTo: []string{other.Host()}})
			for _, path := range []string{"/x", "/away", "/home", "/back"} {
				if _, _, err := c.ReadAll(t.Context(), s.URL(path+"?sig=1"), 100); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
			if _, _, err := c.ReadAll(t.Context(), other.URL("/x"), 100); err != nil {
				t.Error(err)
			}
			seen := append(other.Seen("/x"), other.Seen("/back")...)
			for _, r := range append(seen, s.Seen("/back/2")...) {
				if r.Header.Get("Authorization") != "" || r.Header.Get("Referer") != "" {
					t.Errorf("%s: header %v", r.URL, r.Header)
				}
			}
			if len(seen) != 3 {
				t.Errorf("%d requests elsewhere", len(seen))
			}
			// A library's own header stays at home too.
			req, err := http.NewRequest(http.MethodGet, s.URL("/away"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer own")
			req.Header.Set("Cookie", "own")
			resp, err := c.HTTP().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			last := other.Seen("/x")[len(other.Seen("/x"))-1]
			if last.Header.Get("Authorization") != "" || last.Header.Get("Cookie") != "" {
				t.Errorf("library's header went to another host: %v", last.Header)
			}
			if own := s.Seen("/away"); own[len(own)-1].Header.Get("Authorization") != "Bearer own" {
				t.Error("library's header did not go to its host")
			}
		})
	}
}

// TestNoSecretIsTold in errors and logs, whatever goes wrong.
func TestNoSecretIsTold(t *testing.T) {
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			s := up.New(t)
			s.Put("/x", noise(1000))
			s.FailAlways("/401", up.Status(401))
			s.FailAlways("/503", up.Status(503))
			s.FailAlways("/reset", up.Reset(-1))
			s.FailAlways("/away", up.Redirect("https://elsewhere.test/?token="+canary))
			s.FailAlways("/echo", up.Both(up.Header("Content-Range", canary), up.Cut(10)))
			var log bytes.Buffer
			c := f.client(t, s, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), fetch.HostOptions{})
			told := ""
			for _, path := range []string{"/401", "/503", "/reset", "/away", "/none", "/echo"} {
				s.Put("/echo", noise(1000))
				_, _, err := c.ReadAll(t.Context(), s.URL(path+"?X-Signature="+canary+"&"+canary), 10_000)
				if err == nil {
					t.Fatalf("%s: no error", path)
				}
				told += err.Error() + fmt.Sprintf("%+v %#v\n", err, err)
				resp, err := c.HTTP().Get(s.URL(path + "?X-Signature=" + canary))
				if err != nil {
					told += fetch.RedactError(err).Error()
					continue
				}
				resp.Body.Close()
			}
			told += log.String()
			if i := strings.Index(told, canary); i >= 0 {
				t.Errorf("told: ...%s", told[max(0, i-200):i+len(canary)])
			}
			if !strings.Contains(told, "X-Signature=***") || !strings.Contains(told, "credential: "+f.source) {
				t.Errorf("errors say too little: %s", told)
			}
		})
	}
}

func TestHelperThatFails(t *testing.T) {
	f := forms()["docker helper"]
	for name, script := range map[string]string{
		"exits":      "#!/bin/sh\necho " + canary + "; echo " + canary + " >&2; exit 3\n",
		"nonsense":   "#!/bin/sh\necho " + canary + "\n",
		"not a file": "",
	} {
		t.Run(name, func(t *testing.T) {
			s := up.New(t)
			var helper string
			broken := f
			broken.home = func(t *testing.T, home, host string) {
				f.home(t, home, host)
				helper = filepath.Join(home, "bin", "docker-credential-fake")
				if err := os.Remove(helper); err != nil {
					t.Fatal(err)
				}
				if script != "" {
					write(t, helper, script, 0o700)
				}
			}
			_, err := broken.client(t, s, nil, fetch.HostOptions{}).Stat(t.Context(), s.URL("/x"))
			if !errors.Is(err, fetch.ErrConfig) || !onlyOneClass(err) || strings.Contains(err.Error(), canary) ||
				!strings.Contains(err.Error(), "docker-credential-fake") {
				t.Errorf("error: %v", err)
			}
			if s.AllRequests() > 0 {
				t.Error("asked without the credential")
			}
		})
	}
}

// TestInTheClear: a credential of a host is not drawn out by a URL with http.
func TestInTheClear(t *testing.T) {
	var got []string
	proxy := up.New(t) // as a proxy it sees hosts of any name
	proxy.FailAlways(up.Any, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	secure := up.NewTLS(t)
	for name, row := range map[string]struct {
		key     string
		options fetch.HostOptions
		url     string
		sent    bool
		says    string
	}{
		"host, http":           {key: "repo.test", url: "http://repo.test/", says: `credential: none, variable TOKEN (bearer) of host "repo.test" is for https on port 443`},
		"host, another port":   {key: "repo.test", url: "http://repo.test:8080/", says: "none, variable TOKEN"},
		"port 80 named":        {key: "repo.test:80", url: "http://repo.test/", sent: true, says: "credential: variable TOKEN (bearer)"},
		"port named":           {key: "repo.test:8080", url: "http://repo.test:8080/", sent: true, says: "credential: variable TOKEN (bearer)"},
		"port named, with TLS": {key: "repo.test:8443", options: fetch.HostOptions{CA: secure.CA()}, url: "http://repo.test:8443/", says: `of host "repo.test:8443" is for https`},
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			o := row.options
			o.BearerEnv, o.Proxy = "TOKEN", proxy.URL("")
			c, _ := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{row.key: o},
				Env: func(name string) string { return map[string]string{"TOKEN": canary}[name] }})
			b, err := c.Open(t.Context(), row.url, 0, "")
			if err == nil {
				_, err = io.Copy(io.Discard, b)
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("error: %v", err)
			}
			if sent := strings.Join(got, "") != ""; len(got) != 1 || sent != row.sent {
				t.Errorf("sent %q", got)
			}
		})
	}
	c, _ := newClient(t, fetch.Options{Hosts: map[string]fetch.HostOptions{"127.0.0.1": {BearerEnv: "TOKEN", CA: secure.CA()}},
		Env: func(name string) string { return map[string]string{"TOKEN": canary}[name] }})
	if _, err := c.Stat(t.Context(), secure.URL("/")); err == nil || secure.Seen("/")[0].Header.Get("Authorization") != "" {
		t.Errorf("a host's credential was sent to another port of it: %v", err)
	}
}
