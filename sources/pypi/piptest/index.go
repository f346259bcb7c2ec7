package piptest

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// JSONType is the media type of an index page as JSON.
const JSONType = "application/vnd.pypi.simple.v1+json"

// Index puts projects onto a server as an index does: pages at
// /simple/<name>/, files at /files/<name>.
type Index struct {
	Server *upstreamtest.Server
	// HTML means that the index knows no JSON.
	HTML     bool
	Projects map[string][]*File // by name in normal form
}

// URL returns what clients are given.
func (x *Index) URL() string { return x.Server.URL("/simple/") }

// Page returns the path of a project's page.
func Page(name string) string { return "/simple/" + name + "/" }

// Put publishes everything.
func (x *Index) Put() {
	var links strings.Builder
	for _, name := range slices.Sorted(maps.Keys(x.Projects)) {
		fmt.Fprintf(&links, "<a href=\"/simple/%s/\">%s</a>\n", name, name)
		x.put(name, x.Projects[name])
	}
	x.Server.PutFile("/simple/", upstreamtest.File{Content: []byte("<!DOCTYPE html>\n" + links.String()), Type: "text/html"})
}

func (x *Index) put(name string, files []*File) {
	for _, f := range files {
		x.Server.Put("/files/"+f.Name, f.Content)
		if f.Metadata != nil && !f.NoMetadata {
			x.Server.Put("/files/"+f.Name+".metadata", f.Metadata)
		}
	}
	if x.HTML {
		x.Server.PutFile(Page(name), upstreamtest.File{Content: []byte(HTML(name, files)), Type: "text/html; charset=utf-8"})
		return
	}
	x.Server.PutFile(Page(name), upstreamtest.File{Content: JSON(name, files), Type: JSONType})
}

// HTML returns a project's page as HTML.
func HTML(name string, files []*File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.0\"><title>%s</title></head><body>\n", name)
	for _, f := range files {
		href := "../../files/" + f.Name
		if !f.NoHash {
			href += "#sha256=" + f.Digest()
		}
		fmt.Fprintf(&b, "<a href=%q", href)
		if f.RequiresPython != "" {
			fmt.Fprintf(&b, " data-requires-python=\"%s\"", html.EscapeString(f.RequiresPython))
		}
		if f.Yanked != nil {
			fmt.Fprintf(&b, " data-yanked=\"%s\"", html.EscapeString(*f.Yanked))
		}
		if f.Metadata != nil && !f.NoMetadata {
			fmt.Fprintf(&b, " data-core-metadata=\"sha256=%s\"", Digest(f.Metadata))
		}
		fmt.Fprintf(&b, ">%s</a><br/>\n", f.Name)
	}
	return b.String() + "</body></html>\n"
}

// JSON returns a project's page as JSON.
func JSON(name string, files []*File) []byte {
	list := []map[string]any{}
	for _, f := range files {
		one := map[string]any{"filename": f.Name, "url": "../../files/" + f.Name, "size": len(f.Content), "hashes": map[string]string{}}
		if !f.NoHash {
			one["hashes"] = map[string]string{"sha256": f.Digest()}
		}
		if f.RequiresPython != "" {
			one["requires-python"] = f.RequiresPython
		}
		if f.Yanked != nil {
			one["yanked"] = *f.Yanked
		}
		if f.Metadata != nil && !f.NoMetadata {
			one["core-metadata"] = map[string]string{"sha256": Digest(f.Metadata)}
		}
		list = append(list, one)
	}
	b, err := json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": name, "files": list})
	if err != nil {
		panic(err)
	}
	return b
}
