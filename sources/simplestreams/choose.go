package simplestreams

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// selection is what a rebuilt source carries.
type selection struct {
	files []chosenFile
	stock stock.Stock
	// arches are those of the images, boots those that a bootloader is there for.
	arches, boots map[string]bool
	subarches     map[string]bool            // that upstream has
	values        map[string]map[string]bool // of the fields that filters ask for
	pathless      int                        // items that name no file
	images        int                        // products that are no bootloaders
}

// chosenFile is what is chosen of a products file; none is none.
type chosenFile struct {
	*productsFile
	products map[string][]chosenVersion
	shape    streams.Shape
}

type chosenVersion struct {
	name  string
	items []string
}

// Why a file is in the mirror.
const (
	reasonFilter     = "chosen by the filters"
	reasonBootloader = "bootloader for the chosen architectures"
	reasonListed     = "in upstream's products"
)

// choose chooses images by the filters, and then bootloaders for them.
func (r *reading) choose() (*selection, error) {
	if err := r.checkKeys(); err != nil {
		return nil, err
	}
	s := &selection{arches: map[string]bool{}, boots: map[string]bool{}, subarches: map[string]bool{}, values: map[string]map[string]bool{}}
	for _, f := range r.files {
		s.files = append(s.files, chosenFile{productsFile: f, products: map[string][]chosenVersion{}})
	}
	for _, bootloaders := range []bool{false, true} {
		for i := range s.files {
			f := &s.files[i]
			before := s.pathless
			for _, name := range f.Names {
				if err := r.chooseProduct(s, f, name, bootloaders); err != nil {
					return nil, upstream.Blame(r.place.Where(f.entry.Path), err)
				}
			}
			if s.pathless > before && len(f.products) == 0 {
				r.note("%s: left out: its items name no files, as images of a cloud do, and MAAS refuses a source that has one", f.entry.ID)
			}
		}
	}
	s.files = slices.DeleteFunc(s.files, func(f chosenFile) bool { return len(f.products) == 0 })
	return s, r.checkChoice(s)
}

// checkKeys refuses a filter by a field that no item has: it chooses nothing or
// everything, and neither is meant.
func (r *reading) checkKeys() error {
	keys := map[string]bool{}
	for _, f := range r.files {
		maps.Copy(keys, f.Keys)
	}
	for _, f := range r.options.Filters {
		if !keys[f.Key] {
			return r.options.Pos.Errorf("filter %s: no item has a field %s; items have %s", f.Text, f.Key, some(keys))
		}
	}
	return nil
}

// see remembers some values of the fields that the filters use. If no item passes, the error
// lists them.
func (s *selection) see(filters []streams.Filter, get func(string) (any, bool)) {
	const most = 50
	for i := range filters {
		key := filters[i].Key
		if s.values[key] == nil {
			s.values[key] = map[string]bool{}
		}
		if v, ok := get(key); ok && len(s.values[key]) < most {
			s.values[key][fmt.Sprintf("%.100v", v)] = true
		}
	}
}

// some lists names for people.
func some(names map[string]bool) string {
	const most = 40
	all := slices.Sorted(maps.Keys(names))
	if len(all) > most {
		all = append(all[:most], "...")
	}
	return strings.Join(all, ", ")
}

// chooseProduct chooses versions of one product: of images by the filters in
// the first round, of bootloaders in the second.
func (r *reading) chooseProduct(s *selection, f *chosenFile, name string, bootloaders bool) error {
	p, err := f.Product(name)
	if err != nil {
		return err
	}
	shape := p.Shape()
	if (shape == streams.ShapeBootloader) != bootloaders || bootloaders && !r.wantsBootloader(s, p) {
		return nil
	}
	if err := f.Expand(p); err != nil {
		return err
	}
	var chosen []chosenVersion
	for _, v := range slices.Backward(p.Versions) {
		if len(chosen) == r.options.newest() {
			break
		}
		items, err := r.chooseItems(s, f, p, &v, shape)
		if err != nil {
			return err
		}
		if len(items) > 0 {
			chosen = append(chosen, chosenVersion{v.Name, items})
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	f.products[name] = chosen
	if !bootloaders {
		s.images++
	}
	if arch, ok := p.Fields["arch"].(string); ok && !bootloaders {
		s.arches[arch] = true
	}
	for _, arch := range p.Boots() {
		s.boots[arch] = true
	}
	return r.carryAll(s, f, p, chosen, bootloaders)
}

// wantsBootloader: filters do not touch bootloaders.
func (r *reading) wantsBootloader(s *selection, p *streams.Product) bool {
	switch r.options.Bootloaders {
	case bootNone:
		return false
	case bootAll:
		return true
	}
	return slices.ContainsFunc(p.Boots(), func(arch string) bool { return s.arches[arch] })
}

// chooseItems returns the items of a version that the filters let through; none
// if the version is not to be carried.
func (r *reading) chooseItems(s *selection, f *chosenFile, p *streams.Product, v *streams.Version, shape streams.Shape) ([]string, error) {
	var items []string
	for i := range v.Items {
		item := &v.Items[i]
		if _, ok := item.Fields["path"].(string); !ok {
			s.pathless++
			continue
		}
		get := streams.Lookup(f.Header, p, v, item)
		if shape == streams.ShapeBootloader || r.lets(s, item, get) {
			items = append(items, item.Name)
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	kept := func(item string) bool { return slices.Contains(items, item) }
	if shape == streams.ShapeContainer && v.As(shape, v.Has) != shape {
		r.note("%s, version %s: skipped: upstream has no metadata of it, and LXD and Incus do not see it", p.Name, v.Name)
		return nil, nil
	}
	shape = v.As(shape, kept)
	missing := v.Lacks(shape, kept)
	if missing == "" {
		return items, nil
	}
	if v.Lacks(shape, v.Has) == "" {
		return nil, r.options.Pos.Errorf("filters: leave out %s of product %s, version %s: a %s is not complete without", missing, p.Name, v.Name, shape)
	}
	r.note("%s, version %s: skipped: upstream has no %s of it", p.Name, v.Name, missing)
	return nil, nil
}

// lets reports whether an item passes subarch and all filters. Differences
// between versions (.vcdiff) are carried only where a filter names them.
func (r *reading) lets(s *selection, item *streams.Item, get func(string) (any, bool)) bool {
	if v, ok := get("subarch"); ok {
		s.subarches[fmt.Sprint(v)] = true
	}
	if len(r.options.Subarch) > 0 {
		v, ok := get("subarch")
		if !ok || !slices.Contains(r.options.Subarch, fmt.Sprint(v)) {
			return false
		}
	}
	path, _ := item.Fields["path"].(string)
	difference := strings.HasSuffix(path, ".vcdiff")
	s.see(r.options.Filters, get)
	for i := range r.options.Filters {
		if !r.options.Filters[i].Matches(get) {
			return false
		}
		difference = difference && !r.options.Filters[i].Names("vcdiff")
	}
	return !difference
}

// carryAll adds the files of what was chosen of a product.
func (r *reading) carryAll(s *selection, f *chosenFile, p *streams.Product, chosen []chosenVersion, bootloaders bool) error {
	reason := reasonFilter
	if bootloaders {
		reason = reasonBootloader
	}
	for _, c := range chosen {
		at, _ := slices.BinarySearchFunc(p.Versions, c.name, func(v streams.Version, name string) int { return strings.Compare(v.Name, name) })
		v, first := &p.Versions[at], len(s.stock.Files)
		for i := range v.Items {
			if !slices.Contains(c.items, v.Items[i].Name) {
				continue
			}
			if err := r.carry(&s.stock, f.productsFile, p, v, &v.Items[i], reason); err != nil {
				return err
			}
		}
		name(s.stock.Files[first:], f.productsFile, p, v)
	}
	return nil
}

// carry adds the file of an item, if it has one.
func (r *reading) carry(to *stock.Stock, f *productsFile, p *streams.Product, v *streams.Version, i *streams.Item, reason string) error {
	place, ok, err := streams.Locate(f.Header, p, v, i)
	if err != nil || !ok {
		return err
	}
	file := stock.File{Path: place.Path, Size: place.Size, Digest: place.Digest, Place: r.place, From: place.Path, Reason: reason}
	if r.entry.keys == nil {
		file.More = &stock.More{Vouched: r.vouched}
	}
	to.Add(file)
	return nil
}

// checkChoice refuses what no reader could use, and notes what a person would
// not expect.
func (r *reading) checkChoice(s *selection) error {
	for _, name := range r.options.Subarch {
		if !s.subarches[name] {
			return r.options.Pos.Errorf("subarch %s: no product has it; they have %s", name, some(s.subarches))
		}
	}
	if s.images == 0 && (len(r.options.Filters)+len(r.options.Subarch) > 0 || len(s.files) == 0) {
		var filters []string
		for _, f := range r.options.Filters {
			filters = append(filters, fmt.Sprintf("%s (there are %s)", f.Text, some(s.values[f.Key])))
		}
		return r.options.Pos.Errorf("source %s: filters: no item passes all of them: %s", r.name, strings.Join(filters, ", "))
	}
	maas := false
	for i := range s.files {
		f := &s.files[i]
		if err := r.shapeOf(f); err != nil {
			return err
		}
		maas = maas || f.shape.MAAS()
	}
	for i := range s.files {
		if f := &s.files[i]; maas && !f.shape.MAAS() {
			return fmt.Errorf("%s: products for MAAS are chosen, and it would refuse the source for this file, a %s: leave it out by the filter content_id!=%s: %w",
				r.place.Where(f.entry.Path), f.shape, f.entry.ID, fetch.ErrUpstream)
		}
	}
	for _, arch := range slices.Sorted(maps.Keys(s.arches)) {
		if maas && streams.NeedsBootloader(arch) && !s.boots[arch] && r.options.Bootloaders != bootNone {
			r.note("%s: upstream has no bootloader for it: machines need one from elsewhere", arch)
		}
	}
	return nil
}

// shapeOf finds what readers take the chosen products of a file for.
func (r *reading) shapeOf(f *chosenFile) error {
	first := ""
	for _, name := range slices.Sorted(maps.Keys(f.products)) {
		p, err := f.Product(name)
		if err != nil {
			return err
		}
		keep(p, f.products[name])
		shape := p.Shape()
		switch {
		case first == "":
			first, f.shape = name, shape
		case shape == f.shape:
		case shape.MAAS() || f.shape.MAAS():
			return fmt.Errorf("%s: %s is a %s, %s is a %s: MAAS refuses a file with both: leave one out by a filter: %w",
				r.place.Where(f.entry.Path), first, f.shape, name, shape, fetch.ErrUpstream)
		default:
			f.shape = streams.ShapeOther
		}
	}
	return nil
}

// keep cuts a product down to what was chosen of it.
func keep(p *streams.Product, chosen []chosenVersion) {
	p.Keep(func(version, item string) bool {
		return slices.ContainsFunc(chosen, func(v chosenVersion) bool { return v.name == version && slices.Contains(v.items, item) })
	})
}
