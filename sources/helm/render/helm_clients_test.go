//go:build clients

package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/helm/child"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
)

// separator is what helm splits documents at (pkg/release/v1/util).
var separator = regexp.MustCompile(`(?m)^---[ \t]*`)

// TestHelmTemplate: "helm template" with the same options gives the same documents,
// for every fixture.
func TestHelmTemplate(t *testing.T) {
	runner := child.Runner{Program: helmtest.Program(t)}
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			dir := t.TempDir()
			file, values := filepath.Join(dir, "chart.tgz"), filepath.Join(dir, "values.yaml")
			for name, content := range map[string][]byte{file: f.chart, values: []byte(f.values)} {
				if err := os.WriteFile(name, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("helm", "template", "rel", file, "--namespace", "space", "--kube-version", "1.33", "-f", values)
			cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v; .ci/tools builds it\n%s", err, out)
			}
			reply, err := runner.Render(t.Context(), &child.Request{Chart: f.chart, Options: f.options(), Documents: true})
			if err != nil || reply.Error != "" {
				t.Fatal(err, reply)
			}
			var got []string
			for _, d := range reply.Documents {
				for _, part := range separator.Split(d.Text, -1) {
					if strings.TrimSpace(part) != "" {
						got = append(got, "# Source: "+d.Template+"\n"+strings.TrimSpace(part))
					}
				}
			}
			var want []string
			for _, part := range separator.Split(string(out), -1) {
				if strings.TrimSpace(part) != "" {
					want = append(want, strings.TrimSpace(part))
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\n\nwant\n%s", strings.Join(got, "\n---\n"), strings.Join(want, "\n---\n"))
			}
		})
	}
}
