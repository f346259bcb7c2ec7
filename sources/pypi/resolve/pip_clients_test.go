//go:build clients

package resolve

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
)

// publish makes an index of a world.
func publish(t *testing.T, w *world, server *upstreamtest.Server) *piptest.Index {
	t.Helper()
	x := &piptest.Index{Server: server, Projects: map[string][]*piptest.File{}}
	for _, r := range w.releases {
		f := piptest.Wheel{Name: r.name, Version: r.version, Tag: r.wheelTag(), Requires: r.requires, Extras: r.extras, RequiresPython: r.requiresPython}.Build(t)
		if r.yanked {
			f.Yanked = new(string)
			*f.Yanked = "broken"
		}
		x.Projects[marker.NormalName(r.name)] = append(x.Projects[marker.NormalName(r.name)], f)
	}
	for _, name := range []string{"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12"} {
		if x.Projects[name] == nil {
			x.Projects[name] = nil
		}
	}
	x.Put()
	return x
}

// GAPBUNDLE_PYPI_GRAPHS is how many generated graphs are compared; the task
// pypi:graphs sets it.
func graphs(t *testing.T) uint64 {
	text := os.Getenv("GAPBUNDLE_PYPI_GRAPHS")
	if text == "" {
		return 100
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The same files as the newest pip, for targets that are not this machine.
func TestAgainstPip(t *testing.T) {
	dir := t.TempDir()
	var jobs []piptest.Job
	var mine []string
	var all []string
	for seed := range graphs(t) {
		w, requirements, constraints, pre := random(t, seed)
		server := upstreamtest.New(t)
		index := publish(t, w, server)
		problem := Problem{
			Environment: w.target.Environment(), Requirements: wants(t, requirements...), Constraints: wants(t, constraints...),
			PreReleases: func(string) bool { return pre },
		}
		// pip is told 3.11.0 where the target is 3.11.
		result, err := Resolve(t.Context(), keep(w), problem)
		got := "conflict"
		if err == nil {
			got = plain(result)
			meetsAll(t, w, result, problem.Requirements, problem.Constraints)
		} else if !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
		arguments := slices.Clone(requirements)
		if len(constraints) > 0 {
			file := filepath.Join(dir, strconv.FormatUint(seed, 10)+".txt")
			if err := os.WriteFile(file, []byte(strings.Join(constraints, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			arguments = append(arguments, "-c", file)
		}
		if pre {
			arguments = append(arguments, "--pre")
		}
		jobs = append(jobs, piptest.Question(machine(w.target), dir, int(seed), index.URL(), arguments...))
		mine, all = append(mine, got), append(all, strings.Join(arguments, " "))
	}
	solved, differ, broken := 0, 0, 0
	for i, o := range piptest.Ask(t, piptest.NewestPip, jobs) {
		if strings.Contains(o.Output, "RecursionError") {
			// pip follows what nobody wants any more in a circle until Python stops it.
			// What was found here has met all requirements, or is a conflict.
			broken++
			continue
		}
		if o.Code == 0 {
			solved++
		}
		if want := reported(t, i, o); mine[i] != want {
			differ++
			t.Errorf("graph %d, %s:\nhave %s\npip  %s\n%s", i, all[i], mine[i], want, o.Output)
		}
	}
	t.Logf("%d graphs, %d solved, %d differ, pip broke down in %d", len(jobs), solved, differ, broken)
	if broken > len(jobs)/100 {
		t.Errorf("pip broke down in %d of %d", broken, len(jobs))
	}
	if solved < len(jobs)/5 {
		t.Errorf("pip solved %d of %d: too few to compare", solved, len(jobs))
	}
}

// reported returns what pip chose, in the form of plain.
func reported(t *testing.T, number int, o piptest.Outcome) string {
	t.Helper()
	if o.Code != 0 {
		if !strings.Contains(o.Output, "ResolutionImpossible") && !strings.Contains(o.Output, "No matching distribution") {
			t.Errorf("%d: pip %s", number, o.Output)
		}
		return conflict
	}
	var names []string
	for _, one := range o.Report {
		v, err := pep440.Parse(one[1])
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, marker.NormalName(one[0])+"="+v.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func machine(t *tags.Target) piptest.Machine {
	return piptest.Machine{Python: t.Python, Environment: t.Environment().Values, Platforms: t.Platforms()}
}
