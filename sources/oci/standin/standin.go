// Package standin plays the upstreams of the examples of the kind oci: a registry that stands
// for all of them.
package standin

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: "oci.yaml", Start: func(t *testing.T) journey.Upstream {
		r := &registry{registrytest.New(t, registrytest.Options{Plain: true})}
		return journey.Upstream{Adopt: r.adopt, Clients: []string{"containerd", "crio", "docker", "k3s", "podman"}, Base: "http://mirror.lan"}
	}}}
}

// registry stands for every registry: their hosts are the first part of its names.
type registry struct{ *registrytest.Registry }

var (
	hosts     = regexp.MustCompile(`\b(nvcr\.io|docker\.io|quay\.io|registry\.k8s\.io)/`)
	reference = regexp.MustCompile(`(?m)^[ -]*(?:repository: )?((?:nvcr\.io|docker\.io|quay\.io|registry\.k8s\.io)/[a-z0-9./-]+)(?::([\w.-]+))?$`)
)

// adopt points the spec and its list at the stand-in, which gets an
// image of two platforms for every reference.
func (r *registry) adopt(j *journey.Journey) {
	for _, name := range []string{j.Spec, "oci/images.list"} {
		for _, m := range reference.FindAllStringSubmatch(string(j.Read(name)), -1) {
			tags := []string{m[2]}
			if m[2] == "" { // of a range
				tags = []string{"v1.7.0", "v1.8.0", "v1.8.2", "v1.9.1", "v2.0.0"}
			}
			for _, tag := range tags {
				r.PutImage(j.T, m[1], tag)
			}
		}
		j.Rewrite(name, func(text string) string {
			text = hosts.ReplaceAllString(text, r.Host()+"/$1/")
			return strings.ReplaceAll(text, "kind: oci\n", "kind: oci\n    plain-http: ["+r.Host()+"]\n")
		})
	}
}
