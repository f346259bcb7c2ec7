package spelling

import (
	"fmt"
	"strings"
)

// Integer is what Count takes as a number.
type Integer interface {
	~int | ~int64 | ~uint | ~uint32 | ~uint64
}

// Count returns a number of things for people: "1 volume", "2 volumes", "0 entries". one is the
// noun for one thing; words in front of the noun do not change.
func Count[N Integer](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several(one))
}

// several returns the plural of a noun that ends in the word that changes.
func several(one string) string {
	switch {
	case strings.HasSuffix(one, "medium"):
		return strings.TrimSuffix(one, "um") + "a"
	case strings.HasSuffix(one, "y") && !strings.HasSuffix(one, "ey") && !strings.HasSuffix(one, "ay"):
		return strings.TrimSuffix(one, "y") + "ies"
	}
	for _, end := range []string{"s", "x", "ch", "sh"} {
		if strings.HasSuffix(one, end) {
			return one + "es"
		}
	}
	return one + "s"
}
