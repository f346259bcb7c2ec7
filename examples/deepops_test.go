package examples

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/sources/config"
)

// siteSpecs are the folders that have the spec of a whole site.
var siteSpecs = []string{"deepops-slurm", "deepops-k8s"}

// checksums pins the files of Kubespray's lists, as the table of its checkout does, by what
// the stand-ins serve: table, architecture, version, address.
func checksums(t *testing.T, list string) string {
	t.Helper()
	tables := map[string]string{
		"kubelet": "kubelet_checksums amd64 1.35.4", "kubectl": "kubectl_checksums amd64 1.35.4", "kubeadm": "kubeadm_checksums amd64 1.35.4",
		"etcd-v3.6.10-linux-amd64.tar.gz": "etcd_binary_checksums amd64 3.6.10", "cni-plugins-linux-amd64-v1.9.1.tgz": "cni_binary_checksums amd64 1.9.1",
		"calicoctl-linux-amd64": "calicoctl_binary_checksums amd64 3.31.5", "crds.yaml": "calico_crds_checksums no_arch 3.31.5",
		"crictl-v1.35.0-linux-amd64.tar.gz": "crictl_checksums amd64 1.35.0", "helm-v3.18.4-linux-amd64.tar.gz": "helm_archive_checksums amd64 3.18.4",
		"runc.amd64": "runc_checksums amd64 1.4.2", "nerdctl-2.2.2-linux-amd64.tar.gz": "nerdctl_archive_checksums amd64 2.2.2",
		"containerd-2.2.3-linux-amd64.tar.gz": "containerd_archive_checksums amd64 2.2.3",
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("---\n")
	for url := range strings.FieldsSeq(string(text)) {
		table := strings.Fields(tables[url[strings.LastIndexByte(url, '/')+1:]])
		if len(table) != 3 {
			t.Fatalf("%s: no table of checksums is known for it", url)
		}
		fmt.Fprintf(&b, "%s:\n  %s:\n    %s: sha256:%s\n", table[0], table[1], table[2], journey.Digest(journey.Content(strings.TrimPrefix(url, "https://"))))
	}
	return b.String()
}

// siteJourney returns a copy of a site's folder with keys and with what stands in for the checkout of
// DeepOps, as its header asks for.
func siteJourney(t *testing.T, name string) *journey.Journey {
	t.Helper()
	j := &journey.Journey{T: t, Dir: t.TempDir(), Spec: "gapbundle.yaml"}
	if err := os.CopyFS(j.Dir, os.DirFS(name)); err != nil {
		t.Fatal(err)
	}
	roles, err := os.ReadFile("testdata/requirements.yml")
	if err != nil {
		t.Fatal(err)
	}
	j.Write("deepops/roles/requirements.yml", roles)
	if list := filepath.Join(name, "files.list"); name == "deepops-k8s" {
		j.Write("deepops/submodules/kubespray/roles/kubespray_defaults/vars/main/checksums.yml", []byte(checksums(t, list)))
		j.Write("deepops/submodules/kubespray/galaxy.yml", []byte("namespace: kubernetes_sigs\nname: kubespray\nversion: 2.31.0\n"))
	}
	if name == "deepops-slurm" {
		j.Write("slurm-exporter.tar", savedImage(t, "deepops/prometheus-slurm-exporter:2.0.0"))
	}
	run(j, "keygen", "--out", "keys")
	run(j, "keygen", "--site", "--out", "keys")
	return j
}

// savedImage returns what "docker save" writes of an image of one layer.
func savedImage(t *testing.T, name string) []byte {
	t.Helper()
	pack := func(files ...[2]string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, f := range files {
			err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg})
			if err == nil {
				_, err = w.Write([]byte(f[1]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	layer := pack([2]string{"etc/os-release", "ID=ubuntu\n"})
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}`, journey.Digest(layer))
	return pack([2]string{"config.json", config}, [2]string{"layer.tar", string(layer)},
		[2]string{"manifest.json", fmt.Sprintf(`[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, name)})
}

// TestSitesOffline: the specs of whole sites are sound: schema, references, keys, versions.
func TestSitesOffline(t *testing.T) {
	found, err := filepath.Glob("*/gapbundle.yaml")
	if err != nil || len(found) != len(siteSpecs) {
		t.Errorf("folders with a spec: %v %v, want %v", found, err, siteSpecs)
	}
	for _, name := range siteSpecs {
		t.Run(name, func(t *testing.T) {
			j := siteJourney(t, name)
			s, err := config.Load(filepath.Join(j.Dir, j.Spec))
			if err != nil {
				t.Fatal(err)
			}
			if s.Set != name {
				t.Errorf("the set is called %q", s.Set)
			}
			run(j, "plan", j.Spec, "--offline")
		})
	}
}
