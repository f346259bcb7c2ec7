package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/stock"
)

func recorded(path, content, origin, vouched, reason, validator, mark string) sources.Recorded {
	r := sources.Recorded{
		File:   bundle.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf([]byte(content))},
		Origin: origin, Vouched: vouched, Reason: reason, Validator: validator,
	}
	if mark != "" {
		r.File.Annotations = map[string]string{MarkKey: mark}
	}
	return r
}

func testBase(origin string) plantest.Base {
	return plantest.Base{"os": {
		recorded("Release", "made", "", bundle.VouchedMade, "", "mark", ""),
		recorded("_upstream/InRelease", "signed", origin, "openpgp:AB", "", "", "conf"),
		recorded("_upstream/Packages", "index", origin, bundle.VouchedIndex, "an index", "", ""),
		recorded("pool/x", "x", origin, bundle.VouchedIndex, "", "", ""),
	}}
}

func TestMemory(t *testing.T) {
	env := plantest.NewNamedEnv(t, t.TempDir(), testBase("http://u/x"))
	m, err := Recall(env, "os", "an index", "pool/x")
	if err != nil {
		t.Fatal(err)
	}
	signed := bundle.DigestOf([]byte("signed"))
	for name, test := range map[string]struct{ got, want bool }{
		"the same":             {m.Decided(map[string]bundle.Digest{"conf": signed}), true},
		"another":              {m.Decided(map[string]bundle.Digest{"conf": bundle.DigestOf([]byte("other"))}), false},
		"for another":          {m.Decided(map[string]bundle.Digest{"other": signed}), false},
		"one more":             {m.Decided(map[string]bundle.Digest{"conf": signed, "b": signed}), false},
		"none":                 {m.Decided(nil), false},
		"made of it":           {m.Made("mark", 1), true},
		"made of another":      {m.Made("other", 1), false},
		"not all of it":        {m.Made("mark", 2), false},
		"none made":            {m.Made("other", 0), false},
		"has it":               {m.Has("pool/x", bundle.DigestOf([]byte("x"))), true},
		"has another":          {m.Has("pool/x", signed), false},
		"was not asked":        {m.Has("_upstream/InRelease", signed), false},
		"no memory, decided":   {(*Memory)(nil).Decided(map[string]bundle.Digest{"conf": signed}), false},
		"no memory, made":      {(*Memory)(nil).Made("mark", 1), false},
		"no memory, has":       {(*Memory)(nil).Has("pool/x", signed), false},
		"another source's own": {func() bool { m, err := Recall(env, "none", ""); return err != nil || m.Made("mark", 1) }(), false},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %t", name, test.got)
		}
	}
	if m.Remake != int64(len("made")+len("index")) {
		t.Errorf("remaking costs %d bytes", m.Remake)
	}
	if r, ok := m.Marked("conf"); !ok || r.File.Path != "_upstream/InRelease" {
		t.Errorf("marked: %+v", r)
	}
	base := testBase("http://u/x")
	base["os"] = append(base["os"], recorded("z", "signed", "http://u/x", "", "", "", "conf"))
	base["more"] = append(testBase("http://u/x")["os"], recorded("z", "signed", "http://u/x", "", "", "", "more"))
	env.Base = base
	if m, _ := Recall(env, "more", ""); m.Decided(map[string]bundle.Digest{"conf": signed}) {
		t.Error("the base has another suite, and stands for the plan")
	}
	if m, _ := Recall(env, "os", ""); m.Decided(map[string]bundle.Digest{"conf": signed}) {
		t.Error("two files with one configuration stand for one")
	}
	env.Base = nil
	if m, err := Recall(env, "os", ""); m != nil || err != nil {
		t.Errorf("no base: %v, %v", m, err)
	}
}

// A mark is another one for whatever the choice is a function of.
func TestMark(t *testing.T) {
	type of struct{ Packages []string }
	env := plantest.NewNamedEnv(t, t.TempDir(), nil)
	seen := map[string]bool{}
	add := func(what string, of any) {
		mark, err := Mark(env, of)
		if again, _ := Mark(env, of); err != nil || seen[mark] || again != mark {
			t.Errorf("%s: the mark of something else, or not the same twice (%v)", what, err)
		}
		seen[mark] = true
	}
	add("first", of{[]string{"a"}})
	add("another choice", of{[]string{"b"}})
	env.Tool = "other"
	add("another program", of{[]string{"a"}})
	env.Site = plantest.NewSigner(t, "site", 0)
	add("a site key", of{[]string{"a"}})
	if Configuration(of{[]string{"a"}}) == Configuration(of{[]string{"b"}}) || len(Configuration(of{})) != 32 {
		t.Error("configurations")
	}
}

func TestPlan(t *testing.T) {
	server := upstreamtest.New(t)
	server.Put("/x", []byte("x"))
	env := plantest.NewNamedEnv(t, t.TempDir(), testBase(server.URL("/x")))
	remade := 0
	again := NewAgain(func(context.Context) (*sources.Plan, error) {
		if remade++; remade == 1 {
			return nil, fmt.Errorf("upstream is down: %w", fetch.ErrUpstream)
		}
		return &sources.Plan{Repositories: []sources.Repository{{Name: "os", Artifacts: sources.List([]sources.Artifact{sources.Made("Release", []byte("made"), "")})}}}, nil
	})
	p := Plan{
		Fresh: []stock.File{{Path: "_upstream/InRelease", More: stock.InMemory([]byte("signed"), "openpgp:CD")}},
		Again: again,
		Finish: func(r sources.Recorded, a *sources.Artifact) error {
			if r.File.Path == "_upstream/InRelease" || r.File.Path == "Release" {
				t.Errorf("%s is finished", r.File.Path)
			}
			return nil
		},
	}
	for range 2 {
		n := 0
		for a, err := range p.Artifacts(env, "os")() {
			if err != nil {
				t.Fatal(err)
			}
			want := env.Base.(plantest.Base)["os"][n]
			if n++; a.File.Path != want.File.Path || a.File.Digest != want.File.Digest || a.Evidence.Origin != want.Origin || a.Evidence.Reason != want.Reason {
				t.Errorf("got %+v, want %+v", a, want)
			}
			if a.File.Path == "_upstream/Packages" {
				continue
			}
			c, err := a.Open(t.Context(), 0, "")
			if remade == 1 && a.File.Path == "Release" {
				if !errors.Is(err, fetch.ErrUpstream) {
					t.Errorf("remaking failed: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(c.Body)
			if err := errors.Join(err, c.Body.Close()); err != nil || bundle.DigestOf(b) != want.File.Digest {
				t.Errorf("%s opens to %q, %v", a.File.Path, b, err)
			}
			if a.File.Path == "_upstream/InRelease" && a.Evidence.Vouched != "openpgp:CD" {
				t.Errorf("vouched for by %s, not by whoever signed it now", a.Evidence.Vouched)
			}
		}
		if n != 4 {
			t.Errorf("%d files", n)
		}
	}
	if _, err := again.Open("os", "not made any more")(t.Context(), 0, ""); !errors.Is(err, fetch.ErrUpstream) || remade != 2 {
		t.Errorf("got %v after %d times", err, remade)
	}
}
