package promises

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// canaries returns the secrets of TestNoSecretIsKept, by where they come from.
func canaries() map[string]string {
	return map[string]string{
		"netrc":           "canary-Netrc-5e1f/+&",
		"docker":          "canary-Docker-77aa/+&",
		"basic":           "canary-Basic-c0de/+&",
		"bearer":          "canary-Bearer-d00d/+&",
		"passphrase":      "canary-Phrase-beef/+&",
		"site passphrase": "canary-Site-f00d/+&",
		"query":           "canary-Query-abcd",
	}
}

// forms returns the shapes in which a secret may turn up.
func forms(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret))}
	for _, text := range []string{secret, "user:" + secret} {
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, strings.TrimRight(e.EncodeToString([]byte(text)), "="))
		}
	}
	return all
}

// P19 and P21: credentials in every form, canaries each, are used and turn up
// nowhere: not in the bundle, not in a state folder, a receipt, a log or an
// error, and on no command line.
func TestNoSecretIsKept(t *testing.T) {
	s, c := newSite(t, map[string]string{"a": "a"}), canaries()
	basic := func(secret string) upstreamtest.Fault { return upstreamtest.NeedBasic("user", secret) }
	bearer := upstreamtest.NeedHeader("Authorization", "Bearer "+c["bearer"])
	needs := map[string]upstreamtest.Fault{"netrc": basic(c["netrc"]), "docker-config": basic(c["docker"]), "basic": basic(c["basic"]), "bearer": bearer}
	var hosts, urls, netrc, docker strings.Builder
	lines := &commandLines{}
	servers := map[string]*upstreamtest.Server{}
	for name, fault := range needs {
		up := upstreamtest.NewTLS(t)
		servers[name] = up
		up.Put("/pool/"+name, []byte("content of "+name))
		up.FailAlways(upstreamtest.Any, fault)
		up.FailAlways(upstreamtest.Any, lines.look)
		auth := "auth: " + name
		switch name {
		case "netrc":
			fmt.Fprintf(&netrc, "machine %s login user password %s\n", "127.0.0.1", c["netrc"])
		case "docker-config":
			fmt.Fprintf(&docker, `{"auths":{"https://%s":{"auth":"%s"}}}`, up.Host(), base64.StdEncoding.EncodeToString([]byte("user:"+c["docker"])))
		case "basic":
			auth = "basic-env: CANARY_BASIC"
		case "bearer":
			auth = "bearer-env: CANARY_BEARER"
		}
		fmt.Fprintf(&hosts, "  %q: {ca: %s, %s}\n", up.Host(), up.CA(), auth)
		fmt.Fprintf(&urls, "      - url: %s?token=%s\n        path: %s\n", up.URL("/pool/"+name), c["query"], name)
	}
	s.write("home/.netrc", netrc.String())
	s.write("home/.docker/config.json", docker.String())
	s.check(os.Chmod(s.path("home/.netrc"), 0o600))
	s.env = []string{
		"HOME=" + s.path("home"), "CANARY_BASIC=user:" + c["basic"], "CANARY_BEARER=" + c["bearer"],
		"GAPBUNDLE_PASSPHRASE=" + c["passphrase"], "GAPBUNDLE_SITE_PASSPHRASE=" + c["site passphrase"], "GAPBUNDLE_LOG_LEVEL=debug",
	}
	s.check(os.RemoveAll(s.path("keys")))
	spec := "version: 1\nname: site\nsigning: {exporter: keys/exporter.key, site: keys/site.key}\nhosts:\n" + hosts.String() +
		"sources:\n  - name: downloads\n    kind: files\n    urls:\n" + urls.String()
	s.write("gapbundle.yaml", spec)

	var said []string
	run := func(code int, args ...string) {
		r := s.fails(code, nil, args...)
		said = append(said, r.stdout, r.stderr)
	}
	run(0, "keygen", "--out", "keys")
	run(0, "keygen", "--site", "--out", "keys")
	run(0, "plan")
	servers["basic"].Fail("/pool/basic", upstreamtest.Status(http.StatusForbidden), upstreamtest.Status(http.StatusForbidden))
	run(7, "export", "--to", "usb")
	run(0, "export", "--to", "usb", "--log-format", "json")
	s.mirror("mirror")
	run(0, "verify", "usb", "--pub", "keys/exporter.pub", "--report", "report.txt")
	run(0, "import", "usb", "--to", "mirror")
	run(0, "status", "mirror", "--json")
	run(0, "receipts", "add", s.receipt("mirror"), "--destination", "ship", "--yes")
	// Wrong ones are refused, and not told either.
	s.env = append(s.env, "GAPBUNDLE_PASSPHRASE=wrong-"+c["passphrase"], "CANARY_BASIC=user:wrong-"+c["basic"])
	run(2, "export", "--to", "usb", "--full")
	run(7, "plan", "--full")

	if n := lines.seen(); n == 0 {
		t.Error("no command line was looked at")
	}
	kept := s.everything("usb", ".gapbundle", "mirror", "report.txt", "gapbundle.lock", "keys")
	if !slices.ContainsFunc(slices.Collect(maps.Values(kept)), func(b []byte) bool { return bytes.Contains(b, []byte("content of netrc")) }) {
		t.Error("what a volume holds was not looked at")
	}
	for where, secret := range c {
		for _, form := range forms(secret) {
			if where != "query" || form != secret {
				lines.refuse(t, where, form)
			}
			for _, text := range said {
				if strings.Contains(text, form) {
					t.Errorf("%s: was told:\n%s", where, text)
				}
			}
			if where == "query" {
				continue // it is in the spec, and is part of an address: only logs and errors leave it out
			}
			for name, content := range kept {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s: is in %s", where, name)
				}
			}
		}
	}
	for name, up := range servers {
		for _, r := range up.Seen("/pool/" + name) {
			for other, secret := range map[string]string{"netrc": c["netrc"], "docker-config": c["docker"], "basic": c["basic"], "bearer": c["bearer"]} {
				_, password, _ := r.BasicAuth()
				if other != name && (password == secret || strings.Contains(r.Header.Get("Authorization"), secret)) {
					t.Errorf("the credential of %s reached %s", other, name)
				}
			}
		}
	}
}

// everything returns the content of all files in these places, and what zstd
// frames in them hold.
func (s *site) everything(places ...string) map[string][]byte {
	s.t.Helper()
	all := map[string][]byte{}
	for _, place := range places {
		s.check(filepath.WalkDir(s.path(place), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[path] = b
			if strings.HasSuffix(path, ".zst") {
				r, err := zstd.NewReader(nil)
				if err != nil {
					return err
				}
				defer r.Close()
				raw, err := r.DecodeAll(b, nil)
				if err != nil {
					return err
				}
				all[path+" decompressed"] = raw
			}
			return nil
		}))
	}
	return all
}

// commandLines are those of all processes while an upstream was asked.
type commandLines struct {
	mu  sync.Mutex
	all map[string]bool
}

func (c *commandLines) look(right http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err == nil {
			c.mu.Lock()
			for _, name := range found {
				if b, err := os.ReadFile(name); err == nil && bytes.HasPrefix(b, []byte(program())) {
					if c.all == nil {
						c.all = map[string]bool{}
					}
					c.all[string(b)] = true
				}
			}
			c.mu.Unlock()
		}
		right.ServeHTTP(w, r)
	})
}

func (c *commandLines) seen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

func (c *commandLines) refuse(t *testing.T, where, form string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range c.all {
		if strings.Contains(line, form) {
			t.Errorf("%s: is on the command line %q", where, line)
		}
	}
}
