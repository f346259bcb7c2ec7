package webtest

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const indexType = "application/vnd.oci.image.index.v1+json"

// odd returns names that some server's configuration, pattern or address could
// take for something else.
func odd() []string {
	return []string{
		"*.txt", "[a].txt", "{b}", "$uri", "%2e%2e", "100%", "a&b;c=d", "it's \"quoted\"", "#hash", "c:d", "a?b", "~x", "a+b c", "<i>", "日本語", "{path}", "%{REQUEST_URI}", "$1",
	}
}

// first returns what most tests publish first.
func first() map[string]File {
	return map[string]File{
		"apt/demo/dists/stable/InRelease":               {Content: "release one\n"},
		"apt/demo/pool/a/g++-12_1.0~rc1+b1_amd64.deb":   {Content: "deb one"},
		"apt/demo/pool/a/gone.deb":                      {Content: "only in one"},
		"files/example.org/a b/100% grün.txt":           {Content: "grün\n"},
		"files/example.org/page.php":                    {Content: "<?php echo 1 ?>"},
		"files/example.org/archive.tar.gz":              {Content: strings.Repeat("not really gzip ", 1000)},
		"files/example.org/doc.var":                     {Content: "URI: doc\n"},
		"files/example.org/README":                      {Content: "no extension"},
		"files/example.org/typed.bin":                   {Content: "typed", MediaType: "application/x-demo+json"},
		"files/example.org/sub/file.txt":                {Content: strings.Repeat("0123456789", 1000)},
		"files/example.org/listed/HEADER.html":          {Content: "<script>acts()</script>"},
		"files/example.org/listed/README.html":          {Content: "<script>acts()</script>"},
		"files/example.org/simple/index.html":           {Content: "<p>index</p>"},
		"files/example.org/.hidden":                     {Content: "hidden"},
		"files/example.org/.git/config":                 {Content: "hidden"},
		"v2/docker.io/lib/tool/manifests/1.0":           {Content: `{"a":1}`, MediaType: indexType},
		"v2/docker.io/lib/tool/manifests/old":           {Content: `{"a":0}`, MediaType: indexType},
		"v2/docker.io/lib/tool/blobs/" + digest("blob"): {Content: "blob"},
		"_gapbundle/clients/apt/apt-demo.sources":       {Content: "URIs: @BASE@/apt/demo\n"},
	}
}

// withOdd adds files with odd names.
func withOdd(files map[string]File) map[string]File {
	for i, name := range odd() {
		files["files/odd/plain/"+name] = File{Content: fmt.Sprint("plain ", i)}
		files["files/odd/typed/"+name] = File{Content: fmt.Sprint("typed ", i), MediaType: indexType}
	}
	return files
}

// second changes, adds and removes; the new InRelease has the old one's size.
func second() map[string]File {
	files := first()
	files["apt/demo/dists/stable/InRelease"] = File{Content: "release two\n"}
	delete(files, "apt/demo/pool/a/gone.deb")
	delete(files, "v2/docker.io/lib/tool/manifests/old")
	files["files/example.org/new.txt"] = File{Content: "new"}
	return files
}

// reply is an answer apart from its body.
type reply struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

// do sends a request and reads the answer to its end.
func do(t *testing.T, s *Server, method, path string, header ...string) (reply, string) {
	t.Helper()
	resp, err := open(s, method, path, header...)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, path, err, s.Log())
	}
	return reply{resp.StatusCode, resp.Header, resp.ContentLength}, string(b)
}

// open sends a request with path as it is, dots and all, and follows nothing.
func open(s *Server, method, path string, header ...string) (*http.Response, error) {
	req, err := http.NewRequest(method, s.URL, nil)
	if err != nil {
		return nil, err
	}
	req.URL.Opaque = path
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	return transport.RoundTrip(req)
}

// escaped returns path as clients write it.
func escaped(path string) string { return (&url.URL{Path: "/" + path}).EscapedPath() }

// answer is what a path has to give.
type answer struct {
	path   string
	status int
	body   string // "" : not looked at
	kind   string // Content-Type; "": not looked at
}

func testAnswers(t *testing.T, s *Server, answers []answer) {
	t.Helper()
	for _, want := range answers {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			resp, body := do(t, s, method, want.path)
			if resp.StatusCode != want.status {
				t.Errorf("%s %s: status %d, want %d: %.300s", method, want.path, resp.StatusCode, want.status, body)
				continue
			}
			if method == http.MethodGet && want.body != "" && body != want.body {
				t.Errorf("%s %s: body %.200q, want %.200q", method, want.path, body, want.body)
			}
			if method == http.MethodHead && body != "" {
				t.Errorf("HEAD %s: has a body", want.path)
			}
			if method == http.MethodHead && want.body != "" && resp.ContentLength != int64(len(want.body)) {
				t.Errorf("HEAD %s: length %d, want %d", want.path, resp.ContentLength, len(want.body))
			}
			if got := strings.Join(resp.Header.Values("Content-Type"), ", "); want.kind != "" && compact(got) != compact(want.kind) {
				t.Errorf("%s %s: type %q, want %q", method, want.path, got, want.kind)
			}
			if resp.StatusCode < 400 {
				confined(t, method+" "+want.path, resp)
			}
			if e := resp.Header.Get("Content-Encoding"); e != "" {
				t.Errorf("%s %s: content encoding %q", method, want.path, e)
			}
		}
	}
}

func compact(mediaType string) string { return strings.ToLower(strings.ReplaceAll(mediaType, " ", "")) }

// testContent: names, types, folders, what must not be reached.
func testContent(t *testing.T, f mirror, start startFunc) {
	f.Publish(first())
	s := start(t, f.Path())
	files := first()
	var answers []answer
	for p, file := range files {
		if !strings.HasPrefix(p, "_gapbundle/") {
			answers = append(answers, answer{escaped(p), 200, file.Content, ""})
		}
	}
	const octets, text = "application/octet-stream", "text/plain; charset=utf-8"
	testAnswers(t, s, append(answers,
		answer{"/", 200, "", "text/html; charset=utf-8"},
		answer{"/index.html", 200, "", "text/html; charset=utf-8"},
		answer{"/_gapbundle/clients/apt/apt-demo.sources", 200, "URIs: http://mirror.lan/apt/demo\n", text},
		answer{"/_gapbundle/inventory.json", 200, "", "application/json"},
		answer{"/_gapbundle/none", 404, "", ""},
		answer{"/apt/demo/pool/a/g%2b%2b-12_1.0%7erc1%2bb1_amd64.deb", 200, "deb one", "application/vnd.debian.binary-package"},
		answer{"/apt/demo/pool/a/g++-12_1.0~rc1+b1_amd64.deb", 200, "deb one", ""},
		answer{"/apt/demo/./dists/stable/InRelease", 200, "release one\n", octets},
		answer{"/files/example.org/a%20b/100%25%20gr%C3%BCn.txt", 200, "grün\n", text},
		answer{"/files/example.org/page.php", 200, "<?php echo 1 ?>", octets},
		answer{"/files/example.org/doc.var", 200, "URI: doc\n", octets},
		answer{"/files/example.org/archive.tar.gz", 200, "", "application/gzip"},
		answer{"/files/example.org/README", 200, "", octets},
		answer{"/files/example.org/typed.bin", 200, "typed", "application/x-demo+json"},
		answer{"/files/example.org/simple/", 200, "<p>index</p>", "text/html; charset=utf-8"},
		answer{"/files/example.org/sub/file.txt/", 404, "", ""},
		answer{"/files/example.org/none", 404, "", ""},
		answer{"/v2/docker.io/lib/tool/manifests/1.0", 200, `{"a":1}`, indexType},
		answer{"/v2/lib/tool/manifests/1.0", 200, `{"a":1}`, indexType},
		answer{"/v2/docker.io/lib/tool/tags/list", 200, "{\"name\":\"docker.io/lib/tool\",\"tags\":[\"1.0\",\"old\"]}\n", "application/json"},
		answer{"/v2/lib/tool/tags/list", 200, "{\"name\":\"lib/tool\",\"tags\":[\"1.0\",\"old\"]}\n", "application/json"},
		answer{"/v2/", 200, "", ""},
		answer{"/v2/lib/tool/manifests/none", 404, "", ""},
	))
	testUnreachable(t, s)
	testFolders(t, s)
}

// testUnreachable: everything of a mirror but what is published.
func testUnreachable(t *testing.T, s *Server) {
	for _, path := range []string{
		"/state/secret", "/../state/secret", "/%2e%2e/state/secret", "/apt/../../state/secret", "/apt/demo/../../../state/secret",
		"/apt/%2e%2e/%2e%2e/state/secret", "/..%2fstate/secret", "/current/index.html", "/generations/000001/index.html", "/files/..%5c..%5cstate%5csecret",
	} {
		resp, body := do(t, s, http.MethodGet, path)
		if resp.StatusCode < 400 || strings.Contains(body, "secret\n") || body == "secret" {
			t.Errorf("GET %s: status %d, body %.100q: want an error", path, resp.StatusCode, body)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete} {
		resp, _ := do(t, s, method, "/files/example.org/README")
		if resp.StatusCode < 400 {
			t.Errorf("%s: status %d, want an error", method, resp.StatusCode)
		}
	}
}

// testFolders: a folder without slash, a listing, a listing through a mount.
func testFolders(t *testing.T, s *Server) {
	resp, _ := do(t, s, http.MethodGet, "/files/example.org")
	if location := resp.Header.Get("Location"); resp.StatusCode/100 != 3 || !strings.HasSuffix(location, "/files/example.org/") && location != "example.org/" {
		t.Errorf("folder without slash: status %d, location %q", resp.StatusCode, location)
	}
	for path, names := range map[string][]string{
		"/files/example.org/":        {"README", "sub/", "a b/"},
		"/apt/":                      {"demo/"},
		"/apt/demo/":                 {"dists/", "pool/"},
		"/apt/demo/pool/a/":          {"g++-12_1.0~rc1+b1_amd64.deb"},
		"/files/example.org/a%20b/":  {"100% grün.txt"},
		"/files/example.org/listed/": nil,
	} {
		resp, body := do(t, s, http.MethodGet, path)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s: status %d", path, resp.StatusCode)
		}
		for _, name := range names {
			if !slices.Contains(links(body), name) {
				t.Errorf("listing of %s: no link to %s in\n%s", path, name, body)
			}
		}
		if strings.Contains(body, ".hidden") || strings.Contains(body, ".git") {
			t.Errorf("listing of %s shows dot files", path)
		}
		if strings.Contains(body, "acts()") {
			t.Errorf("listing of %s has what a file of it says", path)
		}
		confined(t, "listing of "+path, resp)
	}
}

// links returns the names that the anchors of a page lead to.
func links(page string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		name, err := url.PathUnescape(html.UnescapeString(m[1]))
		if err != nil {
			name = err.Error()
		}
		names = append(names, strings.TrimPrefix(name, "./"))
	}
	return names
}

// testRanges: parts of a file, by its version.
func testRanges(t *testing.T, f mirror, start startFunc) {
	f.Publish(first())
	s := start(t, f.Path())
	const path = "/files/example.org/sub/file.txt"
	whole := strings.Repeat("0123456789", 1000)
	resp, _ := do(t, s, http.MethodGet, path)
	etag, modified := resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	if etag == "" || strings.HasPrefix(etag, "W/") {
		t.Errorf("ETag %q: want a strong one", etag)
	}
	if want := f.Published().UTC().Format(http.TimeFormat); modified != want {
		t.Errorf("Last-Modified %q, want %q", modified, want)
	}
	if resp.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("Accept-Ranges %q", resp.Header.Get("Accept-Ranges"))
	}
	for _, c := range []struct {
		header []string
		status int
		body   string
	}{
		{[]string{"Range", "bytes=5-9"}, 206, "56789"},
		{[]string{"Range", "bytes=9995-"}, 206, "56789"},
		{[]string{"Range", "bytes=-3"}, 206, "789"},
		{[]string{"Range", "bytes=10000-"}, 416, ""},
		{[]string{"Range", "bytes=5-9", "If-Range", etag}, 206, "56789"},
		{[]string{"Range", "bytes=5-9", "If-Range", `"other"`}, 200, whole},
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-None-Match", `"other"`}, 200, whole},
		{[]string{"If-Modified-Since", modified}, 304, ""},
		{[]string{"Accept-Encoding", "gzip, br, zstd"}, 200, whole},
	} {
		resp, body := do(t, s, http.MethodGet, path, c.header...)
		if resp.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%q: status %d, body %.40q, want %d, %.40q", c.header, resp.StatusCode, body, c.status, c.body)
		}
	}
	resp, body := do(t, s, http.MethodGet, "/v2/docker.io/lib/tool/manifests/1.0", "Range", "bytes=1-3")
	if resp.StatusCode != http.StatusPartialContent || body != `"a"` || resp.Header.Get("Content-Type") != indexType {
		t.Errorf("range of a typed file: status %d, %q, %s", resp.StatusCode, body, resp.Header.Get("Content-Type"))
	}
}

// testSwitch: publish, roll back, and clients that hold what was.
func testSwitch(t *testing.T, f mirror, start startFunc) {
	f.Publish(first())
	s := start(t, f.Path())
	const changed, same = "/apt/demo/dists/stable/InRelease", "/files/example.org/README"
	held := map[string]reply{}
	for _, p := range []string{changed, same} {
		held[p], _ = do(t, s, http.MethodGet, p)
	}
	check := func(step, p string, status int, content string) {
		t.Helper()
		for _, header := range [][]string{
			{"If-None-Match", held[p].Header.Get("ETag")},
			{"If-Modified-Since", held[p].Header.Get("Last-Modified")},
			{"If-None-Match", held[p].Header.Get("ETag"), "If-Modified-Since", held[p].Header.Get("Last-Modified")},
		} {
			resp, body := do(t, s, http.MethodGet, p, header...)
			if resp.StatusCode != status || status == 200 && body != content {
				t.Errorf("%s: GET %s, %q: status %d, body %q; want %d, %q", step, p, header, resp.StatusCode, body, status, content)
			}
		}
		held[p], _ = do(t, s, http.MethodGet, p)
	}
	f.Publish(second())
	check("publish", changed, 200, "release two\n")
	check("publish", same, 304, "")
	testAnswers(t, s, []answer{
		{"/apt/demo/pool/a/gone.deb", 200, "only in one", "application/vnd.debian.binary-package"},
		{"/v2/docker.io/lib/tool/manifests/old", 200, `{"a":0}`, indexType},
		{"/v2/lib/tool/manifests/old", 200, `{"a":0}`, indexType},
		{"/v2/lib/tool/tags/list", 200, "{\"name\":\"lib/tool\",\"tags\":[\"1.0\"]}\n", "application/json"},
		{"/files/example.org/new.txt", 200, "new", ""},
		{"/files/example.org/.hidden", 200, "hidden", ""},
		{"/apt/demo/pool/a/none.deb", 404, "", ""},
	})
	f.Publish(first()) // a rollback is a publish
	check("rollback", changed, 200, "release one\n")
	check("rollback", same, 304, "")
	f.Publish(second())
	check("forward", changed, 200, "release two\n")
	f.Publish(second())
	check("again", changed, 304, "")
	testAnswers(t, s, []answer{{"/apt/demo/pool/a/gone.deb", 404, "", ""}, {"/v2/lib/tool/manifests/old", 404, "", ""}})
}

// testSlow: a download that began before a switch ends with what it began with.
func testSlow(t *testing.T, f mirror, start startFunc) {
	const p = "files/example.org/large.bin"
	large := func(c string) string { return strings.Repeat(c, 32<<20) } // more than sockets buffer
	files := first()
	files[p] = File{Content: large("1")}
	f.Publish(files)
	s := start(t, f.Path())
	resp, err := open(s, http.MethodGet, "/"+p)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	files[p] = File{Content: large("2")}
	f.Publish(files)
	f.Publish(files)
	rest := &only{want: '1'}
	n, err := io.Copy(rest, resp.Body)
	if err != nil || n != 31<<20 || rest.other {
		t.Errorf("rest of a slow download: %d bytes, %v, other content %v", n, err, rest.other)
	}
	if _, body := do(t, s, http.MethodGet, "/"+p, "Range", "bytes=0-3"); body != "2222" {
		t.Errorf("after the switch: %q", body)
	}
}

// testOdd: odd names, current, listed, typed, and from the generation before.
func testOdd(t *testing.T, f mirror, start startFunc) {
	f.Publish(withOdd(first()))
	s := start(t, f.Path())
	var answers []answer
	for i, name := range odd() {
		answers = append(answers, answer{escaped("files/odd/plain/" + name), 200, fmt.Sprint("plain ", i), ""},
			answer{escaped("files/odd/typed/" + name), 200, fmt.Sprint("typed ", i), indexType})
	}
	testAnswers(t, s, answers)
	_, page := do(t, s, http.MethodGet, "/files/odd/plain/")
	for _, name := range odd() {
		if !slices.Contains(links(page), name) {
			t.Errorf("listing: no link to %s in\n%s", name, page)
		}
	}
	f.Publish(first())
	if s.Name == Apache { // refuses to rewrite an address with '?': docs/client-matrix.md
		answers = slices.DeleteFunc(answers, func(a answer) bool { return strings.Contains(a.path, "%3F") })
	}
	testAnswers(t, s, answers)
}

// only notices any byte but want.
type only struct {
	want  byte
	other bool
}

func (o *only) Write(b []byte) (int, error) {
	for _, c := range b {
		o.other = o.other || c != o.want
	}
	return len(b), nil
}

// testParallel: while generations are switched every answer is whole, and
// from one generation.
func testParallel(t *testing.T, f mirror, start startFunc) {
	f.Publish(first())
	s := start(t, f.Path())
	bad := make(chan string, 4)
	deadline := time.Now().Add(time.Second)
	for range cap(bad) {
		go func() {
			for time.Now().Before(deadline) {
				resp, err := open(s, http.MethodGet, "/apt/demo/dists/stable/InRelease")
				if err != nil {
					bad <- err.Error()
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if body := string(b); err != nil || resp.StatusCode != http.StatusOK || body != "release one\n" && body != "release two\n" {
					bad <- fmt.Sprintf("status %d, %q, %v", resp.StatusCode, b, err)
					return
				}
			}
			bad <- ""
		}()
	}
	for i := 0; time.Now().Before(deadline); i++ {
		f.Publish([]map[string]File{second(), first()}[i%2])
	}
	for range cap(bad) {
		if s := <-bad; s != "" {
			t.Error(s)
		}
	}
}

// mirror is something to publish in: a Fixture, or the real thing.
type mirror interface {
	Path() string
	// Publish makes files all that is published.
	Publish(files map[string]File)
	// Published is the time of the last publish.
	Published() time.Time
}

type startFunc func(t *testing.T, dir string) *Server

// tests returns the table that every server has to pass.
func tests() map[string]func(*testing.T, mirror, startFunc) {
	return map[string]func(*testing.T, mirror, startFunc){
		"content": testContent, "ranges": testRanges, "switch": testSwitch, "slow": testSlow, "parallel": testParallel, "odd": testOdd, "images": testImages, "moving": testMoving, "roles": testRoles,
	}
}

// testServers runs the tests that are named, or all, on each server.
func testServers(t *testing.T, make func(*testing.T) mirror, servers []string, only ...string) {
	for _, name := range servers {
		t.Run(name, func(t *testing.T) {
			for test, run := range tests() {
				if len(only) > 0 && !slices.Contains(only, test) {
					continue
				}
				t.Run(test, func(t *testing.T) {
					run(t, make(t), func(t *testing.T, dir string) *Server { return Start(t, name, dir) })
				})
			}
		})
	}
}

func newFixture(t *testing.T) mirror {
	f := NewFixture(t)
	f.Base = "http://mirror.lan"
	return f
}

func TestServe(t *testing.T) { testServers(t, newFixture, []string{Serve}) }
