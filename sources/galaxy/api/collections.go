package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

// maxSignatures bounds how many signatures a version has, each of pgpkeys.MaxSignature at most.
const maxSignatures = 64

// partName is either part of a collection's full name, which is "namespace.name".
var partName = form{regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`), 64}

// CheckName reports what is wrong with the full name of a collection. Errors match bundle.ErrMalformed.
func CheckName(full string) error {
	namespace, name, _ := strings.Cut(full, ".")
	if !partName.matches(namespace) || !partName.matches(name) {
		return fmt.Errorf("%.140q is no name of a collection (namespace.name): %w", full, bundle.ErrMalformed)
	}
	return nil
}

// Listed is a version in the list of a collection's versions.
type Listed struct {
	Version version.Version
	// RequiresAnsible is which ansible-core it is for; "": not said.
	RequiresAnsible string
}

// Release is one version of a collection.
type Release struct {
	Version         version.Version
	RequiresAnsible string
	Created         string // RFC 3339; "": not said
	// URL is where its archive is.
	URL    string
	Digest bundle.Digest
	Size   int64 // -1: not said
	// Dependencies are ranges by the full name of a collection.
	Dependencies map[string]version.Range
	// Signatures are detached, of MANIFEST.json.
	Signatures []string
	// Page is the address of what was read.
	Page string
}

// Names lists the collections of a namespace.
func (s *Server) Names(ctx context.Context, namespace string) ([]string, error) {
	folder, _, err := s.collections()
	if err != nil {
		return nil, err
	}
	var names []string
	address := folder + "?namespace=" + url.QueryEscape(namespace) + "&limit=" + pageSize
	err = s.pages(ctx, address, func(o record.Object) error {
		of, ok := namespaceOf(o)
		full := of + "." + o.Text("name")
		if !ok {
			return fmt.Errorf("namespace: missing: %w", bundle.ErrMalformed)
		}
		if of != namespace { // a server that does not know the filter sends all
			return nil
		}
		names = append(names, full)
		return CheckName(full)
	})
	if errors.Is(err, errMissing) {
		err = nil
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// namespaceOf reads a namespace, which is an object where version 2 is spoken.
func namespaceOf(o record.Object) (string, bool) {
	if name := o.Text("namespace"); name != "" {
		return name, true
	}
	name := o.At("namespace").Text("name")
	return name, name != ""
}

// Versions lists the versions of a collection, in the order of the server; none for one that it has not.
func (s *Server) Versions(ctx context.Context, full string) ([]Listed, error) {
	folder, old, err := s.collections()
	if err != nil {
		return nil, err
	}
	address := folder + strings.Replace(full, ".", "/", 1) + "/versions/?limit=" + pageSize
	if old {
		address = strings.Replace(address, "limit", "page_size", 1)
	}
	var all []Listed
	err = s.pages(ctx, address, func(o record.Object) error {
		l, err := parseListed(o)
		all = append(all, l)
		return err
	})
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	return all, err
}

func parseListed(o record.Object) (Listed, error) {
	text, err := record.Need[string](o, "version")
	if err != nil {
		return Listed{}, err
	}
	v, err := version.Parse(text)
	return Listed{Version: v, RequiresAnsible: o.Text("requires_ansible")}, err
}

// Release reads what the server states about one version.
func (s *Server) Release(ctx context.Context, full string, v version.Version) (*Release, error) {
	folder, _, err := s.collections()
	if err != nil {
		return nil, err
	}
	address := folder + strings.Replace(full, ".", "/", 1) + "/versions/" + url.PathEscape(v.String()) + "/"
	o, _, err := s.get(ctx, address)
	if errors.Is(err, errMissing) {
		return nil, s.blame(address, errors.New("listed, and not there"))
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRelease(o)
	if err != nil {
		return nil, s.blame(address, err)
	}
	namespace, name := r.namespace, r.name
	if namespace+"."+name != full || r.Version.String() != v.String() {
		return nil, fmt.Errorf("%s: says that it is %s.%s %s, asked for %s %s: %w",
			fetch.Redact(address), namespace, name, r.Version, full, v, fetch.ErrRefused)
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, s.blame(address, err)
	}
	u, err := base.Parse(r.URL)
	if err != nil || fetch.CheckURL(u.String()) != nil {
		return nil, s.blame(address, fmt.Errorf("download_url %q: not an address", fetch.Redact(r.URL)))
	}
	r.URL, r.Page = u.String(), address
	return &r.Release, nil
}

// described is a release, and the name of the collection that it claims to be of.
type described struct {
	Release
	namespace, name string
}

// ParseRelease reads the page of a version, and returns the collection that it is of and
// what it states, with its address as it is written. Errors match bundle.ErrMalformed.
func ParseRelease(o record.Object) (full string, r *Release, err error) {
	d, err := parseRelease(o)
	if err != nil {
		return "", nil, err
	}
	return d.namespace + "." + d.name, &d.Release, nil
}

// parseRelease reads the page of a version. Errors match bundle.ErrMalformed.
func parseRelease(o record.Object) (*described, error) {
	listed, err := parseListed(o)
	if err != nil {
		return nil, err
	}
	r := &described{Release: Release{Version: listed.Version, RequiresAnsible: listed.RequiresAnsible, Created: o.Text("created_at"), Size: -1}}
	if _, err := time.Parse(time.RFC3339, r.Created); err != nil {
		r.Created = ""
	}
	r.namespace, _ = namespaceOf(o)
	if r.name = o.At("collection").Text("name"); r.name == "" {
		r.name = o.Text("name")
	}
	if r.URL, err = record.Need[string](o, "download_url"); err != nil {
		return nil, err
	}
	artifact := o.At("artifact")
	if r.Digest, err = bundle.ParseHex(artifact.Text("sha256")); err != nil {
		return nil, fmt.Errorf("artifact: sha256: %w", err)
	}
	if size, ok, err := record.Value[int64](artifact, "size"); err != nil || ok && size < 0 {
		return nil, fmt.Errorf("artifact: size: not a number of bytes: %w", bundle.ErrMalformed)
	} else if ok {
		r.Size = size
	}
	if r.Dependencies, err = parseDependencies(o.At("metadata")); err != nil {
		return nil, err
	}
	r.Signatures, err = parseSignatures(o)
	return r, err
}

func parseDependencies(metadata record.Object) (map[string]version.Range, error) {
	texts, _, err := record.Value[map[string]string](metadata, "dependencies")
	if err != nil {
		return nil, err
	}
	all := map[string]version.Range{}
	for full, text := range texts {
		if err := CheckName(full); err != nil {
			return nil, fmt.Errorf("dependencies: %w", err)
		}
		if all[full], err = version.ParseRange(text); err != nil {
			return nil, fmt.Errorf("dependencies: %s: %w", full, err)
		}
	}
	return all, nil
}

func parseSignatures(o record.Object) ([]string, error) {
	entries, _, err := record.Value[[]record.Object](o, "signatures")
	if err != nil {
		return nil, err
	}
	if len(entries) > maxSignatures {
		return nil, fmt.Errorf("%s, at most %d: %w", bundle.Count(len(entries), "signature"), maxSignatures, bundle.ErrMalformed)
	}
	var all []string
	for _, e := range entries {
		text, err := record.Need[string](e, "signature")
		if err != nil {
			return nil, fmt.Errorf("signatures: %w", err)
		}
		all = append(all, text)
	}
	return all, nil
}
