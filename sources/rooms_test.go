package sources_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

func TestEach(t *testing.T) {
	var running, most atomic.Int64
	err := sources.Each(t.Context(), 50, func(_ context.Context, i int) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		if i%20 == 10 {
			return strictyaml.Pos{File: "s", Line: 100 - i}.Errorf("entry %d", i)
		}
		return nil
	})
	if err == nil || err.Error() != "s:70:0: entry 30\ns:90:0: entry 10" || most.Load() > sources.Parallel {
		t.Errorf("got %v, %d at once", err, most.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	err = sources.Each(ctx, 1000, func(context.Context, int) error {
		calls.Add(1)
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "\n") || calls.Load() > 2*sources.Parallel {
		t.Errorf("cancelled: %d calls, %v", calls.Load(), err)
	}
}

func TestEntries(t *testing.T) {
	type options struct {
		Name string `yaml:"name" json:"name"`
	}
	spec := func(name string, value any) sources.Spec { return sources.Given(sources.Spec{Name: name}, "k", value) }
	made := func(s sources.Spec, o options) (string, error) {
		if o.Name == "" {
			return "", fmt.Errorf("%s: no name: %w", s.Name, bundle.ErrUsage)
		}
		return o.Name, nil
	}
	all, err := sources.Entries([]sources.Spec{spec("a", options{"x"}), spec("b", map[string]any{"name": "y"})}, made)
	if err != nil || !slices.Equal(all, []string{"x", "y"}) {
		t.Errorf("got %v, %v", all, err)
	}
	_, err = sources.Entries([]sources.Spec{spec("a", map[string]any{"nam": "x"}), spec("b", map[string]any{})}, made)
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "nam") || !strings.Contains(err.Error(), "b/k: no name") {
		t.Errorf("not all that is wrong: %v", err)
	}
}

func TestList(t *testing.T) {
	list := sources.List([]sources.Artifact{sources.Made("b", []byte("x"), "why"), sources.Made("a", nil, "")})
	for range 2 {
		var got []string
		for a, err := range list() {
			if err != nil || a.Evidence.Vouched != bundle.VouchedMade || a.Evidence.Path != a.File.Path {
				t.Errorf("%+v, %v", a, err)
			}
			got = append(got, a.File.Path)
		}
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %v", got)
		}
	}
}

func TestAnnotate(t *testing.T) {
	type suite struct {
		Name  string
		Archs []string
	}
	r := bundle.Repository{Name: "os", Annotations: map[string]string{"keys": "k"}}
	want := []suite{{"noble", []string{"amd64"}}, {"noble-updates", nil}}
	if err := sources.Annotate(r.Annotations, "suite-", want); err != nil {
		t.Fatal(err)
	}
	got, err := sources.Annotated[suite](r, "suite-")
	if err != nil || len(got) != 2 || got[0].Name != "noble" || got[1].Name != "noble-updates" || bundle.CheckAnnotations(r.Annotations) != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := sources.Annotated[suite](r, "repo-"); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "source os") {
		t.Errorf("none: %v", err)
	}
	r.Annotations["suite-01"] = "{"
	if _, err := sources.Annotated[suite](r, "suite-"); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "suite-01") {
		t.Errorf("not JSON: %v", err)
	}
	long := []suite{{Name: strings.Repeat("x", bundle.MaxAnnotationSize)}}
	if err := sources.Annotate(map[string]string{}, "s-", long); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("too long: %v", err)
	}
	if err := sources.Annotate(map[string]string{}, "s-", make([]suite, 100)); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("too many: %v", err)
	}
}

// Two sources never share a name in scratch, however they are called.
func TestScratchName(t *testing.T) {
	if sources.ScratchName("apt", "a/b") == sources.ScratchName("apt", "a-b") || strings.Contains(sources.ScratchName("apt", "a/b"), "/") {
		t.Error(sources.ScratchName("apt", "a/b"))
	}
}
