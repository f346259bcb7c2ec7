//go:build clients

package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// Registries that images come from: one with a port, and the one whose images have a
// name without it.
const (
	host = "reg.example_5000"
	hub  = "docker.io"
)

// images returns what the matrix is run over; the first by every way of asking.
func images(w *World) []Image {
	return []Image{
		w.Index(hub+"/team/app", "1.0"),
		w.Docker(host+"/team/sub/docker", "1.0"),
		w.Nested(host+"/team/nested", "1.0"),
		w.Zstd(host+"/team/zstd", "1.0"),
		w.Schema2(host+"/team/schema2", "1.0"),
	}
}

// TestMatrix: every client takes every kind of image from every server, by tag
// and by digest, under both names, one platform and all.
func TestMatrix(t *testing.T) {
	w := NewWorld(t)
	all := images(w)
	dir := imported(t, w)
	clients := Clients(t)
	for _, name := range webtest.Names() {
		server := strings.TrimPrefix(webtest.Start(t, name, dir).URL, "http://")
		for _, c := range clients {
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				testClient(t, c, server, all)
			})
		}
	}
}

func testClient(t *testing.T, c Client, server string, all []Image) {
	for n, i := range all {
		names, references := []string{i.Name, i.Alias}, []string{i.Tag, i.Digest.String()}
		platforms := []string{""}
		for p := range i.ByPlatform {
			platforms = append(platforms, p)
		}
		slices.Sort(platforms)
		if n > 0 {
			names, references = names[:1], references[:1]
		}
		if c.OnePlatform && i.ByPlatform != nil {
			platforms = platforms[1:]
		}
		if strings.HasSuffix(i.Name, "/nested") {
			platforms = slices.DeleteFunc(platforms, func(p string) bool { return p == "" && !c.NestedWhole || p != "" && !c.NestedOne })
		}
		for _, name := range names {
			for _, reference := range references {
				for _, platform := range platforms {
					testPull(t, c, Pull{Server: server, Name: name, Reference: reference, Platform: platform}, i)
				}
			}
		}
	}
}

// testPull: the client holds the manifests that it asked for, with the
// digests that they had upstream.
func testPull(t *testing.T, c Client, p Pull, i Image) {
	t.Helper()
	got, err := c.Pull(t.Context(), p)
	if err != nil {
		t.Errorf("%+v: %v", p, err)
		return
	}
	want := []string{i.Digest.String()}
	switch {
	case p.Platform != "":
		want = []string{i.ByPlatform[p.Platform].Digest.String()}
	default:
		for _, m := range i.ByPlatform {
			want = append(want, m.Digest.String())
		}
	}
	for _, d := range want {
		if !slices.Contains(got, d) {
			t.Errorf("%+v: holds %v, want %s", p, got, d)
		}
	}
}

// TestCharts: helm takes a chart by version and by digest.
func TestCharts(t *testing.T) {
	w := NewWorld(t)
	registry := Registry(t)
	i := w.Chart(registry, hub+"/charts/demo")
	want := w.Files["v2/"+i.Name+"/blobs/"+chartLayer(w, i)].Content
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	pull := Helm(t)
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		for _, name := range []string{i.Name, i.Alias} {
			for _, reference := range []string{i.Tag, i.Digest.String()} {
				p := Pull{Server: strings.TrimPrefix(s.URL, "http://"), Name: name, Reference: reference}
				got, err := pull(t.Context(), p)
				if err != nil || string(got) != want {
					t.Errorf("%+v: %d bytes, want %d, %v", p, len(got), len(want), err)
				}
			}
		}
	})
}

func chartLayer(w *World, i Image) string {
	_, rest, _ := strings.Cut(w.Files["v2/"+i.Name+"/manifests/"+i.Tag].Content, `"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"`)
	digest, _, _ := strings.Cut(rest, `"`)
	return digest
}

// TestReferrers: what is attached to an image is found, whichever way its
// registry listed it; where nothing is, that is an answer and no error.
func TestReferrers(t *testing.T) {
	w := NewWorld(t)
	registry := Registry(t)
	artifact := w.Artifact(registry, hub+"/team/artifact", "v1")
	api := w.Index(hub+"/team/api", "1.0")
	byAPI := w.Attach(api, "application/vnd.example.sig", []byte("signature"))
	none := w.Index(hub+"/team/none", "1.0")
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	r := newRunner(t)
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		server := strings.TrimPrefix(s.URL, "http://")
		for _, c := range []struct {
			image Image
			want  string
		}{{artifact, "application/vnd.example.sbom"}, {api, byAPI.Digest.String()}, {none, `"referrers": []`}} {
			for _, name := range []string{c.image.Name, c.image.Alias} {
				out, err := r.do(t.Context(), "oras", "discover", "--plain-http", "--format", "json", Pull{Server: server, Name: name, Reference: c.image.Tag}.Ref())
				if err != nil || !strings.Contains(out, c.want) {
					t.Errorf("%s: %v\n%s\nwant %s", name, err, out, c.want)
				}
			}
		}
		dir, err := r.fresh()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.do(t.Context(), "oras", "copy", "--no-tty", "--recursive", "--from-plain-http", "--to-oci-layout", Pull{Server: server, Name: artifact.Name, Reference: "v1"}.Ref(), dir+":v1"); err != nil {
			t.Error(err)
		}
		if held, err := layout(dir); err != nil || len(held) < 2 {
			t.Errorf("copied with what refers to it: %v, %v", held, err)
		}
		if _, err := r.do(t.Context(), "oras", "pull", "--no-tty", "--plain-http", "--output", dir, Pull{Server: server, Name: artifact.Name, Reference: artifact.Digest.String()}.Ref()); err != nil {
			t.Error(err)
		}
	})
}

// TestLists: the tags of an image, as clients ask for them.
func TestLists(t *testing.T) {
	w := NewWorld(t)
	var want []string
	i := w.Zstd(hub+"/team/app", "1.0")
	for n := range 30 {
		tag := fmt.Sprintf("t%03d", n)
		w.Manifest(i.Name, i.MediaType, []byte(w.Files["v2/"+i.Name+"/manifests/1.0"].Content), tag)
		want = append(want, tag)
	}
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	r := newRunner(t)
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		server := strings.TrimPrefix(s.URL, "http://")
		for _, name := range []string{i.Name, i.Alias} {
			at := server + "/" + name
			for _, args := range [][]string{
				{"crane", "ls", at}, {"oras", "repo", "tags", "--plain-http", at},
				{"skopeo", "list-tags", "--tls-verify=false", "docker://" + at},
				{"podman", "--root", r.dir + "/root", "--runroot", r.dir + "/run", "--storage-driver", "vfs", "search", "--list-tags", "--limit", "100", "--tls-verify=false", at},
			} {
				out, err := r.do(t.Context(), args[0], args[1:]...)
				for _, tag := range want {
					if err == nil && !strings.Contains(out, tag) {
						err = fmt.Errorf("no tag %s in\n%s", tag, out)
					}
				}
				if err != nil {
					t.Errorf("%s: %v", args, err)
				}
			}
		}
	})
}

// TestResolve: the digest of a tag, as clients ask for it without the manifest.
func TestResolve(t *testing.T) {
	w := NewWorld(t)
	i := w.Index(hub+"/team/app", "1.0")
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	r := newRunner(t)
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		server := strings.TrimPrefix(s.URL, "http://")
		for _, name := range []string{i.Name, i.Alias} {
			ref := Pull{Server: server, Name: name, Reference: i.Tag}.Ref()
			for _, args := range [][]string{
				{"crane", "digest", ref}, {"oras", "resolve", "--plain-http", ref},
				{"oras", "manifest", "fetch", "--descriptor", "--plain-http", ref},
				{"skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://" + ref},
			} {
				out, err := r.do(t.Context(), args[0], args[1:]...)
				if err != nil || !strings.Contains(out, i.Digest.String()) {
					t.Errorf("%s: %v, %s, want %s", args, err, out, i.Digest)
				}
			}
		}
	})
}

// TestConfigured: with configuration as a kind publishes it, by the names that
// images had outside. What the mirror lacks is not got from there, although
// the registry answers.
func TestConfigured(t *testing.T) {
	w := NewWorld(t)
	registry := Registry(t)
	crane := newRunner(t)
	if _, err := crane.do(t.Context(), "tar", "-cf", "layer.tar", "-C", "/etc", "os-release"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/team/inside:1", "/team/outside:1"} {
		if _, err := crane.do(t.Context(), "crane", "append", "--oci-empty-base", "-f", "layer.tar", "-t", registry+name); err != nil {
			t.Fatal(err)
		}
	}
	i := w.Copy(registry, "team/inside", strings.Replace(registry, ":", "_", 1)+"/team/inside", "1")
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	clients := []Client{Podman(t), Containerd(t)}
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		dir := t.TempDir()
		configs := map[string]string{"podman": dir + "/registries.conf", "containerd": dir}
		at := "@HOST@/" + strings.Replace(registry, ":", "_", 1)
		for file, text := range map[string]string{
			"registries.conf":        fmt.Sprintf("[[registry]]\nprefix = %q\nlocation = %q\ninsecure = @INSECURE@\n", registry, at),
			registry + "/hosts.toml": fmt.Sprintf("server = %[1]q\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", strings.Replace(at, "@HOST@", "@BASE@/v2", 1)),
		} {
			var out strings.Builder
			if err := errors.Join(site.Substitute(&out, strings.NewReader(text), s.URL), os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755),
				os.WriteFile(filepath.Join(dir, file), []byte(out.String()), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range clients {
			p := Pull{Name: i.Name, Reference: "1", Config: configs[c.Name], Platform: "linux/amd64"}
			if got, err := c.Pull(t.Context(), p); err != nil || !slices.Contains(got, i.Digest.String()) {
				t.Errorf("%s: holds %v, %v, want %s", c.Name, got, err, i.Digest)
			}
			p.Name = strings.Replace(i.Name, "inside", "outside", 1)
			if got, err := c.Pull(t.Context(), p); err == nil {
				t.Errorf("%s: got what only the outside has: %v", c.Name, got)
			}
		}
	})
}
