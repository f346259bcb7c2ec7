//go:build clients

package oci

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// trip is a real registry, an exporter and a mirror.
type trip struct {
	*sourcetest.World
	registry string
}

func newTrip(t *testing.T) *trip {
	t.Helper()
	return &trip{sourcetest.NewWorld(t, Kind()), imagetest.Registry(t)}
}

// run runs a program in the folder of the spec.
func (r *trip) run(name string, args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), name, args...)
	cmd.Dir, cmd.Env = r.Dir, append(os.Environ(), "HOME="+r.Dir, "COSIGN_PASSWORD=", "NO_PROXY=*")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fill brings images into the registry by crane, as they are.
func (r *trip) fill() []imagetest.Image {
	r.Helper()
	w := imagetest.NewWorld(r)
	images := []imagetest.Image{
		w.Index("up.example/team/app", "1.0"), w.Docker("up.example/team/sub/docker", "1.0"), w.Nested("up.example/team/nested", "1.0"),
		w.Zstd("up.example/team/zstd", "1.0"), w.Schema2("up.example/team/schema2", "1.0"),
	}
	f := webtest.NewFixture(r)
	f.Publish(w.Files)
	from := strings.TrimPrefix(webtest.Start(r, webtest.Serve, f.Dir).URL, "http://")
	for i := range images {
		one := &images[i]
		name := strings.TrimPrefix(one.Name, "up.example")
		r.run("crane", "copy", "--insecure", from+"/"+one.Name+":"+one.Tag, r.registry+name+":"+one.Tag)
		one.Name = hostFolder(r.registry) + name
	}
	return images
}

// export exports these sources, HOST standing for the registry.
func (r *trip) export(text string) (*export.Result, error) {
	r.Helper()
	return r.TryExport("site", strings.ReplaceAll(text, "HOST", r.registry), func(o *export.Options) { o.Home = r.Dir })
}

// carry exports, imports and checks.
func (r *trip) carry(text string) *export.Result {
	r.Helper()
	made, err := r.export(text)
	r.Check(err)
	r.Receive(made.Dirs)
	return made
}

// pulls says what a client holds after a pull.
func pulls(t *testing.T, c imagetest.Client, p imagetest.Pull, want ...string) {
	t.Helper()
	got, err := c.Pull(t.Context(), p)
	if err != nil {
		t.Errorf("%s %+v: %v", c.Name, p, err)
		return
	}
	for _, d := range want {
		if !slices.Contains(got, d) {
			t.Errorf("%s %+v: holds %v, want %s", c.Name, p, got, d)
		}
	}
}

// TestFromRegistryToClients: what a real registry has is pulled from the
// mirror by every client, from every server, with the digests that it has
// there; with the published client files by the name that it has there.
func TestFromRegistryToClients(t *testing.T) {
	r := newTrip(t)
	images := r.fill()
	spec := "- name: images\n  kind: oci\n  plain-http: HOST\n  list: images.list\n"
	var list strings.Builder
	for _, i := range images {
		fmt.Fprintf(&list, "%s/%s:%s\n", r.registry, i.Alias, i.Tag)
	}
	w := imagetest.NewWorld(t)
	chart := w.Chart(r.registry, "up.example/charts/demo")
	model := w.Artifact(r.registry, "up.example/artifacts/one", "1.0")
	fmt.Fprintf(&list, "%[1]s/charts/demo:%[2]s\n%[1]s/artifacts/one:1.0\n", r.registry, chart.Tag)
	r.Write(filepath.Join(r.Dir, "images.list"), []byte(list.String()))
	r.carry(spec)
	if again, err := r.export(spec); err != nil || !again.Nothing {
		t.Errorf("exported twice: %+v, %v", again, err)
	}
	clients, helm := imagetest.Clients(t), imagetest.Helm(t)
	r.Each(t, func(t *testing.T, s *webtest.Server) {
		here := imagetest.Pull{Server: strings.TrimPrefix(s.URL, "http://"), Name: hostFolder(r.registry) + "/charts/demo", Reference: chart.Tag}
		if packed, err := helm(t.Context(), here); err != nil || len(packed) == 0 {
			t.Errorf("helm: %d bytes, %v", len(packed), err)
		}
		at := here.Server + "/" + hostFolder(r.registry) + "/artifacts/one@" + model.Digest.String()
		if found := r.run("oras", "discover", "--plain-http", "--format", "json", at); !strings.Contains(found, "application/vnd.example.sbom") {
			t.Errorf("oras discovers\n%s", found)
		}
		config := r.published(t)
		for _, c := range clients {
			for _, i := range images {
				p := imagetest.Pull{Server: strings.TrimPrefix(s.URL, "http://"), Name: i.Name, Reference: i.Tag, Config: config[c.Name]}
				if strings.HasSuffix(i.Name, "/nested") && !c.NestedWhole {
					continue
				}
				want := i.Digest.String()
				if i.ByPlatform != nil && c.OnePlatform {
					p.Platform, want = "linux/arm64", i.ByPlatform["linux/arm64"].Digest.String()
				}
				pulls(t, c, p, want)
				p.Reference = i.Digest.String()
				pulls(t, c, p, want)
			}
		}
	})
}

// published returns the client files for containerd and podman.
func (r *trip) published(t *testing.T) map[string]string {
	t.Helper()
	// As a client would have them: copied, since the mirror changes.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(r.Mirror, "current", filepath.FromSlash(sources.ClientsDir(Name))))); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"containerd": filepath.Join(dir, "containerd"), "podman": filepath.Join(dir, "podman", "registries.conf")}
}

// TestOnePlatform: a mirror of one platform serves it by tag, by its digest
// and by the digest of the index that upstream has; a moved tag is a delta.
func TestOnePlatform(t *testing.T) {
	r := newTrip(t)
	app := r.fill()[0]
	spec := "- name: images\n  kind: oci\n  plain-http: HOST\n  images: HOST/team/app:1.0\n  platforms: linux/arm64\n"
	r.carry(spec)
	arm := app.ByPlatform["linux/arm64"].Digest.String()
	clients := imagetest.Clients(t)
	s := webtest.Start(t, webtest.Serve, r.Mirror)
	for _, c := range clients {
		for _, reference := range []string{"1.0", arm, app.Digest.String()} {
			pulls(t, c, imagetest.Pull{Server: strings.TrimPrefix(s.URL, "http://"), Name: app.Name, Reference: reference, Platform: "linux/arm64"}, arm)
		}
	}
	r.run("tar", "-cf", "layer.tar", "-C", "/etc", "hostname")
	r.run("crane", "append", "--insecure", "-b", r.registry+"/team/app@"+arm, "-f", "layer.tar", "-t", r.registry+"/team/app:1.0")
	moved := strings.TrimSpace(r.run("crane", "digest", "--insecure", r.registry+"/team/app:1.0"))
	if made := r.carry(spec); made.Full || made.Carried > 20_000 {
		t.Errorf("the delta carries %d bytes: %+v", made.Carried, made)
	}
	for _, c := range clients {
		pulls(t, c, imagetest.Pull{Server: strings.TrimPrefix(s.URL, "http://"), Name: app.Name, Reference: "1.0", Platform: "linux/arm64"}, moved)
	}
}

// TestCosign: what cosign signed is accepted with its key and with no other,
// in both of its forms, and is verified by cosign from the mirror.
func TestCosign(t *testing.T) {
	r := newTrip(t)
	r.fill()
	r.run("cosign", "generate-key-pair")
	r.run("cosign", "generate-key-pair", "--output-key-prefix", "other")
	for name, form := range map[string]string{"team/app": "false", "team/schema2": "true"} {
		at := r.registry + "/" + name
		digest := strings.TrimSpace(r.run("crane", "digest", "--insecure", at+":1.0"))
		r.run("cosign", "sign", "--yes", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry", "--new-bundle-format="+form, at+"@"+digest)
	}
	spec := "- name: images\n  kind: oci\n  plain-http: HOST\n  signatures: verify\n  keys: cosign.pub\n  images: [HOST/team/app:1.0, HOST/team/schema2:1.0]\n"
	if _, err := r.export(strings.Replace(spec, "cosign.pub", "other.pub", 1)); !hasAll(err, fetch.ErrRefused, "team/app:1.0", "team/schema2:1.0", "by another key") {
		t.Errorf("another key: %v", err)
	}
	if _, err := r.export(strings.Replace(spec, "HOST/team/app:1.0,", "HOST/team/zstd:1.0,", 1)); !hasAll(err, fetch.ErrRefused, "team/zstd:1.0", "no signature there") {
		t.Errorf("unsigned: %v", err)
	}
	r.carry(spec)
	s := webtest.Start(t, webtest.Serve, r.Mirror)
	for _, name := range []string{"team/app", "team/schema2"} {
		ref := strings.TrimPrefix(s.URL, "http://") + "/" + hostFolder(r.registry) + "/" + name + ":1.0"
		r.run("cosign", "verify", "--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-http-registry", ref)
	}
}

// hasAll reports whether err is of a class and names all of words.
func hasAll(err, class error, words ...string) bool {
	return errors.Is(err, class) &&
		!slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(err.Error(), w) })
}
