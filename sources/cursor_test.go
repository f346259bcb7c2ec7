package sources_test

import (
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// recorded is a base whose repositories have files of these paths.
type recorded map[string][]string

var errBase = errors.New("disk on fire")

func (r recorded) Files(repo string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for _, p := range r[repo] {
			if p == "!" {
				yield(sources.Recorded{}, errBase)
				return
			}
			if !yield(sources.Recorded{File: bundle.File{Path: p}}, nil) {
				return
			}
		}
	}
}

func TestCursor(t *testing.T) {
	env := &sources.Env{Base: recorded{"s": {"a/b", "a-b", "c", "e"}}}
	c := env.Cursor("s")
	defer c.Close()
	for _, test := range []struct {
		path string
		want bool
	}{{"a", false}, {"a/b", true}, {"a/b", true}, {"a/c", false}, {"c", true}, {"d", false}, {"e", true}, {"f", false}, {"g", false}} {
		r, ok, err := c.Lookup(test.path)
		if err != nil || ok != test.want || ok && r.File.Path != test.path {
			t.Errorf("%s: got %v, %v, %v", test.path, r.File.Path, ok, err)
		}
	}
	for name, env := range map[string]*sources.Env{"unknown repository": env, "no base": {}} {
		c := env.Cursor("t")
		if _, ok, err := c.Lookup("a"); ok || err != nil {
			t.Errorf("%s: got %v, %v", name, ok, err)
		}
		c.Close()
	}
}

func TestCursorError(t *testing.T) {
	c := (&sources.Env{Base: recorded{"s": {"a", "!"}}}).Cursor("s")
	defer c.Close()
	if _, ok, err := c.Lookup("a"); !ok || err != nil {
		t.Errorf("before the error: %v, %v", ok, err)
	}
	for range 2 {
		if _, _, err := c.Lookup("b"); !errors.Is(err, errBase) {
			t.Errorf("got %v", err)
		}
	}
}

// A cursor that is left in the middle ends the base's sequence.
func TestCursorCloses(t *testing.T) {
	ended := false
	env := &sources.Env{Base: ending{&ended}}
	c := env.Cursor("s")
	if _, _, err := c.Lookup("a"); err != nil {
		t.Fatal(err)
	}
	if c.Close(); !ended {
		t.Error("the base's sequence is still open")
	}
}

type ending struct{ ended *bool }

func (e ending) Files(string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		defer func() { *e.ended = true }()
		for _, p := range slices.Repeat([]string{"a"}, 3) {
			if !yield(sources.Recorded{File: bundle.File{Path: p}}, nil) {
				return
			}
		}
	}
}
