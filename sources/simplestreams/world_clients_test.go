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
	"time"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// world is an upstream that gpg signs, an exporter and a mirror.
type world struct {
	*mirror
	x       *sourcetest.Exporter
	gnupg   string
	inside  string // folder of the mirror
	ca      string
	servers webtest.Pair
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, gnupg := t.TempDir(), filepath.Join(t.TempDir(), "g")
	w := &world{gnupg: gnupg, inside: filepath.Join(t.TempDir(), "mirror")}
	w.mirror = &mirror{t: t, server: upstreamtest.New(t), dir: dir, keyring: "images.gpg"}
	if err := os.Mkdir(gnupg, 0o700); err != nil {
		t.Fatal(err)
	}
	w.gpg(nil, "--quick-gen-key", "images@example.net", "rsa2048", "sign", "never")
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", gnupg, "--kill", "all").Run() })
	if err := os.WriteFile(filepath.Join(dir, w.keyring), w.gpg(nil, "--export"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.sign = func(text []byte) []byte { return w.gpg(text, "--clearsign") }
	w.fill()
	w.x = newExporter(t, dir)
	w.x.Options.Now = time.Now()
	w.trustExporter()
	w.ca, w.servers.Cert, w.servers.Key = upstreamtest.ServerCert(t)
	return w
}

func (w *world) trustExporter() {
	w.t.Helper()
	m, err := unpack.Create(w.inside, unpack.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer m.Close()
	err = m.Trust().Update(w.t.Context(), "test", func(p *verify.Policy) error {
		return p.Add(w.x.Key)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) gpg(in []byte, args ...string) []byte {
	w.t.Helper()
	return w.run(in, nil, "gpg", append([]string{"--homedir", w.gnupg, "--batch", "--yes", "--passphrase", ""}, args...)...)
}

// run runs a program and returns what it says.
func (w *world) run(in []byte, env []string, name string, args ...string) []byte {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + w.dir, "LC_ALL=C.UTF-8", "SSL_CERT_FILE=" + w.ca}, env...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return out
}

// ship exports and imports.
func (w *world) ship(options ...string) {
	w.t.Helper()
	w.publish()
	res := w.x.Run(w.spec(options...))
	m, err := unpack.Open(w.inside, unpack.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Receive(w.t.Context(), res.Dirs, unpack.ImportOptions{AcceptKeys: true}); err != nil {
		w.t.Fatal(err)
	}
	tree, err := m.Tree(Name)
	if err == nil {
		_, err = readers.Check(w.t.Context(), tree)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// serve runs f against the mirror behind both servers, over https.
func (w *world) serve(f func(t *testing.T, at string)) {
	for _, name := range []string{webtest.Serve, webtest.Nginx} {
		whole := w.t.(*testing.T)
		whole.Run(name, func(t *testing.T) {
			w.t = t
			f(t, webtest.StartTLS(t, name, w.inside, w.servers).URL)
		})
		w.t = whole
	}
}

func (w *world) curl(args ...string) []byte {
	w.t.Helper()
	return w.run(nil, nil, "curl", append([]string{"--silent", "--show-error", "--fail", "--cacert", w.ca}, args...)...)
}

// query returns what sstream-query finds: product, version, item, path, digest.
func (w *world) query(url, keyring string, filters ...string) []string {
	w.t.Helper()
	const form = "%(product_name)s %(version_name)s %(item_name)s %(path)s %(sha256)s"
	out := w.run(nil, nil, prepared.Python(w.t, "simplestreams", "sstream-query"), append([]string{"--max", w.max(filters), "--keyring", keyring, "--output-format", form, url + "/streams/v1/index.sjson"}, filters...)...)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return lines
}

// max returns how many versions are asked for: filters are for upstream.
func (w *world) max(filters []string) string {
	if len(filters) > 0 {
		return "1"
	}
	return "100"
}

// published returns the lines that query has to give, by our own reader.
func (w *world) published(at string) []string {
	w.t.Helper()
	var index struct {
		Index map[string]struct{ Path string }
	}
	if err := json.Unmarshal(w.curl(at+"/streams/v1/index.json"), &index); err != nil {
		w.t.Fatal(err)
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
		if err := json.Unmarshal(w.curl(at+"/"+e.Path), &file); err != nil {
			w.t.Fatal(err)
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
func (w *world) large(path string, size int64) *repeated {
	w.t.Helper()
	file := &repeated{text: bytes.Repeat([]byte("an image is mostly zeros and text\n"), 3000), size: size}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		w.t.Fatal(err)
	}
	for _, kernel := range []string{"ga", "hwe"} {
		i := w.items(imagesID, productName("24.04", "amd64", kernel), "20261120")["squashfs"].(object)
		i["size"], i["sha256"] = size, hex.EncodeToString(hash.Sum(nil))
	}
	delete(w.content, path)
	w.server.Handle(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != root+path {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("ETag", fmt.Sprintf("%q", "large"))
		http.ServeContent(rw, r, "", upstreamtest.Day(), &repeated{text: file.text, size: size})
	}))
	return file
}
