// Package standin plays the upstreams of the examples of the kind helm: chart repositories, and
// the registry that has their images.
package standin

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: "helm.yaml", Start: func(t *testing.T) journey.Upstream {
		r := &registry{registrytest.New(t, registrytest.Options{Plain: true})}
		return journey.Upstream{
			Hosts: newCharts(t, r), Adopt: r.adopt, Check: r.check,
			Clients: []string{"helm", "argo-cd", "flux"}, Base: "http://mirror.lan",
		}
	}}}
}

// registry stands for all registries: their hosts are the first part of its names.
type registry struct{ *registrytest.Registry }

// charts stands for the chart repositories of the example: by path.
type charts map[string][]byte

func (c charts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, ok := c[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(content)
}

func (c charts) add(t *testing.T, repo, name, version string, files map[string]string) {
	t.Helper()
	files["Chart.yaml"] = fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", name, version)
	content := helmtest.Package(t, name, files)
	c[repo+name+"-"+version+".tgz"] = content
	c[repo+"index.yaml"] = fmt.Appendf(nil, "apiVersion: v1\nentries:\n  %[1]s:\n  - {name: %[1]s, version: %[2]s, created: \"2026-03-01T00:00:00Z\", digest: %[3]x, urls: [%[1]s-%[2]s.tgz]}\n", name, version, sha256.Sum256(content))
}

// newCharts makes charts in the form of those that the example names; their images
// are in the registry that stands for all.
func newCharts(t *testing.T, r *registry) charts {
	c, at := charts{}, r.Host()
	c.add(t, "/helm.ngc.nvidia.com/nvidia/", "gpu-operator", "v26.3.1", map[string]string{
		"values.yaml": "driver: {version: none}\n",
		"templates/policy.yaml": "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: cluster-policy}\nspec:\n" +
			"  driver: {repository: " + at + "/nvcr.io/nvidia, image: driver, version: \"{{ .Values.driver.version }}\"}\n",
		"templates/operator.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: operator, namespace: {{ .Release.Namespace }}}\nspec: {containers: [{image: \"" + at + "/nvcr.io/nvidia/gpu-operator:v26.3.1\"}]}\n",
	})
	c.add(t, "/kubernetes-sigs.github.io/nfs-subdir-external-provisioner/", "nfs-subdir-external-provisioner", "4.0.18", map[string]string{
		"values.yaml": "nfs: {server: \"\"}\n",
		"templates/deployment.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: nfs}\nspec: {containers: [{image: \"" + at + "/registry.k8s.io/sig-storage/nfs:v4.0.2\", env: [{name: NFS_SERVER, value: " +
			"{{ required \"nfs.server\" .Values.nfs.server }}}]}]}\n",
	})
	for image, tag := range map[string]string{
		"nvcr.io/nvidia/driver": "580.126.20-ubuntu24.04", "nvcr.io/nvidia/gpu-operator": "v26.3.1", "registry.k8s.io/sig-storage/nfs": "v4.0.2", "nvcr.io/nvidia/cuda": "13.0.1-base-ubuntu24.04",
	} {
		r.PutImage(t, image, tag)
	}
	return c
}

// adopt points the example at the registry.
func (r *registry) adopt(j *journey.Journey) {
	j.Rewrite(j.Spec, func(text string) string {
		text = strings.ReplaceAll(text, "- nvcr.io/", "- "+r.Host()+"/nvcr.io/")
		return strings.ReplaceAll(text, "    images:\n", "    images:\n      plain-http: [\""+r.Host()+"\"]\n")
	})
}

// check looks for the charts and their images in the mirror.
func (r *registry) check(j *journey.Journey) {
	at := strings.ReplaceAll(r.Host(), ":", "_")
	j.Published(
		"helm/charts/index.yaml", "helm/charts/gpu-operator-v26.3.1.tgz", "helm/charts/nfs-subdir-external-provisioner-4.0.18.tgz",
		"v2/"+at+"/nvcr.io/nvidia/driver/manifests/580.126.20-ubuntu24.04", "v2/"+at+"/nvcr.io/nvidia/cuda/manifests/13.0.1-base-ubuntu24.04",
		"v2/"+at+"/registry.k8s.io/sig-storage/nfs/manifests/v4.0.2",
	)
}
