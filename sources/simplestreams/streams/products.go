package streams

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxKeys bounds the names of fields of a file; real ones have about 30.
const maxKeys = 10_000

// Product is one product, with everything below it.
type Product struct {
	Name   string
	Fields Object // as they are in the file, "versions" among them
	// Versions are sorted by name.
	Versions []Version
}

// Version is a version of a product.
type Version struct {
	Name   string
	Fields Object
	Items  []Item // sorted by name
}

// Item is a file that a product has.
type Item struct {
	Name   string
	Fields Object
}

// Scan reads a products file and calls visit for each product, in the order of
// the file; offset is the byte after its name, from which ReadProduct reads it
// again. The header, all fields but the products, is known only at the end. Errors match bundle.ErrMalformed, except those of the reader and of
// visit.
func Scan(in io.Reader, visit func(p *Product, offset int64) error) (Object, error) {
	r := newReader(in)
	header := Object{}
	count := 0
	err := r.object("products file", func(key string) (err error) {
		if key != "products" {
			header[key], err = r.bounded(key)
			return err
		}
		return r.object("products", func(name string) error {
			if count++; count > MaxProductCount {
				return r.malformed("more than %d products", MaxProductCount)
			}
			offset := r.tokens.InputOffset()
			p, err := r.product(name)
			if err != nil {
				return err
			}
			return visit(p, offset)
		})
	})
	if err == nil {
		err = r.end()
	}
	if err == nil {
		err = checkFormat(header, FormatProducts)
	}
	return header, err
}

// ReadProduct reads the product that Scan found at an offset of the file; in
// begins there.
func ReadProduct(in io.Reader, name string) (*Product, error) {
	b := bufio.NewReader(in)
	for { // blanks and the colon are after the name
		c, err := b.ReadByte()
		if err != nil {
			return nil, err
		}
		if c == ':' {
			break
		}
	}
	return newReader(b).product(name)
}

func (r *reader) product(name string) (*Product, error) {
	p := &Product{Name: name}
	if err := checkName("product", name); err != nil {
		return nil, err
	}
	v, err := r.bounded(name)
	if err != nil {
		return nil, err
	}
	var ok bool
	if p.Fields, ok = v.(Object); !ok {
		return nil, r.malformed("product %s: want an object", name)
	}
	err = each(p.Fields, "versions", "version", func(name string, fields Object) error {
		version := Version{Name: name, Fields: fields}
		if strings.Contains(name, "/") {
			return fmt.Errorf("version %.80q: a slash in its name: %w", name, bundle.ErrMalformed)
		}
		err := each(fields, "items", "item", func(name string, fields Object) error {
			version.Items = append(version.Items, Item{name, fields})
			return nil
		})
		p.Versions = append(p.Versions, version)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", name, err)
	}
	return p, nil
}

// each calls f for the objects of a table of objects, sorted by name. No table
// is an empty one.
func each(fields Object, key, what string, f func(name string, fields Object) error) error {
	v, there := fields[key]
	if !there {
		return nil
	}
	table, ok := v.(Object)
	if !ok {
		return fmt.Errorf("%s: want an object: %w", key, bundle.ErrMalformed)
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if err := checkName(what, name); err != nil {
			return err
		}
		fields, ok := table[name].(Object)
		if !ok {
			return fmt.Errorf("%s %s: want an object: %w", what, name, bundle.ErrMalformed)
		}
		if err := f(name, fields); err != nil {
			return fmt.Errorf("%s %s: %w", what, name, err)
		}
	}
	return nil
}

// File is a products file that can be read at any place: the names of its
// products are in memory, and one product at a time.
type File struct {
	Header Object
	// Names are those of the products, sorted.
	Names []string
	// Keys are the names of fields that a filter can see at some item.
	Keys map[string]bool

	at      io.ReaderAt
	size    int64
	offsets map[string]int64
	aliases Object
}

// Open scans a products file of size bytes. All of it is read and checked.
func Open(at io.ReaderAt, size int64) (*File, error) {
	f := &File{at: at, size: size, offsets: map[string]int64{}, Keys: map[string]bool{}}
	var err error
	f.Header, err = Scan(io.NewSectionReader(at, 0, size), func(p *Product, offset int64) error {
		f.Names = append(f.Names, p.Name)
		f.offsets[p.Name] = offset
		return f.addKeys(p)
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(f.Names)
	if f.aliases, err = aliasesOf(f.Header); err != nil {
		return nil, err
	}
	addScalars(f.Keys, f.Header)
	for _, table := range f.aliases {
		for _, fields := range table.(Object) {
			addScalars(f.Keys, fields.(Object))
		}
	}
	for _, key := range []string{keyProduct, keyVersion, keyItem} {
		f.Keys[key] = true
	}
	return f, nil
}

// NewFile returns a file of which nothing but the header is known: for Expand.
func NewFile(header Object) (*File, error) {
	aliases, err := aliasesOf(header)
	return &File{Header: header, aliases: aliases}, err
}

func (f *File) addKeys(p *Product) error {
	items := 0
	for _, v := range p.Versions {
		for _, i := range v.Items {
			addScalars(f.Keys, i.Fields)
			items++
		}
		addScalars(f.Keys, v.Fields)
	}
	if items > 0 {
		addScalars(f.Keys, p.Fields)
	}
	if len(f.Keys) > maxKeys {
		return fmt.Errorf("product %s: more than %d names of fields: %w", p.Name, maxKeys, bundle.ErrMalformed)
	}
	return nil
}

func addScalars(keys map[string]bool, fields Object) {
	for key, v := range fields {
		if _, ok := text(v); ok {
			keys[key] = true
		}
	}
}

// Product reads a product of the file.
func (f *File) Product(name string) (*Product, error) {
	offset := f.offsets[name]
	return ReadProduct(io.NewSectionReader(f.at, offset, f.size-offset), name)
}

// Write writes a products file with the header and the products that are
// named, which edit may change (nil of edit: as they are). Keys are sorted,
// each level has two blanks: equal content has equal bytes.
func (f *File) Write(w io.Writer, header Object, names []string, edit func(*Product) error) error {
	out := bufio.NewWriter(w)
	keys := slices.Sorted(maps.Keys(header))
	at, _ := slices.BinarySearch(keys, "products")
	keys = slices.Insert(keys, at, "products")
	for i, key := range keys {
		separate(out, i, "{", "  ", key)
		if key != "products" {
			if err := put(out, header[key], "  "); err != nil {
				return err
			}
			continue
		}
		for j, name := range slices.Sorted(slices.Values(names)) {
			p, err := f.Product(name)
			if err == nil {
				err = edit(p)
			}
			if err != nil {
				return err
			}
			separate(out, j, "{", "    ", name)
			if err := put(out, p.Fields, "    "); err != nil {
				return err
			}
		}
		if len(names) == 0 {
			fmt.Fprint(out, "{")
		}
		fmt.Fprint(out, "\n  }")
	}
	fmt.Fprint(out, "\n}\n")
	return out.Flush()
}

// separate begins a field of an object: i is how many are before it.
func separate(out *bufio.Writer, i int, brace, indent, key string) {
	if i > 0 {
		brace = ","
	}
	name, _ := marshal(key, "") // text can always be marshalled
	fmt.Fprintf(out, "%s\n%s%s: ", brace, indent, bytes.TrimSpace(name))
}

func put(out *bufio.Writer, v any, prefix string) error {
	b, err := marshal(v, prefix)
	if err == nil {
		_, err = out.Write(bytes.TrimRight(b, "\n"))
	}
	return err
}

// Keep leaves those versions of a product and those of their items for which
// keep is true; versions without items go.
func (p *Product) Keep(keep func(version, item string) bool) {
	versions := Object{}
	kept := p.Versions[:0]
	for _, v := range p.Versions {
		v.Items = slices.DeleteFunc(v.Items, func(i Item) bool { return !keep(v.Name, i.Name) })
		if len(v.Items) == 0 {
			continue
		}
		items := Object{}
		for _, i := range v.Items {
			items[i.Name] = i.Fields
		}
		v.Fields["items"] = items
		versions[v.Name] = v.Fields
		kept = append(kept, v)
	}
	p.Versions = kept
	p.Fields["versions"] = versions
}

// Size returns the field "size" of an item, -1 if there is none.
func Size(get func(key string) (any, bool)) (int64, error) {
	v, ok := get("size")
	if !ok {
		return -1, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("size %v: want a number: %w", v, bundle.ErrMalformed)
	}
	size, err := n.Int64()
	if err != nil || size < 0 {
		return 0, fmt.Errorf("size %.40s: want 0 to 2^63-1: %w", n, bundle.ErrMalformed)
	}
	return size, nil
}
