package gitfile

import (
	"cmp"
	"strings"
)

// CompareNames orders names of tags with their runs of digits as numbers: v1.9 before
// v1.10.
func CompareNames(a, b string) int {
	for a != "" && b != "" {
		m, restA := run(a)
		n, restB := run(b)
		order := strings.Compare(m, n)
		if isDigit(m[0]) && isDigit(n[0]) {
			x, y := strings.TrimLeft(m, "0"), strings.TrimLeft(n, "0")
			order = cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
		}
		if order != 0 {
			return order
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// run cuts a name after its first run of digits, or of what is none.
func run(s string) (first, rest string) {
	i := 1
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
