package rpm

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// foreignFolder is where packages are stored that upstream has on another host.
const foreignFolder = "_foreign/"

// maxClimb bounds how far locations may climb out of their repository.
const maxClimb = 8

// location is where an index has a file.
type location struct {
	// path is below the repository's own folder, and may climb: "../x". It is not escaped.
	path string
	// url is where dnf would go if that is another address than the repository's;
	// otherwise empty.
	url string
}

func (l location) isForeign() bool { return l.url != "" }

// locate reads a package's href and xml:base. The href is the file's path as it is on a
// disk: dnf escapes it itself, so that one that is escaped already leads nowhere. With a
// slash in front it is below the repository all the same.
func locate(href, base string) (location, error) {
	if base != "" || isURL(href) {
		return locateForeign(href, base)
	}
	clean := path.Clean(strings.TrimLeft(href, "/"))
	climb := strings.Count(clean, "../")
	switch {
	case strings.Contains(href, "://"), strings.ContainsAny(href, "?#\\"), clean == ".", clean == "..", strings.HasSuffix(clean, "/.."):
		return location{}, fmt.Errorf("location %.200q: not a path below the repository: %w", href, fetch.ErrUpstream)
	case climb > maxClimb:
		return location{}, fmt.Errorf("location %.200q: climbs more than %d folders: %w", href, maxClimb, fetch.ErrUpstream)
	}
	return location{path: clean}, nil
}

// locateMetadata reads the href and xml:base of a file that repomd.xml lists: there dnf takes
// the href as part of a URL.
func locateMetadata(href, base string) (location, error) {
	if base == "" && !isURL(href) && strings.Contains(href, "%") {
		plain, err := url.PathUnescape(href)
		if err != nil || strings.ContainsAny(href, "?#") {
			return location{}, fmt.Errorf("location %.200q: not readable: %w", href, fetch.ErrUpstream)
		}
		href = plain
	}
	return locate(href, base)
}

func locateForeign(href, base string) (location, error) {
	raw := href
	if !isURL(href) {
		raw = strings.TrimSuffix(base, "/") + "/" + href
	}
	u, err := url.Parse(raw)
	if err == nil {
		err = fetch.CheckURL(u.String()) // blanks in it are escaped
	}
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return location{}, fmt.Errorf("location %.200q: not an address of a file: %w", fetch.Redact(raw), fetch.ErrUpstream)
	}
	u.Path = path.Clean("/" + u.Path)
	u.RawPath = ""
	host := strings.ReplaceAll(strings.ToLower(u.Host), ":", "_")
	at := location{path: foreignFolder + host + u.Path, url: u.String()}
	if err := bundle.CheckPath(at.path); err != nil {
		return at, fmt.Errorf("%s: %w", err.Error(), fetch.ErrUpstream)
	}
	return at, nil
}

// mayBeAt refuses a package on a host that the spec does not allow: its redirect-to names
// hosts that the repository's may send on to, and what it names itself is allowed as well.
func (h *head) mayBeAt(env *sources.Env, at location) error {
	if !at.isForeign() || env.Fetch.IsNamed(at.url) {
		return nil
	}
	var first error
	for _, base := range h.place.Bases() {
		err := env.Fetch.MayFollow(base, at.url)
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

// climbs returns how many folders above the repository a path begins.
func climbs(p string) int {
	n := 0
	for strings.HasPrefix(p, "../") {
		p = p[3:]
		n++
	}
	return n
}

// tail returns the last n folders of an address, which the repository gets in the
// mirror as well, so that locations that climb stay within.
func tail(base string, n int) (string, error) {
	if n == 0 {
		return "", nil
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if parts[0] == "" || len(parts) < n {
		return "", fmt.Errorf("%s: locations climb %s, and the address has not that many: %w", fetch.Redact(base), bundle.Count(n, "folder"), fetch.ErrUpstream)
	}
	dir := strings.Join(parts[len(parts)-n:], "/") + "/"
	if err := bundle.CheckPath(strings.TrimSuffix(dir, "/")); err != nil {
		return "", fmt.Errorf("%s: %s: %w", fetch.Redact(base), err.Error(), fetch.ErrUpstream)
	}
	return dir, nil
}
