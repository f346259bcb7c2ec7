// Package spelling finds the word that somebody may have meant.
package spelling

import (
	"fmt"
	"slices"
	"strings"
)

// maxSuggest is the longest name that is compared: the comparison is quadratic.
const maxSuggest = 100 // bytes

// Suggest ends an error about an unknown name: with the nearest of the valid
// ones, or with all of them if none is near.
func Suggest(name string, valid []string) string {
	if len(valid) == 0 || len(name) > maxSuggest {
		return ""
	}
	nearest := slices.MinFunc(valid, func(a, b string) int {
		return distance(name, a) - distance(name, b)
	})
	if distance(name, nearest) <= max(2, len(nearest)/2) {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	sorted := slices.Sorted(slices.Values(valid))
	return "; valid: " + strings.Join(sorted, ", ")
}

// distance returns the number of edits (insert, delete, replace) between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
