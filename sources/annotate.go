package sources

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxParts bounds how many values one key of an annotation has: they share the map
// with others, and with the public addresses, which take one or two as a rule.
const maxParts = bundle.MaxAnnotations - 4

// Annotate writes values into the annotations of a repository, from which Check
// and Clients work: inside there is no spec. Each part is a JSON value under the
// name key, followed by its index in two digits, so key ends with a dash. Too
// much for annotations is an error that matches bundle.ErrUsage and has
// no place yet. Annotated reads it back.
func Annotate[T any](to map[string]string, key string, parts []T) error {
	if len(parts) > maxParts {
		return fmt.Errorf("%s, at most %d: make several sources of it: %w", bundle.Count(len(parts), "entry"), maxParts, bundle.ErrUsage)
	}
	for i, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			return err
		}
		if len(text) > bundle.MaxAnnotationSize {
			return fmt.Errorf("entry %d: %s to describe it, at most %d: make several sources of it: %w", i+1, bundle.Count(len(text), "byte"), bundle.MaxAnnotationSize, bundle.ErrUsage)
		}
		to[fmt.Sprintf("%s%02d", key, i)] = string(text)
	}
	return nil
}

// Annotated returns the values that Annotate wrote under key, in their order. One
// that cannot be read, or none at all, is an error that matches
// bundle.ErrMalformed and names the source.
func Annotated[T any](r bundle.Repository, key string) ([]T, error) {
	var all []T
	for _, name := range slices.Sorted(maps.Keys(r.Annotations)) {
		if !strings.HasPrefix(name, key) {
			continue
		}
		var part T
		if err := json.Unmarshal([]byte(r.Annotations[name]), &part); err != nil {
			return nil, fmt.Errorf("source %s: annotation %s: %w: %w", r.Name, name, err, bundle.ErrMalformed)
		}
		all = append(all, part)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("source %s: annotation %s00 is missing: %w", r.Name, key, bundle.ErrMalformed)
	}
	return all, nil
}
