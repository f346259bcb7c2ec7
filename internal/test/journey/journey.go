// Package journey has what the stand-ins of the examples share. Each kind plays the
// upstreams of its own examples, in a package standin next to it; sources/all/standins
// lists them, and the tests of the folder examples take each spec along, from plan to a
// mirror. They run in that folder.
package journey

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// Example is a spec of the folder examples.
type Example struct {
	Spec string
	// Start makes what plays its upstreams, for each journey another one.
	Start func(t *testing.T) Upstream
}

// Upstream plays every host that a spec names. The zero Upstream serves files,
// whose content is Content.
type Upstream struct {
	// Hosts answers for every host: the first part of a path is the host that it stands
	// for. nil: files.
	Hosts http.Handler
	// Adopt changes the copy of the spec, and of what belongs to it, to fit the
	// stand-in. nil: its addresses are enough.
	Adopt func(j *Journey)
	// Clients are asked for their configuration by what is published at Base; "": by
	// the mirror's own folder.
	Clients []string
	Base    string
	// Check looks at the mirror, beyond what gapbundle check does.
	Check func(j *Journey)
}

// Journey is one example on its way.
type Journey struct {
	T    *testing.T
	Dir  string // has a copy of the folder of examples, and the mirror in "mirror"
	Spec string
	URL  string // of the stand-in
	// Asked counts the requests that upstreams get.
	Asked atomic.Int64
}

// Read returns the content of a file below Dir.
func (j *Journey) Read(name string) []byte {
	j.T.Helper()
	b, err := os.ReadFile(filepath.Join(j.Dir, filepath.FromSlash(name)))
	if err != nil {
		j.T.Fatal(err)
	}
	return b
}

// Write writes a file below Dir, whose folder is made if it is missing. Private keys end in .key, and
// nobody else reads them.
func (j *Journey) Write(name string, content []byte) {
	j.T.Helper()
	file := filepath.Join(j.Dir, filepath.FromSlash(name))
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			mode = 0o600
		}
		err = os.WriteFile(file, content, mode)
	}
	if err != nil {
		j.T.Fatal(err)
	}
}

// Rewrite changes a file below Dir.
func (j *Journey) Rewrite(name string, change func(text string) string) {
	j.T.Helper()
	j.Write(name, []byte(change(string(j.Read(name)))))
}

// Published fails the test for each of the paths that the mirror does not publish.
func (j *Journey) Published(paths ...string) {
	j.T.Helper()
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(j.Dir, "mirror/current", filepath.FromSlash(path))); err != nil {
			j.T.Error(err)
		}
	}
}

// Content returns what a stand-in serves for an address, or for its path.
func Content(url string) []byte {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		_, url, _ = strings.Cut(rest, "/")
	}
	return bytes.Repeat([]byte("content of "+strings.TrimPrefix(url, "/")+"\n"), 50)
}

// Digest returns the SHA-256 of content, in hexadecimal digits.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

var address = regexp.MustCompile(`https?://[^\s"',\]}]+`)

// Addresses returns the addresses in a text.
func Addresses(text []byte) []string { return address.FindAllString(string(text), -1) }

// Readdress points every address of a text at server, where the host is the first part of
// the path.
func Readdress(text []byte, server string) []byte {
	return address.ReplaceAllFunc(text, func(a []byte) []byte {
		_, rest, _ := strings.Cut(string(a), "://")
		return []byte(server + "/" + strings.ReplaceAll(rest, ":", "_"))
	})
}

// Wanted returns the addresses of files at server in a spec, comments and checksums left out.
func Wanted(text []byte, server string) []string {
	var urls []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		for _, url := range address.FindAllString(line, -1) {
			if strings.HasPrefix(url, server) && !strings.HasSuffix(url, "SHA256SUMS") {
				urls = append(urls, url)
			}
		}
	}
	return urls
}
