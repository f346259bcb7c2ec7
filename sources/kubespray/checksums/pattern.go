package checksums

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// pattern finds the URLs that a table is about.
type pattern struct {
	table string
	path  *regexp.Regexp // over the URL's path; groups version, and arch where the table has one
}

// patterns are in the order of Kubespray's own file. V stands for a version with or
// without a leading v, A for an architecture. They were read from the download URLs of
// the releases 2.22 to 2.32. They are compiled when the first one is needed, not at each start.
var patterns = sync.OnceValue(func() []pattern {
	return compile(
		`crictl_checksums`, `/cri-tools/releases/download/[^/]+/crictl-V-linux-A\.tar\.gz`,
		`crio_archive_checksums`, `/cri-o/artifacts/cri-o\.A\.V\.tar\.gz`,
		`kubelet_checksums`, `/release/V/bin/linux/A/kubelet`,
		`kubectl_checksums`, `/release/V/bin/linux/A/kubectl`,
		`kubeadm_checksums`, `/release/V/bin/linux/A/kubeadm`,
		`etcd_binary_checksums`, `/etcd/releases/download/[^/]+/etcd-V-linux-A\.tar\.gz`,
		`cni_binary_checksums`, `/plugins/releases/download/[^/]+/cni-plugins-linux-A-V\.tgz`,
		`calicoctl_binary_checksums`, `/calico/releases/download/V/calicoctl-linux-A`,
		`ciliumcli_binary_checksums`, `/cilium-cli/releases/download/V/cilium-linux-A\.tar\.gz`,
		`calico_crds_checksums`, `/calico/raw/V/manifests/crds\.yaml`,
		`calico_crds_archive_checksums`, `/calico/archive/V\.tar\.gz`,
		`krew_archive_checksums`, `/krew/releases/download/V/krew-linux_A\.tar\.gz`,
		`helm_archive_checksums`, `/helm-V-linux-A\.tar\.gz`,
		`cri_dockerd_archive_checksums`, `/cri-dockerd/releases/download/[^/]+/cri-dockerd-V\.A\.tgz`,
		`runc_checksums`, `/runc/releases/download/V/runc\.A`,
		`crun_checksums`, `/crun/releases/download/[^/]+/crun-V-linux-A`,
		`youki_checksums`, `/youki/releases/download/[^/]+/youki-V-A-gnu\.tar\.gz`,
		`youki_checksums`, `/youki/releases/download/V/youki_[0-9v_]+_linux\.tar\.gz`,
		`kata_containers_binary_checksums`, `/kata-containers/releases/download/[^/]+/kata-static-V-A\.tar\.(?:xz|zst)`,
		`gvisor_runsc_binary_checksums`, `/gvisor/releases/release/V/A/runsc`,
		`gvisor_containerd_shim_binary_checksums`, `/gvisor/releases/release/V/A/containerd-shim-runsc-v1`,
		`nerdctl_archive_checksums`, `/nerdctl/releases/download/[^/]+/nerdctl-V-linux-A\.tar\.gz`,
		`containerd_archive_checksums`, `/containerd/releases/download/[^/]+/containerd-V-linux-A\.tar\.gz`,
		`containerd_static_archive_checksums`, `/containerd/releases/download/[^/]+/containerd-static-V-linux-A\.tar\.gz`,
		`skopeo_binary_checksums`, `/skopeo-binary/releases/download/V/skopeo-linux-A`,
		`yq_checksums`, `/yq/releases/download/V/yq_linux_A`,
		`gateway_api_standard_crds_checksums`, `/gateway-api/releases/download/V/standard-install\.yaml`,
		`gateway_api_experimental_crds_checksums`, `/gateway-api/releases/download/V/experimental-install\.yaml`,
		`prometheus_operator_crds_checksums`, `/prometheus-operator/releases/download/V/stripped-down-crds\.yaml`,
		`argocd_install_checksums`, `/argo-cd/V/manifests/install\.yaml`,
	)
})

func compile(pairs ...string) []pattern {
	groups := strings.NewReplacer("V", `v?(?P<version>[0-9][0-9A-Za-z.+_-]*)`, "A", `(?P<arch>[a-z0-9_]+)`)
	var all []pattern
	for i := 0; i < len(pairs); i += 2 {
		text := groups.Replace(pairs[i+1])
		all = append(all, pattern{pairs[i], regexp.MustCompile(text + `$`)})
	}
	return all
}

// architectures are the names that URLs have for what tables call otherwise.
var architectures = map[string]string{
	"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armhf": "arm",
}

// match returns which table, architecture and version a URL is about.
func (p *pattern) match(u *url.URL) (Key, bool) {
	found := p.path.FindStringSubmatch(u.Path)
	if found == nil {
		return Key{}, false
	}
	k := Key{Table: p.table, Version: found[p.path.SubexpIndex("version")]}
	if i := p.path.SubexpIndex("arch"); i >= 0 {
		k.Arch = architecture(found[i])
	}
	return k, true
}

func architecture(s string) string {
	if name, ok := architectures[s]; ok {
		return name
	}
	return s
}

// isTable reports whether a pattern leads to a table.
func isTable(name string) bool {
	return slices.ContainsFunc(patterns(), func(p pattern) bool { return p.table == name })
}
