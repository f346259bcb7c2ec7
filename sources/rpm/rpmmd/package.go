package rpmmd

import (
	"github.com/gapbundle/gapbundle/bundle"
)

// Package is one package as the primary metadata describe it, as far as
// choosing it and carrying it need: a distribution has a hundred thousand. Its
// relations are shared with other packages and must not be changed.
type Package struct {
	Name string
	EVR  EVR
	// Arch is "noarch", an architecture, or "src" and "nosrc".
	Arch     string
	Checksum Checksum
	// PackageSize is the file's size in bytes.
	PackageSize int64
	// Location is the href as written, below BaseURL (xml:base) if there is
	// one and else below the repository.
	Location, BaseURL string
	// SourceRPM is the file name of the source package.
	SourceRPM string
	// Summary is one line for people, of which MaxSummary bytes are kept, and Licence the
	// expression as upstream has it.
	Summary, Licence string

	Provides, Requires, Conflicts, Obsoletes    []*Relation
	Recommends, Supplements, Suggests, Enhances []*Relation
	// Files are the paths that primary has, directories included: those
	// below /etc and in bin directories, and /usr/lib/sendmail. All others
	// are in filelists.
	Files []string
}

// Checksum is the digest of a package's file as upstream names it.
type Checksum struct {
	// Type is upstream's word: "sha256", "sha512", "sha384", "sha224", "sha"
	// or "sha1", "md5".
	Type string
	// Hex is in lower case.
	Hex string
}

// Digest returns the checksum as the name that bundles use; false: it is of
// another type.
func (c Checksum) Digest() (bundle.Digest, bool) {
	if c.Type != "sha256" {
		return bundle.Digest{}, false
	}
	d, err := bundle.ParseHex(c.Hex)
	return d, err == nil
}

// NEVRA returns "name-[epoch:]version-release.arch", as dnf prints it: an epoch of
// 0 is left out.
func (p *Package) NEVRA() string { return p.Name + "-" + p.EVR.String() + "." + p.Arch }

// ModuleNEVRA returns "name-epoch:version-release.arch", as modules list their
// artifacts: with an epoch always.
func (p *Package) ModuleNEVRA() string {
	return p.Name + "-" + p.EVR.WithEpoch() + "." + p.Arch
}

// IsSource reports whether it is a source package.
func (p *Package) IsSource() bool { return p.Arch == "src" || p.Arch == "nosrc" }
