package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
)

func TestGalaxy(t *testing.T) {
	trip(t, example{spec: "galaxy.yaml", adopt: adoptGalaxy, check: checkGalaxy, clients: []string{"ansible"}, base: "http://mirror.lan"})
}

// adoptGalaxy points the spec at a stand-in for Galaxy, which has what the example asks for.
func adoptGalaxy(j *journey) {
	t, dir := j.t, j.dir
	t.Helper()
	g := galaxytest.New(t)
	for name, versions := range map[string]string{
		"ansible.posix": "1.6.0 2.1.0", "community.general": "12.3.0 12.4.1 13.0.0", "community.docker": "5.0.6", "devsec.hardening": "10.5.0",
		"community.library_inventory_filtering_v1": "1.1.4", "community.crypto": "2.25.0 2.26.0 2.26.1 3.0.0", "kubernetes.core": "5.3.0 6.0.0",
	} {
		namespace, short, _ := strings.Cut(name, ".")
		for v := range strings.FieldsSeq(versions) {
			c := &galaxytest.Collection{Namespace: namespace, Name: short, Version: v, RequiresAnsible: ">=2.16.0"}
			if name == "community.docker" {
				c.Dependencies = map[string]string{"community.library_inventory_filtering_v1": ">=1.0.0"}
			}
			g.Add(c)
		}
	}
	for name, tag := range map[string]string{
		"geerlingguy.ntp": "4.0.0", "andrewrothstein.miniconda": "v6.1.9", "andrewrothstein.bash": "v1.1.21", "andrewrothstein.unarchive-deps": "v2.1.0",
		"nvidia.nvidia_driver": "v2.3.1", "nvidia.nvidia_docker": "v1.2.4", "nvidia.enroot": "v0.5.0",
	} {
		owner, short, _ := strings.Cut(name, ".")
		r := &galaxytest.Role{Owner: owner, Name: short, Tag: tag}
		if short == "miniconda" {
			r.Meta = "dependencies:\n- role: andrewrothstein.bash\n- role: andrewrothstein.unarchive-deps\n"
		}
		g.AddRoles(r)
	}
	file := filepath.Join(dir, "galaxy.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	adopted := strings.ReplaceAll(string(text), "kind: galaxy\n", "kind: galaxy\n    server: "+g.Root()+"\n")
	if err := os.WriteFile(file, []byte(adopted), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkGalaxy looks for everything that the example's requirements file names among the archives of
// the mirror, and for what that depends on.
func checkGalaxy(j *journey) {
	t, dir := j.t, j.dir
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "galaxy/requirements.yml"))
	if err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(dir, "mirror/current/galaxy/galaxy")
	want := []string{
		"artifacts/community-library_inventory_filtering_v1-1.1.4.tar.gz", "artifacts/community-crypto-2.26.1.tar.gz", "artifacts/community-crypto-2.26.0.tar.gz",
		"roles/andrewrothstein.bash/v1.1.21.tar.gz", "roles/andrewrothstein.unarchive-deps/v2.1.0.tar.gz",
	}
	for _, m := range regexp.MustCompile(`(?m)^  - (name|src): (\S+)\n    version: "?([^"\n]+)`).FindAllStringSubmatch(string(text), -1) {
		name, v := m[2], strings.TrimSuffix(strings.TrimPrefix(m[3], ">="), ",<13")
		if m[1] == "src" {
			want = append(want, "roles/"+name+"/"+v+".tar.gz")
			continue
		}
		if name == "community.general" {
			v = "12.4.1"
		}
		want = append(want, "artifacts/"+strings.Replace(name, ".", "-", 1)+"-"+v+".tar.gz")
	}
	if len(want) != 14 {
		t.Errorf("%d archives: the requirements file is read another way than it is written", len(want))
	}
	for _, name := range want {
		if _, err := os.Stat(filepath.Join(mirror, name)); err != nil {
			t.Error(err)
		}
	}
}
