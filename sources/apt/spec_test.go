package apt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// newEntries decodes sources and gives their suites, one a line.
func newEntries(t *testing.T, dir, text string) (string, error) {
	t.Helper()
	made, err := newSource(plantest.Load(t, dir, text))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range made.(*source).entries {
		for _, s := range e.suites {
			kind := ""
			if s.want.Binary {
				kind += "deb "
			}
			if s.want.Source {
				kind += "src "
			}
			b.WriteString(kind + s.root.url + " " + s.root.prefix + " " + s.dir + " " + strings.Join(s.want.Components, ",") + " " + strings.Join(s.want.Architectures, ",") + "\n")
		}
	}
	return b.String(), nil
}

func TestForms(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"every.sources": "Description: from the vendor\nRepolib-Name: x\nTypes: deb\nURIs:\thttp://a.example/x\nSuites: noble\nComponents: main\nArchitectures: amd64\n" +
			"Trusted: no\nAllow-Insecure: False\nAllow-Weak: no\nAllow-Downgrade-To-Insecure: no\nCheck-Valid-Until: yes\nCheck-Date: on\nBy-Hash: yes\nSigned-By: /k.gpg\n",
		"os.sources": "# a comment\nTypes: deb deb-src\nURIs: http://a.example/ubuntu\nSuites: noble noble-updates\nComponents: main universe\nArchitectures: amd64\nSigned-By: /usr/share/keyrings/a.gpg\n\nTypes: deb\nURIs: http://b.example/x\nSuites: ./\nEnabled: no\n",
		"mirror.list": "set base_path /var/spool/apt-mirror\nset defaultarch amd64\nset nthreads 20\n\ndeb http://a.example/ubuntu noble main # the rest\ndeb-arm64 http://a.example/ubuntu noble main\n" +
			"deb-src http://a.example/ubuntu noble main\ndeb [arch=i386] http://b.example:8080/d/ x y\nclean http://a.example/ubuntu\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct{ spec, want string }{
		"line": {`line: deb [arch=amd64,arm64 signed-by=/k.gpg] https://download.docker.com/linux/ubuntu noble stable`,
			"deb https://download.docker.com/linux/ubuntu/  dists/noble/ stable amd64,arm64\n"},
		"lines": {"keyring: k.asc\n  architectures: amd64\n  line: [deb http://a.example/x noble main, deb-src http://a.example/x noble contrib]",
			"deb src http://a.example/x/  dists/noble/ main,contrib amd64\n"},
		"as people write it": {`line: "\tdeb-src [ arch=amd64 trusted=no check-valid-until=yes allow-weak=false frobnicate=1 signed-by=/k.gpg ]\thttp://a.example/x\tnoble  main # ours"`,
			"src http://a.example/x/  dists/noble/ main amd64\n"},
		"every option": {"sources-file: every.sources", "deb http://a.example/x/  dists/noble/ main amd64\n"},
		"flat line":    {"keyring: k.asc\n  line: deb https://a.example/cuda/ubuntu2404/x86_64/ /", "deb https://a.example/cuda/ubuntu2404/x86_64/    \n"},
		"flat below":   {"keyring: k.asc\n  line: deb https://a.example/r sub/x/", "deb https://a.example/r/  sub/x/  \n"},
		"architecture": {"keyring: k.asc\n  architectures: [amd64, arm64]\n  line: deb https://a.example/deb/$(ARCH) /", "deb https://a.example/deb/amd64/ deb/amd64/   amd64\ndeb https://a.example/deb/arm64/ deb/arm64/   arm64\n"},
		"sources-file": {"sources-file: os.sources", "deb src http://a.example/ubuntu/  dists/noble/ main,universe amd64\ndeb src http://a.example/ubuntu/  dists/noble-updates/ main,universe amd64\n"},
		"mirror-list": {"keyring: k.asc\n  mirror-list: mirror.list",
			"deb src http://a.example/ubuntu/ a.example/ubuntu/ dists/noble/ main amd64,arm64\ndeb http://b.example:8080/d/ b.example_8080/d/ dists/x/ y i386\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newEntries(t, dir, "- name: os\n  kind: apt\n  "+test.spec+"\n")
			if err != nil || got != test.want {
				t.Errorf("got\n%s%v\nwant\n%s", got, err, test.want)
			}
		})
	}
}

func TestSpecRefuses(t *testing.T) {
	const base = "url: http://a.example/x\n  suites: s\n  architectures: amd64\n  keyring: k.asc\n  "
	dir := t.TempDir()
	for name, content := range map[string]string{"bad.list": "deb http://a.example/x\n\nrpm x\n", "trusted.sources": "Types: deb\nURIs: http://a.example\nSuites: s\nTrusted: yes\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct{ spec, want string }{
		"nothing":          {"keyring: k.asc", "want one of url, line, sources-file and mirror-list"},
		"two forms":        {base + "line: deb http://a.example s main", "want one of"},
		"no suites":        {"url: http://a.example\n  keyring: k.asc", "url needs suites"},
		"no architecture":  {"url: http://a.example\n  suites: s\n  keyring: k.asc", "architectures: name them"},
		"no keyring":       {"url: http://a.example\n  suites: s\n  architectures: amd64", "name the keys"},
		"keyring by URL":   {"url: http://a.example\n  suites: s\n  keyring: https://a.example/k", "a URL alone proves nothing"},
		"no fingerprint":   {"url: http://a.example\n  suites: s\n  keyring: {url: https://a.example/k}", "needs fingerprint"},
		"bad fingerprint":  {"url: http://a.example\n  suites: s\n  keyring: {url: https://a.example/k, fingerprint: AB12}", "want 40 or 64"},
		"not a mode":       {base + "mode: mirror", `mode: want verbatim or rebuilt, got "mirror"`},
		"contents":         {base + "contents: true", "verbatim carries them always"},
		"verbatim filter":  {base + "mode: verbatim\n  packages: x", "need rebuilt"},
		"valid-for":        {base + "valid-for: 30d", "valid-for: upstream's own"},
		"odd valid-for":    {base + "packages: x\n  valid-for: soon", "want a time like 30d"},
		"newest":           {base + "newest: -1", "newest: want 1 or more"},
		"reproduce":        {base + "reproduce: a\n  packages: x", "reproduce: is exactly"},
		"recommends":       {base + "recommends: true", "no packages are chosen"},
		"component":        {base + "components: ../x", "is no name"},
		"suite":            {"url: http://a.example/x\n  suites: ../../s\n  architectures: amd64\n  keyring: k.asc", "suite"},
		"credentials":      {"url: http://u:p@a.example/x\n  suites: s\n  architectures: amd64\n  keyring: k.asc", "password"},
		"query":            {"url: http://a.example/x?a=b\n  suites: s\n  architectures: amd64\n  keyring: k.asc", "query"},
		"unsigned":         {"line: deb [trusted=yes arch=amd64] http://a.example s main\n  keyring: k.asc", "always checked"},
		"not dated":        {"line: deb [check-valid-until=no arch=amd64] http://a.example s main\n  keyring: k.asc", "allow-expired"},
		"weak":             {"line: deb [allow-weak=yes arch=amd64] http://a.example s main\n  keyring: k.asc", "always checked"},
		"unsigned stanza":  {"sources-file: trusted.sources\n  architectures: amd64\n  keyring: k.asc", "trusted.sources:1:1: Trusted: signature"},
		"mirror-list":      {"mirror-list: bad.list\n  architectures: amd64\n  keyring: k.asc", "bad.list:3:1: \"rpm x\": want deb or deb-src first"},
		"no such file":     {"sources-file: none.sources", "no such file"},
		"one folder":       {"keyring: k.asc\n  architectures: amd64\n  line: [deb http://a.example/$(ARCH) /, deb http://b.example/$(ARCH) /]", "would be in one folder"},
		"flat, components": {"url: http://a.example/x\n  suites: ./\n  components: main\n  keyring: k.asc", "no components"},
		"flat, selection":  {"url: http://a.example/x\n  suites: ./\n  packages: x\n  keyring: k.asc", "architectures: name those for which"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newEntries(t, dir, "- name: os\n  kind: apt\n  "+test.spec+"\n")
			if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), ":") {
				t.Errorf("%v: without a place", err)
			}
		})
	}
}
