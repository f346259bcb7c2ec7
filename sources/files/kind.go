package files

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Name is the kind's name in a spec file, and its part of client paths.
const Name = "files"

// mount is shared by all sources of this kind.
const mount = "files"

// Kind returns the kind of single files by URL, and of local folders.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "files by URL, pinned by digest, and local folders",
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   check,
		Clients: clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos       strictyaml.Pos
	URLs      []urlEntry  `yaml:"urls,single" doc:"Files to carry."`
	List      string      `yaml:"list" doc:"Text file with one URL per line; # begins a comment."`
	Checksums []sumsEntry `yaml:"checksums,single" doc:"SHA256SUMS files that name digests of the URLs."`
	Keyring   string      `yaml:"keyring" doc:"OpenPGP public keys; the checksums have to be signed by one of them."`
	Dir       string      `yaml:"dir" doc:"Local folder whose contents are carried; no urls, list, checksums or keyring then."`
	// AllowPrivateKeys are URLs, or paths in Dir.
	AllowPrivateKeys []string `yaml:"allow-private-keys,single" doc:"URLs, or paths in dir, of PEM private keys that are carried on purpose."`
}

type urlEntry struct {
	Pos    strictyaml.Pos
	URL    string `yaml:"url,required,scalar" doc:"http or https."`
	SHA256 sha256 `yaml:"sha256" doc:"Digest, 64 hexadecimal digits."`
	SHA512 sha512 `yaml:"sha512" doc:"Digest by SHA-512, 128 hexadecimal digits, where upstream tells no other."`
	Path   string `yaml:"path" doc:"Path below /files/ of the mirror, instead of host and path of the URL."`
	Moving bool   `yaml:"moving" doc:"The content is meant to change, as that of a URL with latest in it does: it is taken as it is at each export."`
	HTML   bool   `yaml:"html" doc:"Carry the content although it is an HTML page and the name is not that of one, such as x.html."`
}

// sha256 is a digest as people write it.
type sha256 bundle.Digest

// UnmarshalText reads what parseDigest accepts.
func (s *sha256) UnmarshalText(b []byte) error {
	d, err := parseDigest(string(b))
	*s = sha256(d)
	return err
}

// sha512 is a checksum that upstream publishes in place of a SHA-256.
type sha512 upstream.Sum

// UnmarshalText reads 128 hexadecimal digits, in either case.
func (s *sha512) UnmarshalText(b []byte) error {
	*s = sha512{Algorithm: "sha512", Hex: strings.ToLower(string(b))}
	if digits, err := hex.DecodeString(s.Hex); err != nil || len(digits) != 64 {
		return fmt.Errorf("%.140q: want 128 hexadecimal digits: %w", b, bundle.ErrMalformed)
	}
	if strings.Trim(s.Hex, "0") == "" {
		return fmt.Errorf("%.20s...: a placeholder: %w", b, bundle.ErrMalformed)
	}
	return nil
}

// parseDigest reads 64 hexadecimal digits, in either case. All zeros would
// mean "not known" further on, and are nobody's digest.
func parseDigest(s string) (bundle.Digest, error) {
	d, err := bundle.ParseHex(strings.ToLower(s))
	if err == nil && d.IsZero() {
		err = fmt.Errorf("digest %s: a placeholder: %w", s, bundle.ErrMalformed)
	}
	return d, err
}

type sumsEntry struct {
	Pos       strictyaml.Pos
	URL       string `yaml:"url,required,scalar" doc:"SHA256SUMS file, in coreutils or BSD form."`
	SHA256    sha256 `yaml:"sha256" doc:"Digest of the SHA256SUMS file itself."`
	Path      string `yaml:"path" doc:"Path below /files/ of the mirror, instead of host and path of the URL; the signature is next to it."`
	Signature string `yaml:"signature" doc:"URL of the detached signature, instead of the SHA256SUMS file's with .gpg, .asc or .sign."`
}

// source is all sources of this kind in a set.
type source struct {
	webs    []*web    // by URL
	folders []*folder // on disk
	names   []string  // in the order of the specs
}

// newSource does not use sources.Entries: an entry has one of two forms, and the URLs of an
// entry that cannot be decoded are checked all the same, so that all errors are reported.
func newSource(specs []sources.Spec) (sources.Source, error) {
	var s source
	var errs []error
	for _, spec := range specs {
		var o options
		if err := spec.Decode(&o); err != nil {
			errs = append(errs, err, checkURLs(o))
			continue
		}
		s.names = append(s.names, spec.Name)
		if o.Dir != "" {
			f, err := newFolder(spec, o)
			f.walked.file = fmt.Sprintf("walk-%d", len(s.folders))
			s.folders, errs = append(s.folders, f), append(errs, err)
			continue
		}
		w, err := newWeb(spec, o)
		s.webs, errs = append(s.webs, w), append(errs, err)
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	return &s, s.checkPaths()
}

// Plan asks upstream about sizes and versions, reads checksums and their
// signatures, and walks nothing: folders are walked when artifacts are asked for.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	planned := map[string]sources.Repository{}
	repos, err := planWebs(ctx, env, s.webs)
	if err != nil {
		return nil, err
	}
	for _, f := range s.folders {
		repo, err := f.plan(env)
		if err != nil {
			return nil, err
		}
		repos = append(repos, repo)
	}
	for _, repo := range repos {
		planned[repo.Name] = repo
	}
	p := &sources.Plan{}
	for _, name := range s.names {
		p.Repositories = append(p.Repositories, planned[name])
	}
	return p, nil
}
