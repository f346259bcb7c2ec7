package stock

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

func TestSettle(t *testing.T) {
	d := bundle.DigestOf([]byte("x"))
	sum := &More{Sum: upstream.Sum{Algorithm: "sha512"}.Of([]byte("x"))}
	for name, test := range map[string]struct {
		files []File
		want  string // paths and tags; "": refused
	}{
		"sorted":       {[]File{{Path: "b", Digest: d}, {Path: "a", Digest: d}}, "a b"},
		"twice":        {[]File{{Path: "a", Digest: d, Size: 1}, {Path: "a", Digest: d, Size: 1, Tag: "t"}, {Path: "a", Digest: d, Size: 1, Tag: "u"}}, "a:t"},
		"two sizes":    {[]File{{Path: "a", Digest: d, Size: 1}, {Path: "a", Digest: d, Size: 2}}, ""},
		"two contents": {[]File{{Path: "a", Digest: d}, {Path: "a", Digest: bundle.DigestOf(nil)}}, ""},
		"two sums":     {[]File{{Path: "a", More: sum}, {Path: "a", More: &More{Sum: upstream.Sum{Algorithm: "sha512"}.Of([]byte("y"))}}}, ""},
		"one sum":      {[]File{{Path: "a", More: sum}, {Path: "a", More: sum}}, "a"},
		"no path":      {[]File{{Path: "../a", Digest: d}}, ""},
	} {
		s := &Stock{}
		s.Add(test.files...)
		err := s.Settle()
		if test.want == "" {
			if !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "a") {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		var got []string
		for _, f := range s.Files {
			if f.Tag != "" {
				f.Path += ":" + f.Tag
			}
			got = append(got, f.Path)
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// Each way to have a file opens to its content, with its evidence; a sum that is no
// SHA-256 is found again in the base.
func TestArtifacts(t *testing.T) {
	server := upstreamtest.New(t)
	server.Put("/r/pool/a+b", []byte("pool"))
	server.Put("/r/by-hash/1", []byte("index"))
	server.Put("/r/summed", []byte("summed"))
	env := plantest.NewNamedEnv(t, t.TempDir(), nil)
	if err := env.Scratch.WriteFile("l", []byte("local"), 0o600); err != nil {
		t.Fatal(err)
	}
	place, sum := upstream.At(server.URL("/r/")), upstream.Sum{Algorithm: "sha512"}.Of([]byte("summed"))
	s := &Stock{}
	s.Add(
		File{Path: "1-pool", Size: 4, Digest: bundle.DigestOf([]byte("pool")), Place: place, From: "pool/a+b", Reason: "why"},
		File{Path: "2-index", Size: 5, Place: place, From: "index", More: &More{Also: []string{"by-hash/1"}}},
		File{Path: "3-memory", More: InMemory([]byte("memory"), "openpgp:AB")},
		File{Path: "4-local", More: &More{Local: "l", Annotations: map[string]string{"k": "v"}, MediaType: "m/t", Validator: "mark"}},
		File{Path: "5-summed", Size: 6, Place: place, From: "summed", More: &More{Sum: sum}},
		File{Path: "6-empty", More: InMemory(nil, bundle.VouchedMade)},
	)
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	read := func(a sources.Artifact) string {
		c, err := a.Open(t.Context(), 0, "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c.Body)
		if err := errors.Join(err, c.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if a.File.Path == "5-summed" && c.Validator != sum.String() {
			t.Errorf("validator %q", c.Validator)
		}
		return string(b)
	}
	finish := 0
	base := plantest.Base{"r": nil}
	for range 2 { // the sequence can be asked for again
		for a, err := range s.Artifacts(env, "r")() {
			if err != nil {
				t.Fatal(err)
			}
			if got := read(a); !strings.HasSuffix(a.File.Path, "-"+got) && a.File.Path != "6-empty" {
				t.Errorf("%s opens to %q", a.File.Path, got)
			}
			if finish == 0 {
				r := sources.Recorded{File: a.File, Origin: a.Evidence.Origin, Validator: a.Validator}
				r.File.Digest = bundle.DigestOf([]byte(read(a)))
				base["r"] = append(base["r"], r)
			}
			switch a.File.Path {
			case "1-pool":
				if a.Evidence.Origin != server.URL("/r/pool/a+b") || a.Evidence.Reason != "why" || a.Evidence.Vouched != bundle.VouchedIndex {
					t.Errorf("evidence %+v", a.Evidence)
				}
			case "4-local":
				if a.File.Annotations["k"] != "v" || a.File.MediaType != "m/t" || a.Validator != "mark" || a.Evidence.Origin != "" {
					t.Errorf("got %+v", a)
				}
			case "5-summed":
				if known := finish > 0; known == a.File.Digest.IsZero() {
					t.Errorf("digest %s, known %t", a.File.Digest, known)
				}
			}
		}
		finish++
		env.Base = base
	}
	for i := range base["r"] { // as it was checked by another sum
		base["r"][i].Validator = "sha512:00"
	}
	for a, err := range s.Artifacts(env, "r")() {
		if err != nil || a.File.Path == "5-summed" && !a.File.Digest.IsZero() {
			t.Errorf("another sum has the digest %s, %v", a.File.Digest, err)
		}
	}
	s.Finish = func(f *File, recorded *sources.Recorded, a *sources.Artifact) error {
		if recorded == nil || recorded.File.Path != f.Path {
			t.Errorf("%s: recorded %v", f.Path, recorded)
		}
		return fetch.ErrRefused
	}
	n := 0
	for _, err := range s.Artifacts(env, "r")() {
		if n++; !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("got %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d artifacts after an error", n)
	}
}
