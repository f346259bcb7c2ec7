package rpm

import (
	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

const (
	// layoutKey begins the names of a repository's annotations, one for each folder
	// with repodata/, from which check and clients work: inside there is no spec.
	layoutKey = "repo-"
	// keysKey is the annotation that names the files of the keys below keys/.
	keysKey = "keys"
	// allowedUnsigned is a part of the value of the annotation bundle.AllowedKey.
	allowedUnsigned = "packages without a signature"
	// allowedIndex is another one: the signatures of repomd.xml are not used.
	allowedIndex = "metadata without its signature"
)

// layout is a folder with repodata/, as a client has it in its .repo file.
type layout struct {
	ID    string `json:"id,omitempty"`
	Title string `json:"title,omitempty"`
	// Dir follows the mount in a client's baseurl: "" or ends with a slash.
	Dir string `json:"dir,omitempty"`
	// Signed: repomd.xml has a signature, by upstream or by the site.
	Signed bool `json:"signed,omitempty"`
	// Evidence: upstream's repomd.xml of a rebuilt one had a signature.
	Evidence bool `json:"evidence,omitempty"`
	// Key is the digest of the file of keys next to repomd.xml.
	Key      string   `json:"key,omitempty"`
	Hotfixes bool     `json:"hotfixes,omitempty"`
	Cost     string   `json:"cost,omitempty"`
	Priority string   `json:"priority,omitempty"`
	Absent   []string `json:"absent,omitempty"` // types that upstream lists and lacks
	// IDs are what the repository is called in the client file; none: by the source's name.
	IDs []string `json:"ids,omitempty"`
	// As is the name of the client file; "": that of the source.
	As string `json:"as,omitempty"`
}

// layouts reads the annotations of a repository. Errors match bundle.ErrMalformed.
func layouts(r bundle.Repository) ([]layout, error) { return sources.Annotated[layout](r, layoutKey) }
