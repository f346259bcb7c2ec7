//go:build clients

package resolve

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// askUV returns what uv chooses, in the form of plain.
func askUV(t *testing.T, w *world, index string, pre bool, requirements, constraints []string) (chosen, output string) {
	t.Helper()
	chosen, output = piptest.Compile(t, piptest.CompileOptions{
		Index: index, Python: w.target.Python, Platform: piptest.UVPlatforms()[w.target.Platform], PreReleases: pre, Requirements: requirements, Constraints: constraints,
	})
	if chosen == "" && strings.Contains(output, "No solution found") {
		return conflict, output
	}
	return strings.ReplaceAll(chosen, "==", "="), output
}

// pip and uv choose what is written in the cases.
func TestCasesOfPipAndUV(t *testing.T) {
	dir := t.TempDir()
	var jobs []piptest.Job
	all := examples(t)
	for i, c := range all {
		w, _ := c.world(t)
		index := publish(t, w, upstreamtest.New(t))
		got, output := askUV(t, w, index.URL(), c.pre, c.wants, nil)
		if got != c.chosUV {
			t.Errorf("%s: uv %s, want %s\n%s", c.title, got, c.chosUV, output)
		}
		arguments := c.wants
		if c.pre {
			arguments = append([]string{"--pre"}, arguments...)
		}
		jobs = append(jobs, piptest.Question(machine(w.target), dir, i, index.URL(), arguments...))
	}
	for i, o := range piptest.Ask(t, piptest.NewestPip, jobs) {
		if got := reported(t, i, o); got != all[i].chosen {
			t.Errorf("%s: pip %s, want %s\n%s", all[i].title, got, all[i].chosen, o.Output)
		}
	}
}

// Where pre-releases count alike, uv finds a solution of a generated graph where there
// is one here, and none where there is none. It searches by another algorithm, so it may
// find another.
func TestAgainstUV(t *testing.T) {
	compared, solved, differ := 0, 0, 0
	for seed := range graphs(t) {
		w, requirements, constraints, _ := random(t, seed)
		if w.target.Python == "3.11" {
			continue // uv reads it as its newest
		}
		for _, r := range w.releases {
			r.yanked = false // pinned by a dependency: not enough for uv
			if strings.HasPrefix(r.requiresPython, "<") {
				r.requiresPython = "" // uv takes no notice of upper bounds
			}
		}
		compared++
		problem := Problem{Environment: w.target.Environment(), Requirements: wants(t, requirements...), Constraints: wants(t, constraints...), PreReleases: func(string) bool { return true }}
		result, err := Resolve(t.Context(), keep(w), problem)
		have := conflict
		if err == nil {
			have = plain(result)
			solved++
		} else if !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
		index := publish(t, w, upstreamtest.New(t))
		got, output := askUV(t, w, index.URL(), true, requirements, constraints)
		if (got == conflict) != (have == conflict) {
			t.Errorf("graph %d, %q %q: %s, uv %s\n%s", seed, requirements, constraints, have, got, output)
		}
		if got != have {
			differ++
		}
	}
	t.Logf("%d graphs, %d with a solution, in %d uv chooses another", compared, solved, differ)
	if solved < compared/5 {
		t.Errorf("%d of %d solved: too few to compare", solved, compared)
	}
}
