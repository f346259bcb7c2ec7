package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name   string
		python string
		index  []string
		wants  []string
		limits []string
		pre    string
		want   string // what is chosen, or what the error names
	}{
		{"the newest", "3.9", []string{"a 1.0", "a 2.0", "a 10.0"}, []string{"a"}, nil, "", "a=10.0"},
		{"dependencies", "3.9", []string{"a 1|b>=1", "b 1|c", "b 2|c<2", "c 1", "c 2"}, []string{"a"}, nil, "", "a=1 b=2 c=1"},
		{"a marker of the target", "3.9", []string{`a 1|b; python_version < "3.10"|c; python_version >= "3.10"`, "b 1", "c 1"}, []string{"a"}, nil, "", "a=1 b=1"},
		{"a marker of the root", "3.9", []string{"a 1", "b 1"}, []string{"a", `b; sys_platform == "win32"`}, nil, "", "a=1"},
		{"backtracking", "3.9", []string{"a 1|b<2", "a 2|b>=2", "b 1|c<2", "b 2|c>=2", "c 1", "c 2"}, []string{"a", "c<2"}, nil, "", "a=1 b=1 c=1"},
		{"constraints ask for nothing", "3.9", []string{"a 1", "a 2", "b 1"}, []string{"a"}, []string{"a<2", "b<1"}, "", "a=1"},
		{"extras", "3.9", []string{`a 1 extra=x extra=y|b; extra == "x"|c; extra == "y"`, "b 1", "c 1"}, []string{"a[x]"}, nil, "", "a[x]=1 b=1"},
		{"extras of extras", "3.9", []string{`a 1 extra=all extra=x|a[x]; extra == "all"|b; extra == "x"`, "b 1"}, []string{"a[all]"}, nil, "", "a[all,x]=1 b=1"},
		{"extras in a circle", "3.9", []string{`a 1 extra=x extra=y|a[y]; extra == "x"|a[x]; extra == "y"`}, []string{"a[x]"}, nil, "", "a[x,y]=1"},
		{"an extra that is not there", "3.9", []string{"a 1"}, []string{"a[x]"}, nil, "", "a[x]=1"},
		{"projects in a circle", "3.9", []string{"a 1|b", "b 1|a"}, []string{"a"}, nil, "", "a=1 b=1"},
		{"no pre-release", "3.9", []string{"a 1", "a 2a1"}, []string{"a"}, nil, "", "a=1"},
		{"a pre-release that is named", "3.9", []string{"a 1", "a 2a1", "a 2a2"}, []string{"a>=2a1"}, nil, "", "a=2a2"},
		{"a pre-release where there is nothing else", "3.9", []string{"a 1a1"}, []string{"a"}, nil, "", "a=1a1"},
		{"a pre-release where nothing else will do", "3.9", []string{"a 1", "a 2a1"}, []string{"a>1"}, nil, "", "a=2a1"},
		{"pre-releases of one name", "3.9", []string{"a 1|b", "a 2a1|b", "b 1", "b 2a1"}, []string{"a"}, nil, "b", "a=1 b=2a1"},
		{"a yanked release", "3.9", []string{"a 1", "a 2 yanked"}, []string{"a"}, nil, "", "a=1"},
		{"a yanked release that is pinned", "3.9", []string{"a 1", "a 2 yanked"}, []string{"a==2"}, nil, "", "a=2"},
		{"a yanked release that is pinned by a prefix", "3.9", []string{"a 2 yanked"}, []string{"a==2.*"}, nil, "", "a 2 (the index): yanked"},
		{"requires-python", "3.9", []string{"a 1 py>=3.7", "a 2 py>=3.10"}, []string{"a"}, nil, "", "a=1"},
		{"tags", "3.9", []string{"a 1 tag=cp39-abi3-manylinux2014_x86_64", "a 2 tag=cp310-cp310-manylinux2014_x86_64"}, []string{"a"}, nil, "", "a=1"},
		{"local versions", "3.9", []string{"a 1.0+cpu", "a 1.0"}, []string{"a==1.0"}, nil, "", "a=1.0+cpu"},
		{"invalid metadata", "3.9", []string{"a 1", "a 2 invalid"}, []string{"a"}, nil, "", "a=1"},
		{"direct", "3.9", []string{"a 1|b", "b 1", "b 2"}, []string{"a", "b @ https://host.example/b-1"}, nil, "", "a=1 b=1"},
		{"direct with extras", "3.9", []string{`b 1 extra=x|a; extra == "x"`, "b 2", "a 1|b<2"}, []string{"b[x] @ https://host.example/b-1"}, nil, "", "a=1 b[x]=1"},
		{"direct that is not wanted", "3.9", []string{"a 1|b>1", "b 1", "b 2"}, []string{"a", "b @ https://host.example/b-1"}, nil, "", "a 1 wants b>1"},
		{"no such project", "3.9", []string{"a 1|b"}, []string{"a"}, nil, "", "b: no index has it"},
		{"no such version", "3.9", []string{"a 1"}, []string{"a>2"}, nil, "", "a (the index): no version meets >2"},
		{"excluded by Python", "3.9", []string{"a 1 py>=3.10"}, []string{"a"}, nil, "", "a 1 (the index): needs Python >=3.10"},
		{"excluded by tags", "3.9", []string{"a 1 tag=cp39-cp39-win32"}, []string{"a"}, nil, "", "a 1 (the index): no file for cp39-manylinux_2_28_x86_64"},
		{"a chain", "3.9", []string{"a 1|b", "b 1|c", "c 1|d<2", "d 1", "d 2"}, []string{"a", "d>=2"}, nil, "", "c 1 wants d<2, which b 1 wants c, which a 1 wants b, which requirements.txt:1 wants a"},
		{"the root against itself", "3.9", []string{"a 1", "a 2"}, []string{"a<2", "a>=2"}, nil, "", "requirements.txt:2 wants a>=2"},
		{"not known", "3.9", []string{`a 1|b; platform_release > "5"`, "b 1"}, []string{"a"}, nil, "", "platform_release"},
		{"not known, not needed", "3.12", []string{`a 1 extra=x|b; python_full_version < "3.12.4" and extra == "x"`}, []string{"a"}, nil, "", "a=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			problem := Problem{Requirements: wants(t, c.wants...), Constraints: wants(t, c.limits...), PreReleases: func(name string) bool { return name == c.pre }}
			w := read(t, c.python, c.index...)
			problem.Environment = w.target.Environment()
			result, err := Resolve(t.Context(), keep(w), problem)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			if got := chosen(result); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			meetsAll(t, w, result, problem.Requirements, problem.Constraints)
		})
	}
}

func TestNotes(t *testing.T) {
	w := read(t, "3.9", "a 1", "a 2 invalid")
	result, err := Resolve(t.Context(), keep(w), Problem{Environment: w.target.Environment(), Requirements: wants(t, "a[x]")})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Discarded) != 1 || len(result.Missing) != 1 || result.Missing[0] != "a 1 has no extra x" {
		t.Errorf("%q %q", result.Discarded, result.Missing)
	}
	if got := result.Pins[0].Because; len(got) != 1 || got[0] != "requirements.txt:1 wants a[x]" {
		t.Errorf("%q", got)
	}
}

func TestConstraintRefused(t *testing.T) {
	w := read(t, "3.9", "a 1")
	for _, text := range []string{"a[x]<2", "a @ https://host.example/a-1"} {
		_, err := Resolve(t.Context(), keep(w), Problem{Environment: w.target.Environment(), Requirements: wants(t, "a"), Constraints: wants(t, text)})
		if !errors.Is(err, marker.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What the index says ends a resolution, and so does its caller.
func TestEnds(t *testing.T) {
	w := read(t, "3.9", "a 1|b", "b 1")
	broken := errors.New("the disk is gone")
	_, err := Resolve(t.Context(), &failing{keep(w), "b", broken}, Problem{Environment: w.target.Environment(), Requirements: wants(t, "a")})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = Resolve(ctx, keep(w), Problem{Environment: w.target.Environment(), Requirements: wants(t, "a")}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type failing struct {
	Provider
	name string
	err  error
}

func (f *failing) Project(ctx context.Context, name string) (*Project, error) {
	if name == f.name {
		return nil, f.err
	}
	return f.Provider.Project(ctx, name)
}

// Every result of generated worlds is whole, twice the same, and a conflict is
// explained.
func TestGenerated(t *testing.T) {
	solved, conflicts := 0, 0
	for seed := range uint64(2000) {
		w, requirements, constraints, pre := random(t, seed)
		problem := Problem{
			Environment: w.target.Environment(), Requirements: wants(t, requirements...), Constraints: wants(t, constraints...),
			PreReleases: func(string) bool { return pre },
		}
		result, err := Resolve(t.Context(), keep(w), problem)
		again, errAgain := Resolve(t.Context(), keep(w), problem)
		var conflict *Conflict
		switch {
		case errors.As(err, &conflict):
			conflicts++
			if len(conflict.Causes)+len(conflict.Excluded) == 0 || fmt.Sprint(err) != fmt.Sprint(errAgain) {
				t.Errorf("%d: %v, again %v", seed, err, errAgain)
			}
		case err != nil:
			t.Errorf("%d: %v", seed, err)
		default:
			solved++
			meetsAll(t, w, result, problem.Requirements, problem.Constraints)
			if errAgain != nil || chosen(result) != chosen(again) {
				t.Errorf("%d: %s, again %s, %v", seed, chosen(result), chosen(again), errAgain)
			}
		}
	}
	if solved < 200 || conflicts < 200 {
		t.Errorf("%d solved, %d conflicts: the worlds are one-sided", solved, conflicts)
	}
}
