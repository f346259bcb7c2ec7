package rpmmd

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxEVR bounds a version or a release, in bytes. The longest real ones have
// about 80.
const maxEVR = 512

// EVR is a version with its epoch and release. A relation may leave out the
// release.
type EVR struct {
	Epoch            uint32
	Version, Release string
}

// NewEVR makes an EVR of the three attributes of rpm metadata; an empty epoch
// stands for 0. Errors match bundle.ErrMalformed.
func NewEVR(epoch, version, release string) (EVR, error) {
	n, err := checkEVR(epoch, version, release)
	if err != nil {
		return EVR{}, err
	}
	return EVR{Epoch: n, Version: version, Release: release}, nil
}

// checkEVR reports whether the three make an EVR, and returns its epoch.
func checkEVR[text string | []byte](epoch, version, release text) (n uint32, err error) {
	if len(epoch) > 0 {
		whole, err := strconv.ParseUint(string(epoch), 10, 32)
		if err != nil {
			return 0, fmt.Errorf("epoch %.20q: want a number of 32 bits: %w", epoch, bundle.ErrMalformed)
		}
		n = uint32(whole)
	}
	for _, part := range [...]text{version, release} {
		if len(part) > maxEVR {
			return 0, fmt.Errorf("version %.60q: of %s, at most %d: %w", part, bundle.Count(len(part), "byte"), maxEVR, bundle.ErrMalformed)
		}
		for i := range len(part) {
			if part[i] <= ' ' || part[i] == 0x7f {
				return 0, fmt.Errorf("version %.60q: character %q: %w", part, part[i], bundle.ErrMalformed)
			}
		}
	}
	return n, nil
}

// ParseEVR reads "[epoch:]version[-release]", as rpm does: the epoch is what
// is before a colon after nothing but digits, the release what is
// after the last hyphen. Errors match bundle.ErrMalformed.
func ParseEVR(s string) (EVR, error) {
	epoch := ""
	if i := strings.IndexByte(s, ':'); i >= 0 && strings.Trim(s[:i], "0123456789") == "" {
		epoch, s = s[:i], s[i+1:]
	}
	version, release := s, ""
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		version, release = s[:i], s[i+1:]
	}
	return NewEVR(epoch, version, release)
}

// String returns "[epoch:]version[-release]", without an epoch of 0, unless the
// version has a colon of its own and would be read as having an epoch.
func (e EVR) String() string {
	if e.Epoch != 0 || strings.Contains(e.Version, ":") {
		return e.WithEpoch()
	}
	return e.withoutEpoch()
}

// WithEpoch returns "epoch:version[-release]".
func (e EVR) WithEpoch() string {
	return strconv.FormatUint(uint64(e.Epoch), 10) + ":" + e.withoutEpoch()
}

func (e EVR) withoutEpoch() string {
	if e.Release == "" {
		return e.Version
	}
	return e.Version + "-" + e.Release
}

// Compare orders as rpm orders packages: negative if e is older than o.
func (e EVR) Compare(o EVR) int {
	if c := cmp.Compare(e.Epoch, o.Epoch); c != 0 {
		return c
	}
	if c := CompareVersions(e.Version, o.Version); c != 0 {
		return c
	}
	return CompareVersions(e.Release, o.Release)
}

// CompareVersions orders two versions or two releases by rpm's rules,
// negative if a is older. Runs of digits and of letters are compared one by
// one, and what is between them is skipped; '~' sorts before anything,
// the end included, and '^' after the end and before anything else. Versions
// that differ ("1.0" and "1_0") can be equal.
//
// The library for it (knqyf263/go-rpm-version) agrees with rpm as well, and takes
// 3.6 microseconds and 12 allocations where this takes 0.17 and none, on the same
// machine; a closure over 60,000 packages compares many millions. That this agrees
// with rpm is checked against rpm itself, with 20,000 random pairs each time the test runs.
func CompareVersions(a, b string) int {
	if a == b {
		return 0
	}
	for {
		a, b = a[separators(a):], b[separators(b):]
		switch tildeA, tildeB := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~"); {
		case tildeA && tildeB:
			a, b = a[1:], b[1:]
			continue
		case tildeA:
			return -1
		case tildeB:
			return 1
		}
		switch caretA, caretB := strings.HasPrefix(a, "^"), strings.HasPrefix(b, "^"); {
		case caretA && caretB:
			a, b = a[1:], b[1:]
			continue
		case caretA && b == "", caretB && a != "":
			return 1
		case caretA, caretB:
			return -1
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		c, usedA, usedB := compareSegments(a, b)
		if c != 0 {
			return c
		}
		a, b = a[usedA:], b[usedB:]
	}
}

// compareSegments compares the runs of digits or letters that a and b begin
// with. Digits are newer than letters.
func compareSegments(a, b string) (c, usedA, usedB int) {
	kind := isLetter
	if isDigit(a[0]) {
		kind = isDigit
	}
	usedA, usedB = run(a, kind), run(b, kind)
	switch {
	case usedB == 0 && isDigit(a[0]):
		return 1, 0, 0
	case usedB == 0:
		return -1, 0, 0
	}
	x, y := a[:usedA], b[:usedB]
	if isDigit(a[0]) {
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Compare(len(x), len(y)); c != 0 {
			return c, 0, 0
		}
	}
	return strings.Compare(x, y), usedA, usedB
}

func separators(s string) int {
	return run(s, func(c byte) bool { return !isDigit(c) && !isLetter(c) && c != '~' && c != '^' })
}

// run returns how many bytes at the beginning of s are of a kind.
func run(s string, kind func(byte) bool) int {
	for i := range len(s) {
		if !kind(s[i]) {
			return i
		}
	}
	return len(s)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
