//go:build clients

package push_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/push"
	"github.com/gapbundle/gapbundle/internal/registry"
	fake "github.com/gapbundle/gapbundle/internal/test/registrytest"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// The login of the registry, and its line as "htpasswd -B" writes it.
const (
	pusher   = "pusher"
	password = "p4ss word"
	htpasswd = `pusher:$2y$05$wspYivZvUXGZ0tuifeObQO98/jPDk5AKxWEikOEujX/CseK3DYD8a`
)

// The two registries: Debian's docker-registry, which is distribution 2, and
// distribution 3, which is called registry.
const (
	version2 = "docker-registry"
	version3 = "registry"
)

// distribution is one of them with TLS and a login.
type distribution struct {
	host, ca, dir string
	home          string // of its clients, with a login in docker's file
}

// startDistribution starts it with a value for auth, "": the login above, and
// further settings.
func startDistribution(t *testing.T, program, auth, settings string) *distribution {
	t.Helper()
	// Its certificate is that of a server that is not used further.
	d := &distribution{dir: t.TempDir(), home: t.TempDir()}
	cert, key := "", ""
	d.ca, cert, key = up.ServerCert(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	d.host = listener.Addr().String()
	check(t, listener.Close())
	check(t, os.WriteFile(filepath.Join(d.dir, "htpasswd"), []byte(htpasswd+"\n"), 0o600))
	if auth == "" {
		auth = fmt.Sprintf("{htpasswd: {realm: test, path: %s}}", filepath.Join(d.dir, "htpasswd"))
	}
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nauth: %s\nhttp: {addr: %q, secret: x, tls: {certificate: %s, key: %s}}\n%s\n",
		filepath.Join(d.dir, "data"), auth, d.host, cert, key, settings)
	file := filepath.Join(d.dir, "config.yml")
	check(t, os.WriteFile(file, []byte(config), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	log, err := os.Create(filepath.Join(d.dir, "log"))
	check(t, err)
	cmd := exec.CommandContext(ctx, program, "serve", file)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none") // nothing but loopback
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	check(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { stop(); <-ended; log.Close() })
	for late, again := time.After(time.Minute), time.NewTicker(20*time.Millisecond); ; {
		conn, err := net.Dial("tcp", d.host)
		if err == nil {
			check(t, conn.Close())
			break
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("%s ended: %s", program, said)
		case <-late:
			t.Fatal(err)
		case <-again.C:
		}
	}
	d.login(t, password)
	return d
}

func (d *distribution) login(t *testing.T, password string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(pusher + ":" + password))
	check(t, os.MkdirAll(filepath.Join(d.home, ".docker"), 0o700))
	check(t, os.WriteFile(filepath.Join(d.home, ".docker", "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, d.host, auth), 0o600))
}

func (d *distribution) client(t *testing.T) *registry.Client {
	t.Helper()
	c, err := fetch.New(fetch.Options{Hosts: map[string]fetch.HostOptions{d.host: {CA: d.ca}}, Home: d.home, Env: func(string) string { return "" }})
	check(t, err)
	t.Cleanup(c.Close)
	client, err := registry.New(c, registry.Options{})
	check(t, err)
	return client
}

// run returns output without white space around it.
func (d *distribution) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	return strings.TrimSpace(d.output(t, program, args...))
}

// output runs a client program, which takes the login from its home folder.
func (d *distribution) output(t *testing.T, program string, args ...string) string {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+d.home, "DOCKER_CONFIG="+filepath.Join(d.home, ".docker"), "SSL_CERT_FILE="+d.ca, "XDG_RUNTIME_DIR="+d.home)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// TestDistribution: what a real registry with TLS and a login was given is what
// crane and skopeo get from it; a second push sends nothing; one that was
// killed goes on.
func TestDistribution(t *testing.T) {
	for _, program := range []string{version2, version3} {
		t.Run(program, func(t *testing.T) { pushedAndPulled(t, startDistribution(t, program, "", "")) })
	}
}

func pushedAndPulled(t *testing.T, d *distribution) {
	c := several()
	m, _ := publish(t, map[string]*content{"site": c})
	o := push.Options{Registry: d.host, Prefix: "ops"}
	report, err := push.Run(t.Context(), published(t, m), d.client(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
	alp, top := d.host+"/ops/library/alpine", fake.Digest([]byte(c.files[alpine+"/manifests/latest"]))
	for _, reference := range []string{":latest", ":3.20", "@" + top} {
		if got := d.run(t, "crane", "digest", alp+reference); got != top {
			t.Errorf("crane digest %s: %s, want %s", reference, got, top)
		}
	}
	// A signature by its tag, the tag of referrers, and every tag.
	hex := strings.TrimPrefix(top, "sha256:")
	for _, tag := range []string{"sha256-" + hex + ".sig", "sha256-" + hex} {
		if got, want := d.run(t, "crane", "digest", alp+":"+tag), fake.Digest([]byte(c.files[alpine+"/manifests/"+tag])); got != want {
			t.Errorf("%s: %s, want %s", tag, got, want)
		}
	}
	tags := d.run(t, "crane", "ls", alp)
	if n := len(strings.Fields(tags)); n != 4 {
		t.Errorf("tags: %s", tags)
	}
	// Every byte of every image, by another client, all platforms.
	copied := filepath.Join(t.TempDir(), "oci")
	d.run(t, "skopeo", "copy", "--all", "--preserve-digests", "docker://"+d.host+"/ops/team/tool:v1", "oci:"+copied+":v1")
	tool := fake.Digest([]byte(c.files[tool+"/manifests/v1"]))
	if _, err := os.Stat(filepath.Join(copied, "blobs", "sha256", strings.TrimPrefix(tool, "sha256:"))); err != nil {
		t.Error(err)
	}
	for path, text := range c.files {
		name, area, reference := split(path)
		if name == alpine && area == "blobs" {
			if got := d.output(t, "crane", "blob", alp+"@"+reference); got != text {
				t.Errorf("blob %s: %d bytes, want %d", reference, len(got), len(text))
			}
		}
	}
	again, err := push.Run(t.Context(), published(t, m), d.client(t), o)
	if err != nil || again.Manifests+again.Tags+again.Blobs+again.Mounted > 0 || again.Bytes > 0 {
		t.Errorf("second push: %+v, %v", again, err)
	}
}

// TestDistributionMounts: a registry takes blobs over from its own repositories.
func TestDistributionMounts(t *testing.T) {
	m, _ := publish(t, map[string]*content{"site": several()})
	d := startDistribution(t, version2, "", "")
	report, err := push.Run(t.Context(), published(t, m), d.client(t), push.Options{Registry: d.host, Jobs: 1})
	if err != nil || report.Mounted == 0 || report.Bytes > 210_000 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestDistributionWrongPassword(t *testing.T) {
	m, _ := publish(t, map[string]*content{"site": several()})
	d := startDistribution(t, version2, "", "")
	d.login(t, "wrong")
	_, err := push.Run(t.Context(), published(t, m), d.client(t), push.Options{Registry: d.host})
	var status *fetch.StatusError
	if !errors.As(err, &status) || status.Status != http.StatusUnauthorized || strings.Contains(err.Error(), "wrong") ||
		!strings.Contains(err.Error(), "login of "+d.host+" in "+d.home) {
		t.Errorf("error: %v", err)
	}
}

// TestDistributionSparse: distribution refuses an index whose manifests it
// lacks, unless it is told otherwise.
func TestDistributionSparse(t *testing.T) {
	c := newContent()
	amd, _ := c.image(alpine, "{}", []string{"amd"}, "amd64")
	c.manifest(alpine, "application/vnd.oci.image.index.v1+json", index(amd, descriptor("application/vnd.oci.image.manifest.v1+json", "left out")), "all")
	m, _ := publish(t, map[string]*content{"site": c})
	for _, program := range []string{version2, version3} {
		d := startDistribution(t, program, "", "")
		_, err := push.Run(t.Context(), published(t, m), d.client(t), push.Options{Registry: d.host})
		if !errors.As(err, new(*push.SparseError)) {
			t.Errorf("%s: %v", program, err)
		}
		d.run(t, "crane", "validate", "--remote", d.host+"/library/alpine:amd64")
	}
	d := startDistribution(t, version3, "", "validation: {manifests: {indexes: {platforms: none}}}")
	if _, err := push.Run(t.Context(), published(t, m), d.client(t), push.Options{Registry: d.host}); err != nil {
		t.Error(err)
	}
	want := fake.Digest([]byte(c.files[alpine+"/manifests/all"]))
	if got := d.run(t, "crane", "digest", d.host+"/library/alpine:all"); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// endAfter ends a push after some pieces of blobs were read.
type endAfter struct {
	mu   sync.Mutex
	left int
	end  context.CancelFunc
}

func (e *endAfter) Grow(int64)  {}
func (e *endAfter) Item(string) {}
func (e *endAfter) Add(int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left--; e.left == 0 {
		e.end()
	}
}

// TestDistributionEnded: a push that ends in the middle of a blob is finished
// by the next.
func TestDistributionEnded(t *testing.T) {
	c := several()
	m, _ := publish(t, map[string]*content{"site": c})
	d := startDistribution(t, version2, "", "")
	for i := range 4 {
		ctx, end := context.WithCancel(t.Context())
		_, err := push.Run(ctx, published(t, m), d.client(t), push.Options{Registry: d.host, Prefix: fmt.Sprint("p", i), Jobs: 1, Progress: &endAfter{left: 1 + 3*i, end: end}})
		end()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("piece %d: %v", 1+3*i, err)
		}
		if _, err := push.Run(t.Context(), published(t, m), d.client(t), push.Options{Registry: d.host, Prefix: fmt.Sprint("p", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := d.run(t, "crane", "digest", d.host+"/p3/library/alpine:latest"), fake.Digest([]byte(c.files[alpine+"/manifests/latest"])); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}
