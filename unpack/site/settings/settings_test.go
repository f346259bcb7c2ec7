package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

const base = "https://mirror.lan/sub"

// mirror returns one with these files, and with public names that lead to them: address to web
// path; paths with '|' between them are several sources; with '!' before them none is answered under its name.
// What follows '=' is the name of a source.
func mirror(t *testing.T, public map[string]string, clients fstest.MapFS, paths ...string) *Mirror {
	t.Helper()
	contents := map[bundle.Digest]string{}
	m := &Mirror{
		Base: base, Host: "mirror.lan", Insecure: "false", Clients: clients, ClientsAt: "_gapbundle/clients", Names: []string{"github.com"},
		Lookup: func(address string) (all []Place, answered bool) {
			best := ""
			for prefix := range public {
				rest, below := strings.CutPrefix(address, prefix)
				if below && (rest == "" || rest[0] == '/') && len(prefix) > len(best) {
					best = prefix
				}
			}
			if best == "" {
				return nil, false
			}
			places, hidden := strings.CutPrefix(public[best], "!")
			for at := range strings.SplitSeq(places, "|") {
				at, source, _ := strings.Cut(at, "=")
				all = append(all, Place{At: "/" + at + strings.TrimPrefix(address, best), Source: cmp.Or(source, "source")})
			}
			return all, !hidden
		},
		Open: func(d bundle.Digest) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(contents[d])), nil
		},
	}
	index, err := m.Index()
	if err != nil {
		t.Fatal(err)
	}
	reader := index.Read()
	slices.SortFunc(paths, bundle.ComparePaths)
	for _, path := range paths {
		content := "content of " + path
		if strings.HasPrefix(path, "keys/") {
			content = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n"
		}
		contents[bundle.DigestOf([]byte(content))] = content
		reader.Add(path, bundle.DigestOf([]byte(content)))
	}
	index.Merge(reader.Answers())
	return m
}

// setting returns the one of a name.
func setting(t *testing.T, m *Mirror, name string) Setting {
	t.Helper()
	all := Settle(m, DeepOps())
	i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no variable %s", name)
	}
	return all[i]
}

// TestNames: the table has every name of the list, and each once.
func TestNames(t *testing.T) {
	text, err := os.ReadFile("testdata/deepops.txt")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for _, v := range DeepOps() {
		if v.Name == "" && v.Where != Written || v.Name != "" && v.Where == Written || v.By == "" {
			t.Errorf("%+v: want a name, or an address that is written somewhere, and who reads it", v)
		}
		if v.Name != "" {
			have[v.Name]++
		}
		if v.Vary != "" && !slices.ContainsFunc(v.Public, func(p string) bool { return strings.Contains(p, v.Vary) }) {
			t.Errorf("%s: the version %s is no part of %v", v.Name, v.Vary, v.Public)
		}
	}
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); !strings.HasPrefix(name, "#") && have[name] != 1 {
			t.Errorf("%s is in the table %d times", name, have[name])
		}
		delete(have, strings.TrimSpace(line))
	}
	more := []string{"GIT_CONFIG_COUNT", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "UV_DEFAULT_INDEX", "UV_INDEX", "crio_insecure_registries", "nvidia_driver_ubuntu_cuda_repo_baseurl", "registry_host"}
	for name, n := range have {
		if !slices.Contains(more, name) || n != 1 {
			t.Errorf("%s is in the table %d times, and not in the list", name, n)
		}
	}
}

// TestStates: served, served in another version, answered by the public name alone, missing.
func TestStates(t *testing.T) {
	m := mirror(t, map[string]string{
		"https://download.schedmd.com": "files/download.schedmd.com", "https://github.com": "files/github.com",
		"https://nvidia.github.io/libnvidia-container/stable/deb/amd64": "apt/toolkit/amd64",
		"https://helm.ngc.nvidia.com/nvidia":                            "!helm/charts",
		"https://nvidia.github.io/k8s-device-plugin":                    "!helm/one|helm/two",
		"https://registry-1.docker.io":                                  "v2",
	}, nil,
		"files/download.schedmd.com/slurm/slurm-26.05.1.tar.bz2", "files/github.com/openpmix/openpmix/releases/download/v3.2.3/other",
		"files/github.com/openpmix/openpmix/releases/download/v4.9.2/pmix-4.9.2.tar.bz2", "files/github.com/openpmix/openpmix/releases/download/v4.10.0/pmix-4.10.0.tar.bz2",
		"files/github.com/NVIDIA/nccl-tests/archive/f773748b46.tar.gz",
		"apt/toolkit/amd64/InRelease", "helm/charts/index.yaml", "helm/charts/gpu-operator-v26.3.3.tgz",
		"helm/one/gpu-feature-discovery-0.19.3.tgz", "helm/two/nvidia-device-plugin-0.19.3.tgz",
		"v2/docker.io/prom/prometheus/manifests/v3.13.0", "v2/docker.io/grafana/grafana/manifests/13.2.0", "v2/localhost_5000/x/manifests/1", "v2/library/x/manifests/1",
		"pypi/kubespray/files/00/abc/ansible-11.13.0-py3-none-any.whl",
	)
	for _, want := range []struct {
		name  string
		state State
		value any
		other string
	}{
		{"slurm_src_url", Served, base + "/files/download.schedmd.com/slurm/slurm-26.05.1.tar.bz2", ""},
		{"pmix_src_url", Served, base + "/files/github.com/openpmix/openpmix/releases/download/v4.10.0/pmix-4.10.0.tar.bz2", "4.10.0"},
		{"nhc_src_url", Missing, nil, ""},
		{"nvidia_container_toolkit_repo_base_url", Answered, nil, ""},
		{"gpu_operator_helm_repo", Served, base + "/helm/charts", ""},
		{"k8s_nfs_client_helm_repo", Missing, nil, ""},
		{"k8s_gpu_feature_discovery_helm_repo", Served, base + "/helm/one", ""},
		{"k8s_gpu_plugin_helm_repo", Served, base + "/helm/two", ""},
		{"prometheus_container", Served, "mirror.lan/docker.io/prom/prometheus:v3.13.0", ""},
		{"grafana_container", Served, "mirror.lan/docker.io/grafana/grafana:13.2.0", "13.2.0"},
		{"github_url", Served, base + "/files/github.com", ""},
		{"dl_k8s_io_url", Missing, nil, ""},
		{"standalone_container_registry_cache_upstream", Served, base, ""},
		{"docker_image_repo", Served, unset("{{ registry_host }}/docker.io"), ""},
		{"quay_image_repo", Missing, nil, ""},
		{"ANSIBLE_VERSION", Served, unset("11.13.0"), ""},
	} {
		got := setting(t, m, want.name)
		if got.State != want.state || got.Value != want.value || got.Other != want.other {
			t.Errorf("%s: %s %v %q, want %s %v %q", want.name, got.State, got.Value, got.Other, want.state, want.value, want.other)
		}
	}
	if got := m.registries(); !slices.Equal(got, []string{"docker.io", "localhost_5000"}) {
		t.Errorf("registries %v", got)
	}
	text := string(textOf(t, m, "deepops/group_vars.yml"))
	for _, want := range []string{
		"# served: https://download.schedmd.com/slurm/slurm-26.05.1.tar.bz2 (role slurm)\nslurm_src_url: \"" + base,
		"# version 4.10.0, where the project's own is 3.2.3\npmix_version: \"4.10.0\"\npmix_src_url:",
		"# public name alone: https://nvidia.github.io/libnvidia-container/stable/deb/amd64", "# nvidia_container_toolkit_repo_base_url:",
		"# not in this mirror: https://github.com/mej/nhc/releases/download/1.4.3/lbnl-nhc-1.4.3.tar.xz (role nhc)\n# These lines of the spec bring it:\n#   - {name: nhc-src-url, kind: files, urls: [\"https://github.com/mej",
		"# served: docker.io (Kubespray's role download)", "\n# docker_image_repo: \"{{ registry_host }}/docker.io\"\n",
		"# public name: https://github.com/NVIDIA/nccl-tests/archive/f773748b46.tar.gz (playbooks/slurm-cluster/slurm-validation.yml)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("group_vars.yml has no\n%s\n\n%s", want, text)
		}
	}
	var values map[string]any
	if environment := string(textOf(t, m, "deepops/environment.sh")); !strings.Contains(environment, "\n# export ANSIBLE_VERSION='11.13.0'\n") {
		t.Errorf("environment.sh:\n%s", environment)
	}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil || values["docker_image_repo"] != nil || values["pmix_version"] != "4.10.0" || values["nhc_src_url"] != nil {
		t.Errorf("%v %v", err, values)
	}
}

// TestKeyOfItsRepository: packages of two systems have keys of one address, and one of the
// repositories is signed by the site. Each role gets the key of what it installs.
func TestKeyOfItsRepository(t *testing.T) {
	const toolkit = "https://nvidia.github.io/libnvidia-container"
	m := mirror(t, map[string]string{
		toolkit + "/gpgkey":           "!keys/el.asc=el|keys/site.asc=deb",
		toolkit + "/stable/deb/amd64": "apt/toolkit=deb",
	}, nil, "keys/el.asc", "keys/site.asc", "apt/toolkit/InRelease")
	if got := setting(t, m, "nvidia_container_toolkit_repo_gpg_url"); got.Value != base+"/keys/site.asc" {
		t.Errorf("%s %v", got.State, got.Value)
	}
}

// written returns everything that is written for a mirror.
func written(t *testing.T, m *Mirror) []Text {
	t.Helper()
	files, _, err := Write(m)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// textOf returns a file that is written for a mirror.
func textOf(t *testing.T, m *Mirror, path string) []byte {
	t.Helper()
	for _, f := range written(t, m) {
		if f.Path == path {
			return f.Content
		}
	}
	t.Fatalf("no %s", path)
	return nil
}

// TestNothing: a mirror that has nothing of a project has no file for it.
func TestNothing(t *testing.T) {
	m := mirror(t, nil, nil, "rpm/x/repodata/repomd.xml")
	m.Names = nil
	for _, f := range written(t, m) {
		t.Errorf("%s:\n%s", f.Path, f.Content)
	}
}

// hostile are names that mean something to a syntax that values are written in.
var hostile = []string{
	"{{ lookup('pipe', 'id') }}", "{% raw %}", "{# x #}", "a\"b", `a\b`, "a'b", "$(id)", "`id`", "a b", "#x", "a: b", "!unsafe x", "&a", "*a", "- a", "%41", "a\u2028b", "a\u0085b", "\ufeffa", "é", "@BASE@",
}

// TestHostileNames: a name that a bundle chose is a part of a value and nothing else, in
// YAML, for Ansible, for a shell and for git.
func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		text := "key:" + yamlValue(name) + "\nother:" + yamlValue([]string{name, "b"}) + "\n"
		var got struct {
			Key   string
			Other []string
		}
		if err := yaml.Unmarshal([]byte(strings.NewReplacer(": !unsafe \"", ": \"", "- !unsafe \"", "- \"").Replace(text)), &got); err != nil || got.Key != name || len(got.Other) != 2 || got.Other[0] != name {
			t.Errorf("%q becomes %q, %q: %v\n%s", name, got.Key, got.Other, err, text)
		}
		if strings.Contains(name, "{") != strings.Contains(text, ": !unsafe \"") {
			t.Errorf("%q: kept from templates or not: %s", name, text)
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+shellText(name)).Output()
		if err != nil || string(out) != name {
			t.Errorf("%q is %q for a shell: %v", name, out, err)
		}
		if line := oneLine(name); strings.ContainsAny(line, "\n\r\u2028\u0085") {
			t.Errorf("%q ends a line", line)
		}
	}
	m := mirror(t, map[string]string{"https://download.schedmd.com": "files/{{ x }}'\"\n"}, nil, "files/{{ x }}'\"\n/slurm/slurm-26.05.1.tar.bz2", "pypi/{{ x }}/simple/index.html", "git/a'b/c.git/HEAD")
	for _, f := range written(t, m) {
		if bytes.Contains(f.Content, []byte("{{ x")) || bytes.Contains(f.Content, []byte("'\"\n")) {
			t.Errorf("%s:\n%s", f.Path, f.Content)
		}
	}
}

// TestIndex: patterns find names of files and of folders, and nothing below or above.
func TestIndex(t *testing.T) {
	x := newIndex()
	x.ask("a/b")
	x.ask("a/c")
	x.ask("files/x")
	x.askGlob("v2/*")
	x.askGlob("files/h/v*/pmix-*.tar")
	r := x.Read()
	for _, at := range []string{"a/b/c/d", "files/h/v1/pmix-1.tar", "files/h/v1/pmix-1.tar.sig", "files/h/v2/x/pmix-2.tar", "files/x", "keys/a.asc", "keys/b/c", "v2/docker.io/a/b", "v2/docker.io/c", "v2/quay.io/c"} {
		r.Add(at, bundle.DigestOf(nil))
	}
	x.Merge(r.Answers())
	if !x.has("a/b") || x.has("a/c") || !x.has("files/x") {
		t.Errorf("exact %v", x.exact)
	}
	if got, _ := x.glob("v2/*"); !slices.Equal(got, []string{"v2/docker.io", "v2/quay.io"}) {
		t.Errorf("folders %v", got)
	}
	if got, _ := x.glob("files/h/v*/pmix-*.tar"); !slices.Equal(got, []string{"files/h/v1/pmix-1.tar"}) {
		t.Errorf("files %v", got)
	}
	if _, ok := x.keys["keys/a.asc"]; !ok || len(x.keys) != 1 {
		t.Errorf("keys %v", x.keys)
	}
}

// TestLaterVersion: numbers are compared as numbers.
func TestLaterVersion(t *testing.T) {
	for _, pair := range [][2]string{{"1.10", "1.9"}, {"26.05.10", "26.05.2"}, {"2.0", "1.99"}, {"1.0.1", "1.0"}, {"010", "9"}, {"v2", "v1"}} {
		if !laterVersion(pair[0], pair[1]) || laterVersion(pair[1], pair[0]) {
			t.Errorf("%s is not later than %s", pair[0], pair[1])
		}
	}
}

// TestFilesAside: where two sets have a client file of one name, nodes get both.
func TestFilesAside(t *testing.T) {
	m := mirror(t, nil, fstest.MapFS{
		"_sets/b/apt/ubuntu.sources": {Data: []byte("second\n")}, "apt/ubuntu.sources": {Data: []byte("first\n")}, "_sets/b/apt/more.sources": {Data: []byte("more\n")},
		"apt/same.sources": {Data: []byte("same\n")}, "_sets/b/apt/same.sources": {Data: []byte("same\n")},
		"apt/cuda/cuda.list": {Data: []byte("all\n")}, "apt/cuda-amd64/cuda.list": {Data: []byte("one\n")},
		"rpm/dnf/epel.repo": {Data: []byte("first\n")}, "_sets/b/rpm/dnf/epel.repo": {Data: []byte("second\n")},
		"oci/podman/registries.conf": {Data: []byte("first\n")}, "_sets/b/oci/podman/registries.conf": {Data: []byte("second\n")},
		"git/git/gitconfig": {Data: []byte("first\n")}, "_sets/b/git/git/gitconfig": {Data: []byte("second\n")}, "_sets/c/git/git/gitconfig": {Data: []byte("third\n")},
		"oci/containerd/a/hosts.toml": {Data: []byte("first\n")}, "_sets/b/oci/containerd/a/hosts.toml": {Data: []byte("second\n")},
	})
	nodes, err := m.onNodes()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range nodes {
		got[p.to] = strings.TrimSpace(string(p.content))
	}
	const apt, rpm, podman = "/etc/apt/sources.list.d/", "/etc/yum.repos.d/", "/etc/containers/registries.conf.d/"
	want := map[string]string{
		apt + "ubuntu.sources": "first", apt + "gapbundle-b-ubuntu.sources": "second", apt + "more.sources": "more", apt + "cuda.list": "all", apt + "same.sources": "same",
		rpm + "epel.repo": "first", rpm + "gapbundle-b-epel.repo": "second", podman + "gapbundle.conf": "first", podman + "gapbundle-b.conf": "second",
		"/etc/gapbundle/gitconfig": "first", "/etc/gapbundle/gitconfig-b": "second", "/etc/gapbundle/gitconfig-c": "third",
		"/etc/containerd/certs.d/a/hosts.toml": "first",
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if len(m.notes) != 1 || !strings.Contains(m.notes[0], "_sets/b/oci/containerd/a/hosts.toml is not in the role") {
		t.Errorf("notes %q", m.notes)
	}
}

// TestLacks: what the settings lack of what the mirror has is told, and what cannot be read
// is an error.
func TestLacks(t *testing.T) {
	m := mirror(t, nil, fstest.MapFS{
		"apt/long.sources": {Data: bytes.Repeat([]byte("#"), maxSmall+1)},
		"apt/a.sources":    {Data: []byte("Signed-By: /usr/share/keyrings/gapbundle-none.asc\n")},
		"apt/b.list":       {Data: []byte("deb signed-by=/usr/share/keyrings/gapbundle-site.asc\n")},
	}, "keys/site.asc")
	files, notes, err := Write(m)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, want := range []string{
		"apt/long.sources is not in the role for Ansible: longer than 1048576 bytes",
		"/etc/apt/sources.list.d/a.sources names /usr/share/keyrings/gapbundle-none.asc, which is not in the role for Ansible",
		"a.sources in the ConfigMap of the GPU Operator names /usr/share/keyrings/gapbundle-none.asc",
		"b.list in the ConfigMap of the GPU Operator has a line that is no entry of a source list",
	} {
		if n := len(slices.DeleteFunc(slices.Clone(notes), func(s string) bool { return !strings.Contains(s, want) })); n != 1 {
			t.Errorf("%d notes say %q: %q", n, want, notes)
		}
	}
	paths := make([]string, 0, maxGlob+1)
	for i := range maxGlob + 1 {
		paths = append(paths, fmt.Sprintf("git/h%d.example/a.git/HEAD", i))
	}
	m = mirror(t, nil, nil, paths...)
	if _, notes, err := Write(m); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "more than 1000 names in the mirror are like git/*") {
		t.Errorf("%q %v", notes, err)
	}
	m = mirror(t, nil, fstest.MapFS{"apt/a.sources": {Data: []byte("Types: deb\n")}})
	m.Clients = fstest.MapFS{}
	if _, _, err := Write(m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
	m = &Mirror{Clients: unreadable{}, Lookup: func(string) ([]Place, bool) { return nil, false }}
	if _, err := m.Index(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a folder that cannot be read: %v", err)
	}
}

// unreadable is a file system that opens nothing.
type unreadable struct{}

func (unreadable) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

// TestGPUOperator: the containers get source lists with the keys in them.
func TestGPUOperator(t *testing.T) {
	m := mirror(t, nil, fstest.MapFS{
		"apt/ubuntu.sources":       {Data: []byte("# note\nTypes: deb\nURIs: @BASE@/apt/ubuntu\nSigned-By: /usr/share/keyrings/gapbundle-site.asc\n")},
		"apt/ubuntu-amd64.sources": {Data: []byte("Types: deb\n")},
		"rpm/dnf/base.repo":        {Data: []byte("[base]\nbaseurl=@BASE@/rpm/base\n")},
		"apt/cuda.list": {Data: []byte("# cuda, rebuilt. As /etc/apt/sources.list.d/cuda.list, with its keys:\n#   curl -f -o /usr/share/keyrings/gapbundle-site.asc @BASE@/keys/site.asc\n" +
			"deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/gapbundle-site.asc check-valid-until=no] @BASE@/apt/cuda /\ndeb-src @BASE@/apt/cuda stable main contrib\n")},
		"apt/odd.list": {Data: []byte("nothing that apt reads\n")},
	}, "keys/site.asc")
	text := textOf(t, m, "gpu-operator/repo-config.yaml")
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	found := map[string]string{}
	for {
		var object struct{ Data map[string]string }
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for name, content := range object.Data {
			found[name] = content
		}
	}
	want := "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
	if len(found) != 4 || !strings.HasSuffix(found["ubuntu.sources"], want) || !strings.Contains(found["base.repo"], "[base]") {
		t.Errorf("%q", found)
	}
	entry := "\nTypes: deb\nURIs: @BASE@/apt/cuda\nSuites: /\nArchitectures: amd64 arm64\n" + want + "check-valid-until: no\n" +
		"\nTypes: deb-src\nURIs: @BASE@/apt/cuda\nSuites: stable\nComponents: main contrib\n"
	if found["cuda.sources"] != entry || found["odd.list"] == "" {
		t.Errorf("%q", found)
	}
}
