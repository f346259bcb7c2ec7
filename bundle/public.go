package bundle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Public is an address on the Internet that a part of a repository stands for:
// what a client asks for there, below Scheme, Host and Path, is in the mirror at
// the same place below At. A web server inside can answer by the public name then.
type Public struct {
	// At is relative to the repository's mount; empty: the mount itself.
	At string `json:"at,omitempty"`
	// Host is in lower case, with a port where it is not the scheme's own.
	Host string `json:"host"`
	// Path is empty for the whole host, otherwise it begins with a slash and ends
	// without one. It is not escaped, and stands for itself and all below it.
	Path string `json:"path,omitempty"`
	// Scheme is http or https.
	Scheme string `json:"scheme"`
	// Key means that At is relative to keys/ instead: it is a file of keys of the set, at
	// the address that its users know.
	Key bool `json:"key,omitempty"`
}

const (
	// MaxPublic bounds the public addresses of one repository.
	MaxPublic = 200
	// PublicKey begins the names of the annotations that hold them; two digits
	// follow.
	PublicKey = "public-"
	// PublicFirstKey is the annotation of a repository that answers where several stand for
	// one address; its value is "true".
	PublicFirstKey = "public"
	// MaxPublicParts is how many of those annotations there are at most: most
	// annotations are left to the kind.
	MaxPublicParts = 16
)

// ParsePublic returns the Public of a URL, which may end with a slash, and of the
// place in a repository's mount that stands for it.
func ParsePublic(address, at string) (Public, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Public{}, fmt.Errorf("public address: %w: %w", ErrMalformed, err)
	}
	host := strings.ToLower(u.Host)
	if u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	p := Public{Scheme: u.Scheme, Host: host, Path: strings.TrimRight(u.Path, "/"), At: strings.Trim(at, "/")}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return p, fmt.Errorf("public address of %.200q: has a query or a fragment: %w", host, ErrMalformed)
	}
	return p, p.check()
}

// Answerable reports whether web servers can answer for a path, in a public address or in the
// mirror: whether its characters can be written into their configuration. Those that end a text
// there, or that a server replaces, cannot.
func Answerable(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		switch {
		case r < utf8.RuneSelf:
			return r <= 0x1f || r == 0x7f || strings.ContainsRune(unanswerable, r)
		}
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) || r == utf8.RuneError
	})
}

// unanswerable are the characters of ASCII that Answerable refuses, besides controls.
const unanswerable = "\"\\$?#{}<>|^`"

func (p Public) check() error {
	host := strings.TrimRight(strings.TrimSuffix(p.Host, ":"), "0123456789")
	host = strings.TrimSuffix(host, ":")
	switch {
	case p.Scheme != "http" && p.Scheme != "https":
		return fmt.Errorf("public address: scheme %.40q: want http or https: %w", p.Scheme, ErrMalformed)
	case p.Host == "", len(p.Host) > MaxNameSize, strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_[]:") != "":
		return fmt.Errorf("public address: host %.80q: want a name in lower case: %w", p.Host, ErrMalformed)
	}
	for what, path := range map[string]string{"path": strings.TrimPrefix(p.Path, "/"), "place": p.At} {
		if err := CheckPath(path); path != "" && err != nil {
			return fmt.Errorf("public address of %s: %s: %w", p.Host, what, err)
		}
	}
	if p.Path != "" && (p.Path[0] != '/' || p.Path == "/") {
		return fmt.Errorf("public address of %s: path %.80q: want one that begins with a slash: %w", p.Host, p.Path, ErrMalformed)
	}
	if p.Key && (p.At == "" || p.Path == "") {
		return fmt.Errorf("public address of %s: a key without a path or a place: %w", p.Host, ErrMalformed)
	}
	return nil
}

// Compare orders public addresses by host.
func (p Public) Compare(o Public) int {
	return cmp.Or(cmp.Compare(p.Host, o.Host), cmp.Compare(p.Scheme, o.Scheme), cmp.Compare(p.Path, o.Path), cmp.Compare(p.At, o.At))
}

// AnnotatePublic writes public addresses into annotations, sorted and each once.
// Errors match ErrMalformed; more than MaxPublic is one, and so is what has no room.
func AnnotatePublic(to map[string]string, all []Public) error {
	all = sortedPublic(all)
	parts, n, err := publicParts(all)
	switch {
	case err != nil:
		return err
	case len(all) > MaxPublic:
		return fmt.Errorf("%s, at most %d: %w", Count(len(all), "public address"), MaxPublic, ErrMalformed)
	case n < len(all):
		return fmt.Errorf("public addresses take more than %d annotations: %w", MaxPublicParts, ErrMalformed)
	}
	for i, part := range parts {
		to[fmt.Sprintf("%s%02d", PublicKey, i)] = part + "]"
	}
	return nil
}

// FitPublic returns as many public addresses as there is room for in the annotations of one
// repository, sorted and each once, and how many are left out.
func FitPublic(all []Public) (fit []Public, left int) {
	all = sortedPublic(all)
	_, n, err := publicParts(all)
	if err != nil {
		return all, 0 // AnnotatePublic reports what is wrong
	}
	return all[:n], len(all) - n
}

func sortedPublic(all []Public) []Public {
	return slices.Compact(slices.SortedFunc(slices.Values(all), Public.Compare))
}

// publicParts returns the annotations of the first n addresses, as many as there is room for, each
// without the bracket at its end.
func publicParts(all []Public) (parts []string, n int, err error) {
	for _, p := range all {
		if err := p.check(); err != nil {
			return nil, 0, err
		}
		text, err := MarshalCanonical(p)
		if err != nil {
			return nil, 0, err
		}
		if len(text)+len("[]") > MaxAnnotationSize {
			return nil, 0, fmt.Errorf("public address of %s: takes %s, at most %d: %w", p.Host, Count(len(text), "byte"), MaxAnnotationSize-len("[]"), ErrMalformed)
		}
		last := len(parts) - 1
		fits := last >= 0 && len(parts[last])+len(text)+len(",]") <= MaxAnnotationSize
		if n == MaxPublic || !fits && len(parts) == MaxPublicParts {
			return parts, n, nil
		}
		if n++; fits {
			parts[last] += "," + string(text)
		} else {
			parts = append(parts, "["+string(text))
		}
	}
	return parts, n, nil
}

// PublicOf reads back what AnnotatePublic wrote; none is no error. Errors match
// ErrMalformed.
func PublicOf(annotations map[string]string) ([]Public, error) {
	var all []Public
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(name, PublicKey) {
			continue
		}
		var part []Public
		if err := json.Unmarshal([]byte(annotations[name]), &part); err != nil {
			return nil, fmt.Errorf("annotation %.80q: %w: %w", name, ErrMalformed, err)
		}
		for _, p := range part {
			if err := p.check(); err != nil {
				return nil, fmt.Errorf("annotation %.80q: %w", name, err)
			}
		}
		if all = append(all, part...); len(all) > MaxPublic {
			return nil, fmt.Errorf("more than %d public addresses: %w", MaxPublic, ErrMalformed)
		}
	}
	return all, nil
}
