//go:build clients

package all

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/prepared"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// place is a site: what its clients, and those who set them up, know of the mirror.
type place struct {
	Mirror string
	// CA is a PEM file with the authority of the public names and that of the mirror's own.
	CA         string
	Names, Own webtest.Pair
	// Node is a folder that the mirror's Ansible role has filled, as it does "/" of a node.
	Node string
	// DeepOps is the same of a node that DeepOps sets up.
	DeepOps string
	// Settings are the files of "gapbundle clients --for deepops".
	Settings string
	// Operator is the ConfigMap of package lists of "gapbundle clients --for gpu-operator".
	Operator string
	Images   []imagetest.Image
	Commit   string
	Wheel    string // digest

	public *site.PublicNames
}

// placeEnv leads the part of the test inside to what was carried there.
const placeEnv = "GAPBUNDLE_WHOLE_PLACE"

// TestWholeSite takes a site in the shape of examples/deepops-slurm and -k8s through two months
// with the program: upstreams of every kind by their own names, a bundle, a delta. Then, in a
// network that has nothing but the mirror, every client installs one thing over https: by the
// mirror's own name, with what the mirror publishes for clients, and by public names. It is one
// test, because a site has one mirror.
func TestWholeSite(t *testing.T) {
	if os.Getenv(placeEnv) == "" {
		t.Setenv(placeEnv, carried(t))
	}
	if !webtest.Alone(t) {
		return
	}
	p := arrived(t)
	webtest.Bind(t, p.CA, "/etc/ssl/certs/ca-certificates.crt")
	webtest.Bind(t, filepath.Join(p.Node, "usr/share/keyrings"), "/usr/share/keyrings")
	t.Run("own", func(t *testing.T) {
		webtest.Resolve(t, nil)
		p.serve(t, webtest.Nginx, true)
	})
	webtest.Resolve(t, append(p.public.Hosts(), "index.docker.io"))
	for _, server := range webtest.Names() {
		t.Run(server, func(t *testing.T) { p.serve(t, server, false) })
	}
}

// serve runs every client against one server.
func (p *place) serve(t *testing.T, server string, own bool) {
	s := webtest.StartNamesTLS(t, server, p.Mirror, p.Names, p.Own)
	for _, c := range programs() {
		if c.own && !own {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			c.ask(&client{place: p, t: t, own: own, home: t.TempDir()})
		})
	}
	if t.Failed() {
		t.Log(s.Log())
	}
}

// carried exports two months, imports both, and returns the file that says where all of it is.
func carried(t *testing.T) string {
	w := newInternet(t)
	program := filepath.Join(t.TempDir(), "gapbundle")
	w.Run("", nil, "go", "build", "-o", program, "github.com/gapbundle/gapbundle/cmd/gapbundle")
	run := func(args ...string) []byte {
		t.Helper()
		return w.Run(w.Dir, []string{"GAPBUNDLE_PASSPHRASE=x", "GAPBUNDLE_SITE_PASSPHRASE=y", "GAPBUNDLE_QUIET=true"}, program, args...)
	}
	for month := 1; month <= last; month++ {
		w.plant(month)
		w.Write(filepath.Join(w.Dir, "site.yaml"), w.spec(month, upstreamtest.NewPublic(w, w.hosts)))
		medium := fmt.Sprint("month", month)
		run("export", "site.yaml", "--to", medium)
		if month > 1 { // the keys of the first are accepted by its import
			run("verify", medium, "--mirror", w.Mirror)
		}
		run("import", medium, "--to", w.Mirror, "--accept-keys", "--base-url", "https://"+webtest.OwnName)
	}
	for medium, delta := range map[string]bool{"month1": false, "month2": true} {
		if out := run("inspect", medium, "--json"); strings.Contains(string(out), `"base"`) != delta {
			t.Errorf("%s: a delta: want %t\n%s", medium, delta, out)
		}
	}
	run("check", w.Mirror, "--data")
	// "maas" is in the tests of simplestreams: the image here is not all that MAAS wants.
	for _, name := range []string{"deepops", "ansible", "env", "hosts", "kubespray", "gpu-operator", "helm", "pip", "uv", "galaxy", "git", "argo-cd", "flux"} {
		if out := run("clients", w.Mirror, "--for", name); len(out) == 0 {
			t.Errorf("clients --for %s prints nothing", name)
		}
	}
	p := &place{Mirror: w.Mirror, Node: filepath.Join(w.Dir, "node"), DeepOps: filepath.Join(w.Dir, "deepops-node"), Settings: filepath.Join(w.Dir, "settings"), Images: w.images, Commit: w.commit, Wheel: w.wheel}
	run("clients", w.Mirror, "--for", "deepops", "--out", p.Settings)
	run("clients", w.Mirror, "--for", "ansible", "--out", filepath.Join(w.Dir, "role"))
	run("clients", w.Mirror, "--for", "gpu-operator", "--out", filepath.Join(w.Dir, "operator"))
	p.Operator = filepath.Join(w.Dir, "operator/repo-config.yaml")
	p.certify(w)
	for _, more := range [][]string{{p.Node, "Debian"}, {p.Node, "RedHat"}, {p.DeepOps, "Debian", "-e", "gapbundle_deepops=true"}} {
		w.Check(os.MkdirAll(more[0], 0o755))
		play(t, filepath.Join(w.Dir, "role"), append([]string{"mirror.yml", "-e", "gapbundle_root=" + more[0], "-e", "gapbundle_family=" + more[1], "-e", "gapbundle_ca=" + p.CA}, more[2:]...)...)
	}
	text, err := json.Marshal(p)
	w.Check(err)
	file := filepath.Join(w.Dir, "place.json")
	w.Write(file, text)
	return file
}

// certify makes the certificates of the web server.
func (p *place) certify(w *internet) {
	w.Helper()
	certs := filepath.Join(w.Dir, "certs")
	w.Check(os.Mkdir(certs, 0o755))
	p.Names = webtest.IssueNames(w, w.Mirror, certs)
	own, cert, key := upstreamtest.ServerCert(w)
	p.Own = webtest.Pair{Cert: cert, Key: key}
	p.CA = filepath.Join(certs, "both.pem")
	w.Write(p.CA, slices.Concat(w.read(filepath.Join(certs, "ca.pem")), w.read(own)))
}

// arrived reads what carried wrote.
func arrived(t *testing.T) *place {
	t.Helper()
	text, err := os.ReadFile(os.Getenv(placeEnv))
	if err != nil {
		t.Fatal(err)
	}
	p := &place{}
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(p.Mirror, "current"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if p.public, err = site.ReadPublicNames(root); err != nil {
		t.Fatal(err)
	}
	return p
}

// play runs a playbook on this machine, as setup.sh of DeepOps does it: by ansible-core 2.17.
func play(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), ansible(t, "ansible-playbook"), append([]string{"-i", "localhost,", "-c", "local", "-e", "ansible_become=false", "-e", "ansible_python_interpreter=/usr/bin/python3"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=False"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// ansible returns a program of the release of ansible-core that setup.sh pins.
func ansible(t testing.TB, name string) string { return prepared.Ansible(t, "2.17.14", name) }
