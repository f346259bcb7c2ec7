package pack

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

// MaxProvenance bounds a provenance file: Chart.yaml, a sum, a signature.
const MaxProvenance = 2 << 20 // bytes

// Sum returns the digest that the text of a provenance file, without its
// signature, has for a package by its file name. Errors match bundle.ErrMalformed.
func Sum(text []byte, file string) (bundle.Digest, error) {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	_, sums, ok := bytes.Cut(text, []byte("\n...\n"))
	if !ok {
		return bundle.Digest{}, fmt.Errorf("provenance: no sums in it: %w", bundle.ErrMalformed)
	}
	var list struct {
		Files map[string]string `yaml:"files"`
	}
	if err := yaml.Unmarshal(sums, &list); err != nil {
		return bundle.Digest{}, fmt.Errorf("provenance: %w: %w", err, bundle.ErrMalformed)
	}
	sum, ok := list.Files[file]
	if !ok {
		return bundle.Digest{}, fmt.Errorf("provenance: no sum for %s: %w", file, bundle.ErrMalformed)
	}
	return ParseSum(sum)
}

// ParseSum reads a SHA-256 as indexes and provenance files have it: in either
// case, with or without "sha256:". Errors match bundle.ErrMalformed.
func ParseSum(text string) (bundle.Digest, error) {
	hex := strings.ToLower(text)
	d, err := bundle.ParseHex(strings.TrimPrefix(hex, "sha256:"))
	if err != nil || d.IsZero() {
		return bundle.Digest{}, fmt.Errorf("digest %.100q: want 64 hexadecimal digits: %w", text, bundle.ErrMalformed)
	}
	return d, nil
}
