package helm

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// published is a chart of a repository, as its line in the list has it.
type published struct {
	name, version, from, file string
	registry                  bool // it takes global.imageRegistry
}

// publishedIn returns the charts of a repository, in the order of the list, and by their
// upstreams.
func publishedIn(r bundle.Repository, t sources.Tree) (all []published, upstreams []string, err error) {
	known := map[string]bool{}
	for f, err := range t.Files(r.Name) {
		if err != nil {
			return nil, nil, err
		}
		if a := f.Annotations; a[chartKey] != "" {
			all = append(all, published{a[chartKey], a[versionKey], a[fromKey], f.Path, a[registryKey] != ""})
			known[a[fromKey]] = true
		}
	}
	return all, slices.Sorted(maps.Keys(known)), nil
}

// clients writes what points helm, Argo CD and Flux at each repository.
func clients(_ context.Context, repos []bundle.Repository, t sources.Tree) ([]sources.ClientFile, error) {
	var all []sources.ClientFile
	for _, r := range repos {
		charts, upstreams, err := publishedIn(r, t)
		if err != nil {
			return nil, err
		}
		if len(charts) == 0 {
			continue
		}
		name := sources.FileName(r.Name)
		all = append(all,
			sources.ClientFile{Path: "argo-cd/" + name + ".yaml", Content: forArgoCD(r, name, charts)},
			sources.ClientFile{Path: "flux/" + name + ".yaml", Content: forFlux(r, name, charts)},
			sources.ClientFile{Path: "helm/" + name + ".sh", Content: forHelm(r, charts, upstreams)})
		if text := forValues(charts); text != nil {
			all = append(all, sources.ClientFile{Path: "helm/" + name + "-values.yaml", Content: text})
		}
	}
	return all, nil
}

// alias returns what people call an upstream: the last part of its path, or its host.
func alias(upstream string) string {
	u, err := url.Parse(upstream)
	if err != nil || upstream == "file" {
		return "local"
	}
	name := path.Base(strings.TrimSuffix(u.Path, "/"))
	if name == "." || name == "/" || name == "charts" {
		name = u.Hostname()
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, name)
}

// address returns the URL of a repository in the mirror.
func address(r bundle.Repository) string { return sources.BaseMark + "/" + r.Mount }

func forHelm(r bundle.Repository, charts []published, upstreams []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: one repository for all its charts, under the names that they had outside.\n"+
		"# A mirror by https with a private authority: --ca-file FILE with each command.\n", r.Name)
	taken := map[string]bool{}
	for _, u := range upstreams {
		name := alias(u)
		for taken[name] {
			name += "-2"
		}
		taken[name] = true
		fmt.Fprintf(&b, "helm repo add %s %s   # %s\n", name, address(r), u)
		for _, c := range charts {
			if c.from == u {
				fmt.Fprintf(&b, "#   helm install RELEASE %s/%s --version %s\n", name, c.name, c.version)
			}
		}
	}
	if key := r.Annotations[keysKey]; key != "" {
		fmt.Fprintf(&b, `# The charts have provenance files. The keys that signed them, in the form that helm reads:
curl -f -o charts.gpg %s/keys/%s
#   helm pull --verify --keyring charts.gpg ...
`, sources.BaseMark, sources.DearmoredPath(key))
	}
	b.WriteString(`# A chart from a source checkout: its Chart.yaml names the repositories of its dependencies by their addresses outside.
# Where Chart.lock is kept, "helm dependency build" asks exactly those; give it the mirror by an alias in their place:
#   sed -i 's|repository: https://.*|repository: "@ALIAS"|' Chart.yaml Chart.lock
#   helm dependency update
`)
	return []byte(b.String())
}

// forValues returns the values by which charts take a registry.
func forValues(charts []published) []byte {
	var names []string
	for _, c := range charts {
		if c.registry && !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Appendf(nil, `# No values are needed where the nodes take images from the mirror by their original names: see the client files of
# containerd, k3s, CRI-O and podman. Only without those, for: %s
#   helm install -f FILE ...
# This is right for images of docker.io; for those of another registry put its name in place of docker.io.
global:
  imageRegistry: "%s/docker.io"
`, strings.Join(names, ", "), sources.HostMark)
}

func forArgoCD(r bundle.Repository, name string, charts []published) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Argo CD: kubectl apply -n argocd -f FILE registers the repository. The applications below it are examples.
apiVersion: v1
kind: Secret
metadata:
  name: %q
  labels:
    argocd.argoproj.io/secret-type: repository
stringData:
  type: helm
  name: %q
  url: %s
`, "gapbundle-"+kubernetesName(name), name, address(r))
	for _, c := range charts {
		fmt.Fprintf(&b, `# In an Application:
#   source:
#     repoURL: %s
#     chart: %q
#     targetRevision: %q
`, address(r), c.name, c.version)
	}
	return []byte(b.String())
}

func forFlux(r bundle.Repository, name string, charts []published) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Flux: kubectl apply -n flux-system -f FILE
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: %q
spec:
  interval: 1h
  url: %s
`, kubernetesName(name), address(r))
	for _, c := range charts {
		fmt.Fprintf(&b, `---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmChart
metadata:
  name: %q
spec:
  interval: 1h
  chart: %q
  version: %q
  sourceRef:
    kind: HelmRepository
    name: %q
`, kubernetesName(c.name+"-"+c.version), c.name, c.version, kubernetesName(name))
	}
	return []byte(b.String())
}

// kubernetesName returns a name as RFC 1123 wants it for objects of a cluster.
func kubernetesName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
	return strings.Trim(name[:min(len(name), 253)], "-.")
}
