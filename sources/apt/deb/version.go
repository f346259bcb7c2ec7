package deb

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const maxVersion = 512 // bytes; the longest real one has 90

// CheckVersion returns what is wrong with v as a version: printable ASCII
// without blanks, an epoch of digits. dpkg's further rules are about style;
// archives exist that break them. Errors match bundle.ErrMalformed.
func CheckVersion(v string) error {
	if v == "" || len(v) > maxVersion {
		return fmt.Errorf("version %.60q: of %s, want 1 to %d: %w", v, bundle.Count(len(v), "byte"), maxVersion, bundle.ErrMalformed)
	}
	for i := range len(v) {
		if v[i] <= ' ' || v[i] > '~' {
			return fmt.Errorf("version %.60q: character %q: %w", v, v[i], bundle.ErrMalformed)
		}
	}
	epoch, rest, found := strings.Cut(v, ":")
	if found && (epoch == "" || strings.Trim(epoch, "0123456789") != "" || len(epoch) > 9 || rest == "") {
		return fmt.Errorf("version %.60q: epoch %.20q: %w", v, epoch, bundle.ErrMalformed)
	}
	return nil
}

// CompareVersions orders versions by deb-version(7), negative if a is lower.
// Versions that differ in zeros alone ("1.0" and "1.00") are equal, as for
// dpkg. It is ours rather than a library's because a closure compares some
// hundred thousand of them, and this allocates nothing; it is fuzzed against
// dpkg --compare-versions.
func CompareVersions(a, b string) int {
	if a == b {
		return 0
	}
	epochA, upstreamA, revisionA := splitVersion(a)
	epochB, upstreamB, revisionB := splitVersion(b)
	if c := compareDigits(epochA, epochB); c != 0 {
		return c
	}
	if c := compareParts(upstreamA, upstreamB); c != 0 {
		return c
	}
	return compareParts(revisionA, revisionB)
}

func splitVersion(v string) (epoch, upstream, revision string) {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		epoch, v = v[:i], v[i+1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// compareParts compares runs of non-digits and of digits in turn.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
		}
		var digitsA, digitsB string
		digitsA, a = cutDigits(a)
		digitsB, b = cutDigits(b)
		if c := compareDigits(digitsA, digitsB); c != 0 {
			return c
		}
	}
	return 0
}

// weight orders the first character: '~' before the end and digits, then
// letters, then the rest.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z':
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func cutDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
