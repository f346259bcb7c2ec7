//go:build live

package pypi

import (
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// liveIndex returns the index that the machine's own pip is set up for.
func liveIndex(t *testing.T) string {
	t.Helper()
	const ask = "from pip._internal.cli.main_parser import create_main_parser as p; from pip._internal.commands import create_command as c; print(c('download').parser.get_default_values().index_url)"
	out, err := exec.CommandContext(t.Context(), piptest.Python(t, "pip-"+piptest.NewestPip), "-c", ask).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// liveWants returns closures that are compared, each by the words of its name.
// GAPBUNDLE_PYPI_REQUIREMENTS adds requirements files, divided by colons, such as those
// of a checkout of DeepOps or Kubespray.
func liveWants() (packages []string, files []string) {
	packages = []string{
		"ansible-core>=2.14", "kubernetes[adal]", "jupyterlab", "torch torchvision", "netaddr jmespath ruamel.yaml cryptography", "requests[socks] pandas boto3",
		"pip packaging ansible-core>=2.17,<2.18 ansible-lint netaddr ruamel.yaml PyMySQL passlib paramiko jmespath selinux", // as DeepOps sets a machine up
	}
	if list := os.Getenv("GAPBUNDLE_PYPI_REQUIREMENTS"); list != "" {
		files = strings.Split(list, ":")
	}
	return packages, files
}

// The same files as pip's, and the same versions as uv's, from the index of this
// machine. Run by task live; docs/sources/pypi.md explains the differences.
func TestLive(t *testing.T) {
	targets := []targetEntry{
		{Python: "3.12.4", Platform: []string{"manylinux_2_28_x86_64", "manylinux_2_28_aarch64"}}, {Python: "3.9.18", Platform: []string{"manylinux2014_x86_64"}},
		{Python: "3.12.4", Platform: []string{"musllinux_1_2_x86_64"}},
	}
	o := options{Index: liveIndex(t), Targets: targets, Sdists: sdistsNever} // as pip and uv are asked
	packages, files := liveWants()
	cache := t.TempDir()
	for _, words := range packages {
		t.Run(strings.ReplaceAll(words, " ", "+"), func(t *testing.T) {
			o := o
			o.Packages = strings.Fields(words)
			compareLive(t, o, cache, o.Packages, o.Packages)
		})
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			o := o
			o.Requirements = []string{file}
			compareLive(t, o, cache, []string{"-r", file}, []string{"-r " + file})
		})
	}
}

// compareLive resolves for every target. pip's arguments and uv's lines ask the same.
func compareLive(t *testing.T, o options, cache string, arguments, lines []string) {
	s := newSite(t)
	e, err := newEntry(s.spec("{}")[0], o)
	if err != nil {
		t.Fatal(err)
	}
	w, err := readWanted(e)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(s.env(), e, w)
	defer r.ahead.Wait()
	dir := t.TempDir()
	var jobs []piptest.Job
	for i, target := range e.targets {
		m := piptest.Machine{Python: target.Python, Environment: target.Env.Values, Platforms: target.Platforms()}
		jobs = append(jobs, piptest.Question(m, dir, i, o.Index, arguments...))
	}
	for i, outcome := range piptest.Ask(t, piptest.NewestPip, jobs) {
		name := e.targets[i].Name()
		g, err := r.resolve(t.Context(), i, "", w.requirements(), nil)
		var have, versions, want []string
		for _, p := range g.pins {
			have = append(have, p.file.Name)
			versions = append(versions, p.name+"=="+p.file.Parsed.Version.String())
		}
		for _, one := range outcome.Report {
			want = append(want, path.Base(one[2]))
		}
		a, b := strings.Join(sortedStrings(have), " "), strings.Join(sortedStrings(want), " ")
		if (err != nil) != (outcome.Code != 0) || a != b {
			t.Errorf("%s:\nhave %s %v\npip  %s %s", name, a, err, b, outcome.Output)
		} else {
			t.Logf("%s: %d files, as pip (%v)", name, len(have), err)
		}
		target := e.targets[i]
		chosen, output := piptest.Compile(t, piptest.CompileOptions{Index: o.Index, Python: target.Python, Platform: piptest.UVPlatforms()[target.Platform], Requirements: lines, Cache: cache})
		mine, theirs := sortedStrings(versions), strings.Fields(chosen)
		both := func(v string) bool { return slices.Contains(mine, v) && slices.Contains(theirs, v) }
		if a, b := slices.DeleteFunc(slices.Clone(mine), both), slices.DeleteFunc(slices.Clone(theirs), both); len(a)+len(b) > 0 {
			t.Logf("%s: uv chooses otherwise: %s in place of %s %s", name, b, a, output)
		} else {
			t.Logf("%s: %d versions, as uv", name, len(mine))
		}
	}
}
