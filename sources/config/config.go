package config

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// Version is the version of the spec file that this package reads.
const Version = 1

// Spec is a spec file. Paths of keys and certificates in it are joined with
// Dir already.
type Spec struct {
	// Path is the file as it was asked for, Dir its folder, absolute.
	Path, Dir string
	// Digest is the digest of the file's bytes.
	Digest bundle.Digest
	// Set is the name of the set.
	Set     string
	Signing Signing
	Hosts   map[string]fetch.HostOptions
	// AllowWeakKeys are the fingerprints of weak keys of upstreams that count all the same.
	AllowWeakKeys []string
	// Sources are the entries, in their order.
	Sources []sources.Spec
}

// Signing names the files of private keys.
type Signing struct {
	Exporter []string
	Site     string
}

// document is the file as it is written.
type document struct {
	Version  int                         `yaml:"version,required" doc:"Version of this file's form."`
	Name     string                      `yaml:"name,required" doc:"Name of the set: a-z, 0-9 and '-', at most 40 characters."`
	Signing  signing                     `yaml:"signing" doc:"Files of private keys, relative to this file."`
	Hosts    map[string]host             `yaml:"hosts" doc:"Settings by host or host:port, for every source."`
	Weak     []string                    `yaml:"allow-weak-key,single" doc:"Fingerprints of upstream's keys that count although they are weak (RSA below 2048 bits); recorded in the bundle."`
	Defaults map[string]*strictyaml.Node `yaml:"defaults" doc:"Per kind: keys that every source of the kind has unless it says otherwise."`
	Sources  []*strictyaml.Node          `yaml:"sources,required" doc:"What the set consists of."`
}

type signing struct {
	Exporter []string `yaml:"exporter,single" doc:"Keys that sign the bundle."`
	Site     string   `yaml:"site" doc:"OpenPGP key that signs rebuilt indexes."`
}

// envelope is what every entry of sources has.
type envelope struct {
	Pos  strictyaml.Pos
	Name string `yaml:"name,required" doc:"Name of the source: a-z, 0-9 and '-', at most 40 characters."`
	Kind string `yaml:"kind,required" doc:"Kind of the source."`
	// Public is looked at by the mirror.
	Public bool `yaml:"public" doc:"Where several sources stand for one public address: this one answers for it."`
}

// Load reads a spec file. Errors of its content match bundle.ErrUsage and
// name file, line and column; all are reported. Errors of reading the file
// are the operating system's.
func Load(path string) (*Spec, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("spec %s: %w", path, err)
	}
	return parse(path, dir, b)
}

func parse(path, dir string, b []byte) (*Spec, error) {
	root, err := strictyaml.Parse(path, b)
	if err != nil {
		return nil, err
	}
	var doc document
	errs := []error{root.Decode(&doc)}
	if doc.Version != Version && (doc.Version != 0 || errs[0] == nil) {
		errs = append(errs, root.Pos().Errorf("version %d: this program reads version %d", doc.Version, Version))
	}
	if doc.Name != "" {
		errs = append(errs, labelled(root.Pos(), "name", doc.Name))
	}
	spec := &Spec{Path: path, Dir: dir, Digest: bundle.DigestOf(b), Set: doc.Name}
	spec.Signing.Site = sources.Within(dir, doc.Signing.Site)
	for _, key := range doc.Signing.Exporter {
		spec.Signing.Exporter = append(spec.Signing.Exporter, sources.Within(dir, key))
	}
	for _, text := range doc.Weak {
		fingerprint, err := weakKey(text)
		if err != nil {
			errs = append(errs, root.Pos().Errorf("allow-weak-key: %w", err))
		}
		spec.AllowWeakKeys = append(spec.AllowWeakKeys, fingerprint)
	}
	var more []error
	spec.Hosts, more = hostOptions(dir, doc.Hosts)
	errs = append(errs, more...)
	spec.Sources, more = specs(dir, doc)
	errs = append(errs, more...)
	if errs[0] == nil && len(doc.Sources) == 0 {
		errs = append(errs, root.Pos().Errorf("sources: the list is empty"))
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	return spec, nil
}

// weakKey returns a fingerprint as sources compare it: one of an OpenPGP key, or of a key for SSH
// as ssh-keygen -l prints it.
func weakKey(text string) (string, error) {
	if hash, ok := strings.CutPrefix(text, "SHA256:"); ok {
		if b, err := base64.RawStdEncoding.DecodeString(hash); err != nil || len(b) != sha256.Size {
			return "", fmt.Errorf("fingerprint %.80q: want SHA256: and 43 letters", text)
		}
		return text, nil
	}
	return pgpkeys.ParseFingerprint(text)
}

// MissingError is a spec file that is not there. It matches bundle.ErrUsage.
type MissingError struct{ Err error }

func (e *MissingError) Error() string   { return "spec: " + e.Err.Error() }
func (e *MissingError) Unwrap() []error { return []error{e.Err, bundle.ErrUsage} }

// read reads at most what strictyaml accepts.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{err}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := bundle.ReadAllBounded(f, path, strictyaml.MaxSize)
	if errors.Is(err, bundle.ErrMalformed) {
		return nil, fmt.Errorf("%s: larger than a spec may be, which is %d bytes: %w", path, strictyaml.MaxSize, bundle.ErrUsage)
	}
	return b, err
}

func labelled(pos strictyaml.Pos, key, name string) error {
	if err := bundle.CheckLabel(name); err != nil {
		return pos.Errorf("%s: %w", key, err)
	}
	return nil
}

// specs takes the entries of sources apart.
func specs(dir string, doc document) ([]sources.Spec, []error) {
	var all []sources.Spec
	var errs []error
	lines := map[string]strictyaml.Pos{}
	used := map[string]bool{}
	for _, node := range doc.Sources {
		own, rest := node.Split("name", "kind", "public")
		var e envelope
		if err := own.Decode(&e); err != nil {
			errs = append(errs, err)
			continue
		}
		used[e.Kind] = true
		if err := labelled(e.Pos, "name", e.Name); err != nil {
			errs = append(errs, err)
		}
		if first, ok := lines[e.Name]; ok {
			errs = append(errs, e.Pos.Errorf("name %q: the source in line %d has it already", e.Name, first.Line))
		}
		lines[e.Name] = e.Pos
		all = append(all, sources.Spec{
			Name: e.Name, Kind: e.Kind, Public: e.Public, Dir: dir, At: e.Pos.String(),
			Decode: rest.Over(doc.Defaults[e.Kind]).Decode,
		})
	}
	return all, append(errs, unused(doc.Defaults, used)...)
}

// unused refuses defaults of a kind that no source has: a misspelt kind there
// would silently mean nothing.
func unused(defaults map[string]*strictyaml.Node, used map[string]bool) []error {
	kinds := slices.Sorted(maps.Keys(used))
	var errs []error
	for kind, node := range defaults {
		if !used[kind] {
			errs = append(errs, node.Pos().Errorf("defaults: no source is of kind %q%s", kind, spelling.Suggest(kind, kinds)))
		}
	}
	return errs
}
