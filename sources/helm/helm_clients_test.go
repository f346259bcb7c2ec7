//go:build clients

package helm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
)

// shell is a machine inside the gap.
type shell struct {
	t    *testing.T
	home string
}

func (s shell) run(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Dir = s.home
	cmd.Env = []string{"HOME=" + s.home, "PATH=" + os.Getenv("PATH") + ":/usr/sbin", "GNUPGHOME=" + s.home, "LC_ALL=C.UTF-8", "NO_PROXY=*"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %q: %v; .ci/clients and .ci/tools install it\n%s", name, args, err, out)
	}
	return string(out)
}

// TestHelm: the real helm finds, pulls, verifies, renders and builds on the charts of a
// mirror, on every web server, and skopeo finds their images there.
func TestHelm(t *testing.T) {
	g, w := newGap(t)
	signer := w.trust()
	w.image("team/app", "v1")
	w.image("team/tool", "v1")
	app := w.simple("app", "1.10.0", w.host()+"/team/app:v1")
	w.simple("app", "1.9.0", w.host()+"/team/app:v1")
	w.prove("app", "1.10.0", signer)
	w.prove("app", "1.9.0", signer)
	remote := helmtest.Simple(t, "tool", "0.3.0+b.1", w.host()+"/team/tool:v1")
	w.ociChart("charts", "tool", "0.3.0+b.1", remote)
	signed := w.spec("charts: {repo: REPO, chart: app, newest: 2}", "keyring: charts.asc", "images: {plain-http: [\"HOST\"]}")
	other := strings.Replace(w.spec("charts: {oci: \"oci://HOST/charts/tool\"}", "images: {plain-http: [\"HOST\"]}"), "name: charts", "name: remote", 1)
	g.Publish("set", signed+other)
	g.Each(t, func(t *testing.T, server *webtest.Server) {
		s := shell{t, t.TempDir()}
		t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", s.home, "--kill", "all").Run() })
		write(t, filepath.Join(s.home, "charts.sh"), "set -e\n"+string(g.Client(Name, "helm/charts.sh")))
		s.run("bash", "charts.sh")
		name := alias(w.url(""))
		if out := s.run("helm", "search", "repo", "--versions", name+"/"); !strings.Contains(out, "1.10.0") || !strings.Contains(out, "1.9.0") || !strings.Contains(out, "of app") {
			t.Errorf("search: %s", out)
		}
		if out := s.run("helm", "pull", name+"/app", "--verify", "--keyring", "charts.gpg"); !strings.Contains(out, "Signed by: charts") {
			t.Errorf("pull --verify: %s", out)
		}
		pulled, err := os.ReadFile(filepath.Join(s.home, "app-1.10.0.tgz"))
		if err != nil || !bytes.Equal(pulled, app) {
			t.Errorf("pulled bytes are not upstream's: %v", err)
		}
		if out := s.run("helm", "template", "rel", name+"/app", "--version", "1.9.0"); !strings.Contains(out, w.host()+"/team/app:v1") {
			t.Errorf("template: %s", out)
		}
		s.run("helm", "repo", "add", "remote", server.URL+"/helm/remote")
		s.run("helm", "pull", "remote/tool", "--version", "0.3.0+b.1")
		folder := strings.ReplaceAll(w.host(), ":", "_")
		address := strings.TrimPrefix(server.URL, "http://") + "/" + folder
		if err := os.Mkdir(filepath.Join(s.home, "oci"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.run("helm", "pull", "oci://"+address+"/charts/tool", "--version", "0.3.0+b.1", "--plain-http", "-d", "oci")
		for _, file := range []string{"tool-0.3.0+b.1.tgz", "oci/tool-0.3.0+b.1.tgz"} {
			if got, err := os.ReadFile(filepath.Join(s.home, file)); err != nil || !bytes.Equal(got, remote) {
				t.Errorf("%s: pulled bytes are not upstream's: %v", file, err)
			}
		}
		for _, image := range []string{"team/app:v1", "team/tool:v1"} {
			if out := s.run("skopeo", "inspect", "--tls-verify=false", "docker://"+address+"/"+image); !strings.Contains(out, "sha256:") {
				t.Errorf("%s: %s", image, out)
			}
		}
		s.dependency(name)
	})
}

// dependency: a chart from a source checkout is built on a chart of the mirror, as the
// client file says.
func (s shell) dependency(name string) {
	s.t.Helper()
	dir := filepath.Join(s.home, "mine")
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	write(s.t, filepath.Join(dir, "Chart.yaml"), "apiVersion: v2\nname: mine\nversion: 0.1.0\ndependencies:\n- name: app\n  version: 1.x\n  repository: https://charts.example.com\n")
	s.run("sed", "-i", `s|repository: https://.*|repository: "@`+name+`"|`, "mine/Chart.yaml")
	s.run("helm", "dependency", "update", "mine")
	if err := os.RemoveAll(filepath.Join(dir, "charts")); err != nil {
		s.t.Fatal(err)
	}
	s.run("helm", "dependency", "build", "mine")
	if _, err := os.Stat(filepath.Join(dir, "charts", "app-1.10.0.tgz")); err != nil {
		s.t.Error(err)
	}
}
