package examples

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
)

// advised are the lines of a spec in files of settings.
var advised = regexp.MustCompile(`(?m)^#   (- \{name: ([a-z0-9-]+), .*\})$`)

// mayHaveNone are the names of settings that no line of a spec brings.
var mayHaveNone = []string{"chrony_config_server"}

var missing = regexp.MustCompile(`(?m)^# not in this mirror.*\n(?:# .*\n)*`)

// TestAdvice: what the settings for DeepOps, Kubespray and the environment say of a mirror that
// has next to nothing are lines that a spec may have, all of them at once.
func TestAdvice(t *testing.T) {
	j := siteJourney(t, "deepops-k8s")
	j.Write("slurm-exporter.tar", savedImage(t, "deepops/prometheus-slurm-exporter:2.0.0"))
	j.Write("keys/maas.asc", journey.NewSigner(t).Key())
	const head = "version: 1\nname: site\nsigning: {exporter: keys/exporter.key, site: keys/site.key}\nsources:\n"
	j.Write("little.yaml", []byte(head+"- {name: little, kind: oci, archive: {file: slurm-exporter.tar, as: \"ghcr.io/deepops/little:1\"}}\n"))
	run(j, "export", "little.yaml", "--to", "usb")
	run(j, "trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", "site", "--yes", "keys/exporter.pub")
	run(j, "import", "usb", "--to", "mirror", "--base-url", "https://mirror.lan")
	run(j, "clients", "mirror", "--for", "deepops", "--out", "settings")
	names, lines := map[string]string{}, []string{}
	for _, file := range []string{"group_vars.yml", "extra-vars.yml", "environment.sh"} {
		text := string(j.Read(filepath.Join("settings", file)))
		for _, about := range missing.FindAllString(text, -1) {
			if !advised.MatchString(about) && !slices.ContainsFunc(mayHaveNone, func(name string) bool { return strings.Contains(about, "# "+name+":") }) {
				t.Errorf("%s: no lines of a spec:\n%s", file, about)
			}
		}
		for _, m := range advised.FindAllStringSubmatch(text, -1) {
			if other, taken := names[m[2]]; !taken {
				names[m[2]], lines = m[1], append(lines, m[1])
			} else if other != m[1] {
				t.Errorf("two sources have the name %s:\n%s\n%s", m[2], other, m[1])
			}
		}
	}
	if len(lines) < 70 {
		t.Errorf("%d lines", len(lines))
	}
	j.Write("advised.yaml", []byte(head+strings.Join(lines, "\n")+"\n"))
	run(j, "plan", "advised.yaml", "--offline")
}
