package closure

import (
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// TestArchitecturesMatch: an architecture that a source has nothing for is an error that
// names those that it has.
func TestArchitecturesMatch(t *testing.T) {
	for _, test := range []struct {
		have, want, refused string // refused is separated by a space; "": none
	}{
		{"x86_64 noarch", "x86_64", ""},
		{"x86_64 noarch", "aarch64", "aarch64"},
		{"x86_64 noarch", "x86_64 amd64", "amd64"},
		{"x86_64 noarch", "noarch", "noarch"},
		{"i586 noarch", "x86_64", ""},
		{"x86_64", "i686 aarch64", "i686 aarch64"},
		{"noarch src", "x86_64 aarch64", ""},
		{"", "x86_64", ""},
		{"aarch64", "", ""},
	} {
		var own Index
		for _, arch := range strings.Fields(test.have) {
			own.Packages = append(own.Packages, &rpmmd.Package{Name: "a", Arch: arch})
		}
		r := &Request{Source: "v", Architectures: strings.Fields(test.want)}
		err := r.CheckFilters([]Index{own})
		if (err != nil) != (test.refused != "") || err != nil && !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%+v: %v", test, err)
		}
		for _, arch := range strings.Fields(test.refused) {
			if err == nil || !strings.Contains(err.Error(), "source v: architectures: "+arch+": no package is for it, there are packages for ") {
				t.Errorf("%+v: %v", test, err)
			}
		}
	}
}
