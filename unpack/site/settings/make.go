package settings

import (
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
)

// Rules of the form Custom.

// never answers for what no mirror can hold.
func never(*Mirror) (any, string, bool) { return nil, "", false }

// fingerprintOf returns the fingerprint of the keys that the mirror publishes for a public address.
func fingerprintOf(address string) func(m *Mirror) (any, string, bool) {
	return func(m *Mirror) (any, string, bool) {
		f, ok := m.folder(address)
		if !ok {
			return nil, "", false
		}
		content, err := m.key(f.At)
		if err != nil {
			m.note("the fingerprint of the key of %s is not known: /%s: %v", address, f.At, err)
			return nil, "", false
		}
		keys, err := reach.Fingerprints(content)
		if err != nil || len(keys) == 0 {
			m.note("the fingerprint of the key of %s is not known: /%s has no key that can be read", address, f.At)
			return nil, "", false
		}
		return keys[0], "the key of /" + f.At, true
	}
}

// repoFileOf returns the client file of the source that stands for a repository of packages.
func repoFileOf(address string) func(m *Mirror) (any, string, bool) {
	return func(m *Mirror) (any, string, bool) {
		f, ok := m.folder(address, "repodata/repomd.xml")
		if !ok {
			return nil, "", false
		}
		plain := strings.ReplaceAll(f.Source, "/", "-")
		var value any
		for _, c := range m.clients {
			if value == nil && path.Base(c.name) == plain+".repo" {
				value = m.url(path.Join(m.ClientsAt, c.name))
			}
		}
		return value, "the mirror's own file", value != nil
	}
}

// maasLine returns a source line for MAAS' package archive.
func maasLine(m *Mirror) (any, string, bool) {
	for _, version := range []string{"3.7", "3.6", "3.5"} {
		f, ok := m.folder("https://ppa.launchpadcontent.net/maas/"+version+"/ubuntu", "dists/*/InRelease")
		if !ok {
			continue
		}
		suite := path.Base(path.Dir(m.glob(path.Join(f.At, "dists/*/InRelease"))[0]))
		return "deb [signed-by=/usr/share/keyrings/gapbundle-" + strings.ReplaceAll(f.Source, "/", "-") + ".asc] " + m.url(f.At) + " " + suite + " main",
			"with the keys that the client file of source " + f.Source + " names, at that path", true
	}
	return nil, "", false
}

// registries returns the folders of registries in the mirror.
func (m *Mirror) registries() (all []string) {
	for _, at := range m.glob("v2/*") {
		// A registry's name has a dot or a port; others are names without their registry.
		if name := path.Base(at); strings.Contains(name, ".") || name == "localhost" || hasPort(name) {
			all = append(all, name)
		}
	}
	return all
}

// hasPort reports whether a folder is named after a host with a port.
func hasPort(folder string) bool {
	_, port, ok := cutPort(folder)
	return ok && port != ""
}

func cutPort(folder string) (host, port string, ok bool) {
	i := strings.LastIndexByte(folder, '_')
	if i <= 0 || i == len(folder)-1 || strings.Trim(folder[i+1:], "0123456789") != "" {
		return folder, "", false
	}
	return folder[:i], folder[i+1:], true
}

// registryOf returns the name of which a folder was made.
func registryOf(folder string) string {
	if host, port, ok := cutPort(folder); ok {
		return host + ":" + port
	}
	return folder
}

func dockerHub(m *Mirror) (any, string, bool) {
	if !slices.Contains(m.registries(), "docker.io") {
		return nil, "", false
	}
	return m.Base, "/v2/<name> of the mirror is docker.io's", true
}

func prebuilt(m *Mirror) (any, string, bool) {
	_, _, ok := m.image("docker.io/deepops/prometheus-slurm-exporter:2.0.0", "2.0.0")
	return false, "", ok
}

func dockerMirrors(m *Mirror) (any, string, bool) {
	if !slices.Contains(m.registries(), "docker.io") {
		return nil, "", false
	}
	return template("{{ ['" + m.Base + "'] | reject('match', 'https?://[^/]+/.') | list }}"), "", true
}

func insecureRegistries(m *Mirror) (any, string, bool) {
	if len(m.registries()) == 0 {
		return nil, "", false
	}
	return template("{{ ['" + m.Host + "'] if '" + m.Insecure + "' == 'true' else [] }}"), "only for a mirror without TLS", true
}

func registryHost(m *Mirror) (any, string, bool) {
	return m.Host, "", len(m.registries()) > 0
}

// filesOf returns the folder of the files of a host.
func filesOf(host string) func(m *Mirror) (any, string, bool) {
	return func(m *Mirror) (any, string, bool) {
		at := path.Join("files", host)
		return m.url(at), "", m.has(at)
	}
}

// containerdMirrors has an entry for each registry, in the form of Kubespray.
func containerdMirrors(m *Mirror) (any, string, bool) {
	var b strings.Builder
	for _, folder := range m.registries() {
		name := registryOf(folder)
		server := name
		if name == "docker.io" {
			server = "registry-1.docker.io" // docker.io's name is not its address
		}
		b.WriteString("\n  - prefix: " + ansibleText(name) + "\n    server: " + ansibleText("https://"+server) +
			"\n    mirrors:\n      - host: " + ansibleText(m.url("v2/"+folder)) +
			"\n        capabilities: [\"pull\", \"resolve\"]\n        override_path: true\n        skip_verify: false")
	}
	return lines(b.String()), "", b.Len() > 0
}

const dgxSetupURL = "https://repo.download.nvidia.com/baseos/el/el-files/9/nvidia-repo-setup-25.02-1.el9.x86_64.rpm"

func dgxSetup(m *Mirror) (any, string, bool) {
	f, ok := m.file(dgxSetupURL, "25.02-1")
	return map[string]string{"9": m.url(f.At)}, f.public, ok
}

// imageAnswered answers for an image whose name is written somewhere.
func imageAnswered(ref string) func(m *Mirror) (any, string, bool) {
	return func(m *Mirror) (any, string, bool) {
		_, f, ok := m.image(ref, "")
		return nil, f.public, ok && f.answered
	}
}

// renamed returns the name by which a runtime without mirrors of registries finds the images of one.
func renamed(registry string) func(m *Mirror) (any, string, bool) {
	return func(m *Mirror) (any, string, bool) {
		return unset("{{ registry_host }}/" + registry), registry, slices.Contains(m.registries(), registry)
	}
}

// newerAnsible returns the release for Kubespray's playbooks, if there is an index that has it.
func newerAnsible(m *Mirror) (any, string, bool) {
	const release = "11.13.0"
	return unset(release), "ansible " + release, len(m.glob("pypi/*/files/*/*/ansible-"+release+"-*.whl")) > 0
}

// hostsEntries has the public names for a role that replaces /etc/hosts. The address of the mirror
// is given to the play; without one there are no entries.
func hostsEntries(m *Mirror) (any, string, bool) {
	var b strings.Builder
	b.WriteString(` "{{ dict(gapbundle_names | zip_longest([], fillvalue=gapbundle_address)) | dict2items(key_name='name', value_name='ip') if gapbundle_address | default('') else [] }}"` + "\ngapbundle_names:")
	for _, name := range m.Names {
		b.WriteString("\n  - " + ansibleText(name))
	}
	return lines(b.String()), bundle.Count(len(m.Names), "public name"), len(m.Names) > 0
}
