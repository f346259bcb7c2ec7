package collect_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// planner is a kind whose plans are whatever a test says.
type planner struct {
	mu    sync.Mutex
	calls []string // names of the specs of each plan
	also  func(sources.Spec) []sources.Spec
	mount func(sources.Spec) string
	fail  error
}

func (p *planner) kind(name string) sources.Kind {
	return sources.Kind{
		Name: name, Derives: p.also != nil,
		New: func(specs []sources.Spec) (sources.Source, error) { return planned{p, specs}, nil },
	}
}

type planned struct {
	*planner
	specs []sources.Spec
}

func (p planned) Plan(context.Context, *sources.Env) (*sources.Plan, error) {
	var names []string
	var plan sources.Plan
	for _, s := range p.specs {
		names = append(names, s.Name)
		mount := "m/" + strings.ReplaceAll(s.Name, "/", "-")
		if p.mount != nil {
			mount = p.mount(s)
		}
		plan.Repositories = append(plan.Repositories, sources.Repository{
			Name: s.Name, Mount: mount, Artifacts: func() iter.Seq2[sources.Artifact, error] { return func(func(sources.Artifact, error) bool) {} },
		})
		if p.also != nil {
			for _, d := range p.also(s) {
				plan.Also = append(plan.Also, sources.Derived{Spec: d})
			}
		}
	}
	plan.Scratch = int64(len(names))
	p.mu.Lock()
	p.calls = append(p.calls, strings.Join(names, " "))
	p.mu.Unlock()
	return &plan, p.fail
}

func spec(name, kind string) sources.Spec {
	return sources.Spec{Name: name, Kind: kind, At: "spec.yaml:1:1", Dir: "/spec"}
}

func resolve(t *testing.T, kinds sources.Kinds, specs ...sources.Spec) (*collect.Resolved, error) {
	t.Helper()
	return collect.Resolve(t.Context(), kinds, specs, &sources.Env{})
}

// Deriving kinds come first, and every other kind sees all of its specs at once.
func TestResolveDerives(t *testing.T) {
	images := &planner{}
	charts := &planner{also: func(s sources.Spec) []sources.Spec {
		return []sources.Spec{sources.Given(s, "images", map[string]any{"from": s.Name})}
	}}
	kinds := sources.Kinds{images.kind("images"), charts.kind("charts")}
	r, err := resolve(t, kinds, spec("b", "images"), spec("c", "charts"), spec("a", "charts"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(images.calls, charts.calls); got != "[b c/images a/images] [c a]" {
		t.Errorf("plans: %s", got)
	}
	var names []string
	for _, repo := range r.Repositories {
		names = append(names, repo.Name+"="+repo.Kind)
	}
	if got := strings.Join(names, " "); got != "a=charts a/images=images b=images c=charts c/images=images" {
		t.Errorf("repositories: %s", got)
	}
	if r.Scratch != 5 {
		t.Errorf("scratch %d", r.Scratch)
	}
}

// A kind that something was derived for is planned again with all its specs.
func TestResolveDerivesTwice(t *testing.T) {
	images := &planner{}
	charts := &planner{also: func(s sources.Spec) []sources.Spec {
		return []sources.Spec{sources.Given(s, "images", nil)}
	}}
	lists := &planner{also: func(s sources.Spec) []sources.Spec {
		return []sources.Spec{sources.Given(s, "charts", nil)}
	}}
	r, err := resolve(t, sources.Kinds{charts.kind("charts"), images.kind("images"), lists.kind("lists")}, spec("a", "charts"), spec("k", "lists"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(charts.calls, lists.calls, images.calls); got != "[a a k/charts] [k] [a/images k/charts/images]" {
		t.Errorf("plans: %s", got)
	}
	if len(r.Repositories) != 5 {
		t.Errorf("%d repositories", len(r.Repositories))
	}
}

func TestResolveEnds(t *testing.T) {
	endless := &planner{also: func(s sources.Spec) []sources.Spec { return []sources.Spec{sources.Given(s, "k", nil)} }}
	if _, err := resolve(t, sources.Kinds{endless.kind("k")}, spec("a", "k")); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "derived through more than") {
		t.Errorf("got %v", err)
	}
}

func TestGiven(t *testing.T) {
	from := spec("gpu", "charts")
	s := sources.Given(from, "images", map[string]any{"images": []string{"a", "b"}})
	if s.Name != "gpu/images" || s.Kind != "images" || s.From != "gpu" || s.Dir != from.Dir || s.At != "" {
		t.Errorf("got %+v", s)
	}
	var own struct {
		Images []string `yaml:"images"`
	}
	if err := s.Decode(&own); err != nil || !slices.Equal(own.Images, []string{"a", "b"}) {
		t.Errorf("got %+v, %v", own, err)
	}
	var other struct {
		Image string `yaml:"image"`
	}
	if err := s.Decode(&other); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), `source gpu/images: unknown key "images"; did you mean "image"?`) {
		t.Errorf("got %v", err)
	}
}

// What kinds have to say about their specs is reported together with an unknown kind.
func TestResolveReportsAllSpecs(t *testing.T) {
	wrong := errors.New("wrong")
	strict := sources.Kind{Name: "strict", New: func([]sources.Spec) (sources.Source, error) { return nil, wrong }}
	_, err := resolve(t, sources.Kinds{strict}, spec("a", "flies"), spec("b", "strict"))
	if !errors.Is(err, wrong) || !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("got %v", err)
	}
}

func TestResolveRefuses(t *testing.T) {
	same := func(sources.Spec) string { return "files" }
	nested := func(s sources.Spec) string { return strings.TrimSuffix("m/"+s.Name, "/a") }
	for _, test := range []struct {
		name  string
		kinds sources.Kinds
		specs []sources.Spec
		want  string
	}{
		{"unknown kind", sources.Kinds{(&planner{}).kind("files")}, []sources.Spec{spec("a", "flies")}, `spec.yaml:1:1: source a: unknown kind "flies"; did you mean "files"?; there are files: `},
		{"two of a name", sources.Kinds{(&planner{}).kind("k")}, []sources.Spec{spec("a", "k"), spec("a", "k")}, "source a: two sources have this name"},
		{"one mount, two kinds", sources.Kinds{(&planner{mount: same}).kind("k"), (&planner{mount: same}).kind("l")}, []sources.Spec{spec("a", "k"), spec("b", "l")}, "mounts files and files overlap"},
		{"a mount of two", sources.Kinds{(&planner{mount: func(sources.Spec) string { return "m" }}).kind("k")}, []sources.Spec{spec("a", "k"), spec("b", "k")}, "mounts m and m overlap"},
		{"a mount in another", sources.Kinds{(&planner{mount: nested}).kind("k"), (&planner{mount: nested}).kind("l")}, []sources.Spec{spec("a", "k"), spec("b", "l")}, "mounts m and m/b overlap"},
		{"a name of ours", sources.Kinds{(&planner{mount: func(sources.Spec) string { return "_gapbundle/x" }}).kind("k")}, []sources.Spec{spec("a", "k")}, "the mirror's own name"},
		{"keys", sources.Kinds{(&planner{mount: func(sources.Spec) string { return "keys" }}).kind("k")}, []sources.Spec{spec("a", "k")}, "the mirror's own name"},
	} {
		if _, err := resolve(t, test.kinds, test.specs...); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if _, err := resolve(t, sources.Kinds{(&planner{mount: same}).kind("k")}, spec("a", "k"), spec("b", "k")); err != nil {
		t.Errorf("two of one kind may share a mount: %v", err)
	}
}

// Errors of all kinds are reported, and a plan that breaks the contract is one.
func TestResolveReportsAll(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	_, err := resolve(t, sources.Kinds{(&planner{fail: one}).kind("k"), (&planner{fail: two}).kind("l")}, spec("a", "k"), spec("b", "l"))
	if !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("got %v", err)
	}
	sly := (&planner{also: func(s sources.Spec) []sources.Spec { return []sources.Spec{sources.Given(s, "l", nil)} }}).kind("k")
	sly.Derives = false
	if _, err := resolve(t, sources.Kinds{sly, (&planner{}).kind("l")}, spec("a", "k")); err == nil || !strings.Contains(err.Error(), "does not say so") {
		t.Errorf("got %v", err)
	}
}
