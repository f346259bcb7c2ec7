package requirements

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/api"
)

func roles(n ast.Node) ([]Role, error) { return items(n, role) }

func role(n ast.Node) (Role, error) {
	if given, ok := text(n); ok {
		return ParseRole(given)
	}
	keys, ok, err := mapping(n)
	if err != nil || !ok {
		return Role{}, fmt.Errorf("neither a name nor a mapping: %w", bundle.ErrMalformed)
	}
	f, err := fields(keys, "name", "role", "src", "scm", "version", "include")
	if err != nil {
		return Role{}, err
	}
	if f["include"] != "" {
		return Role{Include: f["include"]}, nil
	}
	src := f["src"]
	switch {
	case f["role"] != "" && strings.Contains(f["role"], ","):
		return Role{}, fmt.Errorf("role: %.140q: a name alone is wanted here: %w", f["role"], bundle.ErrMalformed)
	case f["role"] != "" && src == "":
		src = f["role"]
	case src == "":
		src = f["name"]
	case strings.Contains(src, "github.com") && strings.Contains(src, "http") && !strings.Contains(src, "+") && !strings.HasSuffix(src, ".tar.gz"):
		src = "git+" + src
	}
	return newRole(src, f["scm"], f["version"])
}

// ParseRole reads a role as the command line has it: "owner.name,tag,name to install it as".
func ParseRole(given string) (Role, error) {
	parts := strings.Split(strings.TrimSpace(given), ",")
	if len(parts) > 3 {
		return Role{}, fmt.Errorf("%.140q: want role,version,name: %w", given, bundle.ErrMalformed)
	}
	parts = append(parts, "")
	return newRole(strings.TrimSpace(parts[0]), "", strings.TrimSpace(parts[1]))
}

func newRole(src, scm, tag string) (Role, error) {
	if before, after, ok := strings.Cut(src, "+"); ok {
		scm, src = before, after
	}
	r := Role{Version: tag}
	switch {
	case src == "":
		return r, fmt.Errorf("neither name nor src: %w", bundle.ErrMalformed)
	case scm == "git":
		r.Type = Git
		r.Origin, r.Version = repository(src, tag)
		return r, nil
	case scm != "":
		return r, fmt.Errorf("scm: %.40q: want git: %w", scm, bundle.ErrMalformed)
	case strings.Contains(src, "://"):
		r.Type, r.Origin = URL, src
		return r, nil
	case strings.ContainsAny(src, `/\`) || strings.HasSuffix(src, ".tar.gz"):
		r.Type, r.Origin = Local, src
		return r, nil
	case !strings.Contains(src, "."): // of the same repository
		r.Type, r.Name = Galaxy, src
		return r, nil
	}
	r.Type, r.Name = Galaxy, src
	if _, _, err := api.SplitRole(src); err != nil {
		return r, err
	}
	if tag != "" {
		return r, api.CheckTag(tag)
	}
	return r, nil
}
