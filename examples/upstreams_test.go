package examples

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// internet plays every host that the specs of sites name, each by its own name: packages,
// files, images, charts, Python packages, collections and roles, repositories.
type internet struct {
	t      *testing.T
	signer *journey.Signer
	spec   string
	hosts  map[string]http.Handler
	// fixed is content by host and path, which is answered before the host is.
	fixed map[string][]byte
}

// play starts what a spec needs and makes the spec of a journey lead there.
func play(t *testing.T, j *journey.Journey) {
	t.Helper()
	in := &internet{t: t, signer: journey.NewSigner(t), spec: string(j.Read(j.Spec)), hosts: map[string]http.Handler{}, fixed: map[string][]byte{}}
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(journey.Content(r.Host+r.URL.Path)))
	})
	lists := ""
	if strings.Contains(in.spec, "kind: kubespray") {
		lists = string(j.Read("files.list"))
	}
	for _, m := range hostOf.FindAllStringSubmatch(in.spec+lists, -1) {
		in.hosts[m[1]] = files
	}
	for _, host := range []string{"archive.ubuntu.com", "download.docker.com", "nvidia.github.io", "developer.download.nvidia.com", "ppa.launchpadcontent.net"} {
		in.hosts[host] = http.HandlerFunc(in.archive)
	}
	in.images(j)
	in.charts()
	in.rpms()
	in.python()
	in.galaxy(j)
	in.repositories(j, files)
	for host, answers := range in.hosts {
		in.hosts[host] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch body, ok := in.fixed[r.Host+r.URL.Path]; {
			case ok:
				http.ServeContent(w, r, "", in.signer.Date, bytes.NewReader(body))
			case strings.HasSuffix(r.URL.Path, ".prov"): // no chart is signed
				http.NotFound(w, r)
			default:
				answers.ServeHTTP(w, r)
			}
		})
	}
	public := upstreamtest.NewPublic(t, in.hosts)
	in.signer.Trust(j, j.Spec)
	j.Rewrite(j.Spec, func(text string) string {
		head, rest, found := strings.Cut(text, "\nhosts:\n")
		_, after, follows := strings.Cut(rest, "\ndefaults:\n")
		if !found || !follows {
			t.Fatal("the spec has no hosts, or no defaults after them")
		}
		hosts := "\nhosts:\n"
		for _, host := range slices.Sorted(maps.Keys(in.hosts)) {
			hosts += fmt.Sprintf("  %s: {proxy: %q, ca: %q}\n", host, public.Proxy, public.CA)
		}
		return head + hosts + "\ndefaults:\n" + after
	})
}

var hostOf = regexp.MustCompile(`https?://([a-z0-9.-]+)`)

var names = regexp.MustCompile(`(?m)^      - ([a-z0-9][a-z0-9.+-]*)$`)

// packages returns those of one host.
func (in *internet) packages(host string) []string {
	vendors := map[string][]string{
		"download.docker.com": {"containerd.io", "docker-ce"}, "nvidia.github.io": {"nvidia-container-toolkit"},
		"developer.download.nvidia.com": {"cuda-keyring", "cuda-toolkit", "datacenter-gpu-manager"}, "ppa.launchpadcontent.net": {"maas"},
	}
	if all, ok := vendors[host]; ok {
		return all
	}
	all := []string{"dpkg", "git"}
	for _, m := range names.FindAllStringSubmatch(in.spec, -1) {
		all = append(all, m[1])
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// archive serves a repository of packages at each address: the same packages in every suite, in
// indexes that are signed by one key; and files at every other address.
func (in *internet) archive(w http.ResponseWriter, r *http.Request) {
	var body []byte
	switch base := path.Base(r.URL.Path); {
	case base == "InRelease":
		body = in.release(r.Host, path.Dir(r.URL.Path))
	case base == "Release", base == "Release.gpg":
		http.NotFound(w, r)
		return
	case base == "gpg", base == "gpgkey", strings.HasSuffix(base, ".pub"), strings.HasSuffix(base, "keyring.gpg"):
		body = in.signer.Key()
	case base == "Packages":
		body = in.index(r.Host, r.URL.Path)
	case strings.Contains(r.URL.Path, "/dists/") || strings.HasPrefix(base, "Packages."):
		http.NotFound(w, r)
		return
	case strings.HasSuffix(base, ".deb"):
		body = journey.Content(base)
	default:
		body = journey.Content(r.Host + r.URL.Path)
	}
	http.ServeContent(w, r, "", in.signer.Date, bytes.NewReader(body))
}

func (in *internet) index(host, url string) []byte {
	var b strings.Builder
	folder := "pool/"
	if !strings.Contains(url, "binary-") {
		folder = "./" // of a flat repository
	}
	if strings.Contains(url, "/restricted/") || strings.Contains(url, "/universe/") || strings.Contains(url, "/multiverse/") {
		return nil
	}
	for _, name := range in.packages(host) {
		version, arch := "1.0-1", "amd64"
		if name == "cuda-keyring" {
			version, arch = "1.1-1", "all"
		}
		file := name + "_" + version + "_" + arch + ".deb"
		content := journey.Content(file)
		fmt.Fprintf(&b, "Package: %s\nVersion: %s\nArchitecture: %s\nFilename: %s\nSize: %d\nSHA256: %s\n\n", name, version, arch, folder+file, len(content), journey.Digest(content))
	}
	return []byte(b.String())
}

func (in *internet) release(host, folder string) []byte {
	files := []string{"Packages"}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Date: %s\n", in.signer.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	if _, suite, ok := strings.Cut(folder, "/dists/"); ok {
		components := []string{"main", "restricted", "universe", "multiverse", "stable"}
		fmt.Fprintf(&b, "Suite: %s\nCodename: noble\nComponents: %s\nArchitectures: amd64\n", suite, strings.Join(components, " "))
		files = nil
		for _, c := range components {
			files = append(files, c+"/binary-amd64/Packages")
		}
	}
	b.WriteString("SHA256:\n")
	for _, name := range files {
		text := in.index(host, "/"+name)
		fmt.Fprintf(&b, " %s %d %s\n", journey.Digest(text), len(text), name)
	}
	return in.signer.ClearSign(b.Bytes())
}

var reference = regexp.MustCompile(`(?m)(?:^|- |\[")((?:nvcr\.io|docker\.io|quay\.io|registry\.k8s\.io|ghcr\.io)/[a-z0-9./-]+):([\w.-]+)`)

// images has an image for every reference of the spec and of its list, at its registry.
func (in *internet) images(j *journey.Journey) {
	r := registrytest.New(in.t, registrytest.Options{Plain: true})
	text := "- " + operatorImage + "\n- " + otherImage + "\n" + in.spec
	if strings.Contains(text, "images.list") {
		text += "\n" + string(j.Read("images.list"))
	}
	put := map[string]bool{}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if put[m[0]] {
			continue
		}
		put[m[0]] = true
		r.PutImage(in.t, m[1], m[2])
		registry, _, _ := strings.Cut(m[1], "/")
		in.hosts[strings.Replace(registry, "docker.io", "registry-1.docker.io", 1)] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if rest, found := strings.CutPrefix(req.URL.Path, "/v2/"); found && rest != "" {
				req.URL.Path = "/v2/" + registry + "/" + rest
			}
			r.ServeHTTP(w, req)
		})
	}
}

// The images of charts: one of the GPU Operator, the other one of all other charts.
const (
	operatorImage = "nvcr.io/nvidia/gpu-operator:v26.3.3"
	otherImage    = "registry.k8s.io/sig-storage/nfs-subdir-external-provisioner:v4.0.2"
)

var chartEntry = regexp.MustCompile(`repo: "?https://([a-z0-9./-]+)"?,?\s+chart: ([a-z-]+),?\s+version: "?([^"\s}]+)`)

// charts has the charts of the spec, each with one image. Several may be in one repository.
func (in *internet) charts() {
	index := map[string]string{}
	for _, m := range chartEntry.FindAllStringSubmatch(in.spec, -1) {
		if _, known := in.fixed[m[1]+"/"+m[2]+"-"+m[3]+".tgz"]; known {
			continue
		}
		image := otherImage
		if m[2] == "gpu-operator" {
			image = operatorImage
		}
		content := helmtest.Package(in.t, m[2], map[string]string{
			"Chart.yaml":         fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", m[2], m[3]),
			"templates/pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {containers: [{image: \"" + image + "\"}]}\n",
		})
		index[m[1]] += fmt.Sprintf("  %[1]s:\n  - {name: %[1]s, version: %[2]s, created: \"2026-03-01T00:00:00Z\", digest: %[3]x, urls: [%[1]s-%[2]s.tgz]}\n", m[2], m[3], sha256.Sum256(content))
		in.fixed[m[1]+"/"+m[2]+"-"+m[3]+".tgz"] = content
		in.fixed[m[1]+"/index.yaml"] = []byte("apiVersion: v1\nentries:\n" + index[m[1]])
	}
}

var baseURL = regexp.MustCompile(`baseurl: "https://([^"]+)"`)

// rpms has a repository at each address of the kind.
func (in *internet) rpms() {
	for _, m := range baseURL.FindAllStringSubmatch(in.spec, -1) {
		repo := rpmtest.Repository{Signer: in.signer.Entity, Signed: in.signer.Date}
		for _, name := range []string{"cuda-toolkit", "datacenter-gpu-manager"} {
			repo.Packages = append(repo.Packages, &rpmtest.Package{Name: name, Version: "1.0", Release: "1.el9", Arch: "x86_64", Signer: in.signer.Entity, Signed: in.signer.Date})
		}
		for file, content := range repo.Build(in.t) {
			in.fixed[m[1]+"/"+file] = content
		}
	}
}

var requirement = regexp.MustCompile(`\b([A-Za-z][\w.-]*)==([0-9][\w.]*)`)

// python serves an index that has what the spec pins.
func (in *internet) python() {
	index := &piptest.Index{Server: upstreamtest.New(in.t), Projects: map[string][]*piptest.File{}}
	seen := map[string]bool{}
	for _, m := range requirement.FindAllStringSubmatch(in.spec, -1) {
		name := strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(m[1], "-"))
		if !seen[name+m[2]] {
			index.Projects[name] = append(index.Projects[name], piptest.Wheel{Name: name, Version: m[2]}.Build(in.t))
		}
		seen[name+m[2]] = true
	}
	index.Put()
	in.hosts["packages.example.org"] = relay(in.t, index.Server.URL(""), "https://packages.example.org")
}

var (
	collection = regexp.MustCompile(`\{name: ([a-z]+)\.([a-z]+), version: ([0-9.]+)\}`)
	role       = regexp.MustCompile(`\{src: ([a-z]+)\.([a-z_]+), version: (v?[0-9.]+)\}`)
	roleByGit  = regexp.MustCompile(`src: "https://github\.com/([A-Za-z]+/[a-z-]+)(?:\.git)?", version: (\S+)\}`)
)

// galaxy has the collections and roles of the requirements file.
func (in *internet) galaxy(j *journey.Journey) {
	text := string(j.Read("deepops/roles/requirements.yml"))
	g := galaxytest.New(in.t)
	for _, m := range collection.FindAllStringSubmatch(text, -1) {
		g.Add(&galaxytest.Collection{Namespace: m[1], Name: m[2], Version: m[3], RequiresAnsible: ">=2.16.0"})
	}
	for _, m := range role.FindAllStringSubmatch(text, -1) {
		g.AddRoles(&galaxytest.Role{Owner: m[1], Name: m[2], Tag: m[3]})
	}
	in.hosts["galaxy.ansible.com"] = relay(in.t, strings.TrimSuffix(g.Root(), "/"), "https://galaxy.ansible.com")
}

// relay answers what a stand-in answers, under another name in its texts.
func relay(t *testing.T, from, to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, from+r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header.Clone()
		req.Header.Del("Range") // texts change their length
		answer, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body = bytes.ReplaceAll(body, []byte(from), []byte(to))
		for _, name := range []string{"Content-Type", "ETag", "Last-Modified"} {
			if v := answer.Header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(body)
	})
}

// gitPath is what git asks for: the repository may be named without .git.
var gitPath = regexp.MustCompile(`^/([^/]+/[^/]+?)(?:\.git)?/(info/refs|git-upload-pack|HEAD|objects/.*)$`)

var repositoryOf = regexp.MustCompile(`kind: git, url: "https://github\.com/([^"]+)\.git"`)

// repositories plays github.com: DeepOps with its submodules, roles that its list names by their
// repositories, and files.
func (in *internet) repositories(j *journey.Journey, files http.Handler) {
	host := gittest.NewHost(in.t, true)
	for _, m := range roleByGit.FindAllStringSubmatch(string(j.Read("deepops/roles/requirements.yml")), -1) {
		r := gittest.New(in.t)
		r.Commit(m[1], map[string]string{"tasks/main.yml": "[]\n"})
		if strings.HasPrefix(m[2], "v") {
			r.Git("tag", m[2])
		}
		host.Publish("github.com/"+m[1], r)
	}
	pins := map[string]string{}
	for _, name := range []string{"kubernetes-sigs/kubespray", "DeepOps/packer-maas"} {
		r := gittest.New(in.t)
		pins[name] = r.Commit(name, map[string]string{"README.md": name + "\n"})
		host.Publish("github.com/"+name, r)
	}
	deepops := gittest.New(in.t)
	deepops.Submodule("submodules/kubespray", "https://github.com/kubernetes-sigs/kubespray.git", pins["kubernetes-sigs/kubespray"])
	deepops.Submodule("submodules/packer-maas", "https://github.com/DeepOps/packer-maas.git", pins["DeepOps/packer-maas"])
	deepops.Commit("first", map[string]string{"README.md": "DeepOps\n"})
	deepops.Git("tag", "26.07")
	host.Publish("github.com/NVIDIA/deepops", deepops)
	for _, m := range repositoryOf.FindAllStringSubmatch(in.spec, -1) {
		if m[1] != "NVIDIA/deepops" {
			r := gittest.New(in.t)
			r.Commit(m[1], map[string]string{"README.md": m[1] + "\n"})
			host.Publish("github.com/"+m[1], r)
		}
	}
	backend := gittest.Backend(in.t, host.Dir)
	in.hosts["github.com"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asks := gitPath.FindStringSubmatch(r.URL.Path); asks != nil {
			r.URL.Path = "/github.com/" + asks[1] + ".git/" + asks[2]
			backend.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}
