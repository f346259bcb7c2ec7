//go:build clients

package all

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
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// internet is a part of the Internet by its own names, and what was carried from there.
type internet struct {
	*sourcetest.World
	hosts  map[string]http.Handler
	signer *openpgp.Entity
	images []imagetest.Image
	wheel  *piptest.File
	commit string
	ca     string // PEM file with the CA of the public names and that of the mirror's own
}

// TestPublicNames: every kind's real client asks by public names, over https, a network that
// has nothing but the mirror, on all servers. It is one test, because a site has one mirror.
func TestPublicNames(t *testing.T) {
	if !webtest.Alone(t) {
		return
	}
	w := &internet{World: sourcetest.NewWorld(t, Kinds()...), hosts: map[string]http.Handler{}}
	w.plant()
	w.Publish("site", w.spec())
	w.Behind("https://" + webtest.OwnName)
	certs := t.TempDir()
	names := webtest.IssueNames(t, w.Mirror, certs)
	ownCA, cert, key := upstreamtest.ServerCert(t)
	both := append(w.read(filepath.Join(certs, "ca.pem")), w.read(ownCA)...)
	w.ca = filepath.Join(certs, "both.pem")
	w.Write(w.ca, both)
	var all []string
	for host := range w.hosts {
		all = append(all, host)
	}
	webtest.Resolve(t, append(all, "index.docker.io"))
	for _, server := range webtest.Names() {
		t.Run(server, func(t *testing.T) {
			s := webtest.StartNamesTLS(t, server, w.Mirror, names, webtest.Pair{Cert: cert, Key: key})
			for _, c := range []struct {
				kind string
				ask  func(t *testing.T)
			}{
				{"files", w.askFiles}, {"apt", w.askAPT}, {"rpm", w.askRPM}, {"oci", w.askImages}, {"helm", w.askHelm}, {"pypi", w.askPip},
				{"simplestreams", w.askStreams}, {"git", w.askGit}, {"galaxy", w.askGalaxy},
			} {
				t.Run(c.kind, c.ask)
			}
			if t.Failed() {
				t.Log(s.Log())
			}
		})
	}
}

func (w *internet) read(name string) []byte {
	w.Helper()
	b, err := os.ReadFile(name)
	w.Check(err)
	return b
}

// static is a host of files: what WWW has in the folder of its name.
func (w *internet) static(host string) string {
	dir := filepath.Join(w.WWW, host)
	w.hosts[host] = http.FileServer(http.Dir(dir))
	return dir
}

const (
	kubectl   = "https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubectl"
	debHost   = "nvidia.github.io"
	debPath   = "/libnvidia-container/stable/deb/amd64"
	debKey    = "https://nvidia.github.io/libnvidia-container/gpgkey"
	rpmHost   = "rpm.grafana.com"
	chartHost = "helm.ngc.nvidia.com"
	imageHost = "images.maas.io"
	repoURL   = "https://github.com/NVIDIA/deepops.git"
	subURL    = "https://github.com/kubernetes-sigs/kubespray.git"
	release   = "https://github.com/NVIDIA/deepops/releases/download/1/notes.txt"
)

// plant fills the hosts.
func (w *internet) plant() {
	w.signer = plantest.NewSigner(w, "upstream", 0)
	w.static("dl.k8s.io")
	w.Put(strings.TrimPrefix(kubectl, "https://"), []byte("kubectl"))
	w.plantDebs()
	w.plantRPMs()
	w.plantImages()
	w.plantCharts()
	w.plantWheels()
	w.plantStreams()
	w.plantGit()
	w.plantGalaxy()
}

func (w *internet) plantDebs() {
	dir := w.static(debHost)
	work := w.TempDir()
	w.Write(filepath.Join(work, "tool/DEBIAN/control"), []byte("Package: nvidia-tool\nVersion: 1:1.0~rc1+b1\nArchitecture: amd64\nMaintainer: Nobody <nobody@a.example>\nDescription: a tool\n"))
	w.Write(filepath.Join(work, "tool/usr/share/tool/content"), []byte("tool"))
	root := filepath.Join(dir, debPath)
	w.Check(os.MkdirAll(root, 0o755))
	w.Run(work, nil, "dpkg-deb", "--root-owner-group", "--build", "tool", filepath.Join(root, "nvidia-tool_1%3a1.0~rc1+b1_amd64.deb"))
	packages := w.Run(root, nil, "apt-ftparchive", "packages", ".")
	w.Write(filepath.Join(root, "Packages"), packages)
	text := w.Run(root, nil, "apt-ftparchive", "release", ".")
	var b bytes.Buffer
	enc, err := clearsign.Encode(&b, w.signer.PrivateKey, &packet.Config{Time: func() time.Time { return time.Now().Add(-time.Minute) }})
	w.Check(err)
	_, err = enc.Write(text)
	w.Check(err)
	w.Check(enc.Close())
	w.Write(filepath.Join(root, "InRelease"), append(b.Bytes(), '\n'))
	w.Write(filepath.Join(dir, "libnvidia-container/gpgkey"), plantest.Armor(w, w.signer))
}

func (w *internet) plantRPMs() {
	dir := w.static(rpmHost)
	work := w.TempDir()
	w.Write(filepath.Join(work, "tool.spec"), []byte("Name: rpm-tool\nVersion: 1\nRelease: 1\nLicense: MIT\nSummary: a tool\nBuildArch: noarch\nAutoReqProv: no\n%description\nA tool.\n%install\nmkdir -p %{buildroot}/usr/share/rpm-tool\necho x >%{buildroot}/usr/share/rpm-tool/content\n%files\n/usr/share/rpm-tool\n"))
	w.Run(work, nil, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+work+"/top", "--define", "_rpmdir "+dir, "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "tool.spec")
	w.Run(dir, nil, "createrepo_c", "--quiet", ".")
	w.Write(filepath.Join(dir, "repodata/repomd.xml.asc"), plantest.Detach(w, w.read(filepath.Join(dir, "repodata/repomd.xml")), w.signer))
	w.Write(filepath.Join(dir, "gpg.key"), plantest.Armor(w, w.signer))
}

func (w *internet) plantImages() {
	made := imagetest.NewWorld(w)
	w.images = []imagetest.Image{made.Index("docker.io/library/alpine", "3"), made.Index("nvcr.io/nvidia/cuda", "13")}
	addresses := map[string]string{"docker.io": "registry-1.docker.io", "nvcr.io": "nvcr.io"}
	played := map[string]*registrytest.Registry{}
	for path, file := range made.Files {
		registry, rest, _ := strings.Cut(strings.TrimPrefix(path, "v2/"), "/")
		r := played[registry]
		if r == nil {
			r = registrytest.New(w, registrytest.Options{})
			played[registry] = r
			w.hosts[addresses[registry]] = r
		}
		if name, _, isBlob := strings.Cut(rest, "/blobs/"); isBlob {
			r.PutBlob(name, []byte(file.Content))
			continue
		}
		name, reference, _ := strings.Cut(rest, "/manifests/")
		var tags []string
		if !strings.HasPrefix(reference, "sha256:") {
			tags = []string{reference}
		}
		r.PutManifest(name, file.MediaType, []byte(file.Content), tags...)
	}
}

func (w *internet) plantCharts() {
	dir := w.static(chartHost)
	chart := helmtest.Simple(w, "operator", "1.0.0", "nvcr.io/nvidia/cuda:13")
	sum := sha256.Sum256(chart)
	w.Write(filepath.Join(dir, "nvidia/charts/operator-1.0.0.tgz"), chart)
	w.Write(filepath.Join(dir, "nvidia/index.yaml"), fmt.Appendf(nil, "apiVersion: v1\nentries:\n  operator:\n  - {name: operator, version: 1.0.0, apiVersion: v2, urls: [charts/operator-1.0.0.tgz], digest: %s}\n", hex.EncodeToString(sum[:])))
}

func (w *internet) plantWheels() {
	w.wheel = piptest.Wheel{Name: "demo-tool", Version: "1.0"}.Build(w)
	w.static("files.python.example")
	w.Put("files.python.example/packages/ab/cd/"+w.wheel.Name, w.wheel.Content)
	dir := w.static("index.python.example")
	w.Write(filepath.Join(dir, "simple/demo-tool/index.html"), fmt.Appendf(nil, "<!DOCTYPE html><html><body><a href=\"https://files.python.example/packages/ab/cd/%[1]s#sha256=%[2]s\">%[1]s</a></body></html>\n", w.wheel.Name, w.wheel.Digest()))
}

func (w *internet) plantStreams() {
	dir := w.static(imageHost)
	content := []byte("a kernel")
	sum := sha256.Sum256(content)
	write := func(name string, value any) {
		text, err := json.Marshal(value)
		w.Check(err)
		w.Write(filepath.Join(dir, "ephemeral-v3/stable", name), text)
	}
	type object = map[string]any
	const updated = "Thu, 01 Oct 2026 10:00:00 +0000"
	w.Write(filepath.Join(dir, "ephemeral-v3/stable/noble/boot-kernel"), content)
	write("streams/v1/index.json", object{"format": "index:1.0", "updated": updated, "index": object{"com.ubuntu.maas:stable": object{
		"datatype": "image-downloads", "format": "products:1.0", "path": "streams/v1/products.json", "products": []string{"noble"}, "updated": updated,
	}}})
	write("streams/v1/products.json", object{"content_id": "com.ubuntu.maas:stable", "datatype": "image-downloads", "format": "products:1.0", "updated": updated, "products": object{"noble": object{
		"arch": "amd64", "os": "ubuntu", "release": "noble", "version": "24.04",
		"versions": object{"20261001": object{"items": object{"boot-kernel": object{"ftype": "boot-kernel", "path": "noble/boot-kernel", "size": len(content), "sha256": hex.EncodeToString(sum[:])}}}},
	}}})
}

func (w *internet) plantGit() {
	dir := w.TempDir()
	host := gittest.NewHost(w, true)
	sub := gittest.New(w)
	commit := sub.Commit("first", map[string]string{"cluster.yml": "- hosts: all\n"})
	host.Publish("kubernetes-sigs/kubespray", sub)
	deepops := gittest.New(w)
	deepops.Submodule("submodules/kubespray", subURL, commit)
	w.commit = deepops.Commit("first", map[string]string{"setup.sh": "#!/bin/sh\n"})
	host.Publish("NVIDIA/deepops", deepops)
	backend := gittest.Backend(w, host.Dir)
	w.Write(filepath.Join(dir, strings.TrimPrefix(release, "https://github.com/")), []byte("notes"))
	assets := http.FileServer(http.Dir(dir))
	w.hosts["github.com"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/releases/") {
			assets.ServeHTTP(rw, r)
			return
		}
		backend.ServeHTTP(rw, r)
	})
}

func (w *internet) plantGalaxy() {
	server := galaxytest.New(w)
	server.Add(&galaxytest.Collection{Namespace: "acme", Name: "tools", Version: "1.0.0"})
	const public = "https://galaxy.ansible.com/"
	w.hosts["galaxy.ansible.com"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		resp, err := http.Get(server.URL(r.URL.RequestURI()))
		if err != nil {
			w.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			w.Error(err)
		}
		rw.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		rw.WriteHeader(resp.StatusCode)
		_, _ = rw.Write(bytes.ReplaceAll(body, []byte(server.URL("/")), []byte(public))) // a client that went away
	})
}

// spec carries something of every host.
func (w *internet) spec() string {
	up := upstreamtest.NewPublic(w, w.hosts)
	print := strings.ToUpper(hex.EncodeToString(w.signer.PrimaryKey.Fingerprint))
	var b strings.Builder
	fmt.Fprintf(&b, `- {name: tools, kind: files, urls: [%q, %q]}
- {name: ctk, kind: apt, url: %q, suites: /, architectures: [amd64], keyring: {url: %q, fingerprint: %s}}
- {name: grafana, kind: rpm, baseurl: "https://%s", gpgkey: {url: "https://%s/gpg.key", fingerprint: %s}, allow-unsigned: true}
- {name: images, kind: oci, images: ["docker.io/library/alpine:3", "nvcr.io/nvidia/cuda:13"], platforms: [linux/amd64, linux/arm64]}
- {name: charts, kind: helm, charts: [{repo: "https://%s/nvidia", chart: operator, version: 1.0.0}], images: {mode: none}}
- {name: python, kind: pypi, index: "https://index.python.example/simple", packages: [demo-tool], targets: [{python: "3.11", platform: manylinux_2_28_x86_64}]}
- {name: boot, kind: simplestreams, url: "https://%s/ephemeral-v3/stable/streams/v1/index.json", unsigned: true}
- {name: code, kind: git, repositories: [%q, %q]}
- {name: collections, kind: galaxy, collections: ["acme.tools"]}
hosts:
`, kubectl, release, "https://"+debHost+debPath, debKey, print, rpmHost, rpmHost, print, chartHost, imageHost, repoURL, subURL)
	for host := range w.hosts {
		fmt.Fprintf(&b, "  %s: {proxy: %q, ca: %q}\n", host, up.Proxy, up.CA)
	}
	return b.String()
}

// run runs a client with a home of its own and the CAs of the site.
func (w *internet) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = home
	cmd.Env = []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "NO_PROXY=*", "SSL_CERT_FILE=" + w.ca, "CURL_CA_BUNDLE=" + w.ca, "GIT_SSL_CAINFO=" + w.ca,
		"PIP_CERT=" + w.ca, "PIP_DISABLE_PIP_VERSION_CHECK=1", "REQUESTS_CA_BUNDLE=" + w.ca, "GIT_CONFIG_NOSYSTEM=1", "ANSIBLE_NOCOLOR=1",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *internet) askFiles(t *testing.T) {
	for url, want := range map[string]string{kubectl: "kubectl", release: "notes"} {
		if got := w.run(t, "curl", "-fsSL", url); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
	cmd := exec.CommandContext(t.Context(), "curl", "-fsS", "--cacert", w.ca, strings.Replace(kubectl, "amd64", "arm64", 1))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "404") {
		t.Errorf("what is not there: %v %s", err, out)
	}
}

func (w *internet) askAPT(t *testing.T) {
	root := t.TempDir()
	key := filepath.Join(root, "key.asc")
	w.run(t, "curl", "-fsSL", "-o", key, debKey)
	for _, dir := range []string{"lists/partial", "cache/archives/partial", "lists.d"} {
		w.Check(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	w.Write(filepath.Join(root, "status"), nil)
	w.Write(filepath.Join(root, "sources.list"), []byte("deb [signed-by="+key+"] https://"+debHost+debPath+" /\n"))
	options := []string{}
	for _, o := range []string{
		"Dir::State=" + root, "Dir::State::status=" + root + "/status", "Dir::State::lists=" + root + "/lists", "Dir::Cache=" + root + "/cache", "Dir::Etc::sourcelist=" + root + "/sources.list",
		"Dir::Etc::sourceparts=" + root + "/lists.d", "APT::Architecture=amd64", "Acquire::https::CAInfo=" + w.ca, "APT::Sandbox::User=root", "Acquire::Languages=none", "APT::Update::Error-Mode=any",
	} {
		options = append(options, "-o", o)
	}
	w.run(t, "apt-get", append(options, "update")...)
	w.run(t, "apt-get", append(options, "install", "--download-only", "--yes", "nvidia-tool")...)
	if found, _ := filepath.Glob(root + "/cache/archives/nvidia-tool_*.deb"); len(found) != 1 {
		t.Errorf("downloaded %q", found)
	}
}

func (w *internet) askRPM(t *testing.T) {
	root := t.TempDir()
	w.Write(filepath.Join(root, "repos/grafana.repo"), []byte("[grafana]\nname=grafana\nbaseurl=https://"+rpmHost+"\nrepo_gpgcheck=1\ngpgcheck=0\ngpgkey=https://"+rpmHost+"/gpg.key\nsslcacert="+w.ca+"\n"))
	for _, dir := range []string{"log", "cache", "persist", "vars", "var/lib/rpm"} {
		w.Check(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	conf := filepath.Join(root, "dnf.conf")
	w.Write(conf, []byte("[main]\nproxy=\nretries=1\n"))
	w.run(t, "dnf", "-c", conf, "--installroot", root, "--releasever", "9", "--forcearch", "x86_64", "-y", "--setopt=reposdir="+root+"/repos", "--setopt=cachedir="+root+"/cache",
		"--setopt=persistdir="+root+"/persist", "--setopt=logdir="+root+"/log", "--setopt=varsdir="+root+"/vars", "install", "--downloadonly", "--downloaddir", root+"/down", "rpm-tool")
	if _, err := os.Stat(root + "/down/rpm-tool-1-1.noarch.rpm"); err != nil {
		t.Error(err)
	}
}

func (w *internet) askImages(t *testing.T) {
	for _, image := range w.images {
		name := image.Name + ":" + image.Tag
		got := strings.TrimSpace(w.run(t, "skopeo", "--override-arch", "amd64", "inspect", "--format", "{{.Digest}}", "docker://"+name))
		if got != image.Digest.String() {
			t.Errorf("%s: digest %s, want %s", name, got, image.Digest)
		}
		w.run(t, "skopeo", "--insecure-policy", "--override-arch", "amd64", "copy", "--quiet", "docker://"+name, "dir:"+t.TempDir())
	}
}

func (w *internet) askHelm(t *testing.T) {
	dir := t.TempDir()
	w.run(t, "helm", "pull", "operator", "--repo", "https://"+chartHost+"/nvidia", "--version", "1.0.0", "--destination", dir)
	if _, err := os.Stat(dir + "/operator-1.0.0.tgz"); err != nil {
		t.Error(err)
	}
}

func (w *internet) askPip(t *testing.T) {
	dir := t.TempDir()
	w.run(t, piptest.DebianPython, "-m", "pip", "--isolated", "download", "--no-deps", "--dest", dir, "--cert", w.ca, "--index-url", "https://index.python.example/simple/", "demo-tool")
	if _, err := os.Stat(filepath.Join(dir, w.wheel.Name)); err != nil {
		t.Error(err)
	}
}

func (w *internet) askStreams(t *testing.T) {
	dir := t.TempDir()
	program := piptest.Program(t, "simplestreams", "sstream-mirror")
	w.run(t, program, "--no-verify", "--max", "1", "https://"+imageHost+"/ephemeral-v3/stable/streams/v1/index.json", dir)
	if got := string(w.read(filepath.Join(dir, "noble/boot-kernel"))); got != "a kernel" {
		t.Errorf("got %q", got)
	}
}

func (w *internet) askGit(t *testing.T) {
	for _, url := range []string{repoURL, strings.TrimSuffix(repoURL, ".git")} {
		dir := filepath.Join(t.TempDir(), "deepops")
		w.run(t, "git", "clone", "--quiet", "--recurse-submodules", url, dir)
		if got := strings.TrimSpace(w.run(t, "git", "-C", dir, "rev-parse", "HEAD")); got != w.commit {
			t.Errorf("%s: commit %s, want %s", url, got, w.commit)
		}
		if _, err := os.Stat(dir + "/submodules/kubespray/cluster.yml"); err != nil {
			t.Error(err)
		}
	}
}

func (w *internet) askGalaxy(t *testing.T) {
	dir := t.TempDir()
	w.run(t, "ansible-galaxy", "collection", "install", "-p", dir, "acme.tools")
	if _, err := os.Stat(dir + "/ansible_collections/acme/tools/MANIFEST.json"); err != nil {
		t.Error(err)
	}
}
