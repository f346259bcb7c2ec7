//go:build clients

package deb_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// TestRealAptReadsTheSame asks the real apt about each row.
func TestRealAptReadsTheSame(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"repo", "state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("status", "")
	write("etc/sources.list", "deb [trusted=yes] copy:"+dir+"/repo ./\n")
	run := func(program string, args ...string) (string, error) {
		cmd := exec.Command(program, append([]string{
			"-o", "Dir::Etc=" + dir + "/etc", "-o", "Dir::State=" + dir + "/state", "-o", "Dir::State::status=" + dir + "/status", "-o", "Dir::Cache=" + dir + "/cache",
			"-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64", "-o", "Acquire::AllowInsecureRepositories=true",
		}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG=/dev/null")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	rows := plantest.Table[string]{}
	for depends, reads := range relationsForClient() {
		rows["Depends: "+depends] = plantest.Row[string]{Document: string(stanzaWith(depends)), Reads: reads}
	}
	rows["one empty line"] = plantest.Row[string]{Document: "\n" + string(stanzaWith("world")), Reads: true}
	rows["two empty lines"] = plantest.Row[string]{Document: "\n\n" + string(stanzaWith("world"))}
	rows["empty lines between"] = plantest.Row[string]{Document: string(stanzaWith("world")) + "\n\n\n" + strings.Replace(string(stanzaWith("world")), "tool", "next", 1), Reads: true}
	rows.Client(t, func(_ *testing.T, documents map[string]string) map[string]plantest.Answer {
		answers := map[string]plantest.Answer{}
		for name, text := range documents {
			write("repo/Packages", text)
			updated, err := run("apt-get", "update")
			out, policyErr := run("apt-cache", "policy", "tool")
			answers[name] = plantest.Answer{Reads: err == nil && policyErr == nil && strings.Contains(out, "Candidate: 1\n"), Said: updated + out}
		}
		return answers
	})
}
