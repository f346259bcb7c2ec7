package unpack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

func TestTwoSets(t *testing.T) {
	a, b := bundletest.New(t, "alpha"), bundletest.New(t, "beta")
	r := newRig(t, a, b)
	r.receive(a.Export(t, []bundletest.Repository{
		apt(map[string]string{"p": "alpha"}), shared("tools", map[string]string{"h/a": "a", "h/both": "same"}),
	}, bundletest.Options{}).Dirs...)
	r.receive(b.Export(t, []bundletest.Repository{
		{Name: "debs", Kind: "apt", Mount: "apt/beta", Files: map[string]string{"p": "beta"}},
		shared("tools", map[string]string{"h/b": "b", "h/both": "same"}),
	}, bundletest.Options{}).Dirs...)
	union := map[string]string{
		"apt/debs/p": "alpha", "apt/beta/p": "beta", "files/h/a": "a", "files/h/b": "b", "files/h/both": "same",
	}
	r.expect(union)
	r.intact()

	// One conflict: named, and nothing changes.
	before := servedAll(t, r.dir)
	clash := b.Export(t, []bundletest.Repository{
		{Name: "debs", Kind: "apt", Mount: "apt/beta", Files: map[string]string{"p": "beta"}},
		shared("tools", map[string]string{"h/b": "b", "h/a": "not alpha's"}),
	}, bundletest.Options{})
	_, err := r.refused(bundle.ErrUsage, unpack.ImportOptions{}, clash.Dirs...)
	var conflict *unpack.ConflictError
	if !errors.As(err, &conflict) || conflict.Path != "files/h/a" || conflict.Sets != [2]string{"alpha", "beta"} {
		t.Errorf("%v", err)
	}
	if !sameServed(before, servedAll(t, r.dir)) {
		t.Error("what is served has changed")
	}

	history, err := r.History()
	if err != nil {
		t.Fatal(err)
	}
	if last := history[len(history)-1]; last.Outcome != unpack.Refused || last.Set != "beta" || last.Root != clash.Root {
		t.Errorf("journal %+v", last)
	}

	// A file where the other set needs a folder is one too.
	folder := b.Export(t, []bundletest.Repository{shared("tools", map[string]string{"h/a/deeper": "x"})}, bundletest.Options{})
	_, err = r.refused(bundle.ErrUsage, unpack.ImportOptions{}, folder.Dirs...)
	if !errors.As(err, &conflict) || conflict.Path != "files/h/a" {
		t.Errorf("%v", err)
	}

	// Removal in one set leaves what the other has.
	r.receive(b.Export(t, []bundletest.Repository{shared("tools", map[string]string{"h/b": "b"})}, bundletest.Options{}).Dirs...)
	r.expect(map[string]string{"apt/debs/p": "alpha", "files/h/a": "a", "files/h/b": "b", "files/h/both": "same"})
	r.intact()
}

func TestSetOwnsItsMountsUntilItIsForgotten(t *testing.T) {
	a, b := bundletest.New(t, "alpha"), bundletest.New(t, "beta")
	r := newRig(t, a, b)
	first := a.Export(t, []bundletest.Repository{apt(map[string]string{"p": "alpha"}), shared("s", map[string]string{"h/x": "x"})}, bundletest.Options{})
	r.receive(first.Dirs...)
	r.receive(a.Export(t, []bundletest.Repository{shared("s", map[string]string{"h/x": "x"})}, bundletest.Options{}).Dirs...)
	want := func(mount string) bundletest.Made {
		return b.Export(t, []bundletest.Repository{{Name: "debs", Kind: "apt", Mount: mount, Files: map[string]string{"p": "beta"}}}, bundletest.Options{Full: true})
	}
	for _, mount := range []string{"apt/debs", "apt/debs/inner", "apt"} {
		_, err := r.refused(bundle.ErrUsage, unpack.ImportOptions{}, want(mount).Dirs...)
		var conflict *unpack.ConflictError
		if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "alpha") {
			t.Errorf("%s: %v", mount, err)
		}
	}
	if _, err := r.Forget(t.Context(), "alpha"); err != nil {
		t.Fatal(err)
	}
	r.expect(map[string]string{})
	r.receive(want("apt/debs").Dirs...)
	r.expect(map[string]string{"apt/debs/p": "beta"})

	// What was accepted last may come again, older ones may not.
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, first.Dirs...)
	r.receive(a.Export(t, []bundletest.Repository{shared("s", map[string]string{"h/x": "x"})}, bundletest.Options{}).Dirs...)
	r.expect(map[string]string{"apt/debs/p": "beta", "files/h/x": "x"})
}

// TestOlderAfterForget: an older bundle that is let in on purpose after its set was forgotten
// is in nobody's way, and what was accepted last may still come.
func TestOlderAfterForget(t *testing.T) {
	a, b := bundletest.New(t, "alpha"), bundletest.New(t, "beta")
	r := newRig(t, a, b)
	of := func(e *bundletest.Exporter, content string) []string {
		return e.Export(t, []bundletest.Repository{shared(e.Set, map[string]string{e.Set + "/x": content})}, bundletest.Options{Full: true}).Dirs
	}
	first, second, last := of(a, "1"), of(a, "2"), of(a, "3")
	r.receive(last...)
	if _, err := r.Forget(t.Context(), "alpha"); err != nil {
		t.Fatal(err)
	}
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, second...)
	if _, err := r.Receive(t.Context(), first, unpack.ImportOptions{AllowRollback: true}); err != nil {
		t.Fatal(err)
	}
	r.receive(of(b, "beta")...)
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, second...)
	r.receive(last...)
	r.expect(map[string]string{"files/alpha/x": "3", "files/beta/x": "beta"})
}

func TestConflictWithinOneRun(t *testing.T) {
	a, b := bundletest.New(t, "alpha"), bundletest.New(t, "beta")
	r := newRig(t, a, b)
	stick := t.TempDir()
	a.Export(t, []bundletest.Repository{apt(map[string]string{"p": "alpha"})}, bundletest.Options{Targets: []string{stick}})
	b.Export(t, []bundletest.Repository{apt(map[string]string{"p": "beta"})}, bundletest.Options{Targets: []string{stick}})
	r.refused(bundle.ErrUsage, unpack.ImportOptions{}, stick)
	r.expect(map[string]string{})
}

func TestAdoptStream(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "1"})}, bundletest.Options{}).Dirs...)
	e.Stream, e.Sequence = strings.Repeat("ab", 16), 0 // the exporter lost everything
	again := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "2"})}, bundletest.Options{Full: true})
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, again.Dirs...)
	if err := r.Trust().AdoptStream(t.Context(), "site", "not a stream"); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("%v", err)
	}
	if err := r.Trust().AdoptStream(t.Context(), "site", e.Stream); err != nil {
		t.Fatal(err)
	}
	r.expect(map[string]string{"apt/debs/a": "1"})
	r.receive(again.Dirs...)
	r.expect(map[string]string{"apt/debs/a": "2"})
}

func TestClockFloor(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	expires := e.Created.Add(24 * time.Hour)
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "1"})}, bundletest.Options{Expires: &expires})
	r.clock.t = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) // a clock that lost its battery
	if err := r.Trust().SetTime(t.Context(), expires.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, made.Dirs...)
	if err := r.Trust().SetTime(t.Context(), expires.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.receive(made.Dirs...)
	e.Created = expires.Add(24 * time.Hour)
	r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "2"})}, bundletest.Options{}).Dirs...)
	late := e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "3"})}, bundletest.Options{Expires: &expires})
	_, err := r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, late.Dirs...)
	if !strings.Contains(err.Error(), "expired") {
		t.Errorf("the floor did not rise with what was accepted: %v", err)
	}
	if _, err := r.Receive(context.Background(), late.Dirs, unpack.ImportOptions{AcceptExpired: true}); err != nil {
		t.Error(err)
	}
}

func TestPublishedKeysBecomeTrusted(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	upstream := settest.NewKey(t, false)
	key := upstream.At("upstream.asc", "apt/debs")
	repos := func(content string) []bundletest.Repository {
		return []bundletest.Repository{
			apt(map[string]string{"a": content}),
			{Name: "keyring", Kind: "apt", Mount: "keys", Files: map[string]string{"upstream.asc": upstream.Armored}},
		}
	}
	made := e.Export(t, repos("1"), bundletest.Options{Keys: []bundle.PublishedKey{key}})
	r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, made.Dirs...)
	res, err := r.Receive(context.Background(), made.Dirs, unpack.ImportOptions{AcceptKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Bundles[0].Overrides) != 1 {
		t.Errorf("overrides %v", res.Bundles[0].Overrides)
	}
	p, err := r.Trust().Policy()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.OpenPGP) != 1 || p.OpenPGP[0].Fingerprint != key.Fingerprint || p.OpenPGP[0].Set != "site" {
		t.Errorf("policy %+v", p.OpenPGP)
	}
	r.receive(e.Export(t, repos("2"), bundletest.Options{Keys: []bundle.PublishedKey{key}}).Dirs...)
}

// TestWeakKeysOfABundle: a key that is too short is not trusted because a person, or an
// option, accepts what a bundle publishes: the spec has to allow it, or the policy has it.
func TestWeakKeysOfABundle(t *testing.T) {
	weak := settest.NewWeakKey(t)
	repos := []bundletest.Repository{
		apt(map[string]string{"a": "1"}),
		{Name: "keyring", Kind: "apt", Mount: "keys", Files: map[string]string{"old.asc": weak.Armored}},
	}
	keys := []bundle.PublishedKey{weak.At("old.asc", "apt/debs")}
	for name, c := range map[string]struct {
		allowed, held, dry bool
	}{"neither": {}, "neither, looked at": {dry: true}, "the spec allows it": {allowed: true}, "the policy has it": {held: true}} {
		t.Run(name, func(t *testing.T) {
			e := bundletest.New(t, "site")
			r := newRig(t, e)
			o := bundletest.Options{Keys: keys}
			if c.allowed {
				o.Change = func(m *bundle.Manifest) { m.Overrides = append(m.Overrides, bundle.OverrideWeakKey+weak.Fingerprint) }
			}
			made := e.Export(t, repos, o)
			if c.held {
				err := r.Trust().Update(t.Context(), "add", func(p *verify.Policy) error {
					return p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleUpstream, Set: "site", Fingerprint: weak.Fingerprint, Added: r.clock.t})
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if c.dry {
				r.reopen(unpack.Options{DryRun: true})
			}
			_, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{AcceptKeys: true})
			if c.allowed || c.held {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, bundle.ErrUntrusted) || !strings.Contains(err.Error(), "keys/old.asc") || !strings.Contains(err.Error(), "RSA with 1024 bits") {
				t.Errorf("%v", err)
			}
			p, err := r.Trust().Policy()
			if err != nil || len(p.OpenPGP) > 0 {
				t.Errorf("the policy has %v, %v", p.OpenPGP, err)
			}
		})
	}
}

// TestLapsesAreSaid: who imports is told until when clients take what upstream
// signed, and where the option is that deals with it.
func TestLapsesAreSaid(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	for word, after := range map[string]time.Duration{"lapses": 48 * time.Hour, "lapsed": -48 * time.Hour} {
		at := r.clock.t.Add(after).UTC().Truncate(time.Second)
		debs := apt(map[string]string{word: word})
		debs.Lapses = &at
		res := r.receive(e.Export(t, []bundletest.Repository{debs}, bundletest.Options{}).Dirs...)
		want := "repository debs: what upstream signed " + word + " " + at.Format(time.RFC3339)
		if notes := strings.Join(res.Notes, "\n"); !strings.Contains(notes, want) || !strings.Contains(notes, "--for apt") {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
}
