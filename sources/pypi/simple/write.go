package simple

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
)

// Link is a file on a page that is written here.
type Link struct {
	Name, SHA256   string
	Href           string // relative to the page
	Size           int64  // -1: not known
	RequiresPython string
	Yanked         bool
	YankedReason   string
	// MetadataSHA256 is the digest of the file's .metadata next to it; "":
	// there is none.
	MetadataSHA256 string
}

// apiVersion is the version of the API whose fields are written.
const apiVersion = "1.1"

// HTML writes a project's page for clients of PEP 503. Attributes have both
// names of PEP 658's digest: pip before 23.2 reads the old one alone.
func HTML(name string, links []Link) []byte {
	var b bytes.Buffer
	head(&b, "Links for "+name)
	for _, l := range links {
		fmt.Fprintf(&b, "<a href=\"%s#sha256=%s\"", html.EscapeString(escape(l.Href)), l.SHA256)
		if l.RequiresPython != "" {
			fmt.Fprintf(&b, " data-requires-python=\"%s\"", html.EscapeString(l.RequiresPython))
		}
		if l.MetadataSHA256 != "" {
			fmt.Fprintf(&b, " data-dist-info-metadata=\"sha256=%[1]s\" data-core-metadata=\"sha256=%[1]s\"", l.MetadataSHA256)
		}
		if l.Yanked {
			fmt.Fprintf(&b, " data-yanked=\"%s\"", html.EscapeString(l.YankedReason))
		}
		fmt.Fprintf(&b, ">%s</a><br>\n", html.EscapeString(l.Name))
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

func head(b *bytes.Buffer, title string) {
	fmt.Fprintf(b, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta name=\"pypi:repository-version\" content=\"%s\"><title>%s</title></head><body>\n",
		apiVersion, html.EscapeString(title))
}

// RootHTML writes the page that lists projects, by their names in normal form.
func RootHTML(names []string) []byte {
	var b bytes.Buffer
	head(&b, "Simple index")
	for _, name := range names {
		fmt.Fprintf(&b, "<a href=\"%[1]s/\">%[1]s</a><br>\n", html.EscapeString(name))
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

func escape(href string) string { return (&url.URL{Path: href}).EscapedPath() }

type writtenMeta struct {
	Version string `json:"api-version"`
}

type writtenFile struct {
	Name           string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	Size           *int64            `json:"size,omitempty"`
	RequiresPython string            `json:"requires-python,omitempty"`
	Metadata       map[string]string `json:"core-metadata,omitempty"`
	Yanked         any               `json:"yanked,omitempty"`
}

// JSON writes the same page for clients of PEP 691. versions are those of the
// files.
func JSON(name string, versions []string, links []Link) ([]byte, error) {
	page := struct {
		Meta     writtenMeta   `json:"meta"`
		Name     string        `json:"name"`
		Versions []string      `json:"versions"`
		Files    []writtenFile `json:"files"`
	}{writtenMeta{apiVersion}, name, versions, []writtenFile{}}
	for _, l := range links {
		f := writtenFile{Name: l.Name, URL: escape(l.Href), Hashes: map[string]string{"sha256": l.SHA256}, RequiresPython: l.RequiresPython}
		if l.Size >= 0 { // uv refuses a page with a negative one
			f.Size = &l.Size
		}
		if l.MetadataSHA256 != "" {
			f.Metadata = map[string]string{"sha256": l.MetadataSHA256}
		}
		switch {
		case l.Yanked && l.YankedReason != "":
			f.Yanked = l.YankedReason
		case l.Yanked:
			f.Yanked = true
		}
		page.Files = append(page.Files, f)
	}
	return encode(page)
}

// RootJSON writes the list of projects.
func RootJSON(names []string) ([]byte, error) {
	type project struct {
		Name string `json:"name"`
	}
	root := struct {
		Meta     writtenMeta `json:"meta"`
		Projects []project   `json:"projects"`
	}{writtenMeta{apiVersion}, []project{}}
	for _, name := range names {
		root.Projects = append(root.Projects, project{name})
	}
	return encode(root)
}

func encode(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", " ")
	return append(b, '\n'), err
}
