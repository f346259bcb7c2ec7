package sourcetest

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

// roundTrip: what was planned is served inside, byte for byte; each payload
// was downloaded once; and a second export finds nothing new.
func roundTrip(t *testing.T, s Suite) {
	r := newRig(t, s)
	in := newInside(r)
	in.receive(r.must())
	listed := in.complete(s)
	served := slices.Collect(maps.Values(listed))
	for p, content := range r.up.Payload {
		if !slices.Contains(served, bundle.DigestOf(content)) {
			t.Errorf("%s: its content is not in the mirror", p)
		}
		if n := r.up.Server.Bytes(p); n != int64(len(content)) {
			t.Errorf("%s: %d bytes were downloaded, want its %d once", p, n, len(content))
		}
	}
	res, err := r.export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !res.Nothing {
		t.Errorf("the same upstream gives a second bundle: %+v", res)
	}
}

// convergence: a mirror that got state one and then a delta is, byte for byte,
// one that got state two as a full bundle.
func convergence(t *testing.T, s Suite) {
	r := newRig(t, s)
	deltas := newInside(r)
	deltas.receive(r.must())
	before := deltas.complete(s)
	r.next(2)
	deltas.receive(r.must())
	whole := newInside(r)
	whole.receive(r.must(full))
	got, want := deltas.complete(s), whole.complete(s)
	if !maps.Equal(got, want) {
		t.Errorf("by deltas\n%v\nby a full bundle\n%v", got, want)
	}
	added, changed := 0, 0
	for p, d := range want {
		old, ok := before[p]
		if !ok {
			added++
		} else if old != d {
			changed++
		}
	}
	if added == 0 || changed == 0 {
		t.Errorf("state two: %d paths added, %d changed; want some of both", added, changed)
	}
}

// removal: what upstream no longer has is not served, and is again after a
// rollback.
func removal(t *testing.T, s Suite) {
	r := newRig(t, s)
	in := newInside(r)
	in.receive(r.must())
	r.next(2)
	in.receive(r.must())
	before := in.complete(s)
	g, err := in.Current()
	if err != nil {
		t.Fatal(err)
	}
	r.next(3)
	in.receive(r.must())
	after := in.complete(s)
	gone := 0
	for p := range before {
		if _, ok := after[p]; ok {
			continue
		}
		gone++
		if _, err := os.Lstat(filepath.Join(in.dir, "current", filepath.FromSlash(p))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: removed and still served: %v", p, err)
		}
	}
	if gone == 0 {
		t.Error("state three: nothing is gone")
	}
	if _, err := in.Rollback(t.Context(), unpack.RollbackOptions{To: g.Number}); err != nil {
		t.Fatal(err)
	}
	if back := in.complete(s); !maps.Equal(back, before) {
		t.Errorf("after the rollback\n%v\nbefore\n%v", back, before)
	}
}

// damage: one file gone, or one bit flipped, is noticed and named by what
// `gapbundle check` runs: the mirror's own check and the kinds'.
func damage(t *testing.T, s Suite) {
	for name, harm := range map[string]func(file string) error{
		"gone": os.Remove,
		"flipped": func(file string) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			b[0] ^= 1
			return errors.Join(os.Chmod(file, 0o644), os.WriteFile(file, b, 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, s)
			in := newInside(r)
			in.receive(r.must())
			_, content := r.up.victim()
			web := ""
			for p, d := range in.listed() {
				if d == bundle.DigestOf(content) {
					web = p
				}
			}
			if err := harm(filepath.Join(in.dir, "current", filepath.FromSlash(web))); err != nil {
				t.Fatal(err)
			}
			_, err := in.Check(t.Context(), unpack.CheckOptions{Data: 1})
			err = errors.Join(err, in.kindChecks(s))
			if !errors.Is(err, bundle.ErrCorrupt) && !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), web) {
				t.Errorf("got %v, want an error that names %s", err, web)
			}
		})
	}
}
