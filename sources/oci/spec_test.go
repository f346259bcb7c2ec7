package oci

import (
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

func TestSpecRefuses(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.write("images.list", []byte("# images\nnginx:1.27\n\nhttps://a.example/a/b\n"))
	const base = "  images: nginx\n"
	for name, test := range map[string]struct{ spec, want string }{
		"nothing":        {"  platforms: linux/amd64\n", "want images, list, repositories, layout or archive"},
		"a URL":          {"  images: https://nvcr.io/nvidia/cuda\n", "without https://"},
		"sha512":         {"  images: nginx@sha512:" + strings.Repeat("ab", 64) + "\n", "want a sha256 digest"},
		"a pin of zeros": {"  images: nginx@sha256:" + strings.Repeat("00", 32) + "\n", "the digest 0"},
		"upper case":     {"  images: a.example/A/b\n", "a.example/A/b"},
		"a signature":    {"  images: a.example/a/b:sha256-" + strings.Repeat("ab", 32) + ".sig\n", "belongs to another image"},
		"own paths":      {"  images: a.example/a/manifests/b\n", "cannot be distinguished from"},
		"list, line 4":   {"  list: images.list\n", "images.list:4:1"},
		"no list":        {"  list: none.list\n", "none.list"},
		"platform":       {base + "  platforms: amd64\n", "want a platform like linux/amd64"},
		"signatures":     {base + "  signatures: maybe\n", "want carry, verify or none"},
		"no keys":        {base + "  signatures: verify\n", "verify needs keys"},
		"keys alone":     {base + "  keys: a.pub\n", "nothing is verified"},
		"foreign":        {base + "  foreign-layers: yes\n", "want refuse or fetch"},
		"mirror":         {base + "  mirrors: {docker.io: [\"https://a.example/?x\"]}\n", "no query and no fragment"},
		"mirror's host":  {base + "  mirrors: {docker: [\"https://a.example\"]}\n", "want a registry's host"},
		"plain":          {base + "  plain-http: \"http://x\"\n", "want a registry's host"},
		"no rule":        {"  repositories:\n    - repository: a.example/a/b\n", "want tags or newest"},
		"range":          {"  repositories:\n    - {repository: a.example/a/b, tags: \">=1.2.3.4!\"}\n", "version range"},
		"pattern":        {"  repositories:\n    - {repository: a.example/a/b, tags: \"/(/\"}\n", "pattern"},
		"tag of a repo":  {"  repositories:\n    - {repository: \"a.example/a/b:1\", newest: 1}\n", "without tag and digest"},
		"newest":         {"  repositories:\n    - {repository: a.example/a/b, newest: -1}\n", "newest"},
		"two ways":       {"  images: r.lan:5000/a\n  plain-http: r.lan:5000\n- name: other\n  kind: oci\n  images: r.lan:5000/b\n", "set plain-http in both"},
		"two mirrors":    {"  images: nginx\n  mirrors: {docker.io: [\"https://a.example\"]}\n- name: other\n  kind: oci\n  images: nginx\n  mirrors: {docker.io: [\"https://b.example\"]}\n", "has others"},
		"an IPv6 number": {"  images: \"[::1]:5000/a\"\n", "give the registry a name"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refused("- name: images\n  kind: oci\n"+test.spec, bundle.ErrUsage, test.want)
		})
	}
	if n := w.AllRequests(); n != 0 {
		t.Errorf("%d requests before that was said", n)
	}
}

func TestReferences(t *testing.T) {
	for text, want := range map[string]string{
		"nginx":                         "docker.io/library/nginx:latest",
		"grafana/grafana:11":            "docker.io/grafana/grafana:11",
		"index.docker.io/library/nginx": "docker.io/library/nginx:latest",
		"nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04":    "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04",
		"Registry.LAN:5000/a/b":                          "registry.lan:5000/a/b:latest",
		"a.example/b@sha256:" + strings.Repeat("ab", 32): "a.example/b@sha256:" + strings.Repeat("ab", 32),
	} {
		r, err := parseRef(text)
		if err != nil || r.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, r, err, want)
		}
	}
}

// What clients are told, for each of them, of each registry.
func TestClients(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.tagged("app", w.image("app", "amd64", "a"), "v1")
	tr := w.must(nil, w.spec("images", "images: HOST/app:v1"))
	files, err := clients(t.Context(), tr.repos, tr)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Path] = string(f.Content)
	}
	for path, want := range map[string][]string{
		"containerd/" + w.Host() + "/hosts.toml": {`server = "` + sources.BaseMark + `/v2/` + w.folder() + `"`, "override_path = true"},
		"podman/registries.conf":                 {`prefix = "` + w.Host() + `"`, `location = "` + sources.HostMark + `/` + w.folder() + `"`, "insecure = " + sources.InsecureMark},
		"crio/registries.conf":                   {`prefix = "` + w.Host() + `"`},
		"k3s/registries.yaml":                    {`"` + w.Host() + `":`, `- "` + sources.BaseMark + `"`, `"^(.*)$": "` + w.folder() + `/$1"`, "--disable-default-registry-endpoint"},
		"docker/daemon.json":                     {`"registry-mirrors"`, sources.BaseMark},
		"docker/README.txt":                      {"docker.io alone", sources.HostMark + "/" + w.folder() + "/<name>:<tag>"},
	} {
		for _, part := range want {
			if !strings.Contains(got[path], part) {
				t.Errorf("%s: no %s in\n%s", path, part, got[path])
			}
		}
	}
}

// Any one file gone turns the check red, and is named; so does one that is
// another, or a manifest with another media type.
func TestCheckNoticesEveryFile(t *testing.T) {
	w := newWorld(t, t.TempDir())
	app := w.image("app", "amd64", "a")
	index := w.index("app", []v1.Descriptor{app, w.image("app", "arm64", "b")}, "v1")
	w.refer("app", app, "application/x-sbom", noise("sbom", 100))
	tr := w.must(nil, w.spec("images", "images: HOST/app:v1"))
	for p, f := range tr.files["images"] {
		content := tr.content[p]
		_, area, reference, _ := splitPath(p)
		if area == areaReferrers || area == areaManifests && !strings.Contains(reference, ":") {
			continue // a tag that is gone, or a list of referrers, nobody knows to miss
		}
		delete(tr.files["images"], p)
		if _, err := check(t.Context(), tr); p != w.folder()+"/app/manifests/"+index.Digest.String() && err == nil {
			t.Errorf("%s gone: not noticed", p)
		} else if err != nil && !strings.Contains(err.Error(), p) {
			t.Errorf("%s gone: %v", p, err)
		}
		other := f
		other.Digest[0] ^= 1
		tr.files["images"][p] = other
		if _, err := check(t.Context(), tr); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%s is another: %v", p, err)
		}
		tr.files["images"][p], tr.content[p] = f, content
	}
	p := w.folder() + "/app/manifests/" + app.Digest.String()
	f := tr.files["images"][p]
	f.MediaType = "application/vnd.docker.distribution.manifest.v2+json"
	tr.files["images"][p] = f
	if _, err := check(t.Context(), tr); err == nil || !strings.Contains(err.Error(), p) {
		t.Errorf("another media type: %v", err)
	}
	f.MediaType = v1.MediaTypeImageManifest
	f.Size++
	tr.files["images"][p] = f
	if _, err := check(t.Context(), tr); err == nil || !strings.Contains(err.Error(), p) {
		t.Errorf("another size: %v", err)
	}
	f.Size--
	tr.files["images"][p] = f
	tr.content[p] = append(tr.content[p], ' ')
	if _, err := check(t.Context(), tr); err == nil || !strings.Contains(err.Error(), p) || !strings.Contains(err.Error(), "got sha256:") {
		t.Errorf("other bytes: %v", err)
	}
}

func TestPlatformNames(t *testing.T) {
	for text, takes := range map[string]map[string]bool{
		"linux/amd64":    {"linux/amd64": true, "linux/arm64": false, "windows/amd64": false},
		"linux/aarch64":  {"linux/arm64": true, "linux/arm64/v8": true},
		"linux/arm64/v8": {"linux/arm64": true, "linux/arm64/v9": false},
		"linux/arm/v7":   {"linux/arm/v7": true, "linux/arm/v6": false, "linux/arm": false},
		"linux/arm":      {"linux/arm/v7": true, "linux/arm/v6": true},
	} {
		var p platform
		if err := p.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		for name, want := range takes {
			parts := append(strings.Split(name, "/"), "")
			if got := p.takes(v1.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}); got != want {
				t.Errorf("%s takes %s: %v", text, name, got)
			}
		}
	}
}

// What is spoken to without TLS is recorded: with the repository, and with each tag.
func TestPlainIsRecorded(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.tagged("app", w.image("app", "amd64", "a"), "v1")
	tr := w.must(nil, w.spec("images", "images: HOST/app:v1"))
	if got := tr.repos[0].Annotations[plainKey]; got != w.Host() {
		t.Errorf("recorded %q", got)
	}
	e := &entry{options: options{Mirrors: map[string][]string{"a.example": {"http://cache.lan"}}}}
	for host, want := range map[string]bool{"a.example": true, "b.example": false} {
		if q := (&request{image: image{host: host, name: "x"}, owner: e}); q.unprotected() != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}
