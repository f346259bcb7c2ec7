package streams

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// The readers of a source: MAAS, LXD and Incus, or nobody that this package knows.
const (
	ReadersMAAS       = "maas"
	ReadersContainers = "lxd"
	ReadersItems      = "items"
)

// View is what the readers of a source make of its streams. Each products file is
// looked at between Begin and End.
type View struct {
	Index   *Index
	shapes  map[Shape]bool
	current map[Shape]bool // of the file that is looked at
	header  error
	misfits []error // by the rules of MAAS, and of LXD and Incus

	// releases are what MAAS installs, by os and release, with their architectures.
	releases map[[2]string]map[string]bool
	// bootable are (arch, release, subarch) for which there is a bootloader where
	// MAAS needs one.
	triples            map[[3]string]bool
	boots              map[string]bool
	Products, Versions int64 // how many were looked at
}

// NewView returns the view of a source with this index.
func NewView(index *Index) *View {
	return &View{
		Index: index, shapes: map[Shape]bool{}, releases: map[[2]string]map[string]bool{},
		triples: map[[3]string]bool{}, boots: map[string]bool{},
	}
}

// Begin begins a products file.
func (v *View) Begin(header Object) {
	v.current, v.header = map[Shape]bool{}, FitsHeader(header)
}

// Product looks at a product of the file.
func (v *View) Product(p *Product) {
	shape := p.Shape()
	v.current[shape], v.shapes[shape] = true, true
	v.Products++
	v.Versions += int64(len(p.Versions))
	if err := p.Fits(shape); err != nil && len(v.misfits) < maxMisfits {
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

// End ends a products file; what names it.
func (v *View) End(what string) {
	maas := slices.ContainsFunc(slices.Collect(maps.Keys(v.current)), Shape.MAAS)
	switch {
	case maas && v.header != nil:
		v.misfits = append(v.misfits, fmt.Errorf("%s: %w", what, v.header))
	case maas && len(v.current) > 1:
		v.misfits = append(v.misfits, fmt.Errorf("%s: products of several kinds in one file: %w", what, bundle.ErrIncomplete))
	case len(v.current) == 0:
		v.shapes[ShapeOther] = true // MAAS refuses a file without products
	}
}

// isFor reports who reads the source: MAAS if one product is made for it.
func (v *View) isFor() string {
	for shape := range v.shapes {
		if shape.MAAS() {
			return ReadersMAAS
		}
	}
	if v.shapes[ShapeContainer] {
		return ReadersContainers
	}
	return ReadersItems
}

// Misfit returns why the readers that a source is for cannot use it; nil: they can.
func (v *View) Misfit() error {
	if v.isFor() == ReadersMAAS {
		if err := v.Index.Fits(); err != nil {
			return err
		}
		if v.shapes[ShapeOther] || v.shapes[ShapeContainer] {
			return fmt.Errorf("it has products that are of none of MAAS's models: %w", bundle.ErrIncomplete)
		}
	}
	if len(v.misfits) > 0 {
		return v.misfits[0]
	}
	return nil
}

// Readers returns the readers that find the source complete.
func (v *View) Readers() string {
	if v.Misfit() != nil {
		return ReadersItems
	}
	return v.isFor()
}

// Bootable counts what MAAS can boot and install.
func (v *View) Bootable() int64 {
	n := int64(0)
	for triple := range v.triples {
		if v.boots[triple[0]] || !NeedsBootloader(triple[0]) {
			n++
		}
	}
	return n
}

// Release is what a person selects in MAAS.
type Release struct {
	OS      string   `json:"os"`
	Release string   `json:"release"`
	Arches  []string `json:"arches"`
}

// Releases lists what MAAS can install.
func (v *View) Releases() []Release {
	var all []Release
	keys := slices.SortedFunc(maps.Keys(v.releases), func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	for _, key := range keys {
		all = append(all, Release{key[0], key[1], slices.Sorted(maps.Keys(v.releases[key]))})
	}
	return all
}

// maxMisfits bounds the findings that are kept; the first is reported.
const maxMisfits = 20
