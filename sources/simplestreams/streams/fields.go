package streams

import (
	"fmt"
	"maps"

	"github.com/gapbundle/gapbundle/bundle"
)

// Names that a filter sees besides the fields.
const (
	keyProduct = "product_name"
	keyVersion = "version_name"
	keyItem    = "item_name"
)

// keyAliases is the table of a products file that stands for fields.
const keyAliases = "_aliases"

// aliasesOf reads the table: field -> value -> fields that take its place.
func aliasesOf(header Object) (Object, error) {
	v, there := header[keyAliases]
	if !there {
		return nil, nil
	}
	tables, ok := v.(Object)
	for _, table := range tables {
		values, isTable := table.(Object)
		ok = ok && isTable
		for _, fields := range values {
			_, isObject := fields.(Object)
			ok = ok && isObject
		}
	}
	if !ok {
		return nil, fmt.Errorf("%s: want an object of objects of objects: %w", keyAliases, bundle.ErrMalformed)
	}
	return tables, nil
}

// Expand adds to the fields of a product, of its versions and of its items the
// fields that the file's aliases stand for. A value that the table does not
// have is an error: python-simplestreams does not read such a file.
func (f *File) Expand(p *Product) error {
	if len(f.aliases) == 0 {
		return nil
	}
	if err := f.expand(&p.Fields); err != nil {
		return fmt.Errorf("product %s: %w", p.Name, err)
	}
	for i := range p.Versions {
		v := &p.Versions[i]
		if err := f.expand(&v.Fields); err != nil {
			return fmt.Errorf("product %s, version %s: %w", p.Name, v.Name, err)
		}
		for j := range v.Items {
			if err := f.expand(&v.Items[j].Fields); err != nil {
				return fmt.Errorf("product %s, version %s, item %s: %w", p.Name, v.Name, v.Items[j].Name, err)
			}
		}
	}
	return nil
}

// expand replaces fields by a copy with those that aliases stand for: what the
// file has is still there to be written.
func (f *File) expand(fields *Object) error {
	var more []Object
	for key, table := range f.aliases {
		value, _ := (*fields)[key].(string)
		if value == "" {
			continue
		}
		alias, ok := table.(Object)[value].(Object)
		if !ok {
			return fmt.Errorf("%s %q: is not in %s: %w", key, value, keyAliases, bundle.ErrMalformed)
		}
		more = append(more, alias)
	}
	if len(more) == 0 {
		return nil
	}
	all := maps.Clone(*fields)
	for _, alias := range more {
		for key, v := range alias {
			// Two aliases that set one field would depend on the order of keys.
			if old, twice := all[key]; twice && len(more) > 1 && fmt.Sprint(old) != fmt.Sprint(v) {
				return fmt.Errorf("%s: several of %s set it: %w", key, keyAliases, bundle.ErrMalformed)
			}
			all[key] = v
		}
	}
	*fields = all
	return nil
}

// Lookup returns the field of an item that a reader sees: its own, otherwise the
// version's, the product's, the file's.
func Lookup(header Object, p *Product, v *Version, i *Item) func(key string) (any, bool) {
	levels := []struct {
		key, name string
		fields    Object
	}{{keyItem, i.Name, i.Fields}, {keyVersion, v.Name, v.Fields}, {keyProduct, p.Name, p.Fields}, {"", "", header}}
	return func(key string) (any, bool) {
		for _, l := range levels {
			if key == l.key {
				return l.name, true
			}
			v, there := l.fields[key]
			if _, ok := text(v); there && ok {
				return v, true
			}
		}
		return nil, false
	}
}

// Place is where the content of an item is and what it has to be.
type Place struct {
	Path   string
	Size   int64 // -1: not said
	Digest bundle.Digest
}

// Locate reads the place of an item. ok is false for one that names no file, as
// the images of a cloud do. An item without sha256 is an error, because
// nothing else proves its content.
func Locate(header Object, p *Product, v *Version, i *Item) (place Place, ok bool, err error) {
	get := Lookup(header, p, v, i)
	path, ok := i.Fields["path"].(string)
	if !ok {
		return place, false, nil
	}
	fail := func(err error) (Place, bool, error) {
		return place, true, fmt.Errorf("product %s, version %s, item %s: %w", p.Name, v.Name, i.Name, err)
	}
	if err := CheckItemPath(path); err != nil {
		return fail(err)
	}
	place.Path = path
	if place.Size, err = Size(get); err != nil {
		return fail(err)
	}
	sum, _ := get("sha256")
	hex, _ := sum.(string)
	if hex == "" {
		return fail(fmt.Errorf("no sha256: %w", bundle.ErrMalformed))
	}
	if place.Digest, err = bundle.ParseDigest("sha256:" + hex); err != nil {
		return fail(fmt.Errorf("sha256 %.80q: %w", hex, err))
	}
	return place, true, nil
}
