package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// MaxMirrors bounds how many mirrors are asked for one file.
const MaxMirrors = 16

// Place is where an upstream has the files of one repository. The zero Place has
// none. It is a value that nobody changes, so it can be shared.
type Place struct{ bases []string }

// At returns the place at one address or at several that are mirrors of one another,
// the preferred one first. A file's URL is a base followed by the file's name,
// so the base of a folder ends with a slash; a base that is the URL of a file
// goes with the name "". CheckAddress has accepted the bases that a person wrote,
// fetch.CheckURL those that an upstream named.
func At(bases ...string) *Place {
	return &Place{slices.Clone(bases[:min(len(bases), MaxMirrors)])}
}

// Bases returns the addresses, the preferred one first.
func (p *Place) Bases() []string { return slices.Clone(p.bases) }

// Prefer returns the place with the i-th address first: the one that an index
// came from has the files that go with it.
func (p *Place) Prefer(i int) *Place {
	bases := append([]string{p.bases[i]}, p.bases[:i]...)
	return &Place{append(bases, p.bases[i+1:]...)}
}

// URL returns the preferred address of a file, with whatever secrets the spec put
// into it. name is a path that is not escaped.
func (p *Place) URL(name string) string { return p.bases[0] + escape(name) }

// Where returns the preferred address of a file without secrets, for errors and
// evidence.
func (p *Place) Where(name string) string { return fetch.Redact(p.URL(name)) }

// escape returns a path as part of a URL.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// urls returns the addresses of a file that has several names, in the order in which
// they are tried.
func (p *Place) urls(names []string) []string {
	if len(names) == 0 {
		names = []string{""}
	}
	all := make([]string, 0, len(p.bases)*len(names))
	for _, base := range p.bases {
		for _, name := range names {
			all = append(all, base+escape(name))
		}
	}
	return all
}

// Page is a file that is held in memory.
type Page struct {
	Content []byte // not nil
	// Meta is what upstream states about it: its final URL without secrets, whether
	// every hop was https, and by Meta.Validator the version.
	Meta fetch.Meta
	// Base is the index of the address that it came from. See Prefer.
	Base int
}

// Read returns the content of a file that has to be there, at most limit bytes.
// Errors match fetch.ErrUpstream or fetch.ErrRefused and name the URL.
func (p *Place) Read(ctx context.Context, env *sources.Env, name string, limit int64) (*Page, error) {
	var page *Page
	err := firstOf(ctx, p.urls([]string{name}), func(i int, url string) error {
		content, meta, err := readURL(ctx, env, url, limit)
		if err == nil {
			page = &Page{Content: content, Meta: *meta, Base: i}
		}
		return err
	})
	return page, err
}

// First works like Read, for the first file that is read of a repository and that has a
// substitute: nil means that it is not there. 403 is an error, because nothing was
// read next to it that would show that this upstream lets anybody in.
func (p *Place) First(ctx context.Context, env *sources.Env, name string, limit int64) (*Page, error) {
	page, err := p.Read(ctx, env, name, limit)
	if isAbsent(err) {
		return nil, nil
	}
	return page, err
}

// Optional works like Read, for a file next to one that was read from the same place: nil
// means that it is not there, by IsAbsent.
func (p *Place) Optional(ctx context.Context, env *sources.Env, name string, limit int64) (*Page, error) {
	page, err := p.Read(ctx, env, name, limit)
	if IsAbsent(err) {
		return nil, nil
	}
	return page, err
}

// Stat returns what upstream reports about a file without its content. It has one name,
// or several that are tried in turn.
func (p *Place) Stat(ctx context.Context, env *sources.Env, names ...string) (meta *fetch.Meta, err error) {
	err = firstOf(ctx, p.urls(names), func(_ int, url string) (err error) {
		meta, err = statURL(ctx, env, url)
		return err
	})
	return meta, err
}

// Has reports whether upstream has a file next to one that was read from the same
// place, under one of its names. An upstream that does not know is an error.
func (p *Place) Has(ctx context.Context, env *sources.Env, names ...string) (bool, error) {
	_, err := p.Stat(ctx, env, names...)
	if IsAbsent(err) {
		return false, nil
	}
	return err == nil, err
}

// IsAbsent reports whether an error means that a file next to one that was read does not
// exist: 404, 410, or 403, which S3 answers for a missing object when listing is not
// allowed. An upstream that refuses everything is noticed at the file that is read first.
func IsAbsent(err error) bool {
	var status *fetch.StatusError
	return isAbsent(err) || errors.As(err, &status) && status.Status == http.StatusForbidden
}

// isAbsent reports whether upstream answered that there is no such file.
func isAbsent(err error) bool {
	var status *fetch.StatusError
	return errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusGone)
}

// firstOf tries addresses until one succeeds. It ends at a refusal, which another
// address cannot cure. If there are several errors, it returns the first that is not about a
// missing file, because that mirror may have the file.
func firstOf(ctx context.Context, urls []string, try func(i int, url string) error) error {
	var first error
	for i, u := range urls {
		err := try(i, u)
		if err == nil || !errors.Is(err, fetch.ErrUpstream) || ctx.Err() != nil {
			return err
		}
		if first == nil || IsAbsent(first) && !IsAbsent(err) {
			first = err
		}
	}
	return first
}
