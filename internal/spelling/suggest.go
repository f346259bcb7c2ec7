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
// ones, or with all of them if none is near. A name is near if at most a third of
// its letters, or one, has to change: with more, the word was meant and not mistyped.
func Suggest(name string, valid []string) string {
	if len(valid) == 0 || len(name) > maxSuggest {
		return ""
	}
	if near, ok := Near(name, valid); ok {
		return near
	}
	return "; valid: " + strings.Join(slices.Sorted(slices.Values(valid)), ", ")
}

// Near returns the first half of Suggest, a question with the nearest of the valid names, and
// reports whether one is near.
func Near(name string, valid []string) (string, bool) {
	if len(valid) == 0 || len(name) > maxSuggest {
		return "", false
	}
	nearest := slices.MinFunc(valid, func(a, b string) int {
		return distance(name, a) - distance(name, b)
	})
	if distance(name, nearest) > max(1, max(len(name), len(nearest))/3) {
		return "", false
	}
	return fmt.Sprintf("; did you mean %q?", nearest), true
}

// distance returns the number of edits (insert, delete, replace, swap two letters that
// follow each other) between two names.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost++
			}
			next[j+1] = min(cost, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
