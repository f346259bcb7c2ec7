package spelling

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// Nearest returns the names that somebody may have meant by name, the nearest first, at
// most most of them. Case does not count, and of a name with slashes the last part may
// be near. It holds no more names than it returns, so there may be millions; equal ones
// that follow each other count once. The sequence's error ends it.
func Nearest(name string, names iter.Seq2[string, error], most int) ([]string, error) {
	type near struct {
		name     string
		distance int
	}
	if len(name) > maxSuggest {
		return nil, nil
	}
	name = strings.ToLower(name)
	far := min(max(1, len(name)/3)+1, max(len(name), 1))
	var found []near
	last := ""
	for candidate, err := range names {
		if err != nil {
			return nil, err
		}
		if candidate == last {
			continue
		}
		last = candidate
		lower := strings.ToLower(candidate)
		d := within(name, lower, far)
		if i := strings.LastIndexByte(lower, '/'); i >= 0 {
			d = min(d, within(name, lower[i+1:], far))
		}
		if d >= far || len(found) == most && d >= found[most-1].distance {
			continue
		}
		at, _ := slices.BinarySearchFunc(found, d+1, func(n near, d int) int { return cmp.Compare(n.distance, d) })
		if found = slices.Insert(found, at, near{candidate, d}); len(found) > most {
			found = found[:most]
		}
	}
	out := make([]string, len(found))
	for i, n := range found {
		out[i] = n.name
	}
	return out, nil
}

// within returns the distance of two names, or far where it cannot be less.
func within(a, b string, far int) int {
	if len(a)-len(b) >= far || len(b)-len(a) >= far {
		return far
	}
	return distance(a, b)
}
