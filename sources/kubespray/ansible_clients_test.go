//go:build clients

package kubespray

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/prepared"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/helm"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/oci"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// download is a file: its URL at the public host, and the entry that pins it.
type download struct{ url, table, entry string }

// downloads are the files that the role in testdata/site downloads, by the name that it
// gives them.
var downloads = map[string]download{
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
	byURL    map[string][]byte // what the hosts have
	images   []imagetest.Image
	// nextImage is the image of the later release.
	nextImage imagetest.Image
	up        *upstreamtest.Public
	hosts     []string
}

// next are the lines that a later release of the site has in place of others: the new
// file by its name in downloads, and the new image.
var next = struct{ name, old, new, oldImage, newImage string }{
	"helm", "3.18.4", "3.18.5", "quay.io/cilium/cilium:v1.18.2", "quay.io/cilium/cilium:v1.18.3",
}

// TestSite: with offline.yml, ansible-core downloads by Kubespray's variables every file
// with its checksum from the mirror; containerd and podman, which reads CRI-O's
// registries.conf by CRI-O's own library, pull an image of each registry by its original
// name; and helm finds the chart that cilium install asks for.
func TestSite(t *testing.T) {
	s := newSite(t)
	s.weighed(t)
	s.Publish("site", s.spec())
	containerd, podman := imagetest.Containerd(t), imagetest.Podman(t)
	s.Each(t, func(t *testing.T, running *webtest.Server) {
		for name, program := range playbooks(t) {
			if running.Name == webtest.Apache && name != "newest" || running.Name == webtest.Caddy && name != "debian" {
				continue // both releases saw two other servers
			}
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				s.play(t, program, dir)
				s.downloaded(t, dir)
				s.pulled(t, containerd, running, filepath.Join(dir, "certs.d"))
				if name == "debian" { // both write the same files
					s.pulled(t, podman, running, filepath.Join(dir, "registries.conf"))
				}
				if running.Name == webtest.Nginx && name == "debian" {
					s.docker(t, running, dir)
				}
			})
		}
		s.chart(t, "1.18.2")
	})
	s.release(t)
	made, err := s.TryExport("site", s.spec())
	s.Check(err)
	// Files are 64 KB each and do not compress; the image and the chart are small.
	if made.Full || made.Carried < fileSize || made.Carried > 2*fileSize {
		t.Errorf("the later release carries %d bytes (full: %v), want one file of %d, one image and one chart", made.Carried, made.Full, fileSize)
	}
	s.Receive(made.Dirs)
	t.Run("later release", func(t *testing.T) {
		running := webtest.Start(t, webtest.Nginx, s.Mirror)
		s.Behind(running.URL)
		dir := t.TempDir()
		s.play(t, playbooks(t)["newest"], dir, "-e", next.name+"_version="+next.new)
		s.downloaded(t, dir)
		s.pulled(t, containerd, running, filepath.Join(dir, "certs.d"))
		s.chart(t, "1.18.3")
	})
}

// downloaded compares what the playbook downloaded with what the hosts have.
func (s *site) downloaded(t *testing.T, dir string) {
	t.Helper()
	for file, want := range s.contents {
		if got, err := os.ReadFile(filepath.Join(dir, "downloads", file)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", file, len(got), err, len(want))
		}
	}
}

// pulled pulls every image by its original name, by what the playbook configured.
func (s *site) pulled(t *testing.T, c imagetest.Client, running *webtest.Server, config string) {
	t.Helper()
	for _, i := range s.images {
		p := imagetest.Pull{Server: strings.TrimPrefix(running.URL, "http://"), Name: i.Name, Reference: i.Tag, Platform: "linux/amd64", Config: config}
		want := i.ByPlatform["linux/amd64"].Digest.String()
		if got, err := c.Pull(t.Context(), p); err != nil || !slices.Contains(got, want) {
			t.Errorf("%s pulls %s:%s: has %v, %v; want %s", c.Name, i.Name, i.Tag, got, err, want)
		}
	}
}

// docker has docker's daemon, with the flags that the playbook wrote, pull the images of
// docker.io: it has mirrors for no other registry. Where the mirror's address has a
// path, it gets none, and does not end at it.
func (s *site) docker(t *testing.T, running *webtest.Server, dir string) {
	t.Helper()
	flags, err := os.ReadFile(filepath.Join(dir, "docker.flags"))
	s.Check(err)
	if !strings.Contains(string(flags), "--registry-mirror="+running.URL+"\n") {
		t.Errorf("flags of docker:\n%s", flags)
	}
	docker := imagetest.Dockerd(t, strings.Fields(string(flags))...)
	whole := s.images
	s.images = slices.DeleteFunc(slices.Clone(whole), func(i imagetest.Image) bool { return !strings.HasPrefix(i.Name, "docker.io/") })
	s.pulled(t, docker, running, "")
	s.images = whole
	s.Behind(running.URL + "/below")
	below := t.TempDir()
	s.play(t, playbooks(t)["debian"], below, "--tags", "configuration")
	s.Behind(running.URL)
	flags, err = os.ReadFile(filepath.Join(below, "docker.flags"))
	s.Check(err)
	if strings.Contains(string(flags), "--registry-mirror") {
		t.Errorf("below a path, flags of docker:\n%s", flags)
	}
}

// chart has helm pull cilium's chart with the flags of cilium install; helm calls that
// of the repository by a shorter name.
func (s *site) chart(t *testing.T, version string) {
	t.Helper()
	var offline struct {
		Flags string `yaml:"cilium_install_extra_flags"`
	}
	s.Check(yaml.Unmarshal(s.Client(Name, "offline.yml"), &offline))
	flags := strings.Fields(strings.Replace(offline.Flags, "--repository ", "--repo ", 1))
	dir := t.TempDir()
	s.Run(dir, []string{"HOME=" + dir, "NO_PROXY=*"}, "helm", append([]string{"pull", "cilium", "--version", version}, flags...)...)
	if _, err := os.Stat(filepath.Join(dir, "cilium-"+version+".tgz")); err != nil {
		t.Error(err)
	}
}

// weighed compares the sizes by line of the plan with what the hosts have.
func (s *site) weighed(t *testing.T) {
	t.Helper()
	report := s.Plan("site", s.spec())
	lines := map[string]collect.Weight{}
	for _, p := range report.Sources {
		for _, l := range p.Lines {
			lines[l.Line] = l
		}
	}
	if len(lines) != len(downloads)+len(s.images) {
		t.Errorf("%d lines are weighed, want %d", len(lines), len(downloads)+len(s.images))
	}
	for name, d := range downloads {
		if l := lines[d.url]; l.Bytes != int64(len(s.contents[name])) || l.Files != 1 {
			t.Errorf("%s: weighs %+v, want %d bytes", d.url, l, len(s.contents[name]))
		}
	}
	for _, i := range s.images {
		if l := lines[i.Name+":"+i.Tag]; l.Bytes <= i.ByPlatform["linux/amd64"].Size || l.Files < 4 || l.Unsized != 0 {
			t.Errorf("%s:%s: weighs %+v", i.Name, i.Tag, l)
		}
	}
}

// newSite makes the checkout and its lists, and plays the hosts that have what they name.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{World: sourcetest.NewWorld(t, Kind(), files.Kind(), oci.Kind(), helm.Kind()), contents: map[string][]byte{}, byURL: map[string][]byte{}}
	hosts := map[string]http.Handler{}
	s.playHosts(hosts)
	s.registries(t, hosts)
	s.charts(t, hosts)
	for name, d := range downloads {
		s.contents[name] = s.byURL[d.url]
	}
	s.write(downloads, images)
	s.up = upstreamtest.NewPublic(t, hosts)
	s.hosts = slices.Sorted(maps.Keys(hosts))
	return s
}

// spec returns the spec of the site.
func (s *site) spec() string {
	var spec strings.Builder
	spec.WriteString("- name: cluster\n  kind: kubespray\n  checkout: kubespray\n  files: files.list\n  images: images.list\n  platforms: [linux/amd64]\n  cilium-chart: true\nhosts:\n")
	for _, host := range s.hosts {
		fmt.Fprintf(&spec, "  %s: {proxy: %q, ca: %q, redirect-to: [%s]}\n", host, s.up.Proxy, s.up.CA, assets)
	}
	return spec.String()
}

// release writes the lists of a later release of Kubespray: one file and one image are
// newer.
func (s *site) release(t *testing.T) {
	t.Helper()
	later := maps.Clone(downloads)
	d := later[next.name]
	d.url, d.entry = strings.ReplaceAll(d.url, next.old, next.new), next.new
	later[next.name] = d
	s.contents[next.name] = s.byURL[d.url]
	s.images = slices.DeleteFunc(s.images, func(i imagetest.Image) bool { return i.Name+":"+i.Tag == next.oldImage })
	s.images = append(s.images, s.nextImage)
	s.write(later, strings.Replace(images, next.oldImage, next.newImage, 1))
}

// fileSize is the size of each file, of bytes that do not compress.
const fileSize = 64 << 10

// contentOf returns the content that a host has at a URL.
func contentOf(url string) []byte {
	content := make([]byte, fileSize)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(url))).Read(content) // never fails
	return content
}

// write writes the checkout and the lists.
func (s *site) write(all map[string]download, images string) {
	var list, tables strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := all[name]
		list.WriteString(d.url + "\n")
		sum := "sha256:" + bundle.DigestOf(contentOf(d.url)).Hex()
		if strings.HasPrefix(d.table, "gvisor") {
			digest := sha512.Sum512(contentOf(d.url))
			sum = "sha512:" + hex.EncodeToString(digest[:])
		}
		arch := "amd64"
		if name == "crds" {
			arch = "no_arch"
		}
		fmt.Fprintf(&tables, "%s:\n  %s:\n    '%s': %s\n", d.table, arch, d.entry, sum)
	}
	s.Write(filepath.Join(s.Dir, "files.list"), []byte(list.String()))
	s.Write(filepath.Join(s.Dir, "images.list"), []byte(images))
	s.Write(filepath.Join(s.Dir, "kubespray", tablePlaces[0]), []byte(tables.String()))
	s.Write(filepath.Join(s.Dir, "kubespray/galaxy.yml"), []byte("namespace: x\nversion: 2.31.0\n"))
}

// playHosts plays the hosts of the files.
func (s *site) playHosts(hosts map[string]http.Handler) {
	send := func(w http.ResponseWriter, r *http.Request, url string) {
		content, found := s.byURL[url]
		if !found {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
	}
	for _, d := range downloads {
		later := strings.ReplaceAll(d.url, next.old, next.new)
		s.byURL[d.url], s.byURL[later] = contentOf(d.url), contentOf(later)
		host, _ := hostOf(d.url)
		hosts[host] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if host == "github.com" {
				http.Redirect(w, r, "https://"+assets+r.URL.Path+"?signature=x", http.StatusFound)
				return
			}
			send(w, r, "https://"+host+r.URL.Path)
		})
	}
	hosts[assets] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { send(w, r, "https://github.com"+r.URL.Path) })
}

// charts plays the host of cilium's charts.
func (s *site) charts(t *testing.T, hosts map[string]http.Handler) {
	t.Helper()
	byPath := map[string][]byte{}
	var index strings.Builder
	index.WriteString("apiVersion: v1\nentries:\n  cilium:\n")
	for _, version := range []string{"1.18.3", "1.18.2"} {
		content := helmtest.Simple(t, "cilium", version, "quay.io/cilium/cilium:v"+version)
		name := "cilium-" + version + ".tgz"
		byPath["/"+name] = content
		fmt.Fprintf(&index, "  - {name: cilium, version: %s, apiVersion: v2, urls: [%s], digest: %s}\n", version, name, bundle.DigestOf(content).Hex())
	}
	byPath["/index.yaml"] = []byte(index.String())
	hosts[strings.TrimPrefix(ciliumCharts, "https://")] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, found := byPath[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
	})
}

// registries plays the registries with the images of both releases.
func (s *site) registries(t *testing.T, hosts map[string]http.Handler) {
	t.Helper()
	w := imagetest.NewWorld(t)
	for line := range strings.Lines(images) { // of this package's other tests
		name, tag, _ := strings.Cut(strings.TrimSpace(line), ":")
		s.images = append(s.images, w.Index(name, tag))
	}
	name, tag, _ := strings.Cut(next.newImage, ":")
	s.nextImage = w.Index(name, tag)
	played := map[string]*registrytest.Registry{}
	for path, file := range w.Files {
		registry, rest, _ := strings.Cut(strings.TrimPrefix(path, "v2/"), "/")
		r := played[registry]
		if r == nil {
			r = registrytest.New(t, registrytest.Options{})
			played[registry] = r
		}
		r.PutPath(rest, file.MediaType, []byte(file.Content))
	}
	for registry, r := range played {
		hosts[strings.TrimPrefix(server(registry), "https://")] = r
	}
}

// play runs the playbook of testdata/site as a site does: with the printed offline.yml
// among the variables of all hosts, which comes before what a role has by default.
func (s *site) play(t *testing.T, program, dir string, more ...string) {
	t.Helper()
	s.Check(os.CopyFS(dir, os.DirFS("testdata/site")))
	s.Write(filepath.Join(dir, "inventory/group_vars/all/offline.yml"), s.Client(Name, "offline.yml"))
	s.Write(filepath.Join(dir, "inventory/inventory.ini"), []byte("localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"))
	s.Write(filepath.Join(dir, "ansible.cfg"), []byte("[defaults]\n"))
	args := append([]string{"-i", "inventory/inventory.ini", "-e", "checksums_file=" + filepath.Join(s.Dir, "kubespray", tablePlaces[0]), "-e", "work_dir=" + dir}, more...)
	cmd := exec.CommandContext(t.Context(), program, append(args, "site.yml")...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_CONFIG=" + filepath.Join(dir, "ansible.cfg"), "NO_PROXY=*", "no_proxy=*"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// playbooks returns Debian's ansible-playbook and the newest that .ci/ansible sets up.
func playbooks(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"debian": "/usr/bin/ansible-playbook", "newest": prepared.Ansible(t, "newest", "ansible-playbook")}
	for _, program := range all {
		out, err := exec.Command(program, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v: .ci/clients and .ci/ansible set it up", program, err)
		}
		t.Logf("%s", strings.SplitN(string(out), "\n", 2)[0])
	}
	return all
}
