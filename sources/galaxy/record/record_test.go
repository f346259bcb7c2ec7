package record

import (
	"errors"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestExactKeys: a key in another case is another key, as to Python, and a value of another type is none.
func TestExactKeys(t *testing.T) {
	o, err := Parse([]byte(`{"name":"a","NAME":"b","size":3,"none":null,"in":{"Name":"c","name":"d"},"list":["x"],"twice":1,"twice":2}`))
	if err != nil {
		t.Fatal(err)
	}
	if o.Text("name") != "a" || o.Text("Name") != "" || o.Text("size") != "" || o.At("in").Text("name") != "d" || o.At("in", "name").Text("x") != "" || o.At("none").Has("x") {
		t.Errorf("%v", o)
	}
	if n, ok, err := Value[int64](o, "twice"); n != 2 || !ok || err != nil {
		t.Errorf("%d, %v, %v", n, ok, err)
	}
	if _, ok, err := Value[int64](o, "none"); ok || err != nil {
		t.Errorf("null: %v, %v", ok, err)
	}
	if _, err := Need[string](o, "none"); !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("null: %v", err)
	}
	if _, _, err := Value[int64](o, "name"); !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("a text for a number: %v", err)
	}
	for _, text := range []string{"", "null", "[]", "1", `{"a":1} {}`, `{"a":`} {
		if o, err := Parse([]byte(text)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%q: %v, %v", text, o, err)
		}
	}
}
