package apt

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// layoutKey begins the names of a repository's annotations, one for each
// suite, from which check and clients work: inside there is no spec.
const layoutKey = "suite-"

// keysKey is the annotation that names the file of the keys below keys/.
const keysKey = "keys"

// layout is a suite as a client has it in its entry.
type layout struct {
	// URI is what stands behind the mount in a client's entry; Prefix is it
	// with the architecture filled in, and Dir is where the Release lies below.
	URI           string   `json:"uri,omitempty"`
	Prefix        string   `json:"prefix,omitempty"`
	Dir           string   `json:"dir,omitempty"`
	Suite         string   `json:"suite"`
	Flat          bool     `json:"flat,omitempty"`
	Components    []string `json:"components,omitempty"`
	Architectures []string `json:"architectures,omitempty"`
	Languages     []string `json:"languages,omitempty"`
	Binary        bool     `json:"binary,omitempty"`
	Source        bool     `json:"source,omitempty"`
	// Until is the Valid-Until of the Release, RFC 3339.
	Until string `json:"until,omitempty"`
}

func (s *loadedSuite) layout(rebuilt bool) layout {
	l := layout{
		URI: s.root.pattern, Prefix: s.root.prefix, Dir: s.dir, Suite: s.name, Flat: s.flat,
		Architectures: s.want.Architectures, Languages: s.want.Languages, Binary: s.want.Binary, Source: s.want.Source,
	}
	if !s.flat {
		l.Components = s.want.components(s.release)
	}
	if until := s.release.ValidUntil; !rebuilt && !until.IsZero() {
		l.Until = until.UTC().Format(timeForm)
	}
	return l
}

func (l layout) marshal() (string, error) {
	text, err := json.Marshal(l)
	if err == nil && len(text) > bundle.MaxAnnotationSize {
		err = errors.New("too many components, architectures and languages for one source")
	}
	return string(text), err
}

// layouts reads the annotations of a repository. Errors match
// bundle.ErrMalformed.
func layouts(r bundle.Repository) ([]layout, error) {
	var all []layout
	for _, key := range slices.Sorted(maps.Keys(r.Annotations)) {
		if !strings.HasPrefix(key, layoutKey) {
			continue
		}
		var l layout
		if err := json.Unmarshal([]byte(r.Annotations[key]), &l); err != nil {
			return nil, fmt.Errorf("source %s: annotation %s: %w: %w", r.Name, key, err, bundle.ErrMalformed)
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("source %s: says nothing about its suites: %w", r.Name, bundle.ErrMalformed)
	}
	return all, nil
}

// configuration is what was asked for, as wanted takes it.
func (l *layout) configuration() *configuration {
	return &configuration{Components: l.Components, Architectures: l.Architectures, Languages: l.Languages, Binary: l.Binary, Source: l.Source}
}
