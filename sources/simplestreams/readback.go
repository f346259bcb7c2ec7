package simplestreams

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
)

// readProducts reads a products file back that has to have the products that are named.
func readProducts(names []string) rebuild.Read {
	return func(r io.Reader) error {
		left := make(map[string]bool, len(names))
		for _, name := range names {
			left[name] = true
		}
		_, err := streams.Scan(r, func(p *streams.Product, _ int64) error {
			if !left[p.Name] {
				return fmt.Errorf("product %s: was not chosen, or occurs twice", p.Name)
			}
			delete(left, p.Name)
			return nil
		})
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("products: want %d, got %d", len(names), len(names)-len(left))
		}
		return err
	}
}

// readIndex reads an index back that has to have these entries, in any order.
func readIndex(entries []streams.Entry) rebuild.Read {
	meant := slices.SortedFunc(slices.Values(entries), func(a, b streams.Entry) int { return strings.Compare(a.ID, b.ID) })
	return func(r io.Reader) error {
		got, err := streams.ReadIndex(r)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(got.Entries, meant, func(a, b streams.Entry) bool { return a.ID == b.ID && a.Path == b.Path }) {
			return fmt.Errorf("entries: want %d, got %d, or other ones", len(meant), len(got.Entries))
		}
		return nil
	}
}

// readSigned reads a clear-signed file back that has to be the text that text opens.
func readSigned(text func() (io.ReadCloser, error)) rebuild.Read {
	return func(r io.Reader) error {
		in, err := text()
		if err != nil {
			return err
		}
		want, got := readers.NewTextSum(), readers.NewTextSum()
		_, err = io.Copy(want, in)
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
		if _, err := streams.Unsign(got, r); err != nil {
			return err
		}
		if got.Sum() != want.Sum() {
			return errors.New("the signed text is another one")
		}
		return nil
	}
}
