package config

import (
	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Spec is a spec file. Paths in it are joined with Dir already.
type Spec struct {
	// Path is the file, Dir its folder.
	Path, Dir string
	// Digest is the digest of the file's bytes.
	Digest bundle.Digest
	// Set is the name of the set.
	Set     string
	Signing Signing
	Hosts   map[string]fetch.HostOptions
	Sources []sources.Spec
}

// Signing names the files of private keys.
type Signing struct {
	Exporter []string
	Site     string
}

// Load reads a spec file. Errors of its content match bundle.ErrUsage and
// name file, line and column; all are reported.
func Load(path string) (*Spec, error) { return nil, nil }

// ParseSize reads an amount of bytes: a whole number and an optional unit,
// decimal (kB, MB, GB, TB) or binary (KiB, MiB, GiB, TiB). Errors match
// bundle.ErrUsage.
func ParseSize(s string) (int64, error) { return 0, nil }

// ParseRate reads a size and "/s".
func ParseRate(s string) (int64, error) { return 0, nil }
