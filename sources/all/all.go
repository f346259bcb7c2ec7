// Package all is the list of kinds that gapbundle is built with. A new kind is
// one line here.
package all

import (
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt"
	"github.com/gapbundle/gapbundle/sources/files"
	"github.com/gapbundle/gapbundle/sources/galaxy"
	"github.com/gapbundle/gapbundle/sources/git"
	"github.com/gapbundle/gapbundle/sources/helm"
	"github.com/gapbundle/gapbundle/sources/kubespray"
	"github.com/gapbundle/gapbundle/sources/oci"
	"github.com/gapbundle/gapbundle/sources/pypi"
	"github.com/gapbundle/gapbundle/sources/rpm"
	"github.com/gapbundle/gapbundle/sources/simplestreams"
)

// Kinds returns all kinds, sorted by name.
func Kinds() sources.Kinds {
	return sources.Kinds{
		apt.Kind(),
		files.Kind(),
		galaxy.Kind(),
		git.Kind(),
		helm.Kind(),
		kubespray.Kind(),
		oci.Kind(),
		pypi.Kind(),
		rpm.Kind(),
		simplestreams.Kind(),
	}
}
