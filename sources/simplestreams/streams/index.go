package streams

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Formats of the two kinds of file.
const (
	FormatIndex    = "index:1.0"
	FormatProducts = "products:1.0"
)

// Datatypes whose items are files of images. MAAS's own mirror calls its
// images "image-ids" although they are files.
const (
	DatatypeDownloads = "image-downloads"
	DatatypeIDs       = "image-ids"
)

// Index is an index file.
type Index struct {
	// Fields are those of the file but the entries.
	Fields Object
	// Entries are sorted by ID.
	Entries []Entry
}

// Entry is what an index states about a products file.
type Entry struct {
	ID string
	// Path is where the products file is, relative to the root of the mirror.
	Path     string
	Datatype string // "": not said
	Fields   Object // all of them, those above included
}

// ReadIndex reads an index. Errors match bundle.ErrMalformed, except those of
// the reader.
func ReadIndex(in io.Reader) (*Index, error) {
	r := newReader(in)
	x := &Index{Fields: Object{}}
	entries := map[string]bool{} // paths
	err := r.object("index", func(key string) (err error) {
		if key != "index" {
			x.Fields[key], err = r.bounded(key)
			return err
		}
		return r.object("index", func(id string) error {
			e, err := r.entry(id)
			if err != nil {
				return err
			}
			if entries[e.Path] {
				return r.malformed("%s: two entries have this path", e.Path)
			}
			entries[e.Path] = true
			x.Entries = append(x.Entries, e)
			return nil
		})
	})
	if err == nil {
		err = r.end()
	}
	if err == nil {
		err = checkFormat(x.Fields, FormatIndex)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(x.Entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return x, nil
}

func (r *reader) entry(id string) (Entry, error) {
	e := Entry{ID: id}
	if err := checkName("content id", id); err != nil {
		return e, err
	}
	v, err := r.bounded(id)
	if err != nil {
		return e, err
	}
	fields, ok := v.(Object)
	if !ok {
		return e, r.malformed("entry %s: want an object", id)
	}
	e.Fields = fields
	e.Path, _ = fields["path"].(string)
	e.Datatype, _ = fields["datatype"].(string)
	if format, said := fields["format"]; said && format != FormatProducts {
		return e, fmt.Errorf("entry %s: format %v, want %s: %w", id, format, FormatProducts, bundle.ErrMalformed)
	}
	if err := CheckStreamPath(e.Path); err != nil {
		return e, fmt.Errorf("entry %s: %w", id, err)
	}
	return e, nil
}

func checkFormat(fields Object, want string) error {
	if got := fields["format"]; got != want {
		return fmt.Errorf("format %v, want %s: %w", got, want, bundle.ErrMalformed)
	}
	return nil
}

// streamsFolder is the folder of indexes and products files.
const streamsFolder = "streams/"

// CheckStreamPath reports what is wrong with the path of an index or a products
// file: it has to be below streams/ and end with .json or .sjson.
func CheckStreamPath(p string) error {
	if err := checkPath(p); err != nil {
		return err
	}
	if !strings.HasPrefix(p, streamsFolder) || !strings.HasSuffix(p, ".json") && !strings.HasSuffix(p, ".sjson") {
		return fmt.Errorf("path %q: want streams/...json or .sjson: %w", p, bundle.ErrMalformed)
	}
	return nil
}

// CheckItemPath reports what is wrong with the path of an item: it is a place
// below the mirror's root, and not one that the mirror itself uses.
func CheckItemPath(p string) error {
	if err := checkPath(p); err != nil {
		return err
	}
	if strings.HasPrefix(p, streamsFolder) || strings.HasPrefix(p, "_") {
		return fmt.Errorf("path %q: the folder of an index, want one of images: %w", p, bundle.ErrMalformed)
	}
	return nil
}

func checkPath(p string) error {
	if err := bundle.CheckPath(p); err != nil {
		return err
	}
	scheme, _, ok := strings.Cut(p, ":/")
	if ok && !strings.Contains(scheme, "/") || p[0] == '.' || strings.Contains(p, "/.") {
		return fmt.Errorf("path %q: a scheme, or a name that begins with a dot: %w", p, bundle.ErrMalformed)
	}
	return nil
}

// Signed returns the path of the clear-signed form of a file, Unsigned that of the
// other one.
func Signed(p string) string {
	if strings.HasSuffix(p, ".sjson") {
		return p
	}
	return strings.TrimSuffix(p, ".json") + ".sjson"
}

// Unsigned returns what Signed describes.
func Unsigned(p string) string {
	if stem, ok := strings.CutSuffix(p, ".sjson"); ok {
		return stem + ".json"
	}
	return p
}

// timeForm is what the readers of "updated" all take.
const timeForm = "Mon, 02 Jan 2006 15:04:05 -0700"

// Updated reads a time of a field "updated"; zero: none that can be read.
func Updated(fields Object) time.Time {
	s, _ := fields["updated"].(string)
	for _, form := range []string{timeForm, time.RFC1123, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// Marshal writes an index with sorted keys, two blanks for each level and a
// newline at the end: equal content has equal bytes.
func (x *Index) Marshal() ([]byte, error) {
	all := maps.Clone(x.Fields)
	entries := Object{}
	for _, e := range x.Entries {
		fields := maps.Clone(e.Fields)
		fields["path"] = e.Path
		entries[e.ID] = fields
	}
	all["index"] = entries
	return marshal(all, "")
}

// marshal returns JSON as people read it; prefix is before each line but the first.
func marshal(v any, prefix string) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// FormatUpdated returns the form of a field "updated" that is written.
func FormatUpdated(t time.Time) string { return t.UTC().Format(timeForm) }
