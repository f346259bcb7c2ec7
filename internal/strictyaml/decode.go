package strictyaml

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// Decode fills what into points to. Structs name their keys by the tag yaml:
//
//	Name string   `yaml:"name,required"`
//	URLs []string `yaml:"url,single"`   // one value alone is a list of one
//	URL  string   `yaml:"url,scalar"`   // one value alone stands for the struct
//
// Field types are string, bool, int, int64 and pointers to them (nil: not given), structs,
// slices, maps with text keys, *Node for what is decoded later, and anything with UnmarshalText. A
// field of type Pos gets the struct's place; fields without a tag are left
// alone. Errors match bundle.ErrUsage and are joined in the order of the file.
func (n *Node) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic("strictyaml: Decode needs a pointer")
	}
	var d decoder
	d.value(n, v.Elem(), "")
	return Join(d.errs...)
}

type decoder struct{ errs []error }

func (d *decoder) refuse(p Pos, format string, args ...any) {
	d.errs = append(d.errs, p.Errorf(format, args...))
}

var (
	nodeType = reflect.TypeFor[*Node]()
	posType  = reflect.TypeFor[Pos]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value decodes n into v; key is what v is called, for errors.
func (d *decoder) value(n *Node, v reflect.Value, key string) {
	want := ""
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(n))
	case reflect.PointerTo(v.Type()).Implements(textType):
		if n.form != text && n.form != integer && n.form != float { // digits are text, too
			want = "text"
			break
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			d.refuse(n.pos, "%s%w", prefix(key), err)
		}
	case v.Kind() == reflect.Struct:
		d.structure(n, v, key)
	case v.Kind() == reflect.Slice:
		want = d.slice(n, v, key)
	case v.Kind() == reflect.Map:
		want = d.table(n, v, key)
	default:
		want = scalar(n, v)
	}
	if want != "" {
		d.refuse(n.pos, "%swant %s, got %s", prefix(key), want, n.what())
	}
}

func prefix(key string) string {
	if key == "" {
		return ""
	}
	return key + ": "
}

// scalar decodes a plain value; it returns what was wanted instead.
func scalar(n *Node, v reflect.Value) (want string) {
	switch v.Kind() {
	case reflect.String:
		if n.form != text {
			return "text (in quotes, if need be)"
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.form != boolean {
			return "true or false"
		}
		v.SetBool(n.text == "true")
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.text, 10, 64)
		if n.form != integer || err != nil {
			return "a whole number"
		}
		v.SetInt(i)
	case reflect.Pointer: // to distinguish a value from none
		v.Set(reflect.New(v.Type().Elem()))
		return scalar(n, v.Elem())
	default:
		panic("strictyaml: no rule for " + v.Type().String())
	}
	return ""
}

func (d *decoder) slice(n *Node, v reflect.Value, key string) (want string) {
	if n.form != sequence {
		return "a list"
	}
	s := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.value(item, s.Index(i), key)
	}
	v.Set(s)
	return ""
}

func (d *decoder) table(n *Node, v reflect.Value, key string) (want string) {
	if n.form != mapping {
		return "a mapping"
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.entries)))
	for _, e := range n.entries {
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, value, e.key)
		v.SetMapIndex(reflect.ValueOf(e.key), value)
	}
	return ""
}

// field is a struct field that has a key.
type field struct {
	key                      string
	index                    int
	required, single, scalar bool
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("yaml")
		if !ok {
			continue
		}
		options := strings.Split(tag, ",")
		fields = append(fields, field{
			key: options[0], index: i,
			required: slices.Contains(options[1:], "required"),
			single:   slices.Contains(options[1:], "single"),
			scalar:   slices.Contains(options[1:], "scalar"),
		})
	}
	return fields
}

func (d *decoder) structure(n *Node, v reflect.Value, key string) {
	fields := fieldsOf(v.Type())
	for i := range v.NumField() {
		if v.Type().Field(i).Type == posType {
			v.Field(i).Set(reflect.ValueOf(n.pos))
		}
	}
	if n.form != mapping {
		for _, f := range fields {
			if f.scalar && n.form != null && n.form != sequence {
				d.value(n, v.Field(f.index), key)
				return
			}
		}
		d.refuse(n.pos, "%swant a mapping, got %s", prefix(key), n.what())
		return
	}
	seen := make(map[string]bool, len(n.entries))
	for _, e := range n.entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
		if i < 0 {
			d.refuse(e.pos, "unknown key %.100q%s", e.key, spelling.Suggest(e.key, keysOf(fields)))
			continue
		}
		seen[e.key] = true
		if f := fields[i]; f.single && e.value.form != sequence {
			one := &Node{pos: e.value.pos, form: sequence, items: []*Node{e.value}}
			d.value(one, v.Field(f.index), e.key)
		} else {
			d.value(e.value, v.Field(f.index), e.key)
		}
	}
	for _, f := range fields {
		if f.required && !seen[f.key] {
			d.refuse(n.pos, "key %q is missing", f.key)
		}
	}
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}
