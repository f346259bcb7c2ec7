package index

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
)

// maxNodes bounds the values of one entry, those that aliases repeat included.
const maxNodes = 20_000

// Published is an entry of an index that is written.
type Published struct {
	*Entry
	// Package is the digest of the package, which is next to the index.
	Package bundle.Digest
}

// Write writes an index of these charts. The same ones have the same bytes:
// "generated" is the newest "created".
func Write(all []Published) ([]byte, error) {
	byName := map[string][]Published{}
	var newest time.Time
	for _, p := range all {
		byName[p.Name] = append(byName[p.Name], p)
		if p.Created.After(newest) {
			newest = p.Created
		}
	}
	charts := mapping()
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		versions := byName[name]
		slices.SortStableFunc(versions, func(a, b Published) int { return b.Semver.Compare(a.Semver) })
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, v := range versions {
			n, err := v.entry()
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", v.Name, v.Version, err)
			}
			list.Content = append(list.Content, n)
		}
		put(charts, name, list)
	}
	top := mapping()
	put(top, "apiVersion", scalar("v1"))
	put(top, "entries", charts)
	put(top, "generated", scalar(newest.Format(time.RFC3339Nano)))
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(top); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// shape is what helm wants a field to be: it refuses an index, all of it, with a field
// of another type, or one that it does not know (pkg/repo/v1, pkg/chart/v2).
type shape int

const (
	text    shape = iota // a scalar; a number too, which is then written as text
	flag                 // true or false
	texts                // a list of scalars
	table                // a mapping of scalars
	entries              // a list of mappings
	free                 // anything
)

var chartFields = map[string]shape{
	"name": text, "home": text, "sources": texts, "version": text, "description": text, "keywords": texts, "maintainers": entries, "icon": text,
	"apiVersion": text, "condition": text, "tags": text, "appVersion": text, "deprecated": flag, "annotations": table, "kubeVersion": text,
	"dependencies": entries, "type": text, "removed": flag,
}

var listFields = map[string]map[string]shape{
	"maintainers":  {"name": text, "email": text, "url": text},
	"dependencies": {"name": text, "version": text, "repository": text, "condition": text, "tags": texts, "enabled": flag, "import-values": free, "alias": text},
}

// entry returns the mapping of one version.
func (p Published) entry() (*yaml.Node, error) {
	left := maxNodes
	c, err := copied(p.node, &left)
	if err != nil {
		return nil, err
	}
	n := clean(c, chartFields)
	put(n, "created", scalar(p.Created.Format(time.RFC3339Nano)))
	put(n, "digest", scalar(p.Package.Hex()))
	put(n, "urls", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{scalar(pack.File(p.Name, p.Version))}})
	return n, nil
}

// clean keeps those fields of a mapping that are known and have their shape, the first
// of each.
func clean(n *yaml.Node, fields map[string]shape) *yaml.Node {
	kept := mapping()
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		want, known := fields[key]
		if !known || has(kept, key) {
			continue
		}
		if value := shaped(key, n.Content[i+1], want); value != nil {
			put(kept, key, value)
		}
	}
	return kept
}

// shaped returns a value in the shape that helm wants; nil if it has another.
func shaped(key string, n *yaml.Node, want shape) *yaml.Node {
	switch {
	case want == free:
		return n
	case want == text && n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		return scalar(n.Value)
	case want == flag && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool":
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strings.ToLower(n.Value)}
	case want == table && n.Kind == yaml.MappingNode:
		kept := mapping()
		for i := 0; i+1 < len(n.Content); i += 2 {
			if value := shaped("", n.Content[i+1], text); value != nil && n.Content[i].Kind == yaml.ScalarNode && !has(kept, n.Content[i].Value) {
				kept.Content = append(kept.Content, scalar(n.Content[i].Value), value)
			}
		}
		return kept
	case (want == texts || want == entries) && n.Kind == yaml.SequenceNode:
		kept := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range n.Content {
			if want == texts {
				item = shaped("", item, text)
			} else if item.Kind == yaml.MappingNode {
				item = clean(item, listFields[key])
			} else {
				item = nil
			}
			if item != nil {
				kept.Content = append(kept.Content, item)
			}
		}
		return kept
	}
	return nil
}

// copied returns a value without aliases and comments.
func copied(n *yaml.Node, left *int) (*yaml.Node, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("more than %d values: %w", maxNodes, bundle.ErrMalformed)
	}
	if n.Kind == yaml.AliasNode {
		return copied(n.Alias, left)
	}
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	for _, item := range n.Content {
		i, err := copied(item, left)
		if err != nil {
			return nil, err
		}
		c.Content = append(c.Content, i)
	}
	return c, nil
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

func scalar(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}

func has(m *yaml.Node, key string) bool {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return true
		}
	}
	return false
}
