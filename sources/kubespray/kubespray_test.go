package kubespray

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

const images = `registry.k8s.io/kube-apiserver:v1.34.1
registry.k8s.io/kube-controller-manager:v1.34.1
registry.k8s.io/kube-scheduler:v1.34.1
registry.k8s.io/kube-proxy:v1.34.1
registry.k8s.io/pause:3.10
registry.k8s.io/coredns/coredns:v1.12.0
quay.io/coreos/etcd:v3.6.10
quay.io/cilium/cilium:v1.18.2
docker.io/rancher/local-path-provisioner:v0.0.32
ghcr.io/kube-vip/kube-vip:v0.8.9
`

// specOf returns a source of this kind as a spec file has it.
func specOf(t *testing.T, dir, text string) sources.Spec {
	t.Helper()
	n, err := strictyaml.Parse("spec.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sources.Spec{Name: "cluster", Kind: Name, Dir: dir, Decode: n.Decode}
}

func planOf(t *testing.T, dir, text string) (*sources.Plan, error) {
	t.Helper()
	s, err := newSource([]sources.Spec{specOf(t, dir, text)})
	if err != nil {
		return nil, err
	}
	return s.Plan(t.Context(), &sources.Env{Log: slog.New(slog.DiscardHandler)})
}

func newCluster(t *testing.T) *checkout {
	c := newCheckout(t, t.TempDir())
	c.publish()
	c.write("images.list", images)
	return c
}

const wholeSpec = "checkout: kubespray\nfiles: [files.list]\nimages: [images.list]\n"

// TestDerived: files with their pins, images as they are, and the chart.
func TestDerived(t *testing.T) {
	c := newCluster(t)
	p, err := planOf(t, c.dir, wholeSpec+"cilium-chart: true\nplatforms: [linux/amd64]\ndrop: [\"*kube-vip*\"]\nadd-files: [{url: \"https://example.org/a\", sha256: "+strings.Repeat("ab", 32)+"}]\n")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range p.Also {
		got[d.Spec.Name] = d.Spec.Kind
	}
	for name, kind := range map[string]string{"cluster/files": "files", "cluster/oci": "oci", "cluster/helm": "helm"} {
		if got[name] != kind {
			t.Errorf("%s: %q; have %v", name, got[name], got)
		}
	}
	var urls struct {
		URLs []struct {
			URL    string `yaml:"url"`
			SHA256 string `yaml:"sha256"`
			SHA512 string `yaml:"sha512"`
		} `yaml:"urls"`
	}
	if notes := strings.Join(p.Repositories[0].Notes, "\n"); !strings.Contains(notes, "Argo CD") || !strings.Contains(notes, "pypi") || !strings.Contains(notes, "dropped from the lists: ") {
		t.Errorf("notes: %s", notes)
	}
	if err := p.Also[0].Spec.Decode(&urls); err != nil {
		t.Fatal(err)
	}
	for _, u := range urls.URLs {
		if strings.HasSuffix(u.URL, "/runsc") && u.SHA512 == "" || !strings.HasSuffix(u.URL, "/runsc") && u.SHA256 == "" {
			t.Errorf("%s: pinned by %q and %q", u.URL, u.SHA256, u.SHA512)
		}
	}
	var oci struct {
		Images    []string `yaml:"images"`
		Platforms []string `yaml:"platforms"`
	}
	if err := p.Also[1].Spec.Decode(&oci); err != nil || len(oci.Images) != 9 || len(oci.Platforms) != 1 || slices.ContainsFunc(oci.Images, func(s string) bool { return strings.Contains(s, "vip") }) {
		t.Errorf("%v, %v", oci, err)
	}
}

// TestOldRelease: a release whose files cannot be pointed at a mirror by four variables
// is named in the plan.
func TestOldRelease(t *testing.T) {
	for release, old := range map[string]bool{"2.24.0": true, "1.99.9": true, "2.25.0": false, "2.31.0": false, "10.0.0": false} {
		c := newCluster(t)
		c.write("kubespray/galaxy.yml", "version: "+release+"\n")
		p, err := planOf(t, c.dir, wholeSpec)
		if err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(p.Repositories[0].Notes, "\n"); strings.Contains(notes, "*_download_url") != old {
			t.Errorf("%s: notes %s", release, notes)
		}
	}
}

// TestRefusals: what is wrong with the lists or the spec is named with its place.
func TestRefusals(t *testing.T) {
	url := "https://dl.k8s.io/release/v1.99.0/bin/linux/amd64/kubelet"
	for name, test := range map[string]struct {
		list, images, spec string
		want               []string
	}{
		"no entry":            {list: url, spec: wholeSpec, want: []string{"more.list:1", url, "no kubelet_checksums 1.99.0 amd64", "unpinned"}},
		"unknown file":        {list: "https://example.org/tool", spec: wholeSpec, want: []string{"more.list:1", "no table"}},
		"a variable":          {list: "{{ github_url }}/x", spec: wholeSpec, want: []string{"more.list:1", "github_url", "generate_list.sh"}},
		"a mirror's address":  {list: "http://mirror.lan/files/github.com/x/y", spec: wholeSpec, want: []string{"more.list:1", "files_repo"}},
		"a mirror's image":    {images: "mirror.lan/kube-apiserver:v1.34.1", spec: wholeSpec, want: []string{"more.list:1", "kube_image_repo"}},
		"no reference":        {images: "quay.io/a:b:c", spec: wholeSpec, want: []string{"more.list:1"}},
		"no lists":            {spec: "checkout: kubespray\n", want: []string{"generate_list.sh"}},
		"nothing pins":        {spec: "files: [files.list]\n", want: []string{"checkout", "unpinned: all"}},
		"all with checksums":  {spec: wholeSpec + "unpinned: all\n", want: []string{"unpinned: all"}},
		"both":                {spec: wholeSpec + "checksums: x\n", want: []string{"not both"}},
		"no checkout":         {spec: "checkout: nowhere\nfiles: [files.list]\n", want: []string{"nowhere", "no checkout of Kubespray"}},
		"an empty list":       {list: "# nothing", spec: wholeSpec, want: []string{"more.list:1:1", "the list is empty", "generate it again"}},
		"no such list":        {spec: "checkout: kubespray\nfiles: [none.list]\n", want: []string{"none.list"}},
		"drop of nothing":     {spec: wholeSpec + "drop: [\"*nothing*\"]\n", want: []string{"drop", "*nothing*"}},
		"drop is malformed":   {spec: wholeSpec + "drop: [\"[\"]\n", want: []string{"drop"}},
		"unpinned of nothing": {spec: wholeSpec + "unpinned: [https://example.org/x]\n", want: []string{"unpinned", "https://example.org/x"}},
		"a short digest":      {spec: wholeSpec + "add-files: [{url: https://example.org/x, sha256: abcd}]\n", want: []string{"add-files", "64"}},
		"no cilium":           {spec: "checkout: kubespray\nfiles: [files.list]\ncilium-chart: true\n", want: []string{"cilium-chart"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			spec := test.spec
			if test.list != "" {
				c.write("more.list", test.list+"\n")
				spec = strings.Replace(spec, "[files.list]", "[files.list, more.list]", 1)
			}
			if test.images != "" {
				c.write("more.list", test.images+"\n")
				spec = strings.Replace(spec, "[images.list]", "[images.list, more.list]", 1)
			}
			_, err := planOf(t, c.dir, spec)
			if !errors.Is(err, bundle.ErrUsage) {
				t.Fatalf("got %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
		})
	}
}

// tree is a planned repository as Check and Clients see it.
type tree struct {
	repo    bundle.Repository
	content map[string][]byte
}

func (t tree) Repositories() []bundle.Repository { return []bundle.Repository{t.repo} }

func (t tree) Files(string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, p := range []string{filesName, imagesName, pinsName} {
			if c, ok := t.content[p]; ok && !yield(bundle.File{Path: p, Size: int64(len(c)), Digest: bundle.DigestOf(c)}, nil) {
				return
			}
		}
	}
}

func (t tree) Open(_ context.Context, _, path string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(t.content[path])), nil
}

func treeOf(t *testing.T, p *sources.Plan) tree {
	t.Helper()
	r := p.Repositories[0]
	tr := tree{repo: bundle.Repository{Name: r.Name, Kind: Name, Mount: r.Mount, Annotations: r.Annotations}, content: map[string][]byte{}}
	for a, err := range r.Artifacts() {
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Open(t.Context(), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if tr.content[a.File.Path], err = io.ReadAll(c.Body); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func mustPlan(t *testing.T, c *checkout, spec string) tree {
	t.Helper()
	p, err := planOf(t, c.dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	return treeOf(t, p)
}

func TestCheck(t *testing.T) {
	c := newCluster(t)
	tr := mustPlan(t, c, wholeSpec)
	counts, err := check(t.Context(), tr)
	if err != nil || counts[0].Count != 1 || counts[1].Count != 3 || counts[2].Count != 10 || counts[3].Count != 0 || counts[4].Count != 3 {
		t.Fatalf("%v, %v", counts, err)
	}
	// Without checksums, what the receipt says is that nothing is pinned.
	counts, err = check(t.Context(), mustPlan(t, c, "files: [files.list]\nunpinned: all\n"))
	if err != nil || counts[3] != (bundle.CheckCount{Name: "not pinned", Count: 3}) || counts[4].Count != 0 {
		t.Errorf("unpinned: all: %v, %v", counts, err)
	}
	// An image of kubeadm's is missing: named. Dropped by name: not asked for.
	c.write("images.list", strings.ReplaceAll(images, "kube-proxy:v1.34.1", "kube-proxy:v1.33.0"))
	if _, err = check(t.Context(), mustPlan(t, c, wholeSpec)); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "kube-proxy:v1.34.1") {
		t.Errorf("another version: %v", err)
	}
	if _, err = check(t.Context(), mustPlan(t, c, wholeSpec+"drop: [\"*kube-proxy*\"]\n")); err != nil {
		t.Errorf("dropped: %v", err)
	}
	c.write("images.list", strings.ReplaceAll(images, "quay.io/coreos/etcd:v3.6.10\n", ""))
	if _, err = check(t.Context(), mustPlan(t, c, wholeSpec)); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("without etcd: %v", err)
	}
	for name, spoil := range map[string]func(map[string][]byte){
		"a URL more": func(m map[string][]byte) { m[filesName] = append(m[filesName], "https://example.org/x\n"...) },
		"a broken pin": func(m map[string][]byte) {
			m[pinsName] = bytes.Replace(m[pinsName], []byte("sha256:"), []byte("sha257:"), 1)
		},
		"no JSON":       func(m map[string][]byte) { m[pinsName] = []byte("{") },
		"a broken name": func(m map[string][]byte) { m[imagesName] = []byte("quay.io/a:b:c\n") },
	} {
		tr := mustPlan(t, newCluster(t), wholeSpec)
		spoil(tr.content)
		if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), "cluster") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two versions of Kubernetes' own binaries.
	tr = mustPlan(t, newCluster(t), wholeSpec)
	var own pins
	if err := json.Unmarshal(tr.content[pinsName], &own); err != nil {
		t.Fatal(err)
	}
	own.Files = append(own.Files, pin{URL: "https://x/release/v1.35.0/bin/linux/amd64/kubeadm"})
	tr.content[pinsName], _ = json.Marshal(own)
	tr.content[filesName] = append(tr.content[filesName], "https://x/release/v1.35.0/bin/linux/amd64/kubeadm\n"...)
	if _, err := check(t.Context(), tr); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "kubeadm of v1.35.0") {
		t.Errorf("two versions: %v", err)
	}
}

// variableName finds the names that a file of variables sets or has commented out.
var variableName = regexp.MustCompile(`(?m)^(?:# )?([a-z0-9_]+): `)

// TestClients: the file is YAML once the words are filled in, names every registry, and
// sets no variable that Kubespray does not have.
func TestClients(t *testing.T) {
	c := newCluster(t)
	tr := mustPlan(t, c, wholeSpec+"cilium-chart: true\n")
	all, err := clients(t.Context(), []bundle.Repository{tr.repo}, tr)
	if err != nil || len(all) != 1 || all[0].Path != "offline.yml" {
		t.Fatalf("%v, %v", all, err)
	}
	text := strings.NewReplacer("@BASE@", "https://mirror.lan/m", "@HOST@", "mirror.lan", "@INSECURE@", "false").Replace(string(all[0].Content))
	var got struct {
		Files   string `yaml:"files_repo"`
		Mirrors []struct {
			Prefix, Server string
			Mirrors        []struct {
				Host         string
				OverridePath bool `yaml:"override_path"`
			}
		} `yaml:"containerd_registries_mirrors"`
		Cilium string `yaml:"cilium_install_extra_flags"`
	}
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got.Files != "https://mirror.lan/m/files" || len(got.Mirrors) != 4 || got.Mirrors[0].Prefix != "docker.io" || got.Mirrors[0].Server != "https://registry-1.docker.io" ||
		got.Mirrors[2].Mirrors[0].Host != "https://mirror.lan/m/v2/quay.io" || !got.Mirrors[2].Mirrors[0].OverridePath || !strings.Contains(got.Cilium, "--repository https://mirror.lan/m/helm/cluster/helm") {
		t.Errorf("%+v", got)
	}
	names, err := os.ReadFile("testdata/variables.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(names))
	for _, found := range variableName.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, found[1]) {
			t.Errorf("%s: Kubespray has no such variable", found[1])
		}
	}
}

// TestHostileLists: lists from elsewhere end within their bounds.
func TestHostileLists(t *testing.T) {
	many := strings.Repeat("https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubelet\n", 15_000)
	for name, test := range map[string]struct{ list, want string }{
		"many lines": {many, "more than 5000 lines"},
		"too large":  {strings.Repeat("#", maxList+1), "more.list"},
		"no end":     {strings.Repeat("a", maxList), "more.list:1"},
		"YAML":       {"a: &a [*a, *a]\n", "more.list:1"},
		"variables":  {strings.Repeat("{{ a }}\n", 100_000), "more.list:1"},
		"binary":     {"https://a/\x00\x1b[2J\n", "more.list:1"},
	} {
		c := newCluster(t)
		c.write("more.list", test.list)
		_, err := planOf(t, c.dir, strings.Replace(wholeSpec, "[files.list]", "[more.list]", 1)+"drop: [\"*nothing*\"]\n")
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 10_000 || strings.ContainsAny(err.Error(), "\x00\x1b") {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte("https://a/b\n# c\n\xef\xbb\xbfx # y\r\n{{ z }}\n"))
	f.Add([]byte(images))
	f.Fuzz(func(t *testing.T, content []byte) {
		lines, err := parseList("x", content)
		if err != nil {
			return
		}
		for _, l := range lines {
			if l.text != strings.TrimSpace(l.text) || l.text == "" || strings.Contains(l.text, "\n") {
				t.Fatalf("%q", l.text)
			}
			_, _ = parseImage(l)
			_ = checkURL(l)
		}
	})
}
