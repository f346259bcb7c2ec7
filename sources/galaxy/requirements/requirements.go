package requirements

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

// Type is where something comes from.
type Type string

// The types of requirements.
const (
	Galaxy Type = "galaxy" // by name, from a server
	Git    Type = "git"    // a repository
	URL    Type = "url"    // an archive by its address
	Local  Type = "file"   // an archive, or a folder, on disk
)

// maxItems bounds how many requirements a file has.
const maxItems = 10_000

// File is a requirements file.
type File struct {
	Collections []Collection
	Roles       []Role
}

// Collection is one that a file requires.
type Collection struct {
	Type  Type
	Name  string // full; of Galaxy alone
	Range version.Range
	// Server is what "source" names: an address, or an entry of ansible.cfg; "": the one that is set.
	Server string
	// Signatures are addresses of detached signatures besides the server's.
	Signatures []string
	// Origin is the repository, the address or the path of the other types, Ref the commit, branch or
	// tag of a repository; "": its HEAD.
	Origin, Ref string
}

// Role is one that a file, or another role, requires.
type Role struct {
	Type   Type
	Name   string // "owner.name", of Galaxy alone
	Origin string // of the other types
	// Version is a tag; "": the newest. For a repository also a branch or commit; "": its HEAD.
	Version string
	// Include is another list of roles, and all else is empty then.
	Include string
}

// Parse reads a requirements file. Errors match bundle.ErrMalformed and name the line.
func Parse(b []byte) (*File, error) {
	root, err := parse(b)
	if err != nil {
		return nil, err
	}
	f := &File{}
	if _, ok := root.(*ast.SequenceNode); ok {
		f.Roles, err = roles(root)
		return f, err
	}
	keys, ok, err := mapping(root)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("neither a list of roles nor a mapping with collections and roles: %w", bundle.ErrMalformed)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		switch key {
		case "collections":
			f.Collections, err = collections(keys[key])
		case "roles":
			f.Roles, err = roles(keys[key])
		default:
			err = fmt.Errorf("line %d: %.60q: want collections or roles: %w", line(keys[key]), key, bundle.ErrMalformed)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Included reads a list of roles that another file includes; it may not include more.
func Included(b []byte) ([]Role, error) {
	root, err := parse(b)
	if err != nil {
		return nil, err
	}
	all, err := roles(root)
	for _, r := range all {
		if r.Include != "" {
			return nil, fmt.Errorf("include %.100q in a list that is included: %w", r.Include, bundle.ErrMalformed)
		}
	}
	return all, err
}

// Dependencies reads what a role needs: "dependencies" in meta/main.yml, and the list in
// meta/requirements.yml, either of which may be nil. Roles of the same repository, which have a plain
// name, are not on any server and are left out.
func Dependencies(main, more []byte) ([]Role, error) {
	root, err := parse(main)
	if err != nil {
		return nil, fmt.Errorf("meta/main.yml: %w", err)
	}
	keys, _, err := mapping(root)
	if err != nil {
		return nil, fmt.Errorf("meta/main.yml: %w", err)
	}
	all, err := roles(keys["dependencies"])
	if err != nil {
		return nil, fmt.Errorf("meta/main.yml: dependencies: %w", err)
	}
	root, err = parse(more)
	if err != nil {
		return nil, fmt.Errorf("meta/requirements.yml: %w", err)
	}
	others, err := roles(root)
	if err != nil {
		return nil, fmt.Errorf("meta/requirements.yml: %w", err)
	}
	return slices.DeleteFunc(append(all, others...), func(r Role) bool { return r.Type == Galaxy && !strings.Contains(r.Name, ".") }), nil
}

// fields returns the plain values of an entry, those that are known.
func fields(keys map[string]ast.Node, known ...string) (map[string]string, error) {
	all := map[string]string{}
	for _, key := range known {
		n, ok := keys[key]
		if _, null := n.(*ast.NullNode); !ok || null {
			continue
		}
		value, ok := text(n)
		if !ok {
			return nil, fmt.Errorf("line %d: %s: not a text: %w", line(n), key, bundle.ErrMalformed)
		}
		if number(n) {
			return nil, fmt.Errorf("line %d: %s: %s: ansible-galaxy reads a number and loses its form; put it in quotes: %w", line(n), key, value, bundle.ErrMalformed)
		}
		all[key] = strings.TrimSpace(value)
	}
	return all, nil
}

func items[T any](n ast.Node, read func(ast.Node) (T, error)) ([]T, error) {
	nodes, err := list(n)
	if err != nil {
		return nil, err
	}
	if len(nodes) > maxItems {
		return nil, fmt.Errorf("%s, at most %d: %w", bundle.Count(len(nodes), "requirement"), maxItems, bundle.ErrMalformed)
	}
	var all []T
	for _, item := range nodes {
		one, err := read(item)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line(item), err)
		}
		all = append(all, one)
	}
	return all, nil
}

func collections(n ast.Node) ([]Collection, error) { return items(n, collection) }

func collection(n ast.Node) (Collection, error) {
	if name, ok := text(n); ok {
		return newCollection(map[string]string{"name": strings.TrimSpace(name)}, nil)
	}
	keys, ok, err := mapping(n)
	if err != nil || !ok {
		return Collection{}, fmt.Errorf("neither a name nor a mapping: %w", bundle.ErrMalformed)
	}
	f, err := fields(keys, "name", "version", "source", "type")
	if err != nil {
		return Collection{}, err
	}
	var signatures []string
	if one, ok := text(keys["signatures"]); ok {
		signatures = []string{one}
	} else if signatures, err = items(keys["signatures"], plain); err != nil {
		return Collection{}, fmt.Errorf("signatures: %w", err)
	}
	return newCollection(f, signatures)
}

func plain(n ast.Node) (string, error) {
	value, ok := text(n)
	if !ok {
		return "", fmt.Errorf("not a text: %w", bundle.ErrMalformed)
	}
	return value, nil
}

func newCollection(f map[string]string, signatures []string) (Collection, error) {
	c := Collection{Type: Type(f["type"]), Signatures: signatures}
	if c.Type == "" {
		c.Type = typeOf(f["name"], api.CheckName(f["name"]) == nil)
	}
	switch c.Type {
	case Galaxy:
		c.Name, c.Server = f["name"], f["source"]
		if err := api.CheckName(c.Name); err != nil {
			return c, err
		}
		var err error
		c.Range, err = version.ParseRange(f["version"])
		return c, err
	case Git, URL, Local, "dir", "subdirs":
		if c.Origin = f["source"]; c.Origin == "" {
			c.Origin = f["name"]
		}
		if c.Type == "dir" || c.Type == "subdirs" {
			c.Type = Local
		}
	default:
		return c, fmt.Errorf("type %.40q: want galaxy, git, url, file or dir: %w", c.Type, bundle.ErrMalformed)
	}
	if c.Origin == "" {
		return c, fmt.Errorf("neither name nor source: %w", bundle.ErrMalformed)
	}
	if c.Type == Git {
		c.Origin, c.Ref = repository(c.Origin, f["version"])
	}
	return c, nil
}

// typeOf returns what a name stands for, where nothing else states it.
func typeOf(name string, isName bool) Type {
	switch {
	case isName:
		return Galaxy
	case strings.HasPrefix(name, "git+") || strings.HasPrefix(name, "git@"):
		return Git
	case strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://"):
		return URL
	}
	return Local
}

// repository takes apart what may be in one text: "git+address#folder,ref".
func repository(origin, ref string) (address, commit string) {
	if before, after, ok := strings.Cut(origin, ","); ok {
		origin, ref = before, after
	}
	if ref == "*" || ref == "HEAD" {
		ref = ""
	}
	address, _, _ = strings.Cut(strings.TrimPrefix(origin, "git+"), "#")
	return address, ref
}

// ParseCollection reads a collection as the command line has it: "namespace.name:range".
func ParseCollection(given string) (Collection, error) {
	name, ranges, _ := strings.Cut(given, ":")
	return newCollection(map[string]string{"name": strings.TrimSpace(name), "version": ranges, "type": string(Galaxy)}, nil)
}
