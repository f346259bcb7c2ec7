//go:build clients

package all

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// internet is a part of the Internet by its own names: what a DeepOps site fetches, in small.
// It has two months; in the second everything has a new version.
type internet struct {
	*sourcetest.World
	hosts  map[string]http.Handler
	signer *openpgp.Entity

	registries map[string]*registrytest.Registry
	images     []imagetest.Image // as they are in the last month
	git        *gittest.Host
	deepops    *gittest.Repo
	commit     string // of deepops in the last month
	wheel      string // digest of the last month's
	galaxy     *galaxytest.Server
}

// Addresses that clients ask for, as documentation and DeepOps have them.
const (
	ubuntuURL  = "http://archive.ubuntu.com/ubuntu"
	ubuntuKey  = "http://archive.ubuntu.com/ubuntu/project/ubuntu-archive-keyring.gpg"
	dockerURL  = "https://download.docker.com/linux/ubuntu"
	toolkitURL = "https://nvidia.github.io/libnvidia-container/stable/deb/amd64"
	toolkitKey = "https://nvidia.github.io/libnvidia-container/gpgkey"
	cudaURL    = "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64"
	cudaKey    = cudaURL + "/3bf863cc.pub"
	epelURL    = "https://dl.fedoraproject.org/pub/epel/9/Everything/x86_64"
	epelKey    = "https://dl.fedoraproject.org/pub/epel/RPM-GPG-KEY-EPEL-9"
	kubeletURL = "https://dl.k8s.io/release/v1.35.4/bin/linux/amd64/kubelet"
	slurmURL   = "https://download.schedmd.com/slurm/slurm-26.05.%d.tar.bz2" // of a month
	notesURL   = "https://github.com/NVIDIA/deepops/releases/download/26.07/notes.txt"
	chartsURL  = "https://helm.ngc.nvidia.com/nvidia"
	wheelURL   = "https://files.python.example/packages/ab/cd/demo_tool-1.%d-py3-none-any.whl" // of a month
	indexURL   = "https://packages.example.org/simple"
	streamsURL = "https://images.maas.io/ephemeral-v3/stable/streams/v1/index.json"
	galaxyURL  = "https://galaxy.ansible.com"
	deepopsURL = "https://github.com/NVIDIA/deepops.git"
	subURL     = "https://github.com/kubernetes-sigs/kubespray.git"
)

// last is the month whose bundle is imported last.
const last = 2

// newInternet makes an empty one.
func newInternet(t testing.TB) *internet {
	return &internet{
		World: sourcetest.NewWorld(t, Kinds()...), hosts: map[string]http.Handler{}, signer: plantest.NewSigner(t, "upstream", 0),
		registries: map[string]*registrytest.Registry{},
	}
}

// plant fills the hosts with what they have in a month.
func (w *internet) plant(month int) {
	w.plantDebs(month)
	w.plantRPMs(month)
	w.plantFiles(month)
	w.plantImages(month)
	w.plantCharts(month)
	w.plantWheels(month)
	w.plantStreams(month)
	w.plantGit(month)
	w.plantGalaxy(month)
}

func (w *internet) read(name string) []byte {
	w.Helper()
	b, err := os.ReadFile(name)
	w.Check(err)
	return b
}

// static returns the folder that has the files of an address, and of everything else of its host.
func (w *internet) static(url string) string {
	_, place, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(place, "/")
	if w.hosts[host] == nil {
		w.hosts[host] = http.FileServer(http.Dir(filepath.Join(w.WWW, host)))
	}
	dir := filepath.Join(w.WWW, filepath.FromSlash(place))
	w.Check(os.MkdirAll(filepath.Dir(dir), 0o755))
	return dir
}

func (w *internet) plantFiles(month int) {
	for _, url := range []string{fmt.Sprintf(slurmURL, month), kubeletURL} {
		w.Write(w.static(url), []byte("content of "+url))
	}
	w.Write(filepath.Join(w.Dir, "files.list"), []byte(kubeletURL+"\n"))
	w.Write(filepath.Join(w.Dir, "images.list"), []byte("registry.k8s.io/"+strings.Join(kubernetes(), "\nregistry.k8s.io/")+"\n"))
	checkout := filepath.Join(w.Dir, "kubespray")
	w.Write(filepath.Join(checkout, "galaxy.yml"), []byte("namespace: kubernetes_sigs\nname: kubespray\nversion: 2.31.0\n"))
	w.Write(filepath.Join(checkout, "roles/kubespray_defaults/vars/main/checksums.yml"), fmt.Appendf(nil, "---\nkubelet_checksums:\n  amd64:\n    1.35.4: sha256:%s\n", digest("content of "+kubeletURL)))
}

// plantImages has one tag lead elsewhere in the second month, and one image come then.
func (w *internet) plantImages(month int) {
	made := imagetest.NewWorld(w)
	const moves = "docker.io/prom/prometheus"
	w.images = []imagetest.Image{
		made.Index("nvcr.io/nvidia/cuda", "12.4.1-base-ubuntu22.04"), made.Index("nvcr.io/nvidia/gpu-operator", "v26.3.3"), made.Index("registry.k8s.io/pause", "3.10.1"),
	}
	if month == 1 {
		w.images = append(w.images, made.Zstd(moves, "v3.13.0"))
	} else {
		w.images = append(w.images, made.Index(moves, "v3.13.0"), made.Index("docker.io/grafana/grafana", "13.1.0"))
	}
	for _, image := range kubernetes()[1:] {
		name, tag, _ := strings.Cut(image, ":")
		made.Index("registry.k8s.io/"+name, tag)
	}
	for path, file := range made.Files {
		name, rest, _ := strings.Cut(strings.TrimPrefix(path, "v2/"), "/")
		host := strings.Replace(name, "docker.io", "registry-1.docker.io", 1)
		r := w.registries[host]
		if r == nil {
			r = registrytest.New(w, registrytest.Options{})
			w.registries[host], w.hosts[host] = r, r
		}
		r.PutPath(rest, file.MediaType, []byte(file.Content))
	}
}

// kubernetes returns the images that Kubespray's list has; clients pull the first.
func kubernetes() []string {
	return []string{"pause:3.10.1", "kube-apiserver:v1.35.4", "kube-controller-manager:v1.35.4", "kube-scheduler:v1.35.4", "kube-proxy:v1.35.4", "etcd:3.6.10", "coredns/coredns:v1.12.4"}
}

// plantGit has DeepOps with a submodule, by the smart protocol, and a file of a release.
func (w *internet) plantGit(month int) {
	if month == 1 {
		w.git, w.deepops = gittest.NewHost(w, true), gittest.New(w)
		kubespray := gittest.New(w)
		commit := kubespray.Commit("first", map[string]string{"cluster.yml": "- hosts: all\n"})
		w.git.Publish("kubernetes-sigs/kubespray", kubespray)
		w.deepops.Submodule("submodules/kubespray", subURL, commit)
		backend := gittest.Backend(w, w.git.Dir)
		w.hosts["github.com"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/releases/") {
				http.FileServer(http.Dir(filepath.Join(w.WWW, "github.com"))).ServeHTTP(rw, r)
				return
			}
			backend.ServeHTTP(rw, r)
		})
	}
	w.Write(w.static(notesURL), []byte("content of "+notesURL))
	w.commit = w.deepops.Commit(fmt.Sprint("month ", month), map[string]string{"scripts/setup.sh": fmt.Sprintf("#!/bin/sh\necho %d\n", month)})
	w.git.Publish("NVIDIA/deepops", w.deepops)
}

func (w *internet) plantGalaxy(month int) {
	if month == 1 {
		w.galaxy = galaxytest.New(w)
		w.galaxy.AddRoles(&galaxytest.Role{Owner: "geerlingguy", Name: "ntp", Tag: "4.0.0"}, &galaxytest.Role{Owner: "geerlingguy", Name: "other", Tag: "1.0.0"})
		w.hosts["galaxy.ansible.com"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			resp, err := http.Get(w.galaxy.URL(r.URL.RequestURI()))
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
			_, _ = rw.Write(bytes.ReplaceAll(body, []byte(w.galaxy.URL("/")), []byte(galaxyURL+"/"))) // a client that went away
		})
	}
	w.galaxy.Add(&galaxytest.Collection{Namespace: "community", Name: "general", Version: fmt.Sprintf("12.%d.0", month), RequiresAnsible: ">=2.14.0"})
}

// spec has a source of every kind, in the shape of examples/deepops-slurm and -k8s.
func (w *internet) spec(month int, up *upstreamtest.Public) []byte {
	print := strings.ToUpper(hex.EncodeToString(w.signer.PrimaryKey.Fingerprint))
	var images []string
	for _, i := range w.images {
		if i.Alias != "pause" { // Kubespray's list has it
			images = append(images, i.Name+":"+i.Tag)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "version: 1\nname: site\nsigning: {exporter: exporter.key, site: site.key}\nhosts:\n")
	for host := range w.hosts {
		fmt.Fprintf(&b, "  %s: {proxy: %q, ca: %q}\n", host, up.Proxy, up.CA)
	}
	fmt.Fprintf(&b, `defaults:
  apt: {architectures: [amd64]}
sources:
- {name: ubuntu, kind: apt, url: %q, suites: noble, components: main, bootstrap: minbase, packages: [git], newest: 1, keyring: {url: %q, fingerprint: %s}}
- {name: docker, kind: apt, url: %q, suites: noble, components: stable, keyring: {url: %q, fingerprint: %s}}
- {name: container-toolkit, kind: apt, url: "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)", suites: /, release: noble, packages: [nvidia-container-toolkit], newest: 1, keyring: {url: %q, fingerprint: %s}}
- {name: cuda, kind: apt, url: %q, as: cuda-ubuntu2404-x86_64.list, suites: /, release: noble, packages: [cuda-keyring, cuda-toolkit], newest: 1, keyring: {url: %q, fingerprint: %s}}
`, ubuntuURL, ubuntuKey, print, dockerURL, dockerURL+"/gpg", print, toolkitKey, print, cudaURL, cudaKey, print)
	fmt.Fprintf(&b, `- {name: epel, kind: rpm, baseurl: %q, as: epel.repo, gpgkey: {url: %q, fingerprint: %s}, allow-unsigned: true}
- {name: slurm, kind: files, urls: [%q, %q]}
- {name: kubespray, kind: kubespray, checkout: kubespray, files: files.list, images: images.list, platforms: [linux/amd64, linux/arm64]}
- {name: charts, kind: helm, charts: [{repo: %q, chart: gpu-operator, version: v26.3.%d, kube-version: "1.35"}], images: {platforms: [linux/amd64, linux/arm64]}}
- {name: images, kind: oci, images: ["%s"], platforms: [linux/amd64, linux/arm64]}
- {name: setup, kind: pypi, index: %q, requirements: requirements.txt, targets: [{python: "3.11", platform: manylinux_2_28_x86_64}]}
- {name: boot, kind: simplestreams, url: %q, unsigned: true}
- {name: deepops, kind: git, url: %q}
- {name: galaxy, kind: galaxy, collections: ["community.general"], roles: ["geerlingguy.ntp,4.0.0", "geerlingguy.other,1.0.0"]}
`, epelURL, epelKey, print, fmt.Sprintf(slurmURL, month), notesURL, chartsURL, month+1, strings.Join(images, `", "`), indexURL, streamsURL, deepopsURL)
	return b.Bytes()
}

// signedAt returns the time of the upstreams' own signatures.
func signedAt() time.Time { return time.Now().Add(-time.Minute) }
