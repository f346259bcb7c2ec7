package apt

import (
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// timeForm is how times are written in annotations, notes and errors.
const timeForm = time.RFC3339

// layoutKey begins the names of a repository's annotations, one for each
// suite, from which check and clients work: inside there is no spec.
const layoutKey = "suite-"

// keysKey is the annotation that names the file of the keys below keys/.
const keysKey = "keys"

// layout is a suite as a client has it in its entry.
type layout struct {
	// URI follows the mount in a client's entry; Prefix is it with the
	// architecture filled in, and Dir is the folder of the Release below.
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
	// Installer: what the Debian installer reads is there, too.
	Installer bool `json:"installer,omitempty"`
	// Detached: upstream has Release and Release.gpg and no InRelease.
	Detached bool `json:"detached,omitempty"`
	// Until is the Valid-Until of the Release, RFC 3339.
	Until string `json:"until,omitempty"`
	// Unlimited: clients shall not ask for Until.
	Unlimited bool `json:"unlimited,omitempty"`
	// As is the name of the client file; "": that of the source.
	As string `json:"as,omitempty"`
}

func (s *loadedSuite) layout() layout {
	l := layout{
		URI: s.root.pattern, Prefix: s.root.prefix, Dir: s.dir, Suite: s.name, Flat: s.flat,
		Architectures: s.want.Architectures, Languages: s.want.Languages, Binary: s.want.Binary, Source: s.want.Source, Installer: s.want.Installer, As: s.entry.options.As,
	}
	if !s.flat {
		l.Components = s.want.components(s.release)
	}
	if until := s.release.ValidUntil; !s.entry.rebuilt && !until.IsZero() {
		l.Until = until.UTC().Format(timeForm)
	}
	l.Detached = !s.entry.rebuilt && s.files[0].name == nameRelease
	l.Unlimited = !s.entry.rebuilt && s.entry.options.AllowExpired
	return l
}

// layouts reads the annotations of a repository. Errors match bundle.ErrMalformed.
func layouts(r bundle.Repository) ([]layout, error) { return sources.Annotated[layout](r, layoutKey) }

// configuration returns what was requested, as wanted takes it.
func (l *layout) configuration() *configuration {
	return &configuration{Components: l.Components, Architectures: l.Architectures, Languages: l.Languages, Binary: l.Binary, Source: l.Source, Installer: l.Installer}
}
