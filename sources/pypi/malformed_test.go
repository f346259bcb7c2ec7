package pypi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/pypi/resolve"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// malformedPage is the page of the project lib, in which something is replaced; or what is
// published of it.
type malformedPage struct {
	html     bool
	edit     func(page string) string
	media    string // "": that of the form
	metadata func(text string) string
	files    map[string][]byte
}

// inJSON, inHTML and inMetadata replace the first from of a page, or of the wheel's METADATA.
func inJSON(from, to string) malformedPage {
	return malformedPage{edit: func(page string) string { return strings.Replace(page, from, to, 1) }}
}

func inHTML(from, to string) malformedPage {
	m := inJSON(from, to)
	m.html = true
	return m
}

func inMetadata(from, to string) malformedPage {
	return malformedPage{metadata: func(text string) string { return strings.Replace(text, from, to, 1) }}
}

func wholeJSON(page string) malformedPage {
	return malformedPage{edit: func(string) string { return page }}
}

func wholeHTML(page string) malformedPage {
	m := wholeJSON(page)
	m.html = true
	return m
}

func cutPage(page string) string { return page[:len(page)*2/3] }

// changedDigest replaces the digest of the wheel on a page.
func changedDigest(html bool, change func(string) string) malformedPage {
	return malformedPage{html: html, edit: func(page string) string {
		mark := `"hashes":{"sha256":"`
		if html {
			mark = "#sha256="
		}
		from := strings.Index(page, mark) + len(mark)
		return page[:from] + change(page[from:from+64]) + page[from+64:]
	}}
}

// Why a plan decides otherwise than pip.
const (
	mended   = "pip ends with an exception; the page that is made here has the file in the form that pip reads"
	form     = "PEP 629 and PEP 691 have another form, and clients may refuse the page"
	noDigest = "nothing would tell what the file has to be: insecure-hashes allows that"
	ofName   = "pip takes the name from the address alone; a page that contradicts it is not trusted"
	sized    = "pip does not compare the size; what is carried has the size that the page has"
)

func first10(s string) string { return s[:10] }

func ones(s string) string { return strings.Repeat("1", len(s)) }

// malformed returns pages and wheels, and whether pip can download the wheel.
func malformed() plantest.Table[malformedPage] {
	const file = "lib-1.0-py3-none-any.whl"
	latin := inHTML("<title>", "<title>caf\xe9 ")
	return plantest.Table[malformedPage]{
		"JSON":                                 {Document: inJSON("x", "x"), Reads: true},
		"HTML":                                 {Document: inHTML("x", "x"), Reads: true},
		"JSON cut off":                         {Document: malformedPage{edit: cutPage}, Names: []string{"lib"}},
		"JSON that is HTML":                    {Document: wholeJSON("<html><body>Sign in</body></html>"), Names: []string{"lib"}},
		"JSON of nothing":                      {Document: wholeJSON(""), Names: []string{"lib"}},
		"JSON of a list":                       {Document: wholeJSON("[]"), Names: []string{"lib"}},
		"JSON of null":                         {Document: wholeJSON("null"), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"JSON with a byte order mark":          {Document: malformedPage{edit: func(s string) string { return "\ufeff" + s }}, Reads: true},
		"JSON with something after it":         {Document: malformedPage{edit: func(s string) string { return s + "x" }}, Names: []string{"lib"}},
		"no meta":                              {Document: inJSON(`"meta"`, `"mata"`), Reads: true},
		"no version":                           {Document: inJSON(`"api-version"`, `"version"`), Reads: true},
		"version 2":                            {Document: inJSON(`"1.1"`, `"2.0"`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"version 1.9":                          {Document: inJSON(`"1.1"`, `"1.9"`), Reads: true},
		"a version that is a number":           {Document: inJSON(`"1.1"`, `1.1`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"a version in words":                   {Document: inJSON(`"1.1"`, `"new"`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"no name":                              {Document: inJSON(`"name":"lib"`, `"nome":"lib"`), Reads: true},
		"another name":                         {Document: inJSON(`"name":"lib"`, `"name":"tool"`), Reads: true, Unlike: ofName, Names: []string{"lib"}},
		"a name that is a number":              {Document: inJSON(`"name":"lib"`, `"name":1`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"no files":                             {Document: inJSON(`"files"`, `"fules"`), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"files of null":                        {Document: wholeJSON(`{"meta":{"api-version":"1.1"},"name":"lib","files":null}`), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"a file of null":                       {Document: inJSON(`"files":[`, `"files":[null,`), Unlike: mended},
		"no filename":                          {Document: inJSON(`"filename"`, `"fulename"`), Reads: true},
		"another filename":                     {Document: inJSON(`"filename":"lib-`, `"filename":"tool-`), Reads: true, Unlike: ofName, Class: resolve.ErrConflict, Names: []string{"lib"}},
		"a filename of no form":                {Document: inJSON(`"filename":"`+file, `"filename":"lib.whl`), Reads: true, Unlike: ofName, Class: resolve.ErrConflict, Names: []string{"lib"}},
		"a filename with a version of no form": {Document: inJSON(`"filename":"lib-1.0`, `"filename":"lib-new`), Reads: true, Unlike: ofName, Class: resolve.ErrConflict, Names: []string{"lib"}},
		"a filename with a folder":             {Document: inJSON(`"filename":"`, `"filename":"../`), Reads: true, Unlike: ofName, Class: resolve.ErrConflict, Names: []string{"lib"}},
		"no url":                               {Document: inJSON(`"url"`, `"uri"`), Names: []string{"lib"}},
		"an empty url":                         {Document: inJSON(`"url":"../../files/`+file, `"url":"`), Names: []string{"lib"}},
		"a url of another scheme":              {Document: inJSON(`"url":"../../files/`, `"url":"ftp://127.0.0.1/`), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"a url that is no url":                 {Document: inJSON(`"url":"../../files/`, `"url":"http://[::1/`), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"a url that is not there":              {Document: inJSON(`"url":"../../files/`, `"url":"../../gone/`), Names: []string{"lib"}},
		"a url that is a number":               {Document: inJSON(`"url":"../../files/`+file+`"`, `"url":1`), Names: []string{"lib"}},
		"no hashes":                            {Document: inJSON(`"hashes"`, `"hushes"`), Reads: true, Unlike: noDigest, Class: fetch.ErrRefused, Names: []string{"lib"}},
		"hashes of null":                       {Document: malformedPage{edit: func(s string) string { return between(s, `"hashes":`, "}", "null") }}, Reads: true, Unlike: noDigest, Class: fetch.ErrRefused, Names: []string{"lib"}},
		"empty hashes":                         {Document: malformedPage{edit: func(s string) string { return between(s, `"hashes":`, "}", "{}") }}, Reads: true, Unlike: noDigest, Class: fetch.ErrRefused, Names: []string{"lib"}},
		"hashes of text":                       {Document: malformedPage{edit: func(s string) string { return between(s, `"hashes":`, "}", `"sha256"`) }}, Names: []string{"lib"}},
		"a hash of an unknown algorithm":       {Document: inJSON(`"hashes":{"sha256"`, `"hashes":{"crc"`), Class: fetch.ErrRefused, Names: []string{"lib"}},
		"a hash of md5":                        {Document: malformedPage{edit: func(s string) string { return between(s, `"hashes":`, "}", `{"md5":"`+strings.Repeat("1", 32)+`"}`) }}, Class: fetch.ErrRefused, Names: []string{"lib"}},
		"a short hash":                         {Document: changedDigest(false, first10), Names: []string{"lib"}},
		"an empty hash":                        {Document: changedDigest(false, func(string) string { return "" }), Class: fetch.ErrRefused, Names: []string{"lib"}},
		"a hash in large letters":              {Document: changedDigest(false, strings.ToUpper), Reads: true},
		"another hash":                         {Document: changedDigest(false, ones), Names: []string{"lib"}},
		"no size":                              {Document: inJSON(`"size"`, `"saze"`), Reads: true},
		"another size":                         {Document: inJSON(`"size":`, `"size":1`), Reads: true, Unlike: sized, Names: []string{"lib"}},
		"a size below 0":                       {Document: inJSON(`"size":`, `"size":-`), Reads: true},
		"a size that is text":                  {Document: inJSON(`"size":`, `"size":"1","old":`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"a size with a fraction":               {Document: inJSON(`"size":`, `"size":1.5,"old":`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"requires-python in words":             {Document: inJSON(`"filename"`, `"requires-python":"three","filename"`), Reads: true},
		"requires-python with a comma":         {Document: inJSON(`"filename"`, `"requires-python":">=3,","filename"`), Reads: true},
		"requires-python with .*":              {Document: inJSON(`"filename"`, `"requires-python":">=3.6.*","filename"`), Reads: true},
		"requires-python of null":              {Document: inJSON(`"filename"`, `"requires-python":null,"filename"`), Reads: true},
		"requires-python that is a number":     {Document: inJSON(`"filename"`, `"requires-python":3,"filename"`), Names: []string{"lib"}},
		"yanked of null":                       {Document: inJSON(`"filename"`, `"yanked":null,"filename"`), Reads: true},
		"yanked that is a number":              {Document: inJSON(`"filename"`, `"yanked":0,"filename"`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"core-metadata of text":                {Document: malformedPage{edit: func(s string) string { return between(s, `"core-metadata":`, "}", `"yes"`) }}, Reads: true, Unlike: form, Names: []string{"lib"}},
		"core-metadata of null":                {Document: malformedPage{edit: func(s string) string { return between(s, `"core-metadata":`, "}", `null`) }}, Reads: true},
		"core-metadata of another hash": {Document: malformedPage{edit: func(s string) string {
			return between(s, `"core-metadata":`, "}", `{"sha256":"`+strings.Repeat("1", 64)+`"}`)
		}}, Names: []string{"lib-1.0-py3-none-any.whl.metadata"}},
		"core-metadata of a short hash": {Document: malformedPage{edit: func(s string) string { return between(s, `"core-metadata":`, "}", `{"sha256":"1"}`) }}, Names: []string{"lib"}},
		"JSON as application/json":      {Document: malformedPage{media: "application/json"}, Names: []string{"lib"}},
		"JSON as text":                  {Document: malformedPage{media: "text/plain"}, Names: []string{"lib"}},
		"JSON with a charset":           {Document: malformedPage{media: simple.JSONType + "; charset=utf-8"}, Reads: true},

		"HTML cut off":               {Document: malformedPage{html: true, edit: cutPage}, Class: resolve.ErrConflict, Names: []string{"lib"}},
		"HTML of nothing":            {Document: wholeHTML(""), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"HTML without doctype":       {Document: inHTML("<!DOCTYPE html>", ""), Reads: true},
		"HTML of version 2":          {Document: inHTML(`content="1.0"`, `content="2.0"`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"HTML of a version in words": {Document: inHTML(`content="1.0"`, `content="new"`), Reads: true, Unlike: form, Names: []string{"lib"}},
		"HTML in large letters":      {Document: inHTML("<a href=", "<A HREF="), Reads: true},
		"HTML with a link without quotes": {Document: malformedPage{html: true, edit: func(s string) string {
			return strings.Replace(strings.Replace(s, `<a href="`, `<a href=`, 1), `" data-core`, ` data-core`, 1)
		}}, Reads: true},
		"HTML with a link in a comment": {Document: malformedPage{html: true, edit: func(s string) string {
			return strings.Replace(strings.Replace(s, "<a ", "<!-- <a ", 1), "</a>", "</a> -->", 1)
		}}, Class: resolve.ErrConflict, Names: []string{"lib"}},
		"HTML with a link that is not closed":           {Document: inHTML("</a>", ""), Reads: true},
		"HTML with a link without href":                 {Document: inHTML("<a href=", "<a name="), Class: resolve.ErrConflict, Names: []string{"lib"}},
		"HTML with a base elsewhere":                    {Document: inHTML("<title>", "<base href=\"/elsewhere/a/b/\"><title>"), Names: []string{"lib"}},
		"HTML with a base from the root":                {Document: inHTML("<title>", "<base href=\"/simple/lib/\"><title>"), Unlike: mended},
		"HTML in Latin-1":                               {Document: latin, Unlike: mended},
		"HTML with a short hash":                        {Document: changedDigest(true, first10), Names: []string{"lib"}},
		"HTML with another hash":                        {Document: changedDigest(true, ones), Names: []string{"lib"}},
		"HTML with a hash in large letters":             {Document: changedDigest(true, strings.ToUpper), Reads: true},
		"HTML with a hash of an unknown algorithm":      {Document: inHTML("#sha256=", "#crc="), Reads: true, Unlike: noDigest, Class: fetch.ErrRefused, Names: []string{"lib"}},
		"HTML with requires-python in words":            {Document: inHTML("<a ", `<a data-requires-python="three" `), Reads: true},
		"HTML with requires-python that is not escaped": {Document: inHTML("<a ", `<a data-requires-python=">=3" `), Reads: true},
		"HTML as text":                                  {Document: malformedPage{html: true, media: "text/plain"}, Names: []string{"lib"}},
		"HTML as XML":                                   {Document: malformedPage{html: true, media: "application/xhtml+xml"}, Names: []string{"lib"}},
		"HTML without a type":                           {Document: malformedPage{html: true, media: "application/octet-stream"}, Names: []string{"lib"}},

		"METADATA without a name":                             {Document: inMetadata("Name: lib\n", ""), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA of another name":                            {Document: inMetadata("Name: lib\n", "Name: tool\n"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA without a version":                          {Document: inMetadata("Version: 1.0\n", ""), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA of another version":                         {Document: inMetadata("\nVersion: 1.0\n", "\nVersion: 2.0\n"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA of a version in words":                      {Document: inMetadata("\nVersion: 1.0\n", "\nVersion: new\n"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA without its own version":                    {Document: inMetadata("Metadata-Version: 2.1\n", ""), Reads: true},
		"METADATA of version 9":                               {Document: inMetadata("Metadata-Version: 2.1", "Metadata-Version: 9.9"), Reads: true},
		"METADATA with requires-python in words":              {Document: inMetadata("Summary", "Requires-Python: three\nSummary"), Reads: true},
		"METADATA with a requirement of no form":              {Document: inMetadata("Summary", "Requires-Dist: two words\nSummary"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA with a version of a requirement of no form": {Document: inMetadata("Summary", "Requires-Dist: tool (>=new)\nSummary"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA with a marker of no form":                   {Document: inMetadata("Summary", "Requires-Dist: tool; on_monday\nSummary"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA with an extra of no form":                   {Document: inMetadata("Summary", "Provides-Extra: -\nSummary"), Reads: true},
		"METADATA of nothing":                                 {Document: malformedPage{metadata: func(string) string { return "\n" }}, Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
		"METADATA with bytes that are no text":                {Document: inMetadata("made by", "made \xff by"), Names: []string{"lib-1.0-py3-none-any.whl: skipped"}},
	}
}

// between replaces what is from a mark to an end, the end included.
func between(text, mark, end, with string) string {
	from := strings.Index(text, mark) + len(mark)
	to := from + strings.Index(text[from:], end) + len(end)
	return text[:from] + with + text[to:]
}

// malformedIndex serves such a page, or what is published; it returns the address of the
// index.
func malformedIndex(t *testing.T, m malformedPage) string {
	t.Helper()
	if m.files != nil {
		s := upstreamtest.New(t)
		for name, content := range m.files {
			s.Put("/"+name, content)
			if folder, ok := strings.CutSuffix(name, "index.html"); ok {
				s.PutFile("/"+folder, upstreamtest.File{Content: content, Type: simple.TextHTML})
			}
		}
		return s.URL("/" + pages.SimpleDir)
	}
	w := newWorld(t)
	w.HTML = m.html
	lib := piptest.Wheel{Name: "lib", Version: "1.0"}
	if m.metadata != nil {
		lib.Metadata = m.metadata(string(lib.Build(t).Metadata))
	}
	w.add(lib)
	page, media := string(piptest.JSON("lib", w.Projects["lib"])), simple.JSONType
	if m.html {
		page, media = piptest.HTML("lib", w.Projects["lib"]), simple.TextHTML
	}
	if m.edit != nil {
		page = m.edit(page)
	}
	if m.media != "" {
		media = m.media
	}
	w.Server.PutFile(piptest.Page("lib"), upstreamtest.File{Content: []byte(page), Type: media})
	return w.URL()
}

// laidMalformed plans the project lib and reads everything of it; what is published is
// returned.
func laidMalformed(t *testing.T, m malformedPage) (malformedPage, error) {
	t.Helper()
	index := malformedIndex(t, m)
	if _, err := url.Parse(index); err != nil {
		t.Fatal(err)
	}
	p, err := newSite(t).plan("kind: pypi\nindex: " + index + "\npackages: lib\n" + for312)
	if err != nil {
		return m, err
	}
	laid := malformedPage{files: map[string][]byte{}}
	for at, a := range p.files {
		content, err := plantest.ReadArtifact(t, a)
		if err == nil && !a.File.Digest.IsZero() && a.File.Digest != bundle.DigestOf(content) {
			err = fmt.Errorf("%s: not what was planned: %w", at, bundle.ErrCorrupt)
		}
		if errors.Is(err, bundle.ErrCorrupt) { // a collection takes it for upstream's fault
			err = fmt.Errorf("%s: %w", err.Error(), fetch.ErrUpstream)
		}
		if err != nil {
			return m, err
		}
		laid.files[at] = content
	}
	return laid, nil
}

// TestMalformed: what pip cannot use is refused, and named.
func TestMalformed(t *testing.T) {
	malformed().Plan(t, func(t *testing.T, m malformedPage) error {
		_, err := laidMalformed(t, m)
		return err
	})
}

// TestAbsent: files with which pip would end are an error, which is upstream's fault and names the
// file and the way round; where the spec wants it they are left out by name, and pip's next choice
// is carried. If nothing is left, it is an error all the same.
func TestAbsent(t *testing.T) {
	w := newWorld(t)
	broken := piptest.Wheel{Name: "lib", Version: "2.0"}.Build(t)
	broken.Content = []byte("<html>Sign in</html>")
	broken.Metadata = nil
	gone := piptest.Wheel{Name: "tool", Version: "2.0"}.Build(t)
	sdist := piptest.Sdist(t, "tool", "1.0", map[string]string{"PKG-INFO": "Metadata-Version: 2.2\nName: tool\nVersion: 1.0\n"})
	sdist.Content = []byte("no archive")
	w.Projects["lib"] = []*piptest.File{broken, piptest.Wheel{Name: "lib", Version: "1.0"}.Build(t)}
	w.Projects["tool"] = []*piptest.File{gone, piptest.Wheel{Name: "tool", Version: "1.0"}.Build(t), sdist}
	w.Projects["only"] = []*piptest.File{piptest.Wheel{Name: "only", Version: "1.0"}.Build(t)}
	w.Projects["only"][0].Content, w.Projects["only"][0].Metadata = []byte("no wheel"), nil
	w.Put()
	w.Server.FailAlways("/files/"+gone.Name, upstreamtest.Status(404)) // its METADATA is there
	base := "kind: pypi\nindex: " + w.URL() + "\n" + for312
	for _, c := range []struct{ spec, unusable, carried string }{
		{"packages: lib\n", broken.Name, "lib-1.0-py3-none-any.whl"},
		{"packages: tool\n", gone.Name, "tool-1.0-py3-none-any.whl"},
		{"packages: tool<2\nsdists: always\n", sdist.Name, "tool-1.0-py3-none-any.whl"},
		{"packages: only\n", "only-1.0-py3-none-any.whl", ""},
	} {
		p, err := newSite(t).plan(base + c.spec)
		if err == nil && c.unusable == gone.Name { // nobody looks for it before it is collected
			_, err = plantest.ReadArtifact(t, p.files[pages.Path(gone.Digest(), gone.Name)])
		} else if err == nil || !strings.Contains(err.Error(), rebuild.SkipHint) {
			t.Errorf("%s: %v", c.spec, err)
		}
		if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), c.unusable) {
			t.Errorf("%s: %v", c.spec, err)
		}
		p, err = newSite(t).plan(base + c.spec + "absent: skip\n")
		if c.carried == "" {
			if !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "left out: "+c.unusable) {
				t.Errorf("%s, left out: %v", c.spec, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s, left out: %v", c.spec, err)
			continue
		}
		if got := p.names(); got != c.carried {
			t.Errorf("%s: carried %s, want %s", c.spec, got, c.carried)
		}
		if notes := strings.Join(p.repo.Notes, "\n"); !strings.Contains(notes, "left out: "+c.unusable) {
			t.Errorf("%s: notes %s", c.spec, notes)
		}
	}
}
