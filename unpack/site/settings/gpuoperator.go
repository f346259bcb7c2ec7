package settings

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// gpuOperator returns the objects by which NVIDIA's GPU Operator learns where its driver
// containers find packages (repoConfig) and which authority to believe (certConfig).
func gpuOperator(m *Mirror, files []placed) []Text {
	var objects string
	for _, system := range []string{debian, redHat} {
		if data := repoData(m, files, system); data != "" {
			objects += "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gapbundle-repo-" + strings.ToLower(system) + "\ndata:\n" + data
		}
	}
	if objects == "" {
		return nil
	}
	repo := "# Where the driver containers of the GPU Operator find packages: one ConfigMap for each family of systems.\n" +
		"#   kubectl apply -n gpu-operator -f repo-config.yaml\n" +
		"#   helm install ... --set driver.repoConfig.configMapName=gapbundle-repo-debian   (or -redhat)\n" + objects
	cert := "# The authority of the mirror's certificate, which the driver containers of the GPU Operator are to believe. gapbundle\n" +
		"# does not have it: put the text of the site's PEM file in its place.\n" +
		"#   kubectl apply -n gpu-operator -f cert-config.yaml\n" +
		"#   helm install ... --set driver.certConfig.name=gapbundle-cert\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gapbundle-cert\ndata:\n  gapbundle-site.crt: |\n    -----BEGIN CERTIFICATE-----\n    ...\n    -----END CERTIFICATE-----\n"
	return []Text{{"gpu-operator/repo-config.yaml", []byte(repo)}, {"gpu-operator/cert-config.yaml", []byte(cert)}}
}

// repoData returns the source lists of a family, with their keys in them: the containers have no
// other place for keys. Lists of one-line entries, which have no room for a key, come in the other form.
func repoData(m *Mirror, files []placed, system string) string {
	lists := map[string][]byte{}
	for _, p := range files {
		if p.system == system && (strings.Contains(p.to, "/sources.list.d/") || strings.Contains(p.to, "/yum.repos.d/")) {
			lists[path.Base(p.to)] = p.content
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		content := lists[name]
		if base, lines := strings.CutSuffix(name, ".list"); lines {
			if stanzas, ok := deb822(content); ok {
				content = stanzas
				if name = base + ".sources"; lists[name] != nil {
					name = base + ".list.sources"
				}
			} else {
				m.note("%s in the ConfigMap of the GPU Operator has a line that is no entry of a source list", name)
			}
		}
		if strings.HasSuffix(name, ".sources") {
			content = m.withKeys(name, content)
		}
		b.WriteString("  " + yamlText(name) + ": " + yamlText(string(content)) + "\n")
	}
	return b.String()
}

// listEntry finds the parts of a one-line entry: type, options, address, suite, components.
var listEntry = regexp.MustCompile(`^(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)$`)

// deb822 returns a source list of one-line entries in the deb822 form (sources.list(5)), whose
// fields may be in lower case. It reports false if a line is no such entry.
func deb822(list []byte) ([]byte, bool) {
	var out bytes.Buffer
	for line := range bytes.Lines(list) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			out.Write(append(line, '\n'))
			continue
		}
		entry := listEntry.FindStringSubmatch(string(line))
		if entry == nil {
			return nil, false
		}
		fmt.Fprintf(&out, "\nTypes: %s\nURIs: %s\nSuites: %s\n", entry[1], entry[3], entry[4])
		if components := strings.Fields(entry[5]); len(components) > 0 {
			fmt.Fprintf(&out, "Components: %s\n", strings.Join(components, " "))
		}
		for _, option := range strings.Fields(entry[2]) {
			name, value, ok := strings.Cut(option, "=")
			if !ok {
				return nil, false
			}
			switch name {
			case "arch", "lang", "target":
				name = map[string]string{"arch": "Architectures", "lang": "Languages", "target": "Targets"}[name]
				value = strings.ReplaceAll(value, ",", " ")
			}
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	return out.Bytes(), true
}

// withKeys puts the keys of a deb822 source list into its field Signed-By (sources.list(5)).
func (m *Mirror) withKeys(name string, list []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(list) {
		match := localKeys.FindSubmatch(line)
		if bytes.HasPrefix(line, []byte("#")) && (match != nil || bytes.HasSuffix(bytes.TrimSpace(line), []byte("with its keys:"))) {
			continue // where a machine puts the file and its keys
		}
		if field, _, _ := bytes.Cut(line, []byte(":")); !bytes.EqualFold(field, []byte("Signed-By")) || match == nil {
			out.Write(line)
			continue
		}
		keys, err := m.key("keys/" + string(match[1]))
		if err != nil || !bytes.Contains(keys, []byte("-----BEGIN PGP")) {
			m.note("%s in the ConfigMap of the GPU Operator names %s, and its containers have no such file: /keys/%s is no armored key of this mirror", name, match[0], match[1])
			out.Write(line)
			continue
		}
		out.WriteString("Signed-By:\n")
		for k := range bytes.Lines(keys) {
			if k = bytes.TrimSpace(k); len(k) == 0 {
				k = []byte(".")
			}
			out.WriteString(" " + string(k) + "\n")
		}
	}
	return out.Bytes()
}
