package command

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// published makes what a generation publishes for clients.
func published(t *testing.T, files map[string]string) (mirror string) {
	t.Helper()
	mirror = t.TempDir()
	for name, content := range files {
		file := filepath.Join(mirror, "current", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return mirror
}

// TestClientFolders: kinds, their programs, and what is made over everything.
func TestClientFolders(t *testing.T) {
	mirror := published(t, map[string]string{
		"_gapbundle/clients/apt/ubuntu.sources": "URIs: @BASE@/apt/ubuntu\n", "_gapbundle/clients/helm/helm/charts.sh": "helm\n", "_gapbundle/clients/helm/flux/charts.yaml": "flux\n",
		"_gapbundle/clients/galaxy/ansible/ansible.cfg": "[galaxy]\n", "_gapbundle/settings/ansible/mirror.yml": "---\n", "_gapbundle/settings/ansible/roles/x/tasks/main.yml": "---\n",
		"_gapbundle/settings/deepops/group_vars.yml": "a: \"@BASE@\"\n",
	})
	current, err := os.OpenRoot(filepath.Join(mirror, "current"))
	if err != nil {
		t.Fatal(err)
	}
	defer current.Close()
	folders, err := clientFolders(current)
	if err != nil {
		t.Fatal(err)
	}
	if got := listOf(folders); got != "ansible, apt, deepops, flux, galaxy, helm" {
		t.Errorf("there is %s", got)
	}
	if got := folders["ansible"]; !slices.Equal(got, []string{"_gapbundle/clients/galaxy/ansible", "_gapbundle/settings/ansible"}) {
		t.Errorf("ansible is in %v", got)
	}
}

// TestWriteClients: files get the folders that they have, are replaced, and never fall on
// one another.
func TestWriteClients(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new/folder")
	o := &Output{stdout: new(strings.Builder), stderr: new(strings.Builder), terminal: -1}
	files := []clientFile{{Path: "_gapbundle/settings/ansible/mirror.yml", Content: "a\n", name: "mirror.yml"}, {Path: "_gapbundle/settings/ansible/roles/x/y.yml", Content: "b\n", name: "roles/x/y.yml"}}
	for range 2 {
		if err := writeClients(out, files, o); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(out, "roles/x/y.yml")); err != nil || string(got) != "b\n" {
		t.Errorf("%q %v", got, err)
	}
	err := writeClients(out, append(files, clientFile{Path: "_gapbundle/clients/git/ansible/mirror.yml", name: "mirror.yml"}), o)
	if err == nil || !strings.Contains(err.Error(), "/_gapbundle/settings/ansible/mirror.yml and /_gapbundle/clients/git/ansible/mirror.yml would both be mirror.yml") {
		t.Errorf("%v", err)
	}
}
