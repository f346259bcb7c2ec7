//go:build live

package pypi

import (
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// liveIndex is the index that the machine's own pip is set up for.
func liveIndex(t *testing.T) string {
	t.Helper()
	const ask = "from pip._internal.cli.main_parser import create_main_parser as p; from pip._internal.commands import create_command as c; print(c('download').parser.get_default_values().index_url)"
	out, err := exec.CommandContext(t.Context(), piptest.Python(t, "pip-"+piptest.NewestPip), "-c", ask).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// The same files as pip's, from the index of this machine. Run by task live.
func TestLive(t *testing.T) {
	index := liveIndex(t)
	targets := []targetEntry{
		{Python: "3.12.4", Platform: []string{"manylinux_2_28_x86_64", "manylinux_2_28_aarch64"}}, {Python: "3.9.18", Platform: []string{"manylinux2014_x86_64"}},
		{Python: "3.12.4", Platform: []string{"musllinux_1_2_x86_64"}},
	}
	for _, wants := range []string{"ansible-core>=2.14", "kubernetes[adal]", "jupyterlab", "netaddr jmespath ruamel.yaml cryptography", "requests[socks] pandas boto3"} {
		t.Run(strings.ReplaceAll(wants, " ", "+"), func(t *testing.T) {
			s := newSite(t)
			o := options{Index: index, Packages: strings.Fields(wants), Targets: targets, Sdists: sdistsNever} // as pip is asked
			e, err := newEntry(s.spec("{}")[0], o)
			if err != nil {
				t.Fatal(err)
			}
			w, err := readWanted(e)
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(s.env(), e, w)
			dir := t.TempDir()
			var jobs []piptest.Job
			for i, target := range e.targets {
				m := piptest.Machine{Python: target.Python, Environment: target.env.Values, Platforms: target.Platforms()}
				jobs = append(jobs, piptest.Question(m, dir, i, index, o.Packages...))
			}
			for i, outcome := range piptest.Ask(t, piptest.NewestPip, jobs) {
				g, err := r.resolve(t.Context(), i, "", w.requirements(), nil)
				var have, want []string
				for _, p := range g.pins {
					have = append(have, p.file.Name)
				}
				for _, one := range outcome.Report {
					want = append(want, path.Base(one[2]))
				}
				a, b := strings.Join(sortedStrings(have), " "), strings.Join(sortedStrings(want), " ")
				if (err != nil) != (outcome.Code != 0) || a != b {
					t.Errorf("%s:\nhave %s %v\npip  %s %s", e.targets[i].Name(), a, err, b, outcome.Output)
				} else {
					t.Logf("%s: %d files, the same (%v)", e.targets[i].Name(), len(have), err != nil)
				}
			}
			r.ahead.Wait()
		})
	}
}
