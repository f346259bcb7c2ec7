package imagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// startTime is how long a daemon may take to answer, on a busy machine.
const startTime = 60 * time.Second

// daemon runs a program until the test ends; ready is asked until it is nil.
func daemon(t testing.TB, dir string, ready func() error, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; .ci/clients installs it", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // asked to stop, it need not return 0
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = log.Close()
	})
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(startTime)
	for err = ready(); err != nil; err = ready() {
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("%s ended instead of serving:\n%s", program, said)
		case <-late:
			t.Fatalf("%s: %v", program, err)
		case <-again.C:
		}
	}
}

// Registry starts Debian's docker-registry, empty, without TLS, until the
// test ends, and returns its host and port.
func Registry(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp: {addr: %s}\n", filepath.Join(dir, "data"), address)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	ready := func() error {
		resp, err := http.Get("http://" + address + "/v2/")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	daemon(t, dir, ready, "docker-registry", "serve", file)
	return address
}

// Copy adds what registry has at repository:tag as the image called name.
func (w *World) Copy(registry, repository, name, tag string) Image {
	i := Image{Descriptor: w.copyManifest(registry, repository, name, tag, tag)}
	return i.named(name, []string{tag})
}

func (w *World) copyManifest(registry, repository, name, reference string, tags ...string) v1.Descriptor {
	content, mediaType := w.get("http://" + registry + "/v2/" + repository + "/manifests/" + reference)
	var m struct {
		Config            *v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	w.check(json.Unmarshal(content, &m))
	blobs := m.Layers
	if m.Config != nil {
		blobs = append(blobs, *m.Config)
	}
	for _, b := range blobs {
		blob, _ := w.get("http://" + registry + "/v2/" + repository + "/blobs/" + b.Digest.String())
		w.Blob(name, b.MediaType, blob)
	}
	for _, child := range m.Manifests {
		w.copyManifest(registry, repository, name, child.Digest.String())
	}
	return w.Manifest(name, mediaType, content, tags...)
}

func (w *World) get(url string) (content []byte, mediaType string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	w.check(err)
	req.Header.Set("Accept", strings.Join([]string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, dockerList, dockerManifest, "*/*"}, ", "))
	resp, err := http.DefaultClient.Do(req)
	w.check(err)
	defer resp.Body.Close()
	content, err = io.ReadAll(resp.Body)
	w.check(err)
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %s: %.200s", url, resp.Status, content)
	}
	return content, resp.Header.Get("Content-Type")
}

// Chart adds a Helm chart, packed and pushed by helm. Its version has a '+',
// which tags cannot have.
func (w *World) Chart(registry, name string) Image {
	dir := w.t.TempDir()
	base := filepath.Base(name)
	w.check(os.MkdirAll(filepath.Join(dir, base, "templates"), 0o755))
	w.check(os.WriteFile(filepath.Join(dir, base, "Chart.yaml"), fmt.Appendf(nil, "apiVersion: v2\nname: %s\nversion: 1.2.3+build.4\ndescription: a chart\n", base), 0o644))
	w.check(os.WriteFile(filepath.Join(dir, base, "templates", "config.yaml"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\n"), 0o644))
	run := newRunner(w.t)
	for _, args := range [][]string{
		{"package", filepath.Join(dir, base), "-d", dir},
		{"push", "--plain-http", filepath.Join(dir, base+"-1.2.3+build.4.tgz"), "oci://" + registry + "/charts"},
	} {
		if _, err := run.do(w.t.Context(), "helm", args...); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.Copy(registry, "charts/"+base, name, "1.2.3_build.4")
}

// Artifact adds an artifact pushed by oras, with another one attached to it.
// The registry has no referrers API, so the list has a tag.
func (w *World) Artifact(registry, name, tag string) Image {
	dir := w.t.TempDir()
	for _, file := range []string{"model.bin", "sbom.json"} {
		w.check(os.WriteFile(filepath.Join(dir, file), []byte(`{"file":"`+file+`"}`), 0o644))
	}
	run := newRunner(w.t)
	run.dir = dir
	at := registry + "/artifacts/one:" + tag
	for _, args := range [][]string{
		{"push", "--plain-http", "--artifact-type", "application/vnd.example.model", at, "model.bin:application/octet-stream"},
		{"attach", "--plain-http", "--artifact-type", "application/vnd.example.sbom", at, "sbom.json:application/json"},
	} {
		if _, err := run.do(w.t.Context(), "oras", args...); err != nil {
			w.t.Fatal(err)
		}
	}
	i := w.Copy(registry, "artifacts/one", name, tag)
	w.Copy(registry, "artifacts/one", name, strings.Replace(i.Digest.String(), ":", "-", 1))
	return i
}
