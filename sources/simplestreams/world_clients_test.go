//go:build clients

package simplestreams

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// world is the gap, with upstreams that one key of gpg signs.
type world struct {
	*sourcetest.World
	gnupg   string
	keyring string // file, below Dir
	ca      string
	servers webtest.Pair
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: sourcetest.NewWorld(t, Kind()), gnupg: filepath.Join(t.TempDir(), "g"), keyring: "images.gpg"}
	w.Check(os.Mkdir(w.gnupg, 0o700))
	w.gpg(nil, "--quick-gen-key", "images@example.net", "rsa2048", "sign", "never")
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", w.gnupg, "--kill", "all").Run() })
	w.Write(filepath.Join(w.Dir, w.keyring), w.gpg(nil, "--export"))
	w.ca, w.servers.Cert, w.servers.Key = upstreamtest.ServerCert(t)
	return w
}

// upstream returns an upstream like MAAS's, which is not yet published.
func (w *world) upstream(t *testing.T) *mirror {
	m := &mirror{t: t, server: upstreamtest.New(t), dir: w.Dir, keyring: w.keyring}
	m.sign = func(text []byte) []byte { return w.gpg(text, "--clearsign") }
	m.fill()
	return m
}

// source publishes an upstream and returns a source of it.
func (m *mirror) source(name string, options ...string) string {
	m.publish()
	return strings.Replace(m.spec(options...), "name: images", "name: "+name, 1)
}

func (w *world) gpg(in []byte, args ...string) []byte {
	w.Helper()
	return w.run(w, in, nil, "gpg", append([]string{"--homedir", w.gnupg, "--batch", "--yes", "--passphrase", ""}, args...)...)
}

// run runs a program and returns what it prints.
func (w *world) run(t testing.TB, in []byte, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + w.Dir, "LC_ALL=C.UTF-8", "SSL_CERT_FILE=" + w.ca}, env...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return out
}

// client is a machine inside the gap, or in front of it.
type client struct {
	*world
	t  *testing.T
	at string // of the source
}

// inside returns a client of a source of the mirror that a server serves.
func (w *world) inside(t *testing.T, s *webtest.Server, source string) client {
	return client{w, t, s.URL + "/simplestreams/" + source}
}

// key returns a file with a key that the mirror publishes.
func (c client) key(s *webtest.Server, name string) string {
	c.t.Helper()
	keyring := filepath.Join(c.t.TempDir(), name)
	c.Write(keyring, c.curl(s.URL+"/keys/"+name))
	return keyring
}

// signed: gpgv accepts signed files.
func (c client) signed(keyring string, ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		c.run(c.t, c.curl(c.at+"/streams/v1/"+id+".sjson"), nil, "gpgv", "--keyring="+keyring, "-")
	}
}

func (c client) curl(args ...string) []byte {
	c.t.Helper()
	return c.run(c.t, nil, nil, "curl", append([]string{"--silent", "--show-error", "--fail", "--cacert", c.ca}, args...)...)
}

// query returns what sstream-query finds: product, version, item, path, digest.
func (c client) query(keyring string, filters ...string) []string {
	c.t.Helper()
	const form = "%(product_name)s %(version_name)s %(item_name)s %(path)s %(sha256)s"
	out := c.run(c.t, nil, nil, prepared.Python(c.t, "simplestreams", "sstream-query"), append([]string{"--max", most(filters), "--keyring", keyring, "--output-format", form, c.at + "/streams/v1/index.sjson"}, filters...)...)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return lines
}

// most returns how many versions are wanted: filters are for upstream.
func most(filters []string) string {
	if len(filters) > 0 {
		return "1"
	}
	return "100"
}

// published returns the lines that query has to return, read by our own reader.
func (c client) published() []string {
	c.t.Helper()
	var index struct {
		Index map[string]struct{ Path string }
	}
	if err := json.Unmarshal(c.curl(c.at+"/streams/v1/index.json"), &index); err != nil {
		c.t.Fatal(err)
	}
	var lines []string
	for _, e := range index.Index {
		var file struct {
			Products map[string]struct {
				Versions map[string]struct {
					Items map[string]struct{ Path, Sha256 string }
				}
			}
		}
		if err := json.Unmarshal(c.curl(c.at+"/"+e.Path), &file); err != nil {
			c.t.Fatal(err)
		}
		for product, p := range file.Products {
			for version, v := range p.Versions {
				for item, i := range v.Items {
					lines = append(lines, strings.Join([]string{product, version, item, i.Path, i.Sha256}, " "))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// repeated is a large file that nobody has to hold: a text again and again.
type repeated struct {
	text []byte
	size int64
	at   int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && r.at < r.size {
		c := copy(p[n:min(int64(len(p)), int64(n)+r.size-r.at)], r.text[r.at%int64(len(r.text)):])
		n, r.at = n+c, r.at+int64(c)
	}
	return n, nil
}

func (r *repeated) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	r.at = offset
	return offset, nil
}

// large makes the root file of an image one of size bytes.
func (m *mirror) large(path string, size int64) *repeated {
	m.t.Helper()
	file := &repeated{text: bytes.Repeat([]byte("an image is mostly zeros and text\n"), 3000), size: size}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		m.t.Fatal(err)
	}
	for _, kernel := range []string{"ga", "hwe"} {
		i := m.items(imagesID, productName("24.04", "amd64", kernel), "20261120")["squashfs"].(object)
		i["size"], i["sha256"] = size, hex.EncodeToString(hash.Sum(nil))
	}
	delete(m.content, path)
	m.server.Handle(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != root+path {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("ETag", fmt.Sprintf("%q", "large"))
		http.ServeContent(rw, r, "", upstreamtest.Day(), &repeated{text: file.text, size: size})
	}))
	return file
}
