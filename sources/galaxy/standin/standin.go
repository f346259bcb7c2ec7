// Package standin plays the upstreams of the examples of the kind galaxy: a server of collections
// and roles.
package standin

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: "galaxy.yaml", Start: func(*testing.T) journey.Upstream {
		return journey.Upstream{Adopt: adopt, Check: check, Clients: []string{"ansible"}, Base: "http://mirror.lan"}
	}}}
}

// adopt points the spec at a stand-in for Galaxy, which has what the example asks for.
func adopt(j *journey.Journey) {
	t := j.T
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
	j.Rewrite(j.Spec, func(text string) string {
		return strings.ReplaceAll(text, "kind: galaxy\n", "kind: galaxy\n    server: "+g.Root()+"\n")
	})
}

// check looks for everything that the example's requirements file names among the archives of
// the mirror, and for what that depends on.
func check(j *journey.Journey) {
	j.T.Helper()
	text := j.Read("galaxy/requirements.yml")
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
		j.T.Errorf("%d archives: the requirements file is read another way than it is written", len(want))
	}
	for _, name := range want {
		j.Published("galaxy/galaxy/" + name)
	}
}
