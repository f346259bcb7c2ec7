//go:build linux && clients

package promises

import (
	"io"
	"net/http"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// Readers are never blocked and never get mixed content: a download that
// began before an import, which removes the file, goes on through that, a
// rollback and a gc, and ends with the bytes that it began with.
func TestReadersAreNotDisturbed(t *testing.T) {
	content := noise(1, 48<<20) // more than what sockets hold
	s := newSite(t, map[string]string{"large": content, "small": "1"})
	s.export("first")
	s.mirror("mirror")
	s.ok("import", "first", "--to", "mirror", "--base-url", "http://mirror.lan")
	s.write("data/large", noise(2, 48<<20))
	s.export("second")
	s.shell("rm data/large && echo 3 >data/small")
	s.export("third")
	s.copy("mirror", "untouched")
	for _, name := range []string{webtest.Nginx, webtest.Serve} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: s.dir, env: s.env}
			s.copy("untouched", "mirror")
			server := webtest.Start(t, name, s.path("mirror"))
			slow := s.open(server.URL + "/files/data/large")
			defer slow.Body.Close()
			head := make([]byte, 1000)
			if _, err := io.ReadFull(slow.Body, head); err != nil {
				t.Fatal(err)
			}
			s.ok("import", "second", "--to", "mirror")
			s.ok("import", "third", "--to", "mirror")
			s.ok("gc", "mirror", "--keep", "1")
			if got := s.get(server.URL + "/files/data/small"); got != "3\n" {
				t.Errorf("small is %q", got)
			}
			s.ok("import", "first", "--to", "mirror") // nothing: known
			rest, err := io.ReadAll(slow.Body)
			if err != nil {
				t.Fatalf("the download broke off: %v\n%s", err, server.Log())
			}
			if string(head)+string(rest) != content {
				t.Errorf("the download of %d bytes got other content", len(head)+len(rest))
			}
		})
	}
	s.copy("untouched", "mirror")
	s.ok("import", "second", "--to", "mirror")
	server := webtest.Start(t, webtest.Nginx, s.path("mirror"))
	slow := s.open(server.URL + "/files/data/large")
	defer slow.Body.Close()
	s.ok("rollback", "mirror")
	s.ok("rollback", "mirror")
	s.ok("gc", "mirror", "--keep", "1")
	got, err := io.ReadAll(slow.Body)
	if err != nil || string(got) != noise(2, 48<<20) {
		t.Errorf("through rollbacks: %d bytes, %v", len(got), err)
	}
}

func (s *site) open(url string) *http.Response {
	s.t.Helper()
	resp, err := http.Get(url)
	s.check(err)
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", url, resp.Status)
	}
	return resp
}

func (s *site) get(url string) string {
	s.t.Helper()
	resp := s.open(url)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	s.check(err)
	return string(b)
}
