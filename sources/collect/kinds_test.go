package collect

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources"
)

// A kind that does not exist is answered with what there is, and with another word only
// where that is what was meant.
func TestUnknownKind(t *testing.T) {
	var kinds sources.Kinds
	for _, name := range []string{"rpm", "apt", "oci", "pypi", "git", "helm", "galaxy", "files"} {
		kinds = append(kinds, sources.Kind{Name: name})
	}
	all := "; there are apt, files, galaxy, git, helm, oci, pypi, rpm: "
	for kind, want := range map[string]string{
		"npm":    `kind "npm": gapbundle carries no packages of npm` + all,
		"Go":     `kind "Go": gapbundle carries no packages of go` + all,
		"gem":    `kind "gem": gapbundle carries no packages of gem` + all,
		"cargo":  `kind "cargo": gapbundle carries no packages of cargo` + all,
		"rmp":    `unknown kind "rmp"; did you mean "rpm"?` + all,
		"RPM":    `unknown kind "RPM"; did you mean "rpm"?` + all,
		"docker": `unknown kind "docker"; did you mean "oci"?` + all,
		"yum":    `unknown kind "yum"; did you mean "rpm"?` + all,
		"maas":   `unknown kind "maas"` + all, // simplestreams is not among these kinds
		"nosuch": `unknown kind "nosuch"` + all,
		"":       `unknown kind ""` + all,
	} {
		if got := unknownKind(kinds, sources.Spec{Name: "s", Kind: kind}).Error(); !strings.Contains(got, "s: "+want) {
			t.Errorf("%s: got %s", kind, got)
		}
	}
	for _, name := range notCarried {
		if otherNames[name] != "" {
			t.Errorf("%s is both carried and not", name)
		}
	}
}
