//go:build clients

package kubespray

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/oci"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// downloads are the files that the role in testdata/site downloads, by the name that it
// gives them: the URL at its public host, and the entry that pins it.
var downloads = map[string]struct{ url, table, entry string }{
	"kubelet": {"https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubelet", "kubelet_checksums", "1.34.1"},
	"kubectl": {"https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubectl", "kubectl_checksums", "1.34.1"},
	"kubeadm": {"https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubeadm", "kubeadm_checksums", "1.34.1"},
	"runc":    {"https://github.com/opencontainers/runc/releases/download/v1.3.2/runc.amd64", "runc_checksums", "1.3.2"},
	"crds":    {"https://github.com/projectcalico/calico/raw/v3.30.3/manifests/crds.yaml", "calico_crds_checksums", "3.30.3"},
	"helm":    {"https://get.helm.sh/helm-v3.18.4-linux-amd64.tar.gz", "helm_archive_checksums", "3.18.4"},
	"crio":    {"https://storage.googleapis.com/cri-o/artifacts/cri-o.amd64.v1.34.0.tar.gz", "crio_archive_checksums", "1.34.0"},
	"runsc":   {"https://storage.googleapis.com/gvisor/releases/release/20260101.0/x86_64/runsc", "gvisor_runsc_binary_checksums", "20260101.0"},
	"shim":    {"https://storage.googleapis.com/gvisor/releases/release/20260101.0/x86_64/containerd-shim-runsc-v1", "gvisor_containerd_shim_binary_checksums", "20260101.0"},
	"nerdctl": {"https://github.com/containerd/nerdctl/releases/download/v2.1.6/nerdctl-2.1.6-linux-amd64.tar.gz", "nerdctl_archive_checksums", "2.1.6"},
	"skopeo":  {"https://github.com/lework/skopeo-binary/releases/download/v1.16.1/skopeo-linux-amd64", "skopeo_binary_checksums", "1.16.1"},
	"yq":      {"https://github.com/mikefarah/yq/releases/download/v4.42.1/yq_linux_amd64", "yq_checksums", "4.42.1"},
}

// assets is where github.com sends those on who ask for a release's files.
const assets = "release-assets.githubusercontent.com"

// site is a made-up Kubespray with its lists, public hosts that have what the lists
// name, and the mirror that all of it was carried to.
type site struct {
	*sourcetest.World
	contents map[string][]byte // by name in downloads
	images   []imagetest.Image
}

// TestSite: with offline.yml, ansible-core downloads by Kubespray's variables every file
// with its checksum from the mirror, and containerd pulls an image of each registry by
// its original name, with the hosts.toml that such variables render.
func TestSite(t *testing.T) {
	s := newSite(t)
	containerd := imagetest.Containerd(t)
	for _, server := range []string{webtest.Nginx, webtest.Serve} {
		t.Run(server, func(t *testing.T) {
			running := webtest.Start(t, server, s.Mirror)
			s.Behind(running.URL)
			for name, program := range playbooks(t) {
				t.Run(name, func(t *testing.T) {
					dir := t.TempDir()
					s.play(t, program, dir)
					for file, want := range s.contents {
						if got, err := os.ReadFile(filepath.Join(dir, "downloads", file)); err != nil || !bytes.Equal(got, want) {
							t.Errorf("%s: %d bytes, %v; want %d", file, len(got), err, len(want))
						}
					}
					for _, i := range s.images {
						p := imagetest.Pull{Server: strings.TrimPrefix(running.URL, "http://"), Name: i.Name, Reference: i.Tag, Platform: "linux/amd64", Config: filepath.Join(dir, "certs.d")}
						want := i.ByPlatform["linux/amd64"].Digest.String()
						if got, err := containerd.Pull(t.Context(), p); err != nil || !slices.Contains(got, want) {
							t.Errorf("containerd pulls %s:%s: has %v, %v; want %s", i.Name, i.Tag, got, err, want)
						}
					}
				})
			}
		})
	}
}

// newSite makes the checkout and its lists, exports them, and imports the bundle.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{World: sourcetest.NewWorld(t, Kind(), files.Kind(), oci.Kind()), contents: map[string][]byte{}}
	hosts := map[string]http.Handler{}
	s.files(hosts)
	s.registries(t, hosts)
	up := upstreamtest.NewPublic(t, hosts)
	var spec strings.Builder
	spec.WriteString("- name: cluster\n  kind: kubespray\n  checkout: kubespray\n  files: files.list\n  images: images.list\n  platforms: [linux/amd64]\nhosts:\n")
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		fmt.Fprintf(&spec, "  %s: {proxy: %q, ca: %q, redirect-to: [%s]}\n", host, up.Proxy, up.CA, assets)
	}
	s.Publish("site", spec.String())
	return s
}

// files writes the checkout and the list of files, and plays the hosts of the files.
func (s *site) files(hosts map[string]http.Handler) {
	var list, tables strings.Builder
	byURL := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(downloads)) {
		d := downloads[name]
		content := bytes.Repeat([]byte(d.url+"\n"), 1000)
		s.contents[name], byURL[strings.TrimPrefix(d.url, "https://")] = content, content
		list.WriteString(d.url + "\n")
		sum := "sha256:" + bundle.DigestOf(content).Hex()
		if strings.HasPrefix(d.table, "gvisor") {
			digest := sha512.Sum512(content)
			sum = "sha512:" + hex.EncodeToString(digest[:])
		}
		arch := "amd64"
		if name == "crds" {
			arch = "no_arch"
		}
		fmt.Fprintf(&tables, "%s:\n  %s:\n    '%s': %s\n", d.table, arch, d.entry, sum)
	}
	s.Write(filepath.Join(s.Dir, "files.list"), []byte(list.String()))
	s.Write(filepath.Join(s.Dir, "kubespray", tablePlaces[0]), []byte(tables.String()))
	s.Write(filepath.Join(s.Dir, "kubespray/galaxy.yml"), []byte("namespace: x\nversion: 2.31.0\n"))
	send := func(w http.ResponseWriter, r *http.Request, url string) {
		content, found := byURL[url]
		if !found {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
	}
	for _, d := range downloads {
		host, _ := hostOf(d.url)
		hosts[host] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if host == "github.com" {
				http.Redirect(w, r, "https://"+assets+r.URL.Path+"?signature=x", http.StatusFound)
				return
			}
			send(w, r, host+r.URL.Path)
		})
	}
	hosts[assets] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { send(w, r, "github.com"+r.URL.Path) })
}

// registries writes the list of images, and plays the registries with them.
func (s *site) registries(t *testing.T, hosts map[string]http.Handler) {
	t.Helper()
	w := imagetest.NewWorld(t)
	for line := range strings.Lines(images) { // of this package's other tests
		name, tag, _ := strings.Cut(strings.TrimSpace(line), ":")
		s.images = append(s.images, w.Index(name, tag))
	}
	played := map[string]*registrytest.Registry{}
	for path, file := range w.Files {
		registry, rest, _ := strings.Cut(strings.TrimPrefix(path, "v2/"), "/")
		r := played[registry]
		if r == nil {
			r = registrytest.New(t, registrytest.Options{})
			played[registry] = r
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
	for registry, r := range played {
		hosts[strings.TrimPrefix(server(registry), "https://")] = r
	}
	s.Write(filepath.Join(s.Dir, "images.list"), []byte(images))
}

// play runs the playbook of testdata/site as a site does: with the printed offline.yml
// among the variables of all hosts, which comes before what a role has by default.
func (s *site) play(t *testing.T, program, dir string) {
	t.Helper()
	s.Check(os.CopyFS(dir, os.DirFS("testdata/site")))
	s.Write(filepath.Join(dir, "inventory/group_vars/all/offline.yml"), s.Client(Name, "offline.yml"))
	s.Write(filepath.Join(dir, "inventory/inventory.ini"), []byte("localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"))
	s.Write(filepath.Join(dir, "ansible.cfg"), []byte("[defaults]\n"))
	cmd := exec.CommandContext(t.Context(), program, "-i", "inventory/inventory.ini", "-e", "checksums_file="+filepath.Join(s.Dir, "kubespray", tablePlaces[0]), "-e", "work_dir="+dir, "site.yml")
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_CONFIG=" + filepath.Join(dir, "ansible.cfg"), "NO_PROXY=*", "no_proxy=*"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// playbooks are Debian's ansible-playbook and the newest that .ci/ansible sets up.
func playbooks(t *testing.T) map[string]string {
	t.Helper()
	dir := os.Getenv("GAPBUNDLE_ANSIBLE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "gapbundle/ansible-core")
	}
	all := map[string]string{"debian": "/usr/bin/ansible-playbook", "newest": filepath.Join(dir, "newest/bin/ansible-playbook")}
	for _, program := range all {
		out, err := exec.Command(program, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v: .ci/clients and .ci/ansible set it up", program, err)
		}
		t.Logf("%s", strings.SplitN(string(out), "\n", 2)[0])
	}
	return all
}
