package helm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
)

// TestFits: patterns with '*' for anything.
func TestFits(t *testing.T) {
	for pattern, want := range map[string]bool{
		"*": true, "quay.io/*": true, "quay.io/*:v1": true, "*/c:*": true, "quay.io/a/b/c:v1": true, "*a*b*c*": true, "quay.io/a/*/c:v1": true,
		"": false, "quay.io/a": false, "docker.io/*": false, "*:v2": false, "*b*a*": false, "quay.io/a/b/c:v1*1": false,
	} {
		if fits(pattern, "quay.io/a/b/c:v1") != want {
			t.Errorf("%q: %v", pattern, !want)
		}
	}
	if !matches([]string{"nginx:*"}, "docker.io/library/nginx:1") || matches([]string{"nginx:*"}, "quay.io/nginx:1") {
		t.Error("short names")
	}
}

// TestClients: the files name the mirror and every chart.
func TestClients(t *testing.T) {
	w := newWorld(t, t.TempDir())
	signer := w.trust()
	w.simple("app", "1.0.0", "quay.io/a/b:c")
	w.prove("app", "1.0.0", signer)
	r, _ := w.mustPlan("charts: {repo: REPO, chart: app}", noImages, "keyring: charts.asc")
	tree := listing{plantest.Artifacts(t, r, "charts")}
	files, err := clients(t.Context(), []bundle.Repository{{Name: "charts", Mount: "helm/charts", Annotations: r.Repositories[0].Annotations}}, tree)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"argo-cd/charts.yaml": "repoURL: @BASE@/helm/charts", "flux/charts.yaml": `chart: "app"`, "helm/charts.sh": "helm repo add 127.0.0.1 @BASE@/helm/charts",
	}
	for _, f := range files {
		if !strings.Contains(string(f.Content), want[f.Path]) || want[f.Path] == "" {
			t.Errorf("%s:\n%s", f.Path, f.Content)
		}
		delete(want, f.Path)
	}
	if len(want) > 0 || !strings.Contains(string(files[2].Content), "/keys/charts.gpg") {
		t.Errorf("missing %v\n%s", want, files[2].Content)
	}
}

// TestClientsAreStrings: a chart and a source may be called as a number is written, and are text in every file all the same.
func TestClientsAreStrings(t *testing.T) {
	r, charts := bundle.Repository{Name: "charts", Mount: "helm/charts"}, []published{{name: "1e3", version: "1.10.0"}}
	var objects []map[string]any
	files := slices.Concat(forFlux(r, "1e3", charts), []byte("---\n"), forArgoCD(r, "1e3", charts))
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.ReplaceAll(files, []byte(sources.BaseMark), []byte("http://a.example"))))
	for {
		var o map[string]any
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	part := func(i int, key, name string) any { return objects[i][key].(map[string]any)[name] }
	if len(objects) != 3 || part(0, "metadata", "name") != "1e3" || part(2, "stringData", "name") != "1e3" || part(1, "spec", "sourceRef").(map[string]any)["name"] != "1e3" {
		t.Fatalf("%v", objects)
	}
	if objects[0]["kind"] != "HelmRepository" || part(1, "spec", "chart") != "1e3" || part(1, "spec", "version") != "1.10.0" {
		t.Errorf("%v", objects)
	}
	_, example, _ := bytes.Cut(forArgoCD(r, "charts", charts), []byte("# In an Application:\n"))
	var application struct {
		Source struct {
			RepoURL        string `yaml:"repoURL"`
			Chart          any    `yaml:"chart"`
			TargetRevision any    `yaml:"targetRevision"`
		} `yaml:"source"`
	}
	example = bytes.ReplaceAll(bytes.ReplaceAll(example, []byte("# "), nil), []byte(sources.BaseMark), []byte("http://a.example"))
	if err := yaml.Unmarshal(example, &application); err != nil || application.Source.Chart != "1e3" || application.Source.TargetRevision != "1.10.0" || application.Source.RepoURL != "http://a.example/helm/charts" {
		t.Errorf("%v %+v", err, application)
	}
}

// listing is a tree with lists alone.
type listing struct{ all map[string]sources.Artifact }

func (l listing) Repositories() []bundle.Repository { return nil }

func (l listing) Files(string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, path := range slices.SortedFunc(maps.Keys(l.all), bundle.ComparePaths) {
			if !yield(l.all[path].File, nil) {
				return
			}
		}
	}
}

func (l listing) Open(ctx context.Context, _, path string) (io.ReadCloser, error) {
	c, err := l.all[path].Open(ctx, 0, "")
	if err != nil {
		return nil, err
	}
	return c.Body, nil
}
