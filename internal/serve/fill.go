package serve

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// fills reports whether the file at p, a clean path, may have words that stand for the
// mirror's address: those are files for clients of a mirror without a base URL.
func fills(p string, info fs.FileInfo) bool {
	return site.Owns(relative(p)) && info.Mode().IsRegular() && info.Size() <= bundle.MaxFilledSize
}

// sendFilled answers with a file for clients. Words that stand for the mirror's address
// become the address that the client used for this request. A file without such words is
// sent as it is, and so is every file if that address could not be a base URL.
func sendFilled(a *answer, r *http.Request, f *os.File, info fs.FileInfo, contentType string) {
	address := baseOf(r)
	content, err := io.ReadAll(io.LimitReader(f, bundle.MaxFilledSize))
	if err != nil {
		refuse(a, r, statusOf(err))
		return
	}
	hasWord := slices.ContainsFunc(site.Words(), func(word string) bool { return bytes.Contains(content, []byte(word)) })
	if !hasWord || site.CheckBase(address) != nil {
		send(a, r, f, info, contentType)
		return
	}
	var filled bytes.Buffer
	if err := site.Substitute(&filled, bytes.NewReader(content), address); err != nil {
		refuse(a, r, statusOf(err))
		return
	}
	a.Header().Set("Content-Type", contentType)
	// The content depends on the address, so it has a tag of its own and no time: with a time,
	// a cache would take the files of two addresses for one.
	a.Header().Set("ETag", fmt.Sprintf(`"%s"`, bundle.DigestOf(filled.Bytes()).Hex()))
	http.ServeContent(a, withRanges(r, int64(filled.Len())), "", time.Time{}, bytes.NewReader(filled.Bytes()))
}

// baseOf returns the address by which a client reached this server, as a base URL.
func baseOf(r *http.Request) string { return schemeOf(r) + "://" + strings.ToLower(r.Host) }

// schemeOf returns the scheme that the client used, also if a proxy in front ends TLS.
func schemeOf(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}
