package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/all"
)

var update = flag.Bool("update", false, "write docs/spec.schema.json")

const schemaFile = "../../docs/spec.schema.json"

// The published schema is made from the structs that the decoder fills, so
// its keys are the decoder's keys: of the envelope and of every kind.
func TestSchema(t *testing.T) {
	want, err := json.MarshalIndent(schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the decoder reads: go test ./sources/config -run TestSchema -update", schemaFile)
	}
}

// object is a JSON object of the schema.
type object map[string]any

func schema() object {
	root := structure(reflect.TypeFor[document]())
	properties := root["properties"].(object)
	defaults := object{}
	var entries []any
	for _, kind := range all.Kinds() {
		options := reflect.TypeOf(kind.Options()).Elem()
		def := structure(options)
		delete(def, "required")
		defaults[kind.Name] = def
		entry := structure(options)
		of := structure(reflect.TypeFor[envelope]())
		for key, value := range of["properties"].(object) {
			entry["properties"].(object)[key] = value
		}
		entry["properties"].(object)["kind"] = object{"const": kind.Name, "description": kind.Doc}
		required, _ := entry["required"].([]string)
		entry["required"] = append([]string{"name", "kind"}, required...)
		entries = append(entries, entry)
	}
	properties["version"] = object{"const": Version, "description": describe(properties["version"])}
	properties["defaults"] = object{
		"type": "object", "additionalProperties": false, "properties": defaults, "description": describe(properties["defaults"]),
	}
	properties["sources"] = object{
		"type": "array", "minItems": 1, "items": object{"anyOf": entries}, "description": describe(properties["sources"]),
	}
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "gapbundle spec"
	return root
}

func describe(v any) any { return v.(object)["description"] }

func structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok {
			continue
		}
		options := strings.Split(tag, ",")
		of := value(f.Type)
		if slices.Contains(options, "single") {
			of = object{"anyOf": []any{of, of["items"]}}
		}
		of["description"] = f.Tag.Get("doc")
		properties[options[0]] = of
		if slices.Contains(options, "required") {
			required = append(required, options[0])
		}
	}
	o := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func value(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[*strictyaml.Node]():
		return object{"type": "object"}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return object{"type": []string{"string", "integer"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		o := structure(t)
		for i := range t.NumField() {
			if strings.Contains(t.Field(i).Tag.Get("yaml"), ",scalar") {
				return object{"anyOf": []any{value(t.Field(i).Type), o}}
			}
		}
		return o
	case reflect.Slice:
		return object{"type": "array", "items": value(t.Elem())}
	case reflect.Map:
		if t.Elem() == reflect.TypeFor[*strictyaml.Node]() { // plain values, as they are written
			return object{"type": "object", "additionalProperties": object{"type": []string{"string", "number", "boolean"}}}
		}
		return object{"type": "object", "additionalProperties": value(t.Elem())}
	case reflect.Pointer:
		return value(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.String:
		return object{"type": "string"}
	}
	panic("schema: no rule for " + t.String())
}

// A key that has no description helps nobody who writes a spec.
func TestEveryKeyIsDescribed(t *testing.T) {
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case object:
			if properties, ok := v["properties"].(object); ok && v["type"] == "object" {
				for key, p := range properties {
					if d, ok := p.(object)["description"].(string); (!ok || d == "") && !strings.HasSuffix(path, ".defaults") {
						t.Errorf("%s.%s: no description", path, key)
					}
					walk(path+"."+key, p)
				}
			}
			for _, in := range []string{"anyOf", "items", "additionalProperties"} {
				walk(path, v[in])
			}
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		}
	}
	walk("", schema())
}
