package rpm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// layoutKey begins the names of a repository's annotations, one for each
	// folder with repodata/, from which check and clients work: inside there is
	// no spec.
	layoutKey = "repo-"
	// keysKey is the annotation that names the files of the keys below keys/.
	keysKey = "keys"
	// allowedUnsigned is said by bundle.AllowedKey.
	allowedUnsigned = "packages without a signature"
)

// layout is a folder with repodata/, as a client has it in its .repo file.
type layout struct {
	ID    string `json:"id,omitempty"`
	Title string `json:"title,omitempty"`
	// Dir is what stands behind the mount in a client's baseurl: "" or ends with
	// a slash.
	Dir string `json:"dir,omitempty"`
	// Signed: repomd.xml has a signature, by upstream or by the site.
	Signed bool `json:"signed,omitempty"`
	// Evidence: upstream's repomd.xml of a rebuilt one had a signature.
	Evidence bool     `json:"evidence,omitempty"`
	Hotfixes bool     `json:"hotfixes,omitempty"`
	Cost     string   `json:"cost,omitempty"`
	Priority string   `json:"priority,omitempty"`
	Absent   []string `json:"absent,omitempty"` // types that upstream lists and lacks
}

func (l layout) marshal() (string, error) {
	text, err := json.Marshal(l)
	if err == nil && len(text) > bundle.MaxAnnotationSize {
		err = errors.New("name too long, or too many files that are not there")
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
		return nil, fmt.Errorf("source %s: says nothing about its repositories: %w", r.Name, bundle.ErrMalformed)
	}
	return all, nil
}
