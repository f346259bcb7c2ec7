package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/helm/index"
	"github.com/gapbundle/gapbundle/sources/oci"
)

// planned plans a spec with the kinds helm and oci.
func (w *world) planned(env *sources.Env, spec string) (*collect.Resolved, error) {
	return collect.Resolve(w.t.Context(), sources.Kinds{Kind(), oci.Kind()}, plantest.Load(w.t, w.dir, spec), env)
}

func (w *world) env(base sources.Base) *sources.Env {
	env := plantest.NewEnv(w.t, w.dir, base)
	env.Program = helmtest.Program(w.t)
	return env
}

func (w *world) mustPlan(options ...string) (*collect.Resolved, *sources.Env) {
	w.t.Helper()
	env := w.env(nil)
	r, err := w.planned(env, w.spec(options...))
	if err != nil {
		w.t.Fatal(err)
	}
	return r, env
}

// read reads an artifact.
func read(t testing.TB, a sources.Artifact) ([]byte, error) {
	t.Helper()
	c, err := a.Open(t.Context(), 0, "")
	if err != nil {
		return nil, err
	}
	defer c.Body.Close()
	return io.ReadAll(c.Body)
}

// listOf returns the images.json of a plan.
func listOf(t testing.TB, r *collect.Resolved) *list {
	t.Helper()
	content, err := read(t, plantest.Artifacts(t, r, "charts")[listName])
	if err != nil {
		t.Fatal(err)
	}
	l, err := parseList(content)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// noImages is a source whose charts are not rendered.
const noImages = "images: {mode: none}"

// TestSpec: what is wrong with a spec is said with its place, all of it.
func TestSpec(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for options, want := range map[string]string{
		"charts: []":                                                        "want charts",
		"charts: {repo: REPO}":                                              "chart: want the name",
		"charts: {repo: REPO, chart: a/b}":                                  "chart: want the name",
		"charts: {repo: ftp://a.example, chart: a}":                         "repo:",
		"charts: {repo: 'https://a.example/?x', chart: a}":                  "has no query",
		"charts: {chart: a}":                                                "want one of repo, oci and file",
		"charts: {repo: REPO, oci: a.example/x, chart: a}":                  "want one of repo, oci and file",
		"charts: {oci: 'oci://A B'}":                                        "oci:",
		"charts: {oci: a.example/x, chart: x}":                              "a name goes with repo",
		"charts: {repo: REPO, chart: a, version: '><'}":                     "version:",
		"charts: {repo: REPO, chart: a, newest: -1}":                        "newest:",
		"charts: {repo: REPO, chart: a, schema: no-such}":                   "schema:",
		"charts: {repo: REPO, chart: a, node-os: 'Ubuntu 24'}":              "node-os:",
		"charts: {repo: REPO, chart: a, set: {a: [1]}}":                     "set: a: want a plain value",
		"charts: {file: a.tgz, version: 1.x}":                               "a file has one version",
		"charts: {file: a.tgz}":                                             "no such file",
		"images: {mode: all}\n  charts: {repo: REPO, chart: a}":             "mode: want carry, list or none",
		"images: {add: nginx}\n  charts: {repo: REPO, chart: a}":            "add: \"nginx\": want a tag or a digest",
		"images: {instead: {'a:1': [b]}}\n  charts: {repo: REPO, chart: a}": "instead: \"b\"",
		"keyring: none.asc\n  charts: {repo: REPO, chart: a}":               "none.asc",
		"images: {mode: none, drop: x}\n  charts: {repo: REPO, chart: a}":   "drop: matches nothing with mode: none",
	} {
		_, err := w.planned(w.env(nil), w.spec(options))
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", options, err, want)
		}
	}
}

// TestChoose: newest, ranges, what is not there, and one name from two upstreams.
func TestChoose(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for _, v := range []string{"1.0.0", "1.1.0", "2.0.0-rc.1"} {
		w.simple("app", v, "quay.io/a/b:c")
	}
	write(t, w.dir+"/app-1.0.0.tgz", string(helmtest.Simple(t, "app", "1.0.0", "quay.io/a/b:c")))
	for charts, want := range map[string]string{
		"{repo: REPO, chart: app}":                                                        "app-1.1.0.tgz",
		"{repo: REPO, chart: app, newest: 5}":                                             "app-1.0.0.tgz app-1.1.0.tgz",
		"{repo: REPO, chart: app, version: '>=2.0.0-0'}":                                  "app-2.0.0-rc.1.tgz",
		"[{repo: REPO, chart: app}, {repo: REPO/index.yaml, chart: app, version: 1.0.0}]": "app-1.0.0.tgz app-1.1.0.tgz",
		"[{repo: REPO, chart: app}, {repo: REPO, chart: app}]":                            "app-1.1.0.tgz",
		"{file: app-1.0.0.tgz}":                                                           "app-1.0.0.tgz",
	} {
		r, _ := w.mustPlan("charts: "+charts, noImages)
		var got []string
		for _, path := range slices.Sorted(maps.Keys(plantest.Artifacts(t, r, "charts"))) {
			if strings.HasSuffix(path, ".tgz") {
				got = append(got, path)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", charts, got, want)
		}
	}
	for charts, want := range map[string]string{
		"{repo: REPO, chart: app, version: '>=3'}":          "upstream has 2.0.0-rc.1, 1.1.0, 1.0.0",
		"{repo: REPO, chart: none}":                         "no such chart",
		"[{repo: REPO, chart: app}, {file: app-1.0.0.tgz}]": "make two sources",
	} {
		_, err := w.planned(w.env(nil), w.spec("charts: "+charts, noImages))
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", charts, err)
		}
	}
}

// TestDigests: a digest that the bytes do not have is a refusal, unless the chart is
// named; an index without one leaves the connection.
func TestDigests(t *testing.T) {
	w := newWorld(t, t.TempDir())
	content := w.simple("app", "1.0.0", "quay.io/a/b:c")
	digest := bundle.DigestOf(content)
	wrong := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		entry   string // in place of the digest
		options []string
		vouched string
		want    string // of the error
	}{
		"right":            {digest.Hex(), nil, bundle.VouchedNone, ""}, // an index by plain http vouches for nothing
		"prefix and case":  {"SHA256:" + strings.ToUpper(digest.Hex()), nil, bundle.VouchedNone, ""},
		"none":             {`""`, nil, bundle.VouchedNone, ""},
		"wrong":            {wrong, nil, "", "want sha256:" + wrong},
		"wrong and named":  {wrong, []string{"wrong-digests: app-1.0.0"}, bundle.VouchedNone, ""},
		"right and named":  {digest.Hex(), []string{"wrong-digests: app-1.0.0"}, bundle.VouchedNone, ""},
		"no digest at all": {"abc", nil, "", "want 64 hexadecimal digits"},
	} {
		w.simple("app", "1.0.0", "quay.io/a/b:c")
		w.edit("app-1.0.0", "digest: "+digest.Hex(), "digest: "+c.entry)
		for _, mode := range []string{noImages, "images: {mode: list}"} {
			r, err := w.planned(w.env(nil), w.spec(append(c.options, "charts: {repo: REPO, chart: app}", mode)...))
			var got []byte
			var a sources.Artifact
			if err == nil {
				a = plantest.Artifacts(t, r, "charts")["app-1.0.0.tgz"]
				got, err = read(t, a)
			}
			switch {
			case c.want != "" && (!errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "index.yaml")):
				t.Errorf("%s, %s: %v, want %q", name, mode, err, c.want)
			case c.want == "" && (err != nil || bundle.DigestOf(got) != digest || a.Evidence.Vouched != c.vouched):
				t.Errorf("%s, %s: %v %+v", name, mode, err, a.Evidence)
			case name == "wrong and named" && a.Evidence.Annotations[toldKey] != "sha256:"+wrong:
				t.Errorf("%s, %s: the wrong digest is not recorded: %+v", name, mode, a.Evidence)
			case name == "right and named" && (a.Evidence.Annotations[toldKey] != "" || !strings.Contains(strings.Join(r.Repositories[0].Notes, "\n"), "is not needed any more")):
				t.Errorf("%s, %s: %+v %q", name, mode, a.Evidence, r.Repositories[0].Notes)
			}
		}
	}
}

// TestWrongDigestsOfNothing: an exception for a chart that is not chosen is a mistake.
func TestWrongDigestsOfNothing(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	_, err := w.planned(w.env(nil), w.spec("charts: {repo: REPO, chart: app}", "wrong-digests: app-1.0.1", noImages))
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), `"app-1.0.1" matches nothing: the charts are app-1.0.0`) {
		t.Error(err)
	}
}

// TestAddresses: several addresses in turn, other hosts only where they are allowed, and
// registries.
func TestAddresses(t *testing.T) {
	w := withRegistry(t, t.TempDir())
	content := w.simple("app", "1.0.0", "quay.io/a/b:c")
	other := newWorld(t, w.dir)
	other.server.Put("/x/app.tgz", content)
	w.ociChart("charts", "app", "1.0.0", content)
	urls := "urls:\n    - app-1.0.0.tgz\n"
	for list, want := range map[string]string{
		"urls: [none.tgz, app-1.0.0.tgz]":                                   "",
		"urls: [\"" + other.server.URL("/x/app.tgz") + "\"]":                "redirect-to",
		"urls: [\"" + other.server.URL("/x/app.tgz") + "\", app-1.0.0.tgz]": "",
		"urls: [\"oci://" + w.host() + "/charts/app:1.0.0\"]":               "",
		"urls: []":                       "no address",
		"urls: [\"file:///etc/passwd\"]": "file",
	} {
		w.simple("app", "1.0.0", "quay.io/a/b:c")
		w.edit("app-1.0.0", urls, list+"\n")
		r, err := w.planned(w.env(nil), w.spec("charts: {repo: REPO, chart: app}", "images: {mode: none, plain-http: [\"HOST\"]}"))
		if err == nil {
			var got []byte
			got, err = read(t, plantest.Artifacts(t, r, "charts")["app-1.0.0.tgz"])
			if err == nil && bundle.DigestOf(got) != bundle.DigestOf(content) {
				t.Errorf("%s: other bytes", list)
			}
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", list, err, want)
		}
	}
}

// TestProvenance: with a keyring every chart needs a signature that holds and is of
// these bytes; without one a file that is there has to be right.
func TestProvenance(t *testing.T) {
	w := newWorld(t, t.TempDir())
	signer := w.trust()
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	for name, c := range map[string]struct {
		do      func()
		keyring bool
		class   error
		want    string
	}{
		"signed":                 {func() { w.prove("app", "1.0.0", signer) }, true, nil, ""},
		"absent":                 {func() { w.server.Remove(root + "app-1.0.0.tgz.prov") }, true, fetch.ErrRefused, "app-1.0.0.tgz.prov"},
		"absent, no keyring":     {func() { w.server.Remove(root + "app-1.0.0.tgz.prov") }, false, nil, ""},
		"by somebody else":       {func() { w.prove("app", "1.0.0", plantest.NewSigner(t, "eve", 0)) }, true, fetch.ErrRefused, "want a signature by"},
		"not checked":            {func() { w.prove("app", "1.0.0", plantest.NewSigner(t, "eve", 0)) }, false, nil, ""},
		"of another":             {func() { w.proveText("files: {app-1.0.0.tgz: sha256:" + strings.Repeat("ab", 32) + "}") }, true, fetch.ErrRefused, "says that app-1.0.0.tgz is"},
		"of another, no keyring": {func() { w.proveText("files: {app-1.0.0.tgz: sha256:" + strings.Repeat("ab", 32) + "}") }, false, fetch.ErrRefused, "says that app-1.0.0.tgz is"},
		"of another name":        {func() { w.proveText("files: {app-1.0.1.tgz: sha256:" + strings.Repeat("ab", 32) + "}") }, true, fetch.ErrUpstream, "no sum for app-1.0.0.tgz"},
	} {
		c.do()
		options := []string{"charts: {repo: REPO, chart: app}", noImages}
		if c.keyring {
			options = append(options, "keyring: charts.asc")
		}
		r, err := w.planned(w.env(nil), w.spec(options...))
		if c.class != nil {
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		all := plantest.Artifacts(t, r, "charts")
		if _, ok := all["app-1.0.0.tgz.prov"]; ok == strings.HasPrefix(name, "absent") {
			t.Errorf("%s: %v", name, slices.Sorted(maps.Keys(all)))
		}
		signed := strings.HasPrefix(all["app-1.0.0.tgz"].Evidence.Vouched, bundle.VouchedOpenPGP)
		if signed != c.keyring || c.keyring != (len(r.Repositories[0].Keys) == 1) {
			t.Errorf("%s: %+v", name, all["app-1.0.0.tgz"].Evidence)
		}
	}
}

func (w *world) proveText(sums string) {
	w.server.Put(root+"app-1.0.0.tgz.prov", plantest.ClearSign(w.t, []byte("name: app\n\n...\n"+sums+"\n"), w.signer))
}

// TestRegistry: a chart in a registry is in the repository, and in the registry inside.
func TestRegistry(t *testing.T) {
	w := withRegistry(t, t.TempDir())
	w.image("team/app", "v1")
	content := helmtest.Simple(t, "app", "1.2.0+b.1", w.host()+"/team/app:v1")
	w.ociChart("charts", "app", "1.2.0+b.1", content)
	w.ociChart("charts", "app", "1.1.0", helmtest.Simple(t, "app", "1.1.0", w.host()+"/team/app:v1"))
	r, _ := w.mustPlan("charts: {oci: \"oci://HOST/charts/app\", version: 1.x}", "images: {plain-http: [\"HOST\"]}")
	all := plantest.Artifacts(t, r, "charts")
	got, err := read(t, all["app-1.2.0+b.1.tgz"])
	if err != nil || bundle.DigestOf(got) != bundle.DigestOf(content) {
		t.Fatal(err, slices.Sorted(maps.Keys(all)))
	}
	folder := strings.ReplaceAll(w.host(), ":", "_")
	images := plantest.Artifacts(t, r, "charts/oci")
	for _, path := range []string{folder + "/charts/app/manifests/1.2.0_b.1", folder + "/team/app/manifests/v1"} {
		if _, ok := images[path]; !ok {
			t.Errorf("%s is not in %v", path, slices.Sorted(maps.Keys(images)))
		}
	}
}

// TestImages: what the spec says about images is done.
func TestImages(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.chart("op", "1.0.0", helmtest.Package(t, "op", map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: op\nversion: 1.0.0\n",
		"values.yaml": "hubble: {image: {repository: quay.io/cilium/hubble-ui, tag: v1}}\nglobal: {imageRegistry: \"\"}\n",
		"templates/policy.yaml": "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec: {driver: {repository: nvcr.io/nvidia, image: driver, version: '580'}}\n" +
			"---\napiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {containers: [{image: 'nginx:1'}, {image: 'quay.io/thanos/thanos:v1'}]}\n",
	}))
	for name, c := range map[string]struct {
		chart, images string
		want          string
		err           string
	}{
		"refused":         {"", "mode: list", "", "set node-os: [ubuntu24.04]"},
		"node-os":         {", node-os: [ubuntu24.04, rhel9.4]", "mode: list", "docker.io/library/nginx:1 nvcr.io/nvidia/driver:580-rhel9.4 nvcr.io/nvidia/driver:580-ubuntu24.04 quay.io/thanos/thanos:v1", ""},
		"instead":         {"", "mode: list, instead: {'nvcr.io/nvidia/driver:580': ['nvcr.io/nvidia/driver:580-sles15']}", "docker.io/library/nginx:1 nvcr.io/nvidia/driver:580-sles15 quay.io/thanos/thanos:v1", ""},
		"drop":            {"", "mode: list, drop: ['nvcr.io/*', 'quay.io/thanos/thanos:*']", "docker.io/library/nginx:1", ""},
		"drop, short":     {"", "mode: list, drop: ['nvcr.io/*', 'nginx:*']", "quay.io/thanos/thanos:v1", ""},
		"drop nothing":    {", node-os: a1", "mode: list, drop: ['quay.io/thanos/thanos:*', 'quay.io/nobody/*']", "", `drop: "quay.io/nobody/*" matches nothing: the charts name docker.io/library/nginx:1, nvcr.io/nvidia/driver:580, quay.io/cilium/hubble-ui:v1, quay.io/thanos/thanos:v1`},
		"accept nothing":  {", node-os: a1", "mode: list, accept: 'quay.io/cilium/hubble-relay:*'", "", `accept: "quay.io/cilium/hubble-relay:*" matches nothing`},
		"instead nothing": {", node-os: a1", "mode: list, instead: {'nvcr.io/nvidia/driver:570': ['nvcr.io/nvidia/driver:570-sles15']}", "", `instead: "nvcr.io/nvidia/driver:570" matches nothing`},
		"accept, add":     {"", "mode: list, drop: 'nvcr.io/*', accept: 'quay.io/cilium/hubble-*', add: 'busybox:1'", "docker.io/library/busybox:1 docker.io/library/nginx:1 quay.io/cilium/hubble-ui:v1 quay.io/thanos/thanos:v1", ""},
	} {
		r, err := w.planned(w.env(nil), w.spec("charts: {repo: REPO, chart: op"+c.chart+"}", "images: {"+c.images+"}"))
		if c.err != "" {
			if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(listOf(t, r).Images, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if len(r.Repositories) != 1 {
			t.Errorf("%s: mode list derives a source", name)
		}
		notes := strings.Join(r.Repositories[0].Notes, "\n")
		if strings.Contains(name, "accept") == strings.Contains(notes, "may be needed too") {
			t.Errorf("%s: %s", name, notes)
		}
		if plantest.Artifacts(t, r, "charts")["op-1.0.0.tgz"].File.Annotations[registryKey] != "global" {
			t.Errorf("%s: global.imageRegistry is not noticed", name)
		}
	}
}

// TestRender: an error of the chart or of the values names both.
func TestRender(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.chart("app", "1.0.0", helmtest.Package(t, "app", map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\nkubeVersion: '>=1.30'\n", "templates/x.yaml": `image: {{ required "say which" .Values.image }}`,
	}))
	write(t, w.dir+"/v.yaml", "image: quay.io/a/file:v1\n")
	for chart, want := range map[string]string{
		"":                                "say which",
		", kube-version: '1.29'":          "wants Kubernetes >=1.30",
		", values: none.yaml":             "none.yaml",
		", values: v.yaml":                "",
		", set: {image: 'quay.io/a/b:1'}": "",
	} {
		r, err := w.planned(w.env(nil), w.spec("charts: {repo: REPO, chart: app"+chart+"}", "images: {mode: list}"))
		switch {
		case want == "" && (err != nil || len(listOf(t, r).Images) != 1):
			t.Errorf("%s: %v", chart, err)
		case want != "" && (!errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", chart, err, want)
		}
	}
}

// TestOnce: a set that is planned twice asks for each file once.
func TestOnce(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	env := w.env(nil)
	for range 2 {
		if _, err := w.planned(env, w.spec("charts: {repo: REPO, chart: app}", "images: {mode: list}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"index.yaml", "app-1.0.0.tgz", "app-1.0.0.tgz.prov"} {
		if n := w.server.Requests(root + name); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// kept is a base that keeps documents, as the ledger does.
type kept struct {
	plantest.Base
	documents map[bundle.Digest][]byte
}

func (k kept) Document(string, string) ([]byte, error) { return nil, errors.ErrUnsupported }

func (k kept) Content(d bundle.Digest) ([]byte, error) { return k.documents[d], nil }

// TestUnchanged: what did not change is neither fetched nor rendered; other values are.
func TestUnchanged(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	options := []string{"charts: {repo: REPO, chart: app}", "images: {mode: list}"}
	r, _ := w.mustPlan(options...)
	base := kept{plantest.Record(t, r), map[bundle.Digest][]byte{}}
	list := plantest.Artifacts(t, r, "charts")[listName]
	if !list.Keep {
		t.Error("the list of images is not kept")
	}
	content, err := read(t, list)
	if err != nil {
		t.Fatal(err)
	}
	base.documents[list.File.Digest] = content
	w.server.ResetCounts()
	env := w.env(base)
	env.Program = "/no/such/program"
	again, err := w.planned(env, w.spec(options...))
	if err != nil {
		t.Fatal(err)
	}
	if w.server.Requests(root+"app-1.0.0.tgz") != 0 {
		t.Error("the package was fetched again")
	}
	for path, a := range plantest.Artifacts(t, again, "charts") {
		before := plantest.Artifacts(t, r, "charts")[path]
		if a.File.Digest != before.File.Digest || !maps.Equal(a.File.Annotations, before.File.Annotations) {
			t.Errorf("%s: %+v, before %+v", path, a.File, before.File)
		}
		if path == "app-1.0.0.tgz" && !a.Checked {
			t.Errorf("%s: would be looked at again", path)
		}
	}
	if _, err := w.planned(env, w.spec("charts: {repo: REPO, chart: app, set: {replicas: 2}}", "images: {mode: list}")); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("other values: %v", err)
	}
}

// TestIndex: the published index is a function of what was chosen, and helm's form.
func TestIndex(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	w.simple("app", "1.1.0", "quay.io/a/b:c")
	r, _ := w.mustPlan("charts: {repo: REPO, chart: app, newest: 2}", noImages)
	all := plantest.Artifacts(t, r, "charts")
	late, err := r.Repositories[0].Late(t.Context(), results(all))
	if err != nil || len(late) != 1 || late[0].File.Path != "index.yaml" {
		t.Fatal(late, err)
	}
	content, err := read(t, late[0])
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Read(content, func(string) bool { return true })
	if err != nil || len(x.Charts["app"]) != 2 || x.Charts["app"][0].Version != "1.1.0" || x.Charts["app"][0].URLs[0] != "app-1.1.0.tgz" {
		t.Errorf("%v\n%s", err, content)
	}
	path := fmt.Sprintf("_upstream/%s/charts/index.yaml", strings.ReplaceAll(w.server.Host(), ":", "_"))
	if _, ok := all[path]; !ok {
		t.Errorf("no %s in %v", path, slices.Sorted(maps.Keys(all)))
	}
}

// results are artifacts as they were collected.
type results map[string]sources.Artifact

func (r results) Lookup(_ context.Context, path string) (bundle.File, bool, error) {
	a, ok := r[path]
	return a.File, ok, nil
}

// TestHostile: charts that no upstream should offer are refused by name.
func TestHostile(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for name, do := range map[string]func(){
		"traversal in the version": func() {
			w.simple("app", "1.0.0", "quay.io/a/b:c")
			w.edit("app-1.0.0", "version: 1.0.0", "version: 1.0.0/../../x")
		},
		"another name in the package": func() { w.chart("app", "1.0.0", helmtest.Simple(t, "evil", "1.0.0", "quay.io/a/b:c")) },
		"no package":                  func() { w.chart("app", "1.0.0", []byte("<html></html>")) },
		"a template without end": func() {
			w.chart("app", "1.0.0", helmtest.Package(t, "app", map[string]string{"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n", "templates/x.yaml": "{{ tpl .Values.x . }}", "values.yaml": "x: '{{ tpl .Values.x . }}'"}))
		},
	} {
		do()
		_, err := w.planned(w.env(nil), w.spec("charts: {repo: REPO, chart: app}", "images: {mode: list}"))
		if err == nil || !strings.Contains(err.Error(), "app") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
