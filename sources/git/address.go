package git

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

const suffix = ".git"

// address is where a git repository is, outside and in the mirror.
type address struct {
	url string // as it was named, without a slash at its end
	dir string // below the mount: <host>[_<port>]/<path>.git
}

// parseAddress reads the URL of a repository: https or http. knows reports
// whether the spec has settings for a host; an address of ssh, also in the
// form git@host:path, stands for https on such a host and is refused elsewhere.
func parseAddress(raw string, knows func(host string) bool) (address, error) {
	bad := func(format string, args ...any) (address, error) {
		return address{}, fmt.Errorf("repository %.200q: "+format, append([]any{fetch.Redact(raw)}, args...)...)
	}
	text := raw
	if mapped, host, ok := overSSH(raw); ok {
		if !knows(host) {
			return bad("by ssh, which gapbundle does not speak: name the host %s under hosts: to have it fetched by https", host)
		}
		text = mapped
	}
	if err := fetch.CheckURL(text); err != nil {
		return bad("%w", err)
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad("not readable")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return bad("want no query and no fragment")
	}
	host := strings.ToLower(u.Hostname())
	if strings.ContainsAny(host, ":%") {
		return bad("an IPv6 address has no place in the mirror; use a name")
	}
	if p := u.Port(); p != "" && (u.Scheme != "https" || p != "443") && (u.Scheme != "http" || p != "80") {
		host += "_" + p
	}
	path := strings.TrimSuffix(strings.Trim(u.Path, "/"), suffix)
	dir := host + "/" + path + suffix
	if path == "" || bundle.CheckPath(dir) != nil {
		return bad("its path cannot be one of the mirror")
	}
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, ".") {
			return bad("no web server of a mirror serves what begins with a dot")
		}
		if strings.HasSuffix(strings.ToLower(part), suffix) {
			return bad("a repository in a folder with a name that ends in .git")
		}
	}
	return address{url: strings.TrimRight(text, "/"), dir: dir}, nil
}

// address returns where a repository is that the spec or a commit names.
func (t *tools) address(raw string) (address, error) {
	return parseAddress(raw, t.env.Fetch.Configured)
}

// overSSH maps ssh://[user@]host[:port]/path and [user@]host:path to https.
func overSSH(raw string) (mapped, host string, ok bool) {
	if rest, found := strings.CutPrefix(raw, "ssh://"); found {
		host, path, _ := strings.Cut(rest, "/")
		host = host[strings.LastIndexByte(host, '@')+1:]
		host, _, _ = strings.Cut(host, ":")
		return "https://" + host + "/" + path, host, host != ""
	}
	before, path, found := strings.Cut(raw, ":")
	if !found || strings.Contains(before, "/") || strings.HasPrefix(path, "//") {
		return "", "", false
	}
	host = before[strings.LastIndexByte(before, '@')+1:]
	return "https://" + host + "/" + strings.TrimLeft(path, "/"), host, host != ""
}

// resolve returns the URL of a submodule as git resolves it: relative to that of
// the repository that records it if it begins with "./" or "../".
func resolve(parent, submodule string) (string, error) {
	if !strings.HasPrefix(submodule, "./") && !strings.HasPrefix(submodule, "../") {
		return submodule, nil
	}
	u, err := url.Parse(parent)
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.Path, "/")
	rest := submodule
	for {
		if after, ok := strings.CutPrefix(rest, "./"); ok {
			rest = after
		} else if after, ok := strings.CutPrefix(rest, "../"); ok {
			i := strings.LastIndexByte(path, '/')
			if i < 0 {
				return "", fmt.Errorf("submodule URL %.200q: leads out of %s", submodule, u.Host)
			}
			path, rest = path[:i], after
		} else {
			break
		}
	}
	u.Path, u.RawPath = path+"/"+strings.TrimRight(rest, "/"), ""
	return u.String(), nil
}
