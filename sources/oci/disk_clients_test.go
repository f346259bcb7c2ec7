//go:build clients

package oci

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestFromDiskToClients: what skopeo wrote as a layout and as an archive, what podman and
// docker saved, several images in one file, packed or not, is pulled from the mirror by every
// client; a layout's digests are those that the registry had.
func TestFromDiskToClients(t *testing.T) {
	r := newTrip(t)
	images := r.fill()
	from := "docker://" + r.registry
	skopeo := func(args ...string) {
		r.run("skopeo", append([]string{"--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"}, args...)...)
	}
	skopeo("--all", from+"/team/app:1.0", "oci:layout:1.0")
	skopeo("--all", from+"/team/app:1.0", "oci-archive:layout.tar:saved.example/whole/app:1.0")
	skopeo("--override-arch", "amd64", from+"/team/sub/docker:1.0", "docker-archive:skopeo.tar:saved.example/by/skopeo:1.0")
	imagetest.DockerSave(t, filepath.Join(r.Dir, "docker.tar"), map[string]string{
		r.registry + "/team/sub/docker:1.0": "saved.example/by/docker:1.0", r.registry + "/team/schema2:1.0": "saved.example/by/docker:2.0",
	})
	r.run("gzip", "-k", "skopeo.tar")
	r.carry(`- name: disk
  kind: oci
  layout: {dir: layout, as: saved.example/layout/app}
  archive: [layout.tar, skopeo.tar.gz, docker.tar]
`)
	clients := imagetest.Clients(t)
	s := webtest.Start(t, webtest.Serve, r.Mirror)
	server := strings.TrimPrefix(s.URL, "http://")
	for _, name := range []string{"layout/app:1.0", "whole/app:1.0", "by/skopeo:1.0", "by/docker:1.0", "by/docker:2.0"} {
		image, tag, _ := strings.Cut("saved.example/"+name, ":")
		digest := strings.TrimSpace(r.run("crane", "digest", "--insecure", server+"/"+image+":"+tag))
		index := strings.HasSuffix(image, "/app")
		if index && digest != images[0].Digest.String() {
			t.Errorf("%s: %s, the registry had %s", image, digest, images[0].Digest)
		}
		r.run("crane", "export", "--insecure", "--platform", "linux/amd64", server+"/"+image+":"+tag, "flat.tar") // unpacks each layer
		for _, c := range clients {
			p, want := imagetest.Pull{Server: server, Name: image, Reference: tag}, digest
			if index && c.OnePlatform {
				p.Platform, want = "linux/arm64", images[0].ByPlatform["linux/arm64"].Digest.String()
			}
			pulls(t, c, p, want)
		}
	}
}
