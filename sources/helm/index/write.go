package index

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
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

// Write writes an index of these charts. The same ones give the same bytes:
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
	entries := mapping()
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
		put(entries, name, list)
	}
	top := mapping()
	put(top, "apiVersion", scalar("v1"))
	put(top, "entries", entries)
	put(top, "generated", scalar(newest.Format(time.RFC3339Nano)))
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(top); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// known are the fields of an entry that helm reads strictly (pkg/repo/v1 and
// pkg/chart/v2): of the entry itself, and of the maps in it.
var known = map[string][]string{
	"": {"name", "home", "sources", "version", "description", "keywords", "maintainers", "icon", "apiVersion", "condition", "tags", "appVersion",
		"deprecated", "annotations", "kubeVersion", "dependencies", "type", "removed", "created"},
	"maintainers":  {"name", "email", "url"},
	"dependencies": {"name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"},
}

// entry is the mapping of one version.
func (p Published) entry() (*yaml.Node, error) {
	left := maxNodes
	n, err := clean(p.node, known[""], &left)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fields := known[n.Content[i].Value]
		list := n.Content[i+1]
		if fields == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for j := range list.Content {
			if list.Content[j], err = clean(list.Content[j], fields, &left); err != nil {
				return nil, err
			}
		}
	}
	if !has(n, "created") {
		put(n, "created", scalar(p.Created.Format(time.RFC3339Nano)))
	}
	put(n, "digest", scalar(p.Package.Hex()))
	put(n, "urls", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{scalar(pack.File(p.Name, p.Version))}})
	return n, nil
}

// clean copies a mapping with some fields only; anything else as it is. Aliases
// become what they stand for, comments go.
func clean(n *yaml.Node, fields []string, left *int) (*yaml.Node, error) {
	c, err := copied(n, left)
	if err != nil || c.Kind != yaml.MappingNode {
		return c, err
	}
	kept := mapping()
	for i := 0; i+1 < len(c.Content); i += 2 {
		if key := c.Content[i].Value; slices.Contains(fields, key) && !has(kept, key) {
			kept.Content = append(kept.Content, c.Content[i], c.Content[i+1])
		}
	}
	return kept, nil
}

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
