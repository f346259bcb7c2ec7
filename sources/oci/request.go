package oci

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/oci/local"
)

// request is what all sources of the set want of one image.
type request struct {
	image
	repo      *registry.Repository
	stores    []*local.Store // layouts and archives that the image is in, instead of a registry
	owner     *entry         // the first source that names the image: its files are that one's
	wants     []want
	choices   []choice
	platforms platforms
	foreign   bool // foreign layers are fetched
	attached  bool // what is attached is carried
}

// requestsOf collects what the sources want of each image, sorted by its folder in the
// mirror. Two images that would have one folder there are an error.
func requestsOf(client *registry.Client, entries []*entry) ([]*request, error) {
	byImage := map[image]*request{}
	of := func(i image, e *entry) *request {
		q := byImage[i]
		if q == nil {
			q = &request{image: i, owner: e, platforms: e.options.Platforms}
			byImage[i] = q
		} else {
			q.platforms = q.platforms.union(e.options.Platforms)
		}
		q.foreign = q.foreign || e.options.ForeignLayers == foreignFetch
		q.attached = q.attached || e.options.Signatures != signaturesNone
		return q
	}
	for _, e := range entries {
		for _, w := range e.wants {
			q := of(w.image, e)
			q.wants = append(q.wants, w)
			if w.held != nil && !slices.Contains(q.stores, w.held.store) {
				q.stores = append(q.stores, w.held.store)
			}
		}
		for _, c := range e.choices {
			q := of(c.image, e)
			q.choices = append(q.choices, c)
		}
	}
	all := slices.SortedFunc(maps.Values(byImage), func(a, b *request) int {
		return cmp.Or(strings.Compare(a.dir(), b.dir()), strings.Compare(a.String(), b.String()))
	})
	var errs []error
	for i, q := range all {
		errs = append(errs, q.oneOrigin())
		var err error
		if q.repo, err = client.Repository(q.String()); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w: %w", q.image, err, bundle.ErrUsage))
		}
		if i > 0 && all[i-1].dir() == q.dir() {
			errs = append(errs, fmt.Errorf("%s and %s: would have one name in the mirror: %w", all[i-1].image, q.image, bundle.ErrUsage))
		}
	}
	return all, strictyaml.Join(errs...)
}

// at adds the place of the reference to an error.
func (w want) at(err error) error {
	return w.pos.Wrap(fmt.Errorf("source %s: %s: %w", w.entry.name, w.ref, err))
}

// address returns where something of the image is at its registry, without secrets.
func (q *request) address(reference string) string {
	return q.within(areaManifests, reference)
}

// within returns the address of a manifest or a blob; "" of one that is in a layout or an archive,
// which nobody else could ask for.
func (q *request) within(area, reference string) string {
	if len(q.stores) > 0 {
		return ""
	}
	return q.origin() + "/" + area + "/" + reference
}

func (q *request) origin() string {
	scheme, host := "https", q.host
	if slices.ContainsFunc(q.sources(), func(e *entry) bool { return slices.Contains(e.options.PlainHTTP, q.host) }) {
		scheme = "http"
	}
	if host == dockerHub {
		host = dockerHubAddress
	}
	return scheme + "://" + host + "/v2/" + q.name
}

// connection returns how content is vouched for that no pin and no signature covers.
func (q *request) connection() string {
	switch {
	case len(q.stores) > 0:
		return bundle.VouchedLocal
	case q.unprotected():
		return bundle.VouchedNone
	}
	return bundle.VouchedTLS
}

// unprotected reports whether the registry, or a mirror of it, is asked without TLS.
func (q *request) unprotected() bool {
	return strings.HasPrefix(q.origin(), "http:") || slices.ContainsFunc(q.sources(), func(e *entry) bool {
		return slices.ContainsFunc(e.options.Mirrors[q.host], func(m string) bool { return strings.HasPrefix(m, "http:") })
	})
}

// sources returns the sources that name the image.
func (q *request) sources() []*entry {
	all := []*entry{q.owner}
	for _, w := range q.wants {
		all = append(all, w.entry)
	}
	for _, c := range q.choices {
		all = append(all, c.entry)
	}
	return all
}
