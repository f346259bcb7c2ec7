//go:build clients

package galaxy

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
)

// ansible is a release of ansible-core: Debian's, and those that .ci/ansible set up.
type ansible struct{ name, program string }

func releases(t *testing.T) []ansible {
	t.Helper()
	all := []ansible{{"debian", "/usr/bin/ansible-galaxy"}}
	for _, v := range []string{"2.17.14", "2.18.19", "newest"} {
		all = append(all, ansible{v, prepared.Ansible(t, v, "ansible-galaxy")})
	}
	for _, a := range all {
		out, err := exec.Command(a.program, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v: .ci/clients and .ci/ansible set it up", a.program, err)
		}
		first, _, _ := strings.Cut(string(out), "\n")
		t.Logf("%s: %s", a.name, first)
	}
	return all
}

// control is a control node: a home of its own, and a client that was pointed at a mirror by the
// client file alone.
type control struct {
	t    *testing.T
	home string
	of   ansible
	env  []string
}

func newControl(t *testing.T, of ansible, mirror string) *control {
	t.Helper()
	c := &control{t: t, home: t.TempDir(), of: of}
	c.write("ansible.cfg", get(t, mirror+"/_gapbundle/clients/galaxy/ansible/ansible.cfg"))
	return c
}

func (c *control) write(name, content string) string {
	c.t.Helper()
	write(c.t, c.home, name, content)
	return filepath.Join(c.home, name)
}

// run runs ansible-galaxy and returns what it said, whether it was content or not.
func (c *control) run(args ...string) (string, error) {
	cmd := exec.CommandContext(c.t.Context(), c.of.program, args...)
	cmd.Dir = c.home
	cmd.Env = append([]string{
		"HOME=" + c.home, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "ANSIBLE_CONFIG=" + filepath.Join(c.home, "ansible.cfg"), "ANSIBLE_NOCOLOR=1",
		"ANSIBLE_COLLECTIONS_PATH=" + filepath.Join(c.home, "collections"), "ANSIBLE_ROLES_PATH=" + filepath.Join(c.home, "roles"), "ANSIBLE_DEPRECATION_WARNINGS=0",
	}, c.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (c *control) must(args ...string) string {
	c.t.Helper()
	out, err := c.run(args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", c.of.name, strings.Join(args, " "), err, out)
	}
	return out
}

// has reports a file that is missing, or has other content.
func (c *control) has(name, content string) {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.home, name))
	if err != nil || !strings.Contains(string(b), content) {
		c.t.Errorf("%s: %.200q, %v; want %q in it", name, b, err, content)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(b)
}
