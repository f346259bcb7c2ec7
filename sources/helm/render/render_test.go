package render

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/helm/child"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
	"github.com/gapbundle/gapbundle/sources/helm/images"
)

func TestMain(m *testing.M) { helmtest.Main(m) }

// fixture is one of testdata: a chart, the value file that is given with it, and
// the images that it should be found to name.
type fixture struct {
	name, values string
	chart        []byte
	want         []string
}

func fixtures(tb testing.TB) []fixture {
	tb.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 6 {
		tb.Fatal(archives, err)
	}
	var all []fixture
	for _, a := range archives {
		files := helmtest.Files(tb, a)
		f := fixture{name: strings.TrimSuffix(filepath.Base(a), ".txtar"), values: files["set.yaml"], want: strings.Split(strings.TrimSpace(files["want"]), "\n")}
		delete(files, "want")
		delete(files, "set.yaml")
		f.chart = helmtest.Package(tb, f.name, files)
		slices.Sort(f.want)
		all = append(all, f)
	}
	return all
}

func (f fixture) options() child.Options {
	o := child.Options{Release: "rel", Namespace: "space", KubeVersion: "1.33"}
	if f.values != "" {
		o.Values = [][]byte{[]byte(f.values)}
	}
	return o
}

// line returns a finding as "want" has it.
func line(f images.Found) string {
	s := fmt.Sprintf("%s %s", f.Rule, f.Image)
	if f.Maybe != "" {
		s += " (" + f.Maybe + ")"
	}
	if f.NodeOS {
		s += " node-os"
	}
	return s
}

// TestImages: one chart for each rule, through the real child.
func TestImages(t *testing.T) {
	runner := child.Runner{Program: helmtest.Program(t)}
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			reply, err := runner.Render(t.Context(), &child.Request{Chart: f.chart, Options: f.options()})
			if err != nil || reply.Error != "" {
				t.Fatal(err, reply)
			}
			var got []string
			for _, i := range reply.Images {
				got = append(got, line(i))
				if len(i.Where) == 0 {
					t.Errorf("%s: without a place", i.Image)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, f.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(f.want, "\n  "))
			}
		})
	}
}

// answered returns what the child would answer.
func answered(q *child.Request) *child.Reply { return answer(q, io.Discard) }

// TestTests: the images of "helm test" are found where they are requested.
func TestTests(t *testing.T) {
	chart := helmtest.Package(t, "pod", helmtest.Files(t, "testdata/pod.txtar"))
	for tests, want := range map[bool]bool{false: false, true: true} {
		p := answered(&child.Request{Chart: chart, Options: child.Options{Release: "r", Namespace: "n", KubeVersion: "1.33", Tests: tests}})
		got := slices.ContainsFunc(p.Images, func(f images.Found) bool { return f.Image == "quay.io/org/test:v9" })
		if p.Error != "" || got != want {
			t.Errorf("tests %v: %v %s", tests, got, p.Error)
		}
	}
}

// TestOptions: what is set reaches the templates.
func TestOptions(t *testing.T) {
	chart := helmtest.Package(t, "o", map[string]string{
		"Chart.yaml":       "apiVersion: v2\nname: o\nversion: 1.0.0\nkubeVersion: '>=1.30'\n",
		"values.yaml":      "a: {b: one, c: 1}\n",
		"templates/x.yaml": `{{ toJson .Values }} {{ .Release.Name }} {{ .Release.Namespace }} {{ .Release.IsInstall }} {{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.APIVersions.Has "x/v9" }} [{{ getHostByName "localhost" }}] {{ lookup "v1" "Pod" "" "" }}`,
	})
	p := answered(&child.Request{Chart: chart, Documents: true, Options: child.Options{
		Release: "r", Namespace: "n", KubeVersion: "v1.31.2-gke.1", APIVersions: []string{"x/v9"},
		Values: [][]byte{[]byte("a: {b: two}"), []byte("d: 1e3")}, Set: []string{"a.c=2", "e={x,y}"}, SetString: []string{"f=true"},
	}})
	if p.Error == "" || !strings.Contains(p.Error, "o/templates/x.yaml") {
		t.Errorf("a template that is no YAML: %q", p.Error) // helm refuses it, too
	}
	chart = helmtest.Package(t, "o", map[string]string{
		"Chart.yaml":       "apiVersion: v2\nname: o\nversion: 1.0.0\nkubeVersion: '>=1.30'\n",
		"values.yaml":      "a: {b: one, c: 1}\n",
		"templates/x.yaml": `{"v": {{ toJson .Values }}, "s": {{ list .Release.Name .Release.Namespace .Release.IsInstall .Capabilities.KubeVersion.Version (.Capabilities.APIVersions.Has "x/v9") (getHostByName "localhost") (lookup "v1" "Pod" "" "") | toJson }}}`,
	})
	o := child.Options{
		Release: "r", Namespace: "n", KubeVersion: "v1.31.2-gke.1", APIVersions: []string{"x/v9"},
		Values: [][]byte{[]byte("a: {b: two}"), []byte("d: 1e3")}, Set: []string{"a.c=2", "e={x,y}"}, SetString: []string{"f=true"},
	}
	p = answered(&child.Request{Chart: chart, Documents: true, Options: o})
	want := `{"v": {"a":{"b":"two","c":2},"d":1000,"e":["x","y"],"f":"true"}, "s": ["r","n",true,"v1.31.2-gke.1",true,"",{}]}`
	if p.Error != "" || len(p.Documents) != 1 || p.Documents[0].Text != want {
		t.Errorf("got %+v\nwant %s", p, want)
	}
	for name, broken := range map[string]child.Options{
		"the chart wants Kubernetes >=1.30, and kube-version is v1.29": {KubeVersion: "1.29"},
		"kube-version one":   {KubeVersion: "one"},
		"value file 1":       {Values: [][]byte{[]byte("- a")}},
		"set a[-1]=x":        {KubeVersion: "1.30", Set: []string{"a[-1]=x"}},
		"set-string a[-1]=x": {KubeVersion: "1.30", SetString: []string{"a[-1]=x"}},
	} {
		if p := answered(&child.Request{Chart: chart, Options: broken}); !strings.Contains(p.Error, name) {
			t.Errorf("%s: %q", name, p.Error)
		}
	}
}

// TestSchema: values are checked, and no reference leaves the schema.
func TestSchema(t *testing.T) {
	chart := func(schema string) []byte {
		return helmtest.Package(t, "s", map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: s\nversion: 1.0.0\n", "values.yaml": "port: 80\nsub: {port: x}\n", "values.schema.json": schema,
			"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/values.schema.json": `{"properties": {"port": {"type": ["integer", "string"]}}}`,
		})
	}
	for schema, want := range map[string]string{
		`{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"port": {"type": "integer"}}}`: "",
		`{"$defs": {"p": {"type": "integer"}}, "properties": {"port": {"$ref": "#/$defs/p"}}}`:                "",
		`{"properties": {"port": {"type": "string"}}}`:                                                        "values.schema.json of chart s",
		`{"properties": {"port": {"$ref": "file:///etc/hostname"}}}`:                                          "file:///etc/hostname is not followed",
		`{"properties": {"port": {"$ref": "http://127.0.0.1:1/x"}}}`:                                          "http://127.0.0.1:1/x is not followed",
		`{"properties": {"port": {"$ref": "https://127.0.0.1:1/x"}}}`:                                         "https://127.0.0.1:1/x is not followed",
		`{"properties": {"port": {"$ref": "other.json"}}}`:                                                    "other.json is not followed",
		`{`: "values.schema.json of chart s",
	} {
		p := answered(&child.Request{Chart: chart(schema), Options: child.Options{Release: "r"}})
		if (p.Error == "") != (want == "") || !strings.Contains(p.Error, want) {
			t.Errorf("%s: %q, want %q", schema, p.Error, want)
		}
		if p := answered(&child.Request{Chart: chart(schema), Options: child.Options{Release: "r", IgnoreSchema: true}}); p.Error != "" {
			t.Errorf("ignored, %s: %s", schema, p.Error)
		}
	}
}

// TestLibrary: a library chart is not rendered.
func TestLibrary(t *testing.T) {
	chart := helmtest.Package(t, "l", map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: l\nversion: 1.0.0\ntype: library\n", "templates/_x.tpl": "{{ fail }}", "templates/y.yaml": `{{ fail "no" }}`,
	})
	if p := answered(&child.Request{Chart: chart}); p.Error != "" || len(p.Images) > 0 {
		t.Errorf("%+v", p)
	}
}

// FuzzChartYAML: whatever Chart.yaml holds, helm's loader and what comes after
// it give an answer.
func FuzzChartYAML(f *testing.F) {
	for _, x := range []string{
		"apiVersion: v2\nname: x\nversion: 1.0.0\n", "apiVersion: v1\nname: ..\nversion: 1\n", "name: [", "a: &a [*a]",
		"apiVersion: v2\nname: x\nversion: 1.0.0\ndependencies: [null, {name: y, alias: z, version: 1.x}]\nannotations: {artifacthub.io/images: '- image: a/b:c'}\n",
	} {
		f.Add(x, "a: 1")
	}
	f.Fuzz(func(t *testing.T, chart, values string) {
		p := answered(&child.Request{Chart: helmtest.Package(t, "x", map[string]string{"Chart.yaml": chart, "values.yaml": values, "charts/y/Chart.yaml": "apiVersion: v1\nname: y\nversion: 1.2.3\n"})})
		if strings.HasPrefix(p.Error, "helm's engine gave up") {
			t.Error(p.Error)
		}
	})
}
