//go:build clients

package galaxy

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/git"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// forge serves git repositories as files, in all ways that git clones from.
type forge struct {
	t   *testing.T
	dir string
	url string
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{t: t, dir: t.TempDir()}
	s := httptest.NewServer(http.FileServer(http.Dir(f.dir)))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *forge) git(dir string, args ...string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@a.example", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// put makes a repository with these files, a branch next to the main one, and a tag.
func (f *forge) put(name string, files map[string]string) {
	f.t.Helper()
	work := f.t.TempDir()
	f.git(work, "init", "-q")
	for file, content := range files {
		write(f.t, work, file, content)
	}
	f.git(work, "add", "-A")
	f.git(work, "commit", "-q", "-m", "made for a test")
	f.git(work, "branch", "devel")
	f.git(work, "tag", "v1")
	bare := filepath.Join(f.dir, name)
	f.git(work, "clone", "-q", "--bare", work, bare)
	f.git(bare, "update-server-info")
}

// TestClientsElsewhere: what a requirements file has by address, by repository and on disk, installed
// from the file that the mirror has for use inside.
func TestClientsElsewhere(t *testing.T) {
	w, g, f := sourcetest.NewWorld(t, files.Kind(), Kind(), git.Kind()), galaxytest.New(t), newForge(t)
	g.Add(base("1.0.0"))
	g.AddRoles(&galaxytest.Role{Owner: "acme", Name: "bash", Tag: "v1"})
	g.Put("/their/thing.tar.gz", (&galaxytest.Collection{Namespace: "other", Name: "thing", Version: "1.0.0", Dependencies: map[string]string{"acme.base": "*"}}).Archive(t))
	g.Put("/their/role-u.tar.gz", (&galaxytest.Role{Owner: "x", Name: "u", Tag: "1", Meta: "dependencies: [acme.bash]\n"}).Archive(t))
	f.put("c.git", map[string]string{"galaxy.yml": "namespace: in\nname: git\nversion: 3.0.0\nreadme: README.md\nauthors: [x]\n", "README.md": "x\n"})
	f.put("r.git", map[string]string{"meta/main.yml": "galaxy_info: {}\ndependencies: []\n", "tasks/main.yml": "[]\n"})
	write(t, w.Dir, "own-stuff-0.1.0.tar.gz", string((&galaxytest.Collection{Namespace: "own", Name: "stuff", Version: "0.1.0"}).Archive(t)))
	write(t, w.Dir, "role-d.tar.gz", string((&galaxytest.Role{Owner: "x", Name: "d", Tag: "1"}).Archive(t)))
	write(t, w.Dir, "requirements.yml", "collections:\n- "+g.URL("/their/thing.tar.gz")+"\n- own-stuff-0.1.0.tar.gz\n- {name: "+f.url+"/c.git, type: git, version: devel}\n"+
		"roles:\n- src: "+g.URL("/their/role-u.tar.gz")+"\n- src: role-d.tar.gz\n- {src: "+f.url+"/r.git, scm: git, version: v1}\n")
	w.Publish("site", "- {name: galaxy, kind: galaxy, server: "+g.Root()+", requirements: requirements.yml}\n")
	clients := releases(t)
	for _, name := range []string{webtest.Nginx, webtest.Serve} {
		t.Run(name, func(t *testing.T) {
			s := webtest.Start(t, name, w.Mirror)
			w.Behind(s.URL)
			for _, client := range []ansible{clients[0], clients[3]} {
				c := newControl(t, client, s.URL)
				c.write("requirements.yml", get(t, s.URL+"/galaxy/galaxy/requirements/requirements.yml"))
				c.must("install", "-r", "requirements.yml")
				for file, content := range map[string]string{
					"collections/ansible_collections/other/thing/MANIFEST.json": `"version":"1.0.0"`, "collections/ansible_collections/acme/base/MANIFEST.json": `"version":"1.0.0"`,
					"collections/ansible_collections/own/stuff/MANIFEST.json": `"version":"0.1.0"`, "collections/ansible_collections/in/git/MANIFEST.json": `"3.0.0"`,
					"roles/role-u/tasks/main.yml": "u 1", "roles/acme.bash/tasks/main.yml": "bash v1", "roles/role-d/tasks/main.yml": "d 1", "roles/r/tasks/main.yml": "[]",
				} {
					c.has(file, content)
				}
			}
		})
	}
}
