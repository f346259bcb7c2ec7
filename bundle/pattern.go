package bundle

import (
	"fmt"
	"strings"
)

// MaxPatterns bounds the patterns of one key.
const MaxPatterns = 256

// CheckPattern reports what is wrong with p as a pattern for what a key may own: a web path
// without its first slash, in which a component may be "*". Errors match ErrUsage.
func CheckPattern(p string) error {
	if err := CheckPath(p); err != nil {
		return fmt.Errorf("pattern %.200q: want a web path without its first slash, as in apt/* or files/example.org: %w", p, ErrUsage)
	}
	for part := range strings.SplitSeq(p, "/") {
		if part != "*" && strings.Contains(part, "*") {
			return fmt.Errorf("pattern %.200q: %q: * stands for a whole component: %w", p, part, ErrUsage)
		}
	}
	return nil
}

// MatchPattern reports whether a web path is what a pattern names, or below it. Whole
// components are compared; "*" stands for exactly one.
func MatchPattern(pattern, path string) bool {
	for {
		part, morePattern, deeperPattern := strings.Cut(pattern, "/")
		name, more, deeper := strings.Cut(path, "/")
		if part != "*" && part != name {
			return false
		}
		if !deeperPattern {
			return true
		}
		if !deeper {
			return false
		}
		pattern, path = morePattern, more
	}
}

// CheckHostPattern reports what is wrong with h as a public name that a key may answer for:
// a host in lower case, with its port where it is not the scheme's own; "*." before it
// stands for every name below. Errors match ErrUsage.
func CheckHostPattern(h string) error {
	if err := (Public{Scheme: "https", Host: strings.TrimPrefix(h, "*.")}).check(); err != nil {
		return fmt.Errorf("host %.80q: want a name in lower case, or *. and one: %w", h, ErrUsage)
	}
	return nil
}

// MatchHost reports whether a host is what CheckHostPattern allows to be named by h.
func MatchHost(h, host string) bool {
	domain, wide := strings.CutPrefix(h, "*")
	return h == host || wide && strings.HasSuffix(host, domain) && len(host) > len(domain)
}
