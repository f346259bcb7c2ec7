// Package standin plays the upstreams of the examples of the kind git: a repository for each
// address, served by git http-backend.
package standin

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/journey"
)

const spec = "git.yaml"

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: spec, Start: func(t *testing.T) journey.Upstream {
		return journey.Upstream{Hosts: hosts(t), Clients: []string{"git", "ansible"}, Base: "http://mirror.lan"}
	}}}
}

// hosts has a repository for each address of the spec, with a submodule that DeepOps
// records in the way it does.
func hosts(t *testing.T) http.Handler {
	t.Helper()
	text, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	host := gittest.NewHost(t, true)
	kubespray := gittest.New(t)
	pin := kubespray.Commit("kubespray", map[string]string{"cluster.yml": "---\n"})
	host.Publish("github.com/kubernetes-sigs/kubespray", kubespray)
	for _, url := range regexp.MustCompile(`https://\S+\.git`).FindAllString(string(text), -1) {
		r := gittest.New(t)
		if strings.HasSuffix(url, "/deepops.git") {
			r.Submodule("submodules/kubespray", "../../kubernetes-sigs/kubespray.git", pin)
		}
		r.Commit("first", map[string]string{"README.md": url + "\n"})
		r.Git("tag", "v1.0")
		host.Publish(strings.TrimSuffix(strings.TrimPrefix(url, "https://"), ".git"), r)
	}
	return gittest.Backend(t, host.Dir)
}
