package pages

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
)

// Paths below the mount.
const (
	SimpleDir = "simple/"
	FilesDir  = "files/"
	LocksDir  = "locks/"
	// RecordPath is the record of what an index was asked.
	RecordPath = "sources.json"
	// MetadataEnd follows the name of a wheel whose METADATA it is (PEP 658).
	MetadataEnd = ".metadata"

	htmlPage = "index.html"
	jsonPage = "index.v1_json" // its ending has the media type
)

// Path returns where a file is, by its digest in hexadecimal.
func Path(digest, name string) string {
	return FilesDir + path.Join(digest[:min(2, len(digest))], digest, name)
}

// Page is a page or a lock.
type Page struct {
	Path      string
	MediaType string // "": that of the path's ending
	Content   []byte
	// Read reads the content back, and returns what is not as it was meant.
	Read func(content []byte) error
}

// File is a file on the page of a project.
type File struct {
	Project string
	Version pep440.Version
	simple.Link
}

// Make writes the pages of files, which are sorted by project, and the list of projects.
// The links of files are set here.
func Make(files []File) ([]Page, error) {
	var all []Page
	var names []string
	for from := 0; from < len(files); {
		to := from
		var versions []string
		var links []simple.Link
		for ; to < len(files) && files[to].Project == files[from].Project; to++ {
			if v := files[to].Version.String(); !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
			link := files[to].Link
			link.Href = "../../" + Path(link.SHA256, link.Name)
			links = append(links, link)
		}
		name := files[from].Project
		names = append(names, name)
		content, err := simple.JSON(name, versions, links)
		if err != nil {
			return nil, err
		}
		at := SimpleDir + name + "/"
		all = append(all,
			Page{Path: at + htmlPage, Content: simple.HTML(name, links), Read: readPage(simple.TextHTML, at, links)},
			Page{at + jsonPage, simple.JSONType, content, readPage(simple.JSONType, at, links)})
		from = to
	}
	root, err := simple.RootJSON(names)
	return append(all,
		Page{Path: SimpleDir + htmlPage, Content: simple.RootHTML(names), Read: readRoot(names, parseRootHTML)},
		Page{SimpleDir + jsonPage, simple.JSONType, root, readRoot(names, simple.ParseRoot)}), err
}

// Pin is a line of a lock.
type Pin struct {
	Project string
	Extras  []string
	Version pep440.Version
	SHA256  string
}

// Lock writes a requirements file with hashes. A client that installs from it does not have
// to resolve anything. label distinguishes the locks of one target; "": the first.
func Lock(t Target, label string, pins []Pin) Page {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", t.Name())
	for _, p := range pins {
		fmt.Fprintf(&b, "%s==%s \\\n    --hash=sha256:%s\n", marker.Key(p.Project, p.Extras), p.Version, p.SHA256)
	}
	return Page{Path: lockPath(t, label), Content: []byte(b.String()), Read: readLock(lockPath(t, label), pins)}
}

func lockPath(t Target, label string) string {
	if label != "" {
		label = "." + label
	}
	return LocksDir + t.Name() + label + ".txt"
}
