// Package standins is the list of what plays the upstreams of the examples, kind by kind.
// The tests of the folder examples go through it, and TestChecklist wants every kind in it.
package standins

import (
	"github.com/gapbundle/gapbundle/internal/test/journey"
	apt "github.com/gapbundle/gapbundle/sources/apt/standin"
	files "github.com/gapbundle/gapbundle/sources/files/standin"
	galaxy "github.com/gapbundle/gapbundle/sources/galaxy/standin"
	git "github.com/gapbundle/gapbundle/sources/git/standin"
	helm "github.com/gapbundle/gapbundle/sources/helm/standin"
	kubespray "github.com/gapbundle/gapbundle/sources/kubespray/standin"
	oci "github.com/gapbundle/gapbundle/sources/oci/standin"
	pypi "github.com/gapbundle/gapbundle/sources/pypi/standin"
	rpm "github.com/gapbundle/gapbundle/sources/rpm/standin"
	simplestreams "github.com/gapbundle/gapbundle/sources/simplestreams/standin"
)

// All returns the examples of each kind.
func All() map[string][]journey.Example {
	return map[string][]journey.Example{
		"apt":           apt.Examples(),
		"files":         files.Examples(),
		"galaxy":        galaxy.Examples(),
		"git":           git.Examples(),
		"helm":          helm.Examples(),
		"kubespray":     kubespray.Examples(),
		"oci":           oci.Examples(),
		"pypi":          pypi.Examples(),
		"rpm":           append(rpm.Examples(), own()),
		"simplestreams": simplestreams.Examples(),
	}
}
