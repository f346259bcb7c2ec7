package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
)

const (
	// maxAnswer bounds one answer, and maxList the pages of one list together, which are read one after
	// the other. A list of a collection with 300 versions has 200 KB.
	maxAnswer = 8 << 20  // bytes
	maxList   = 64 << 20 // bytes
	// maxPages bounds how many pages a list has, maxEntries how many entries.
	maxPages   = 1000
	maxEntries = 20_000
	// pageSize is what is requested. Servers may send less.
	pageSize = "100"
)

// Public is the address of the public Galaxy, whose API is below api/ alone.
const Public = "https://galaxy.ansible.com"

// Server is a Galaxy server whose API was found. It is safe for concurrent use.
type Server struct {
	client   *fetch.Client
	root     *url.URL          // of the API, with a slash at the end
	versions map[string]string // of the API, with their folders
	secure   bool
}

// Discover finds the API at an address. Errors match fetch.ErrUpstream where there is none.
func Discover(ctx context.Context, client *fetch.Client, address string) (*Server, error) {
	address = strings.TrimRight(address, "/")
	roots := []string{address + "/", address + "/api/"}
	switch {
	case address == Public:
		roots = roots[1:]
	case strings.HasSuffix(address, "/api"):
		roots = roots[:1]
	}
	var none []error
	for _, root := range roots {
		s, err := discover(ctx, client, root)
		var status *fetch.StatusError
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, bundle.ErrMalformed), errors.As(err, &status) && missing(status):
			none = append(none, fmt.Errorf("%s: %w", fetch.Redact(root), err))
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("no Galaxy API: %w: %w", errors.Join(none...), fetch.ErrUpstream)
}

// missing reports whether a status means that there is no such thing.
func missing(s *fetch.StatusError) bool {
	return s.Status == http.StatusNotFound || s.Status == http.StatusGone
}

func discover(ctx context.Context, client *fetch.Client, root string) (*Server, error) {
	content, meta, err := client.ReadAll(ctx, root, maxAnswer)
	if err != nil {
		return nil, err
	}
	s := &Server{client: client, secure: meta.Secure}
	if s.root, err = url.Parse(root); err != nil {
		return nil, err
	}
	s.versions, err = ParseRoot(content)
	return s, err
}

// ParseRoot reads "available_versions". Errors match bundle.ErrMalformed.
func ParseRoot(content []byte) (map[string]string, error) {
	o, err := record.Parse(content)
	if err != nil {
		return nil, err
	}
	versions, err := record.Need[map[string]string](o, "available_versions")
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, name := range []string{"v1", "v2", "v3"} {
		folder, ok := versions[name]
		if !ok {
			continue
		}
		if folder = strings.Trim(folder, "/"); bundle.CheckPath(folder) != nil || strings.ContainsAny(folder, "?#%:") {
			return nil, fmt.Errorf("available_versions: %s: %.60q is no folder: %w", name, folder, bundle.ErrMalformed)
		}
		known[name] = folder + "/"
	}
	if len(known) == 1 && known["v1"] != "" { // servers of old do not name it
		known["v2"] = "v2/"
	}
	return known, nil
}

// Root returns the address of the API.
func (s *Server) Root() string { return s.root.String() }

// Secure reports whether the API was reached by https alone.
func (s *Server) Secure() bool { return s.secure }

// HasRoles reports whether the server has the API for roles.
func (s *Server) HasRoles() bool { return s.versions["v1"] != "" }

// collections returns the folder of the API that has them, and whether it is that of version 2.
func (s *Server) collections() (folder string, old bool, err error) {
	if v3 := s.versions["v3"]; v3 != "" {
		return s.Root() + v3 + "collections/", false, nil
	}
	if v2 := s.versions["v2"]; v2 != "" {
		return s.Root() + v2 + "collections/", true, nil
	}
	return "", false, fmt.Errorf("%s: has no API of version 3 or 2, which have collections: %w", fetch.Redact(s.Root()), fetch.ErrUpstream)
}

// errMissing is the error of a thing that the server does not have.
var errMissing = errors.New("not there")

// get reads an answer. The error is errMissing for one that is not there; all others name the address.
func (s *Server) get(ctx context.Context, address string) (record.Object, int, error) {
	content, _, err := s.client.ReadAll(ctx, address, maxAnswer)
	var status *fetch.StatusError
	if errors.As(err, &status) && missing(status) {
		return nil, 0, errMissing
	}
	if err != nil {
		return nil, 0, err
	}
	o, err := record.Parse(content)
	return o, len(content), s.blame(address, err)
}

// blame names the address whose answer is wrong.
func (s *Server) blame(address string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", fetch.Redact(address), err, fetch.ErrUpstream)
}

// pages reads a list, page by page, and hands every entry on.
func (s *Server) pages(ctx context.Context, first string, entry func(record.Object) error) error {
	address, seen, size, entries := first, map[string]bool{}, 0, 0
	for address != "" {
		if seen[address] || len(seen) == maxPages {
			return s.blame(first, fmt.Errorf("a list of more than %d pages, or one without an end", maxPages))
		}
		seen[address] = true
		o, n, err := s.get(ctx, address)
		if errors.Is(err, errMissing) && address != first {
			err = s.blame(address, errors.New("a page that is named, and not there"))
		}
		if err != nil {
			return err
		}
		if size += n; size > maxList {
			return s.blame(first, fmt.Errorf("a list of more than %d bytes", maxList))
		}
		some, next, err := parsePage(o)
		if err != nil {
			return s.blame(address, err)
		}
		if entries += len(some); entries > maxEntries {
			return s.blame(first, fmt.Errorf("a list of more than %d entries", maxEntries))
		}
		for _, e := range some {
			if err := entry(e); err != nil {
				return s.blame(address, err)
			}
		}
		if address, err = s.follow(address, next); err != nil {
			return err
		}
	}
	return nil
}

// parsePage reads one page of a list and the address of the next one, "" at the end.
func parsePage(o record.Object) (entries []record.Object, next string, err error) {
	key := "results"
	if o.Has("data") {
		key = "data"
	}
	if entries, err = record.Need[[]record.Object](o, key); err != nil {
		return nil, "", err
	}
	for _, link := range []struct {
		of  record.Object
		key string
	}{{o.At("links"), "next"}, {o, "next_link"}, {o, "next"}} {
		if next = link.of.Text(link.key); next != "" {
			break
		}
	}
	return entries, next, nil
}

// follow returns an address in an answer, which has to be on the server that gave the answer.
func (s *Server) follow(from, to string) (string, error) {
	if to == "" {
		return "", nil
	}
	base, err := url.Parse(from)
	if err != nil {
		return "", s.blame(from, err)
	}
	u, err := base.Parse(to)
	if err != nil || u.User != nil {
		return "", s.blame(from, fmt.Errorf("next page %q: not an address", fetch.Redact(to)))
	}
	if u.Scheme != s.root.Scheme || u.Host != s.root.Host {
		return "", fmt.Errorf("%s: next page %s: on another server: %w", fetch.Redact(from), fetch.Redact(u.String()), fetch.ErrRefused)
	}
	u.Fragment = ""
	return u.String(), nil
}
