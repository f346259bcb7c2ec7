package version

import (
	"cmp"
	"fmt"
	"strings"
)

// CompareTags orders versions of roles. It returns an error if the two cannot be compared, because one has
// a number where the other has letters; ansible-galaxy stops at such a pair.
func CompareTags(a, b string) (int, error) {
	x, y := pieces(a), pieces(b)
	for i := range min(len(x), len(y)) {
		m, n := x[i], y[i]
		if isNumber(m) != isNumber(n) {
			return 0, fmt.Errorf("%q and %q cannot be compared: one has a number where the other has letters", a, b)
		}
		order := strings.Compare(m, n)
		if isNumber(m) {
			m, n = strings.TrimLeft(m, "0"), strings.TrimLeft(n, "0")
			order = cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n))
		}
		if order != 0 {
			return order, nil
		}
	}
	return cmp.Compare(len(x), len(y)), nil
}

// pieces cuts a tag into runs of digits, runs of lower-case letters, and what is between them. Dots
// only separate.
func pieces(tag string) []string {
	var all []string
	start := 0
	for i := 1; i <= len(tag); i++ {
		if i < len(tag) && class(tag[i]) == class(tag[i-1]) && class(tag[i]) != '.' {
			continue
		}
		if tag[start:i] != "." {
			all = append(all, tag[start:i])
		}
		start = i
	}
	if tag == "" {
		return nil
	}
	return all
}

func class(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return '0'
	case c >= 'a' && c <= 'z':
		return 'a'
	case c == '.':
		return '.'
	}
	return '-'
}

func isNumber(piece string) bool { return class(piece[0]) == '0' }
