package examples

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
)

func TestGit(t *testing.T) {
	trip(t, example{spec: "git.yaml", hosts: newGit(t), clients: []string{"git", "ansible"}, base: "http://mirror.lan"})
}

// newGit stands in for the hosts of git.yaml: a repository for each URL, with
// a submodule that DeepOps records in the way it does.
func newGit(t *testing.T) http.Handler {
	t.Helper()
	text, err := os.ReadFile("git.yaml")
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
