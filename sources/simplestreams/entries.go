package simplestreams

import (
	"fmt"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
	"github.com/gapbundle/gapbundle/sources/stock"
)

// name sets the name of the files of one version of a product: the largest of them stands
// for all.
func name(files []stock.File, f *productsFile, p *streams.Product, v *streams.Version) {
	if len(files) == 0 {
		return
	}
	get := streams.Lookup(f.Header, p, v, &streams.Item{})
	field := func(key string) string {
		if value, ok := get(key); ok {
			return fmt.Sprint(value)
		}
		return ""
	}
	e := sources.Entry{Name: p.Name, Type: bundle.TypeBootImage, Version: v.Name, Arch: field("arch"), Group: field("label")}
	largest := 0
	var items []string
	for i := range files {
		e.Size += max(0, files[i].Size)
		if files[i].Size > files[largest].Size {
			largest = i
		}
		items = append(items, fmt.Sprintf("%s %s", path.Base(files[i].Path), size(files[i].Size)))
	}
	e.Summary = strings.Join(items, ", ")
	files[largest].Entries = files[largest].Entries.Join(sources.NewEntries(e))
}

// size returns a number of bytes for people.
func size(n int64) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n < 0:
		return "of unknown size"
	case n < mib:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mib)
}

// compareVersions orders versions: they are dates, and readers compare their text.
func compareVersions(_, a, b string) int { return strings.Compare(a, b) }
