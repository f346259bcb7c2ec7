package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// TypedDir holds one symbolic link per file that has a media type.
	TypedDir = Dir + "/typed"
	// TypesPath holds the Types of a generation as JSON.
	TypesPath = ServersDir + "/types.json"
	// maxTypes bounds the media types of one set. A server asks for a name per
	// type and request, so a bundle must not make that arbitrarily slow.
	maxTypes = 64
	// maxTypesSize bounds types.json when it is read back: types of many sets.
	maxTypesSize = 4 << 20 // bytes
)

// Type is a media type that some file of the mirror is listed with.
type Type struct {
	// Extension marks, after a '.', the links in TypedDir: letters and digits.
	Extension string `json:"extension"`
	MediaType string `json:"mediaType"`
}

// TypedPath returns the name that exists if and only if the file at path has type t.
func (t Type) TypedPath(path string) string { return TypedDir + "/" + path + "." + t.Extension }

// TypedName returns the name of the link that marks the file at path with its
// media type; false: the extension of its name has the same meaning, or its list states
// nothing, so that there is none.
func TypedName(path, mediaType string) (name string, marked bool) {
	if mediaType == "" || mediaType == DefaultType(path) {
		return "", false
	}
	return Type{Extension: extension(mediaType)}.TypedPath(path), true
}

// ReadTypes reads what a generation has at TypesPath. Errors match
// bundle.ErrMalformed or are r's own.
func ReadTypes(r io.Reader) ([]Type, error) {
	b, err := bundle.ReadAllBounded(r, TypesPath, maxTypesSize)
	if err != nil {
		return nil, err
	}
	var types []Type
	if err := json.Unmarshal(b, &types); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", TypesPath, bundle.ErrMalformed, err)
	}
	for _, t := range types {
		if err := checkMediaType(t.MediaType); err != nil {
			return nil, fmt.Errorf("%s: %w", TypesPath, err)
		}
		if t.Extension != extension(t.MediaType) {
			return nil, fmt.Errorf("%s: extension %.40q of %s: %w", TypesPath, t.Extension, t.MediaType, bundle.ErrMalformed)
		}
	}
	return types, nil
}

// standingTypes returns the types that are known to every mirror from its first import on, so that
// the first image does not change the servers' configuration.
func standingTypes() map[string]string {
	types := map[string]string{}
	for _, m := range []string{
		v1.MediaTypeImageIndex,
		v1.MediaTypeImageManifest,
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		jsonType,
	} {
		types[extension(m)] = m
	}
	return types
}

// extension returns a short name, so that names stay within a file system's limit, and a
// function of the media type alone, so that it never changes.
func extension(mediaType string) string { return "t" + bundle.DigestOf([]byte(mediaType)).Hex()[:10] }

// checkMediaType allows the part of RFC 6838 (section 4.2) and RFC 9110
// (section 8.3.1) that no server's configuration has to quote: a media type
// is the only thing from a bundle that is written there.
func checkMediaType(s string) error {
	if len(s) > 200 {
		return fmt.Errorf("media type %.80q...: %s, at most 200: %w", s, bundle.Count(len(s), "byte"), bundle.ErrMalformed)
	}
	essence, params, more := strings.Cut(s, ";")
	kind, subtype, ok := strings.Cut(essence, "/")
	ok = ok && isToken(kind) && isToken(subtype)
	for ok && more {
		var param string
		param, params, more = strings.Cut(params, ";")
		key, value, found := strings.Cut(strings.TrimPrefix(param, " "), "=")
		ok = found && isToken(key) && isToken(value)
	}
	if !ok {
		return fmt.Errorf("media type %.80q: want type/subtype and parameters of letters, digits and . + - _: %w", s, bundle.ErrMalformed)
	}
	return nil
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune(".+-_", r) })
}

// typed marks the file at path with its media type, where the extension of
// its name has another meaning.
func (w *writer) typed(p, mediaType string) (marked bool, err error) {
	if mediaType == "" || mediaType == DefaultType(p) {
		return false, nil
	}
	if err := checkMediaType(mediaType); err != nil {
		return false, fmt.Errorf("file %s: %w", p, err)
	}
	t := Type{Extension: extension(mediaType), MediaType: mediaType}
	if have, ok := w.types[t.Extension]; ok && have != mediaType {
		return false, fmt.Errorf("media types %q and %q share the extension %s: %w", have, mediaType, t.Extension, bundle.ErrUnsupported)
	}
	w.types[t.Extension], w.setTypes[t.Extension] = mediaType, true
	if len(w.setTypes) > maxTypes {
		return false, fmt.Errorf("file %s: media type %s: more than %d different ones in a set: %w", p, mediaType, maxTypes, bundle.ErrUnsupported)
	}
	name := t.TypedPath(p)
	if len(path.Base(name)) > bundle.MaxNameSize {
		return false, fmt.Errorf("file %s: name too long to carry a media type: %w", p, bundle.ErrUnsupported)
	}
	err = w.link(p, name)
	if errors.Is(err, fs.ErrExist) {
		err = nil // in shared areas two repositories may bring the same file
	}
	return true, err
}

// sortedTypes returns the types in the order of their extensions.
func (w *writer) sortedTypes() []Type {
	types := make([]Type, 0, len(w.types))
	for _, e := range slices.Sorted(maps.Keys(w.types)) {
		types = append(types, Type{Extension: e, MediaType: w.types[e]})
	}
	return types
}

const jsonType = "application/json"

// OctetStream is the type of whatever no list and no extension describes better.
const OctetStream = "application/octet-stream"

// extensionTypes returns what a file without a media type in its list is sent as,
// on every server alike; nothing is ever sniffed.
func extensionTypes() []extensionType {
	return []extensionType{
		{"application/gzip", "gz tgz"},
		{"application/json", "json"},
		{"application/jsonl", "jsonl"},
		{"application/pdf", "pdf"},
		{"application/vnd.debian.binary-package", "deb ddeb udeb"},
		{JSONPageType, "v1_json"},
		{"application/x-bzip2", "bz2"},
		{"application/x-rpm", "rpm"},
		{"application/x-tar", "tar"},
		{"application/x-xz", "txz xz"},
		{"application/xml", "xml"},
		{"application/yaml", "yaml yml"},
		{"application/zip", "whl zip"},
		{"application/zstd", "zst"},
		{"image/gif", "gif"},
		{"image/jpeg", "jpeg jpg"},
		{"image/png", "png"},
		{"image/svg+xml", "svg"},
		{"text/css; charset=utf-8", "css"},
		{"text/html; charset=utf-8", "htm html"},
		{"text/javascript; charset=utf-8", "js mjs"},
		{"text/plain; charset=utf-8", "asc conf list log md repo sources toml txt"},
	}
}

type extensionType struct {
	MediaType  string
	Extensions string // separated by spaces
}

// DefaultType returns the type of the file at path by the extension of its name,
// OctetStream if that is not known.
func DefaultType(p string) string {
	name := path.Base(p)
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		for _, t := range extensionTypes() {
			if slices.Contains(strings.Fields(t.Extensions), strings.ToLower(name[i+1:])) {
				return t.MediaType
			}
		}
	}
	return OctetStream
}

// JSONPage is the page of a folder of a Python package index as JSON, next to
// index.html, and JSONPageType its media type. Servers choose by Accept.
const (
	JSONPage     = "index.v1_json"
	JSONPageType = "application/vnd.pypi.simple.v1+json"
)

// IsIndexPage reports whether p, a clean path that begins with a slash, is a
// folder of a Python package index that has such pages.
func IsIndexPage(p string) bool {
	rest, ok := strings.CutPrefix(p, "/pypi/")
	if !ok {
		return false
	}
	folder, last := path.Split(rest)
	return last == "simple" && folder != "" || strings.HasSuffix(folder, "/simple/")
}
