package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

// shelf is a server: "name version" with its dependencies as "name:range".
type shelf map[string][]string

func (s shelf) Versions(_ context.Context, full string) ([]version.Version, error) {
	var all []version.Version
	for key := range s {
		if name, text, _ := strings.Cut(key, " "); name == full {
			v, err := version.Parse(text)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
	}
	return all, nil
}

func (s shelf) Release(_ context.Context, full string, v version.Version) (*api.Release, error) {
	r := &api.Release{Version: v, Dependencies: map[string]version.Range{}}
	for _, d := range s[full+" "+v.String()] {
		name, text, _ := strings.Cut(d, ":")
		within, err := version.ParseRange(text)
		if err != nil {
			return nil, err
		}
		r.Dependencies[name] = within
	}
	return r, nil
}

func solve(t rapid.TB, s shelf, given ...string) (string, error) {
	var wants []Want
	for _, g := range given {
		name, text, _ := strings.Cut(g, ":")
		within, err := version.ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, Want{Name: name, Range: within, By: "the spec"})
	}
	chosen, err := Solve(context.Background(), s, wants)
	var all []string
	for _, c := range chosen {
		all = append(all, c.Name+" "+c.Release.Version.String())
	}
	return strings.Join(all, ", "), err
}

func TestSolve(t *testing.T) {
	for name, c := range map[string]struct {
		shelf shelf
		given []string
		want  string
	}{
		"newest, with what it needs": {shelf{"a.a 1.0.0": nil, "a.a 2.0.0": {"b.b:>=1"}, "b.b 1.0.0": nil, "b.b 1.1.0": nil}, []string{"a.a"}, "a.a 2.0.0, b.b 1.1.0"},
		"older where the newest does not go": {shelf{"a.a 1.0.0": {"b.b:<2"}, "a.a 2.0.0": {"b.b:<1"}, "b.b 1.0.0": nil}, []string{"a.a", "b.b"},
			"a.a 1.0.0, b.b 1.0.0"},
		"ranges of two":        {shelf{"a.a 1.0.0": {"c.c:>=1,<3"}, "b.b 1.0.0": {"c.c:<2"}, "c.c 1.5.0": nil, "c.c 2.0.0": nil, "c.c 3.0.0": nil}, []string{"a.a", "b.b"}, "a.a 1.0.0, b.b 1.0.0, c.c 1.5.0"},
		"a circle":             {shelf{"a.a 1.0.0": {"b.b:*"}, "b.b 1.0.0": {"a.a:>=1"}}, []string{"a.a"}, "a.a 1.0.0, b.b 1.0.0"},
		"back to the first":    {shelf{"a.a 2.0.0": {"b.b:*"}, "a.a 1.0.0": nil, "b.b 1.0.0": {"c.c:*"}, "c.c 1.0.0": {"d.d:>=2"}, "d.d 1.0.0": nil}, []string{"a.a"}, "a.a 1.0.0"},
		"a pre-release by pin": {shelf{"a.a 1.0.0": {"b.b:==2.0.0-rc.1"}, "b.b 1.0.0": nil, "b.b 2.0.0-rc.1": nil}, []string{"a.a"}, "a.a 1.0.0, b.b 2.0.0-rc.1"},
	} {
		if got, err := solve(t, c.shelf, c.given...); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestSolveConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		shelf shelf
		given []string
		names []string
	}{
		"no such collection": {shelf{}, []string{"a.a:>=1"}, []string{"a.a", ">=1", "none on the server"}},
		"no such version":    {shelf{"a.a 1.0.0": nil, "a.a 0.9.0": nil}, []string{"a.a:>=2"}, []string{"a.a", ">=2 by the spec", "1.0.0, 0.9.0"}},
		"two that do not go together": {shelf{"a.a 1.0.0": {"c.c:<2"}, "b.b 1.0.0": {"c.c:>=2"}, "c.c 1.0.0": nil, "c.c 2.0.0": nil}, []string{"a.a", "b.b"},
			[]string{"c.c", "<2 by a.a 1.0.0, which is requested by the spec", ">=2 by b.b 1.0.0", "2.0.0, 1.0.0"}},
		"what is needed is not there": {shelf{"a.a 1.0.0": {"b.b:*"}, "b.b 1.0.0": {"c.c:*"}}, []string{"a.a"}, []string{"c.c", "b.b 1.0.0, which is requested by a.a 1.0.0, which is requested by the spec"}},
	} {
		got, err := solve(t, c.shelf, c.given...)
		if !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: %s, %v", name, got, err)
			continue
		}
		for _, n := range c.names {
			if !strings.Contains(err.Error(), n) {
				t.Errorf("%s: %v: does not name %s", name, err, n)
			}
		}
	}
}

// TestSolveGivesUp: a shelf that is made to take for ever.
func TestSolveGivesUp(t *testing.T) {
	s := shelf{}
	var given []string
	for i := range 12 {
		given = append(given, fmt.Sprintf("a.a%d", i))
		for v := range 10 {
			s[fmt.Sprintf("a.a%d %d.0.0", i, v)] = []string{fmt.Sprintf("b.b%d:*", i)}
		}
		s[fmt.Sprintf("b.b%d 1.0.0", i)] = nil
	}
	for v := range 40 {
		s[fmt.Sprintf("z.z %d.0.0", v)] = []string{"y.y:*"}
		s[fmt.Sprintf("y.y %d.0.0", v)] = []string{"x.x:>=2"}
	}
	s["x.x 1.0.0"] = nil
	_, err := solve(t, s, append(given, "z.z")...)
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "x.x") {
		t.Error(err)
	}
}

// TestSolveFinds: on small shelves, a choice is found exactly where one exists, and it holds.
func TestSolveFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shelf{}
		names := []string{"a.a", "b.b", "c.c", "d.d"}
		for _, n := range names {
			for v := range rapid.IntRange(0, 3).Draw(t, "versions") {
				var needs []string
				for _, o := range names {
					switch rapid.IntRange(0, 5).Draw(t, "dependency") {
					case 0:
						needs = append(needs, fmt.Sprintf("%s:>=%d", o, rapid.IntRange(1, 3).Draw(t, "from")))
					case 1:
						needs = append(needs, fmt.Sprintf("%s:<%d", o, rapid.IntRange(1, 3).Draw(t, "below")))
					}
				}
				s[fmt.Sprintf("%s %d.0.0", n, v+1)] = needs
			}
		}
		got, err := solve(t, s, "a.a", "b.b")
		if want := exhaustive(s, names); (err == nil) != want {
			t.Fatalf("%v: %s, %v; a choice exists: %v", s, got, err, want)
		}
		if err == nil && !holds(s, strings.Split(got, ", ")) {
			t.Fatalf("%v: %s does not hold", s, got)
		}
	})
}

// exhaustive tries every combination of versions.
func exhaustive(s shelf, names []string) bool {
	var try func(i int, chosen []string) bool
	try = func(i int, chosen []string) bool {
		if i == len(names) {
			return holds(s, chosen)
		}
		for v := range 3 {
			key := fmt.Sprintf("%s %d.0.0", names[i], v+1)
			if _, ok := s[key]; ok && try(i+1, append(chosen[:len(chosen):len(chosen)], key)) {
				return true
			}
		}
		return i > 1 && try(i+1, chosen) // a.a and b.b are asked for
	}
	return try(0, nil)
}

func holds(s shelf, chosen []string) bool {
	for _, key := range chosen {
		for _, need := range s[key] {
			name, text, _ := strings.Cut(need, ":")
			within, _ := version.ParseRange(text)
			met := false
			for _, other := range chosen {
				n, number, _ := strings.Cut(other, " ")
				v, err := version.Parse(number)
				met = met || err == nil && n == name && within.Has(v)
			}
			if !met {
				return false
			}
		}
	}
	return true
}
