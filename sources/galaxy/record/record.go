// Package record reads JSON objects whose keys count exactly as they are written.
//
// encoding/json takes a key in another case for the field of a struct as well, and Python, which the
// clients of Galaxy are written in, does not: a file could have one meaning for each of them. If a key occurs
// twice, both take the last one.
package record

import (
	"encoding/json"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
)

// Object is a JSON object, its values not yet read.
type Object map[string]json.RawMessage

// Parse reads a document that is one object. Errors match bundle.ErrMalformed.
func Parse(document []byte) (Object, error) {
	var o Object
	if err := json.Unmarshal(document, &o); err != nil || o == nil {
		return nil, fmt.Errorf("not a JSON object: %w", bundle.ErrMalformed)
	}
	return o, nil
}

// Has reports whether o has a value other than null for key.
func (o Object) Has(key string) bool { return o[key] != nil && string(o[key]) != "null" }

// Value reads the value of key: false, and the zero value, where it is absent or null. T is a string, a
// number, a slice, a map with string keys, or Object. Errors match bundle.ErrMalformed.
func Value[T any](o Object, key string) (value T, ok bool, err error) {
	if !o.Has(key) {
		return value, false, nil
	}
	if err := json.Unmarshal(o[key], &value); err != nil {
		return value, false, fmt.Errorf("%s: %.60q is not of the right type: %w", key, o[key], bundle.ErrMalformed)
	}
	return value, true, nil
}

// Need works like Value, for a key that has to be there.
func Need[T any](o Object, key string) (T, error) {
	value, ok, err := Value[T](o, key)
	if err == nil && !ok {
		err = fmt.Errorf("%s: missing: %w", key, bundle.ErrMalformed)
	}
	return value, err
}

// Text reads a string, "" where it is absent, null, or something else.
func (o Object) Text(key string) string {
	value, _, err := Value[string](o, key)
	if err != nil {
		return ""
	}
	return value
}

// At follows keys into objects within objects; empty where one is missing or no object.
func (o Object) At(keys ...string) Object {
	for _, key := range keys {
		inner, _, err := Value[Object](o, key)
		if err != nil {
			return nil
		}
		o = inner
	}
	return o
}
