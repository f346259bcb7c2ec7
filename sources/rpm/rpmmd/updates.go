package rpmmd

import (
	"fmt"
	"io"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// Fix means that a package is part of an advisory.
type Fix struct {
	ID   string // of the advisory
	Name string
	EVR  EVR
	Arch string
}

// maxFixes bounds the packages of all advisories of a repository: those of RHEL 9 with
// all of its updates have 300,000.
const maxFixes = 5_000_000

// Updates streams the packages that the advisories of an updateinfo.xml name. Errors
// match bundle.ErrMalformed, or are those of r.
func Updates(r io.Reader) iter.Seq2[Fix, error] {
	return func(yield func(Fix, error) bool) {
		d, err := newDocument(r, "updates")
		for count := 0; err == nil; {
			var start *token
			if start, err = d.next(); err == io.EOF {
				return
			}
			if err != nil || start.name != "update" {
				continue
			}
			var all []Fix
			if all, err = readUpdate(d); err != nil {
				break
			}
			if count += len(all); count > maxFixes {
				err = fmt.Errorf("more than %d packages in advisories: %w", maxFixes, bundle.ErrMalformed)
				break
			}
			for _, f := range all {
				if !yield(f, nil) {
					return
				}
			}
		}
		yield(Fix{}, err)
	}
}

// readUpdate reads one advisory.
func readUpdate(d *document) (all []Fix, err error) {
	var id []byte
	err = d.each("update", func(path []string, t *token) error {
		switch {
		case len(path) == 2 && path[1] == "id" && t.kind == charData && len(id) < bundle.MaxFix:
			id = append(id, t.text...)
		case len(path) == 4 && path[3] == "package" && t.kind == startTag:
			if e, err := NewEVR(attr(t, "epoch"), attr(t, "version"), attr(t, "release")); err == nil {
				all = append(all, Fix{Name: attr(t, "name"), EVR: e, Arch: attr(t, "arch")})
			}
		}
		return nil
	})
	for i := range all {
		all[i].ID = string(id)
	}
	return all, err
}
