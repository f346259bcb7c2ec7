package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// clients points clients at the mirror by the names that images have at their
// registries, in a way that the outside is asked for none of those. Each
// client has a folder of its name.
func clients(_ context.Context, repos []bundle.Repository, t sources.Tree) ([]sources.ClientFile, error) {
	hosts := map[string]bool{}
	for _, r := range repos {
		for f, err := range t.Files(r.Name) {
			if err != nil {
				return nil, err
			}
			folder, _, _ := strings.Cut(f.Path, "/")
			hosts[registryHost(folder)] = true
		}
	}
	if len(hosts) == 0 {
		return nil, nil
	}
	sorted := slices.Sorted(maps.Keys(hosts))
	var files []sources.ClientFile
	for _, host := range sorted {
		files = append(files, sources.ClientFile{Path: "containerd/" + host + "/hosts.toml", Content: hostsTOML(host)})
	}
	registries := registriesConf(sorted)
	daemon, err := daemonJSON()
	if err != nil {
		return nil, err
	}
	return append(files,
		sources.ClientFile{Path: "crio/registries.conf", Content: registries},
		sources.ClientFile{Path: "docker/README.txt", Content: dockerReadme(sorted)},
		sources.ClientFile{Path: "docker/daemon.json", Content: daemon},
		sources.ClientFile{Path: "k3s/registries.yaml", Content: registriesYAML(sorted)},
		sources.ClientFile{Path: "podman/registries.conf", Content: registries},
	), nil
}

// registryHost returns the host of which hostFolder made a folder.
func registryHost(folder string) string {
	i := strings.LastIndexByte(folder, '_')
	if i > 0 && i < len(folder)-1 && strings.Trim(folder[i+1:], "0123456789") == "" {
		return folder[:i] + ":" + folder[i+1:]
	}
	return folder
}

// hostsTOML returns containerd's hosts.toml (docs/hosts.md there). Without the line "server"
// it would go on to the registry itself.
func hostsTOML(host string) []byte {
	at := sources.BaseMark + "/" + mount + "/" + hostFolder(host)
	return fmt.Appendf(nil, `# Images of %[1]s from the mirror, and from nowhere else.
# On each node: /etc/containerd/certs.d/%[1]s/hosts.toml, and in containerd's config.toml
#   [plugins."io.containerd.grpc.v1.cri".registry]
#     config_path = "/etc/containerd/certs.d"
# No restart is needed for a change of this file. A private authority of the mirror: ca = "/path/ca.pem" below.
server = %[2]q

[host.%[2]q]
  capabilities = ["pull", "resolve"]
  override_path = true
`, host, at)
}

// registriesConf returns the file of podman, buildah, skopeo and CRI-O
// (containers-registries.conf(5)): a location takes the place of the prefix.
func registriesConf(hosts []string) []byte {
	var b strings.Builder
	b.WriteString("# Images from the mirror by the names that they have at their registries, and from nowhere else.\n" +
		"# On each node: /etc/containers/registries.conf.d/gapbundle.conf (podman, buildah, skopeo; CRI-O after systemctl reload crio).\n")
	for _, host := range hosts {
		fmt.Fprintf(&b, "\n[[registry]]\nprefix = %q\nlocation = %q\ninsecure = %s\n", host, sources.HostMark+"/"+hostFolder(host), sources.InsecureMark)
	}
	return []byte(b.String())
}

// registriesYAML returns the file of k3s and RKE2.
func registriesYAML(hosts []string) []byte {
	var b strings.Builder
	b.WriteString("# Images from the mirror by the names that they have at their registries.\n" +
		"# On each node: /etc/rancher/k3s/registries.yaml (RKE2: /etc/rancher/rke2/registries.yaml), then restart the service.\n" +
		"# Start k3s with --disable-default-registry-endpoint: without it, it goes on to the registry itself.\nmirrors:\n")
	for _, host := range hosts {
		fmt.Fprintf(&b, "  %q:\n    endpoint:\n      - %q\n    rewrite:\n      \"^(.*)$\": %q\n", host, sources.BaseMark, hostFolder(host)+"/$1")
	}
	return []byte(b.String())
}

// daemonJSON returns the part of dockerd's configuration that it has for mirrors.
func daemonJSON() ([]byte, error) {
	b, err := json.MarshalIndent(map[string][]string{"registry-mirrors": {sources.BaseMark}}, "", "  ")
	return append(b, '\n'), err
}

func dockerReadme(hosts []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `What dockerd can do with a mirror

daemon.json next to this file goes into /etc/docker/daemon.json. It is for docker.io alone: dockerd has mirrors for no
other registry. It asks for names without a registry (library/nginx), which the mirror has where they are unambiguous,
and where the mirror has no such image it goes on to docker.io; a closed network is what keeps it from that.
A mirror without TLS: "insecure-registries": ["%[1]s"] in the same file.

Every image of the mirror can be pulled by its name there:
`, sources.HostMark)
	for _, host := range hosts {
		fmt.Fprintf(&b, "  docker pull %s/%s/<name>:<tag>\n", sources.HostMark, hostFolder(host))
	}
	b.WriteString("\ncontainerd, podman, CRI-O and k3s take all original names from the mirror: see the folders of those.\n")
	return []byte(b.String())
}
