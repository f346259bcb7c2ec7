package simplestreams

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
)

// Who reads a source; see view.
const (
	readersMAAS       = "maas"
	readersContainers = "lxd"
	readersItems      = "items"
)

// Annotations. indexKey and keysKey are the repository's, the others those of
// upstream's index, in whose list they are when nothing of it is read again.
const (
	indexKey   = "index"
	keysKey    = "keys"
	readersKey = "readers"
	releaseKey = "release-"
)

// view is what the readers of a source make of its streams.
type view struct {
	index   *streams.Index
	shapes  map[streams.Shape]bool
	current map[streams.Shape]bool // of the file that is looked at
	header  error
	misfits []error // by the rules of MAAS, and of LXD and Incus

	// releases are what MAAS installs, by os and release, with their architectures.
	releases map[[2]string]map[string]bool
	// bootable are (arch, release, subarch) for which there is a bootloader where
	// MAAS needs one.
	triples            map[[3]string]bool
	boots              map[string]bool
	products, versions int64
}

func newView(index *streams.Index) *view {
	return &view{
		index: index, shapes: map[streams.Shape]bool{}, releases: map[[2]string]map[string]bool{},
		triples: map[[3]string]bool{}, boots: map[string]bool{},
	}
}

// begin begins a products file.
func (v *view) begin(header streams.Object) {
	v.current, v.header = map[streams.Shape]bool{}, streams.FitsHeader(header)
}

// product looks at a product of the file.
func (v *view) product(p *streams.Product) {
	shape := p.Shape()
	v.current[shape], v.shapes[shape] = true, true
	v.products++
	v.versions += int64(len(p.Versions))
	if err := p.Fits(shape); err != nil && len(v.misfits) < maxNotes {
		v.misfits = append(v.misfits, err)
	}
	for _, arch := range p.Boots() {
		v.boots[arch] = true
	}
	triple, ok := p.Bootable(shape)
	if !ok {
		return
	}
	v.triples[triple] = true
	system, _ := p.Fields["os"].(string)
	key := [2]string{system, triple[1]}
	if v.releases[key] == nil {
		v.releases[key] = map[string]bool{}
	}
	v.releases[key][triple[0]] = true
}

// end ends a products file; what names it.
func (v *view) end(what string) {
	maas := slices.ContainsFunc(slices.Collect(maps.Keys(v.current)), streams.Shape.MAAS)
	switch {
	case maas && v.header != nil:
		v.misfits = append(v.misfits, fmt.Errorf("%s: %w", what, v.header))
	case maas && len(v.current) > 1:
		v.misfits = append(v.misfits, fmt.Errorf("%s: products of several kinds in one file: %w", what, bundle.ErrIncomplete))
	case len(v.current) == 0:
		v.shapes[streams.ShapeOther] = true // MAAS refuses a file without products
	}
}

// isFor reports who reads the source: MAAS if one product is made for it.
func (v *view) isFor() string {
	for shape := range v.shapes {
		if shape.MAAS() {
			return readersMAAS
		}
	}
	if v.shapes[streams.ShapeContainer] {
		return readersContainers
	}
	return readersItems
}

// misfit is why the readers that a source is for cannot use it; nil: they can.
func (v *view) misfit() error {
	if v.isFor() == readersMAAS {
		if err := v.index.Fits(); err != nil {
			return err
		}
		if v.shapes[streams.ShapeOther] || v.shapes[streams.ShapeContainer] {
			return fmt.Errorf("it has products that are of none of MAAS's models: %w", bundle.ErrIncomplete)
		}
	}
	if len(v.misfits) > 0 {
		return v.misfits[0]
	}
	return nil
}

// readers are those that find the source complete.
func (v *view) readers() string {
	if v.misfit() != nil {
		return readersItems
	}
	return v.isFor()
}

// bootable counts what MAAS can boot and install.
func (v *view) bootable() int64 {
	n := int64(0)
	for triple := range v.triples {
		if v.boots[triple[0]] || !streams.NeedsBootloader(triple[0]) {
			n++
		}
	}
	return n
}

// release is what a person selects in MAAS.
type release struct {
	OS      string   `json:"os"`
	Release string   `json:"release"`
	Arches  []string `json:"arches"`
}

const (
	// releasesOfPart is how many releases are in one annotation, maxParts how many
	// annotations there are.
	releasesOfPart = 15
	maxParts       = 40
)

// annotations tell Check and Clients what they cannot find out from a list.
func (v *view) annotations() (map[string]string, error) {
	all := map[string]string{readersKey: v.readers()}
	if all[readersKey] != readersMAAS {
		return all, nil
	}
	var parts [][]release
	keys := slices.SortedFunc(maps.Keys(v.releases), func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	for chunk := range slices.Chunk(keys, releasesOfPart) {
		var part []release
		for _, key := range chunk {
			part = append(part, release{key[0], key[1], slices.Sorted(maps.Keys(v.releases[key]))})
		}
		parts = append(parts, part)
	}
	return all, sources.Annotate(all, releaseKey, parts[:min(len(parts), maxParts)])
}
