package index

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Reader asks the indexes of one source, each thing once. Its methods are safe for use by
// several goroutines.
type Reader struct {
	// LookForFiles makes Metadata look whether a wheel is there, too, if the index has its
	// metadata. It is set before the first call.
	LookForFiles bool

	env         *sources.Env
	scratchName string
	known       Memo[*File, *Known]

	mu      sync.Mutex
	local   int   // files in scratch so far
	scratch int64 // and their bytes
	asked   []pages.Asked
}

// NewReader reads for a source; its files in scratch begin with scratchName.
func NewReader(env *sources.Env, scratchName string) *Reader {
	return &Reader{env: env, scratchName: scratchName}
}

// Scratch returns how many bytes were put into scratch.
func (r *Reader) Scratch() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scratch
}

// Asked returns the pages that were requested so far.
func (r *Reader) Asked() []pages.Asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// Memo makes the value of each key once, whoever asks.
type Memo[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]func() (V, error)
}

// Get returns the value of a key; read makes it.
func (m *Memo[K, V]) Get(key K, read func() (V, error)) (V, error) {
	m.mu.Lock()
	call := m.calls[key]
	if call == nil {
		if m.calls == nil {
			m.calls = map[K]func() (V, error){}
		}
		call = sync.OnceValues(read)
		m.calls[key] = call
	}
	m.mu.Unlock()
	return call()
}

// File is a file that an index or a lock names.
type File struct {
	simple.File
	Parsed *tags.File // of its name
	Python pep440.Set
	Index  string // of its page; "": a lock or a requirement has its address
	Pinned string // who has its digest, "": the index alone
	Local  string // in scratch, where all of it had to be read
}

// Page reads the page of a name on an index; nil: it has none.
func (r *Reader) Page(ctx context.Context, index, name string) (*simple.Page, error) {
	req, err := request(ctx, index, name)
	if err != nil {
		return nil, err
	}
	where := fetch.Redact(req.URL.String())
	resp, err := r.env.Fetch.Exchange(req, simple.MaxPage)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		r.remember(index, name, resp)
	case http.StatusNotFound, http.StatusGone:
		r.remember(index, name, resp)
		return nil, nil
	default:
		return nil, fmt.Errorf("%s: status %d, want a page of an index: %w", where, resp.StatusCode, fetch.ErrUpstream)
	}
	content, err := bundle.ReadAllBounded(resp.Body, where, simple.MaxPage)
	if err != nil {
		return nil, upstream.Blame(where, err)
	}
	page, err := simple.Parse(resp.Header.Get("Content-Type"), resp.Request.URL.String(), content)
	if err != nil {
		return nil, upstream.Blame(where, err)
	}
	if page.Name != "" && marker.NormalName(page.Name) != name {
		return nil, fmt.Errorf("%s: is the page of %.100q: %w", where, page.Name, fetch.ErrUpstream)
	}
	return page, nil
}

// remember records a page.
func (r *Reader) remember(index, name string, resp *http.Response) {
	one := pages.Asked{Name: name, Index: fetch.Redact(index), Absent: resp.StatusCode != http.StatusOK}
	if !one.Absent {
		one.ETag, one.Modified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, one)
}

// request makes the request for the page of a name.
func request(ctx context.Context, index, name string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, index+url.PathEscape(name)+"/", nil)
	if err == nil {
		req.Header.Set("Accept", simple.Accept)
	}
	return req, err
}

// IsSame asks one of indexes whether a page is the one that was read.
func IsSame(ctx context.Context, env *sources.Env, indexes []string, a pages.Asked) (bool, error) {
	i := slices.IndexFunc(indexes, func(index string) bool { return fetch.Redact(index) == a.Index })
	if i < 0 || !a.Absent && a.ETag == "" && a.Modified == "" {
		return false, nil
	}
	req, err := request(ctx, indexes[i], a.Name)
	if err != nil {
		return false, err
	}
	if a.ETag != "" {
		req.Header.Set("If-None-Match", a.ETag)
	} else if a.Modified != "" {
		req.Header.Set("If-Modified-Since", a.Modified)
	}
	resp, err := env.Fetch.Exchange(req, simple.MaxPage)
	if err != nil {
		return false, err
	}
	switch resp.StatusCode {
	case http.StatusNotModified:
		return !a.Absent, nil
	case http.StatusNotFound, http.StatusGone:
		return a.Absent, nil
	}
	return false, nil
}
