//go:build clients

package galaxy

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// TestClients: collections with what they depend on, roles with what they need, signatures, verify,
// download and --offline, by four releases of ansible-galaxy from all servers.
func TestClients(t *testing.T) {
	w := sourcetest.NewWorld(t, Kind())
	r := newRig(t, w.Dir)
	w.Publish("site", r.spec())
	clients := releases(t)
	var ring bytes.Buffer
	if err := r.alice.Serialize(&ring); err != nil {
		t.Fatal(err)
	}
	// Each release does everything on one server, and on each server everything is done by one.
	whole := map[string]string{"debian": webtest.Nginx, "2.17.14": webtest.Apache, "2.18.19": webtest.Caddy, "newest": webtest.Serve}
	w.Each(t, func(t *testing.T, s *webtest.Server) {
		for _, client := range clients {
			t.Run(client.name, func(t *testing.T) {
				c := newControl(t, client, s.URL)
				c.write("keyring.gpg", ring.String())
				c.collections()
				c.both()
				if whole[client.name] == s.Name {
					c.more()
					c.roles()
					c.environment(s.URL)
				}
			})
		}
	})
}

const (
	installedTools = "collections/ansible_collections/acme/tools/MANIFEST.json"
	installedBase  = "collections/ansible_collections/acme/base/MANIFEST.json"
)

func (c *control) collections() {
	c.t.Helper()
	c.must("collection", "install", "acme.tools", "--keyring", "keyring.gpg", "--required-valid-signature-count", "+1")
	c.has(installedTools, `"version":"1.1.0"`)
	c.has(installedBase, `"version":"1.5.0"`)
	if out := c.must("collection", "verify", "acme.tools", "acme.base"); !strings.Contains(out, "acme.tools:1.1.0") {
		c.t.Errorf("verify: %s", out)
	}
}

// more does what else there is to be done with collections.
func (c *control) more() {
	c.t.Helper()
	c.must("collection", "verify", "--keyring", "keyring.gpg", "--required-valid-signature-count", "+1", "acme.tools")
	c.must("collection", "verify", "--offline", "acme.tools", "acme.base")
	c.must("collection", "install", "--offline", "acme.tools") // is there
	if out, err := c.run("collection", "install", "acme.none"); err == nil {
		c.t.Errorf("a collection that is not there: %s", out)
	}
	if out, err := c.run("collection", "install", "acme.tools:>=3"); err == nil {
		c.t.Errorf("a version that was not carried: %s", out)
	}
	c.must("collection", "download", "acme.tools", "-p", "down")
	c.must("collection", "install", "--force", "--clear-response-cache", "acme.tools:1.1.0")
	c.env = []string{"ANSIBLE_COLLECTIONS_PATH=" + c.home + "/again"}
	c.must("collection", "install", "--offline", "down/acme-base-1.5.0.tar.gz", "down/acme-tools-1.1.0.tar.gz")
	c.has("again/ansible_collections/acme/tools/MANIFEST.json", `"version":"1.1.0"`)
	c.env = nil
}

func (c *control) roles() {
	c.t.Helper()
	c.must("role", "install", "acme.ntp")
	c.has("roles/acme.ntp/meta/.galaxy_install_info", "v1.0.0")
	c.has("roles/acme.bash/tasks/main.yml", "bash v2")
	c.must("role", "install", "--force", "acme.bash,v2")
	if out, err := c.run("role", "install", "acme.none"); err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), "acme.none was not found") {
		c.t.Errorf("a role that is not there: %v\n%s", err, out)
	}
}

// environment installs by the variables alone.
func (c *control) environment(mirror string) {
	c.t.Helper()
	c.write("ansible.cfg", "[defaults]\n")
	c.env = []string{"ANSIBLE_COLLECTIONS_PATH=" + c.home + "/env"}
	for line := range strings.Lines(get(c.t, mirror+"/_gapbundle/clients/galaxy/ansible/galaxy.env")) {
		if v, ok := strings.CutPrefix(line, "export "); ok {
			c.env = append(c.env, strings.TrimSpace(v))
		}
	}
	c.must("collection", "install", "acme.base")
	c.has("env/ansible_collections/acme/base/MANIFEST.json", `"version":"1.5.0"`)
	c.env = nil
}

// both installs from a requirements file, into a home of its own.
func (c *control) both() {
	c.t.Helper()
	c.env = []string{"ANSIBLE_COLLECTIONS_PATH=" + c.home + "/both", "ANSIBLE_ROLES_PATH=" + c.home + "/both/roles"}
	c.write("requirements.yml", "collections:\n- {name: acme.tools, version: '>=1,<3'}\nroles:\n- acme.ntp\n")
	c.must("install", "-r", "requirements.yml")
	c.env = nil
	c.has("both/ansible_collections/acme/base/MANIFEST.json", `"version":"1.5.0"`)
	c.has("both/roles/acme.bash/tasks/main.yml", "bash v2")
}
