package helm

import (
	"fmt"
	"slices"

	"github.com/gapbundle/gapbundle/sources/helm/index"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// readIndex reads an index back that has to have these charts, each with the digest and
// the address of its package.
func readIndex(all []index.Published) rebuild.Read {
	return rebuild.Whole(func(content []byte) error {
		x, err := index.Read(content, func(string) bool { return true })
		if err != nil {
			return err
		}
		if len(x.Skipped) > 0 {
			return fmt.Errorf("not all of it is read: %s", x.Skipped[0])
		}
		got := map[string]*index.Entry{}
		n := 0
		for _, versions := range x.Charts {
			for _, e := range versions {
				got[pack.File(e.Name, e.Version)] = e
				n++
			}
		}
		for _, p := range all {
			file := pack.File(p.Name, p.Version)
			e := got[file]
			switch {
			case e == nil:
				return fmt.Errorf("chart %s %s: is missing", p.Name, p.Version)
			case e.Digest != p.Package.Hex() || !slices.Equal(e.URLs, []string{file}):
				return fmt.Errorf("chart %s %s: want %s at %s, got %s at %q", p.Name, p.Version, p.Package.Hex(), file, e.Digest, e.URLs)
			}
		}
		if n != len(all) {
			return fmt.Errorf("charts: want %d, got %d", len(all), n)
		}
		return nil
	})
}

// readList reads images.json back.
func readList(meant *list) rebuild.Read {
	return rebuild.Whole(func(content []byte) error {
		got, err := parseList(content)
		if err != nil {
			return err
		}
		same := slices.EqualFunc(got.Charts, meant.Charts, func(a, b record) bool { return a.Chart == b.Chart && a.Version == b.Version && a.Digest == b.Digest })
		if !same || !slices.Equal(got.Images, meant.Images) {
			return fmt.Errorf("charts and images: want %d and %d, got %d and %d, or other ones", len(meant.Charts), len(meant.Images), len(got.Charts), len(got.Images))
		}
		return nil
	})
}
