package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
)

// The names of a role's owner and of a role, and a tag, each of which becomes part of a path.
var (
	ownerName = form{regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`), 128}
	roleName  = form{regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`), 128}
	tagName   = form{regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+/-]*$`), 128}
)

// form is what names look like, and how many bytes they have at most. In the expression, a count of
// 128 would be 128 copies, which each start of the program would pay for.
type form struct {
	expression *regexp.Regexp
	most       int
}

func (f form) matches(name string) bool {
	return len(name) <= f.most && f.expression.MatchString(name)
}

// SplitRole cuts "owner.name" at its last dot, as ansible-galaxy does, and checks both. Errors match
// bundle.ErrMalformed.
func SplitRole(full string) (owner, name string, err error) {
	at := strings.LastIndexByte(full, '.')
	if at < 0 || !ownerName.matches(full[:at]) || !roleName.matches(full[at+1:]) {
		return "", "", fmt.Errorf("%.140q is no name of a role (owner.name): %w", full, bundle.ErrMalformed)
	}
	return full[:at], full[at+1:], nil
}

// CheckTag reports what is wrong with the version of a role. Errors match bundle.ErrMalformed.
func CheckTag(tag string) error {
	if !tagName.matches(tag) || bundle.CheckPath(tag) != nil {
		return fmt.Errorf("%.140q cannot be the version of a role: %w", tag, bundle.ErrMalformed)
	}
	return nil
}

// Role is a role and the versions that Galaxy knows of it.
type Role struct {
	Owner, Name string
	// User and Repository are those on GitHub.
	User, Repository string
	// Branch is the repository's own; "": not said.
	Branch string
	Tags   []Tag
	id     string
}

// Tag is a version of a role.
type Tag struct {
	Name string
	URL  string // of the archive; "": not said
}

// Role reads a role and its versions; nil for one that the server has not.
func (s *Server) Role(ctx context.Context, owner, name string) (*Role, error) {
	if !s.HasRoles() {
		return nil, fmt.Errorf("%s: has no API of version 1, which has roles: %w", fetch.Redact(s.Root()), fetch.ErrUpstream)
	}
	folder := s.Root() + s.versions["v1"] + "roles/"
	address := folder + "?owner__username=" + url.QueryEscape(owner) + "&name=" + url.QueryEscape(name)
	o, _, err := s.get(ctx, address)
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, _, err := parsePage(o)
	if err != nil {
		return nil, s.blame(address, err)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	r, err := parseRole(entries[0])
	if err != nil {
		return nil, s.blame(address, err)
	}
	if !strings.EqualFold(r.Name, name) { // the owner is a filter that the answer does not repeat
		return nil, fmt.Errorf("%s: says that it is %s, asked for %s: %w", fetch.Redact(address), r.Name, name, fetch.ErrRefused)
	}
	r.Owner, r.Name = owner, name
	err = s.pages(ctx, folder+r.id+"/versions/?page_size="+pageSize, func(o record.Object) error {
		tag, err := parseTag(o)
		r.Tags = append(r.Tags, tag)
		return err
	})
	if errors.Is(err, errMissing) {
		err = nil
	}
	return r, err
}

// parseRole reads an entry of the list of roles. Errors match bundle.ErrMalformed.
func parseRole(o record.Object) (*Role, error) {
	id, err := record.Need[json.Number](o, "id")
	if err != nil {
		return nil, err
	}
	if strings.Trim(id.String(), "0123456789") != "" {
		return nil, fmt.Errorf("id: %.40q is no number: %w", id, bundle.ErrMalformed)
	}
	r := &Role{id: id.String(), Name: o.Text("name"), User: o.Text("github_user"), Repository: o.Text("github_repo"), Branch: o.Text("github_branch")}
	if !roleName.matches(r.Name) {
		return nil, fmt.Errorf("name: %.140q is none of a role: %w", r.Name, bundle.ErrMalformed)
	}
	for _, part := range []string{r.User, r.Repository} {
		if part != "" && !ownerName.matches(part) {
			return nil, fmt.Errorf("%.140q is nothing on GitHub: %w", part, bundle.ErrMalformed)
		}
	}
	if r.Branch != "" {
		return r, CheckTag(r.Branch)
	}
	return r, nil
}

func parseTag(o record.Object) (Tag, error) {
	t := Tag{Name: o.Text("name"), URL: o.Text("download_url")}
	if t.URL != "" && fetch.CheckURL(t.URL) != nil {
		return t, fmt.Errorf("download_url %q: not an address: %w", fetch.Redact(t.URL), bundle.ErrMalformed)
	}
	return t, CheckTag(t.Name)
}
