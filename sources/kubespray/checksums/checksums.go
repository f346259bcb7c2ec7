package checksums

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// MaxSize bounds a file with tables, which is parsed in memory. Kubespray's own
	// has 160 KB.
	MaxSize = 4 << 20 // bytes
	// maxEntries bounds the digests of all tables: Kubespray has 1,730.
	maxEntries = 100_000
)

// suffix ends the names of the variables that are tables.
const suffix = "_checksums"

// Key is what a digest is filed under.
type Key struct {
	Table   string `json:"table"`
	Arch    string `json:"arch,omitempty"` // as Go names it; empty: the same file for all
	Version string `json:"version"`        // without a leading v
}

func (k Key) String() string {
	if k.Arch == "" {
		return k.Table + " " + k.Version
	}
	return k.Table + " " + k.Version + " " + k.Arch
}

// Sum is a digest as the tables have it.
type Sum struct {
	Algorithm string `json:"algorithm"` // sha256 or sha512
	Hex       string `json:"hex"`       // lower case
}

// Tables are the digests of one release of Kubespray.
type Tables struct {
	sums map[Key]Sum
	// Unknown are tables that no pattern leads to: a newer Kubespray installs
	// something that this program does not know.
	Unknown []string
}

// Len returns how many digests the tables have.
func (t *Tables) Len() int { return len(t.sums) }

// Read reads the tables of a YAML file and passes over its other variables. name
// is the file's name for errors, which match bundle.ErrUsage: the file belongs to the
// checkout that the spec names.
func Read(name string, content []byte) (*Tables, error) {
	if len(content) > MaxSize {
		return nil, fmt.Errorf("%s: %s, at most %d: %w", name, bundle.Count(len(content), "byte"), MaxSize, bundle.ErrUsage)
	}
	doc, err := parse(name, content)
	if err != nil {
		return nil, err
	}
	r := reader{name: name, tables: &Tables{sums: map[Key]Sum{}}}
	for table, value := range pairs(doc) {
		if !strings.HasSuffix(table.Value, suffix) {
			continue
		}
		if !isTable(table.Value) {
			r.tables.Unknown = append(r.tables.Unknown, table.Value)
		}
		r.walk(Key{Table: table.Value}, value, 0)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	if len(r.tables.sums) == 0 {
		return nil, fmt.Errorf("%s: no table of checksums: want variables such as kubelet_checksums: %w", name, bundle.ErrUsage)
	}
	slices.Sort(r.tables.Unknown)
	return r.tables, nil
}

func parse(name string, content []byte) (*yaml.Node, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: %w", name, fmt.Sprintf(format, args...), bundle.ErrUsage)
	}
	docs := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	if err := docs.Decode(&doc); err != nil {
		return nil, bad("%v", err)
	}
	if err := docs.Decode(&second); err != io.EOF {
		return nil, bad("a second document: want one")
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, bad("want a mapping of variables")
	}
	return doc.Content[0], nil
}

// pairs returns keys and values of a mapping.
func pairs(mapping *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i], mapping.Content[i+1]) {
				return
			}
		}
	}
}

// reader collects the digests of a file, and everything that is wrong with it.
type reader struct {
	name   string
	tables *Tables
	errs   []error
}

// maxFindings is how many errors of one file are reported.
const maxFindings = 20

func (r *reader) bad(n *yaml.Node, k Key, format string, args ...any) {
	if len(r.errs) < maxFindings {
		r.errs = append(r.errs, fmt.Errorf("%s:%d: %s: %s: %w", r.name, n.Line, k, fmt.Sprintf(format, args...), bundle.ErrUsage))
	}
}

// maxLevels is how many keys lead to a digest: system, architecture and version.
const maxLevels = 3

func (r *reader) walk(k Key, n *yaml.Node, level int) {
	switch {
	case n.Kind == yaml.ScalarNode:
		r.leaf(k, n)
		return
	case n.Kind != yaml.MappingNode:
		r.bad(n, k, "want a digest or a mapping of digests")
		return
	case level == maxLevels:
		r.bad(n, k, "nested too deeply")
		return
	}
	for key, value := range pairs(n) {
		next := k
		switch {
		case key.Kind != yaml.ScalarNode:
			r.bad(key, k, "want a word or a version as a key")
			continue
		case key.Value == "darwin", key.Value == "windows": // nodes run Linux
			continue
		case value.Kind != yaml.MappingNode:
			next.Version = strings.TrimPrefix(key.Value, "v")
		case key.Value == "no_arch", key.Value == "linux":
		case next.Arch != "":
			r.bad(key, k, "%s and %s: want one architecture", next.Arch, key.Value)
			continue
		default:
			next.Arch = architecture(key.Value)
		}
		r.walk(next, value, level+1)
	}
}

func (r *reader) leaf(k Key, n *yaml.Node) {
	text := n.Value
	if k.Version == "" {
		r.bad(n, k, "a digest without a version")
		return
	}
	if text == "0" { // there is no such file
		return
	}
	sum, err := ParseSum(text)
	if err != nil {
		r.bad(n, k, "%v", err)
		return
	}
	if before, ok := r.tables.sums[k]; ok && before != sum {
		r.bad(n, k, "two digests, %s and %s", before.Hex, sum.Hex)
		return
	}
	if len(r.tables.sums) == maxEntries {
		r.bad(n, k, "more than %d digests", maxEntries)
		return
	}
	r.tables.sums[k] = sum
}

// ParseSum reads "sha256:<hex>", "sha512:<hex>" or the bare digits of a SHA-256.
func ParseSum(text string) (Sum, error) {
	algorithm, digits, found := strings.Cut(text, ":")
	if !found {
		algorithm, digits = "sha256", text
	}
	size := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	if size == 0 {
		return Sum{}, fmt.Errorf("%.40q: want sha256 or sha512 before the colon", text)
	}
	digits = strings.ToLower(digits)
	if _, err := hex.DecodeString(digits); err != nil || len(digits) != size {
		return Sum{}, fmt.Errorf("%.140q: want %s", text, bundle.Count(size, "hexadecimal digit"))
	}
	if strings.Trim(digits, "0") == "" {
		return Sum{}, fmt.Errorf("%.20q...: a placeholder", text)
	}
	return Sum{algorithm, digits}, nil
}

// Find returns the entry that a URL leads to. The error names the candidates: none,
// one whose table lacks the version, or several.
func (t *Tables) Find(raw string) (Key, Sum, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Key{}, Sum{}, errors.New("not a URL")
	}
	var found []Key
	var missing []string
	for _, p := range patterns() {
		k, ok := p.match(u)
		if !ok {
			continue
		}
		if k, ok = t.lookup(k); ok && !slices.Contains(found, k) {
			found = append(found, k)
		} else if !ok {
			missing = append(missing, k.String())
		}
	}
	switch {
	case len(found) == 1:
		return found[0], t.sums[found[0]], nil
	case len(found) > 1:
		return Key{}, Sum{}, fmt.Errorf("%s could be meant: %s", bundle.Count(len(found), "checksum"), join(found))
	case len(missing) > 0:
		return Key{}, Sum{}, fmt.Errorf("no %s in Kubespray's checksums", strings.Join(missing, ", "))
	}
	return Key{}, Sum{}, errors.New("no table of Kubespray's checksums is about such a URL")
}

// lookup finds k, or the entry without an architecture. A URL without one can also be
// about a file for amd64 alone, as youki's of before release 2.25 was.
func (t *Tables) lookup(k Key) (Key, bool) {
	archs := []string{k.Arch, ""}
	if k.Arch == "" {
		archs = []string{"", "amd64"}
	}
	for _, arch := range archs {
		at := Key{k.Table, arch, k.Version}
		if _, ok := t.sums[at]; ok {
			return at, true
		}
	}
	return k, false
}

func join(keys []Key) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.String()
	}
	return strings.Join(texts, ", ")
}
