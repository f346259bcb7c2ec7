package reach

import (
	"path"
	"regexp"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// MaxMediaTypes bounds the different media types of one set. A web server asks for a
// name for each type at every request, so that a set must not make that arbitrarily
// slow, for itself or for others.
const MaxMediaTypes = 64

// markSize is how long the ending is that a mirror adds to the name of a file for its
// media type: the file is marked by a link of that name.
const markSize = len(".t0123456789")

const listedFile = "file"

var (
	// mediaType is the part of RFC 6838 section 4.2 and RFC 9110 section 8.3.1 that no
	// server's configuration has to quote.
	mediaType = regexp.MustCompile(`^[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+(?:; ?[A-Za-z0-9.+_-]+=[A-Za-z0-9.+_-]+)*$`)
	// mark is the ending; a folder must not have it.
	mark = regexp.MustCompile(`\.t[0-9a-f]{10}/`)
)

// mediaTypes counts those of one set.
type mediaTypes struct{ known map[string]bool }

func newMediaTypes() mediaTypes { return mediaTypes{known: map[string]bool{}} }

// lookAtType refuses a media type that no server would take, and one too many.
func (s *Survey) lookAtType(f *bundle.File) {
	t := f.MediaType
	if t == "" || s.types.known[t] {
		if t != "" {
			s.lookAtName(f)
		}
		return
	}
	switch {
	case !mediaType.MatchString(t):
		s.malformed(listedFile, f.Path, "media type %.80q: want type/subtype and parameters of letters, digits and . + - _", t)
	case len(s.types.known) == MaxMediaTypes:
		s.malformed(listedFile, f.Path, "media type %s: more than %d different ones in a set", t, MaxMediaTypes)
	default:
		s.types.known[t] = true
		s.lookAtName(f)
	}
}

// lookAtName: the name has to have room for the ending.
func (s *Survey) lookAtName(f *bundle.File) {
	if len(path.Base(f.Path))+markSize > bundle.MaxNameSize {
		s.malformed(listedFile, f.Path, "the name is too long to carry a media type")
	}
}

// lookAtFolders refuses folders that end as the mark of another file would.
func (s *Survey) lookAtFolders(f *bundle.File) {
	if strings.Contains(f.Path, ".t") && mark.MatchString(f.Path) {
		s.malformed(listedFile, f.Path, "a folder with the ending of a media type's mark")
	}
}
