package settings

import (
	"bytes"
	"path"
	"strings"
)

// gpuOperator returns the objects by which NVIDIA's GPU Operator is told where its driver
// containers find packages (repoConfig) and which authority to believe (certConfig).
func gpuOperator(m *Mirror, files []placed) []Text {
	var maps string
	for _, system := range []string{debian, redHat} {
		if data := repoData(m, files, system); data != "" {
			maps += "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gapbundle-repo-" + strings.ToLower(system) + "\ndata:\n" + data
		}
	}
	if maps == "" {
		return nil
	}
	repo := "# Where the driver containers of the GPU Operator find packages: one ConfigMap for each family of systems.\n" +
		"#   kubectl apply -n gpu-operator -f repo-config.yaml\n" +
		"#   helm install ... --set driver.repoConfig.configMapName=gapbundle-repo-debian   (or -redhat)\n" + maps
	cert := "# The authority of the mirror's certificate, which the driver containers of the GPU Operator are to believe. gapbundle\n" +
		"# does not have it: put the text of the site's PEM file in its place.\n" +
		"#   kubectl apply -n gpu-operator -f cert-config.yaml\n" +
		"#   helm install ... --set driver.certConfig.name=gapbundle-cert\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gapbundle-cert\ndata:\n  gapbundle-site.crt: |\n    -----BEGIN CERTIFICATE-----\n    ...\n    -----END CERTIFICATE-----\n"
	return []Text{{"gpu-operator/repo-config.yaml", []byte(repo)}, {"gpu-operator/cert-config.yaml", []byte(cert)}}
}

// repoData returns the source lists of a family, with their keys in them: the containers have no
// other place for keys.
func repoData(m *Mirror, files []placed, system string) string {
	var b strings.Builder
	for _, p := range files {
		name := path.Base(p.to)
		if p.system != system || !strings.Contains(p.to, "/sources.list.d/") && !strings.Contains(p.to, "/yum.repos.d/") {
			continue
		}
		content := p.content
		switch {
		case strings.HasSuffix(name, ".sources"):
			content = m.withKeys(name, content)
		case localKeys.Match(content):
			m.note("%s in the ConfigMap of the GPU Operator names a file of keys, and its containers have none: a list in the form .sources has its keys in it", name)
		}
		b.WriteString("  " + yamlText(name) + ": " + yamlText(string(content)) + "\n")
	}
	return b.String()
}

// withKeys puts the keys of a deb822 source list into its field Signed-By (sources.list(5)).
func (m *Mirror) withKeys(name string, list []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(list) {
		match := localKeys.FindSubmatch(line)
		if !bytes.HasPrefix(line, []byte("Signed-By:")) || match == nil {
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
