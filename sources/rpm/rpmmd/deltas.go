package rpmmd

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Delta is a delta package that a prestodelta.xml lists. A Size of -1 is not known.
type Delta struct {
	Location, BaseURL string
	Checksum          Checksum
	Size              int64
}

// Deltas streams the delta packages of a prestodelta.xml. Errors match
// bundle.ErrMalformed, or are those of r.
func Deltas(r io.Reader) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		d, err := newDocument(r, "prestodelta")
		if err != nil {
			yield(Delta{}, err)
			return
		}
		for {
			start, err := d.next()
			if err == io.EOF {
				return
			}
			if err == nil && start.name != "newpackage" {
				continue
			}
			var all []Delta
			if err == nil {
				all, err = readDeltas(d)
			}
			for _, one := range all {
				if !yield(one, nil) {
					return
				}
			}
			if err != nil {
				yield(Delta{}, err)
				return
			}
		}
	}
}

// readDeltas reads those that lead to one package.
func readDeltas(d *document) ([]Delta, error) {
	type texts struct {
		Delta
		name, size, sum, kind string
	}
	var found []texts
	err := d.each("newpackage", func(path []string, t *token) error {
		switch t.kind {
		case startTag:
			if len(path) == 2 && path[1] == "delta" {
				if len(found) == maxData {
					return fmt.Errorf("more than %d deltas of one package: %w", maxData, bundle.ErrMalformed)
				}
				found = append(found, texts{})
			}
			if len(path) == 3 && len(found) > 0 {
				one := &found[len(found)-1]
				switch path[2] {
				case "checksum":
					one.kind = attr(t, "type")
				case "filename":
					one.BaseURL = attr(t, "xml:base")
				}
			}
		case charData:
			if len(path) != 3 || len(found) == 0 {
				return nil
			}
			one := &found[len(found)-1]
			switch path[2] {
			case "filename":
				one.name += string(t.text)
			case "size":
				one.size += string(t.text)
			case "checksum":
				one.sum += string(t.text)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []Delta
	for _, one := range found {
		one.Location = strings.TrimSpace(one.name)
		var err error
		if one.Checksum, err = checksum(one.kind, one.sum); err != nil {
			return nil, fmt.Errorf("delta %.100s: %w", one.Location, err)
		}
		if one.Size, err = size(one.size, -1); err != nil {
			return nil, fmt.Errorf("delta %.100s: %w", one.Location, err)
		}
		all = append(all, one.Delta)
	}
	return all, nil
}
