package unpack_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// next exports another state of a set of the world, onto a stick.
func next(w *settest.World, set, stick string) bundletest.Made {
	c := w.Content(set)
	c.Put("tools", set+".example/new", "new in "+set+" "+w.Now.String())
	c.Options.Targets = []string{stick}
	return w.Export(c)
}

func sequenceOf(t *testing.T, w *settest.World, set string) int64 {
	t.Helper()
	g, err := w.Current()
	if err != nil {
		t.Fatal(err)
	}
	if s := g.Set(set); s != nil {
		return s.Sequence
	}
	return 0
}

// TestSetsFailApart: what is wrong with one set does not keep the other one out.
func TestSetsFailApart(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(t *testing.T, w *settest.World, dir string)
		class error
	}{
		"a damaged volume":    {func(t *testing.T, _ *settest.World, dir string) { flip(t, volumesOf(t, dir)[0], 100) }, bundle.ErrCorrupt},
		"a missing volume":    {func(t *testing.T, _ *settest.World, dir string) { remove(t, volumesOf(t, dir)[0]) }, bundle.ErrIncomplete},
		"a damaged root":      {func(t *testing.T, _ *settest.World, dir string) { flip(t, filepath.Join(dir, "bundle.json"), 9) }, bundle.ErrUntrusted},
		"a damaged catalogue": {func(t *testing.T, _ *settest.World, dir string) { flip(t, filepath.Join(dir, "catalog-01.tar.zst"), 9) }, bundle.ErrCorrupt},
		"a key that is gone": {func(t *testing.T, w *settest.World, _ string) {
			err := w.Trust().Update(t.Context(), "remove", func(p *verify.Policy) error {
				_, err := p.Remove(w.Beta.Signer.KeyID().Hex())
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}, bundle.ErrUntrusted},
		"an empty folder": {func(t *testing.T, _ *settest.World, dir string) {
			if err := errors.Join(os.RemoveAll(dir), os.Mkdir(filepath.Join(filepath.Dir(dir), "beta-999999"), 0o755)); err != nil {
				t.Fatal(err)
			}
		}, bundle.ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			w, stick := settest.New(t), t.TempDir()
			next(w, settest.Alpha, stick)
			x.spoil(t, w, next(w, settest.Beta, stick).Dirs[0])
			res, err := w.Import(stick)
			if !errors.Is(err, x.class) {
				t.Errorf("error %v, want %v", err, x.class)
			}
			if a, b := sequenceOf(t, w, settest.Alpha), sequenceOf(t, w, settest.Beta); a != 2 || b != 1 {
				t.Errorf("published: alpha %d, beta %d", a, b)
			}
			if got := outcomes(res); len(got) != 2 || got[0] != "alpha-000002 imported" {
				t.Errorf("outcomes %v", got)
			}
			if strings.Count(err.Error(), "beta") == 0 || strings.Contains(err.Error(), "alpha") {
				t.Errorf("names the wrong set: %v", err)
			}
			history, err := w.History()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(history[len(history)-3:], func(e unpack.Entry) bool {
				return e.Set == "beta" && (e.Outcome == unpack.Refused || e.Outcome == unpack.Pending)
			}) {
				t.Errorf("journal %+v", history[len(history)-3:])
			}
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// TestEmptyFolderOfTheSameSet: an empty folder with a higher number holds up nothing.
func TestEmptyFolderOfTheSameSet(t *testing.T) {
	w, stick := settest.New(t), t.TempDir()
	next(w, settest.Beta, stick)
	if err := os.Mkdir(filepath.Join(stick, "beta-999999"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Import(stick); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "beta-999999") {
		t.Errorf("%v", err)
	}
	if got := sequenceOf(t, w, settest.Beta); got != 2 {
		t.Errorf("published %d", got)
	}
}

// TestOneIsPublishedAfterTheOtherFailed: where publishing both together fails, what is
// told is what was published, once.
func TestOneIsPublishedAfterTheOtherFailed(t *testing.T) {
	w, stick, later := settest.New(t), t.TempDir(), t.TempDir()
	c := w.Content(settest.Alpha)
	c.Put("tools", "beta.example/tool", "what beta has otherwise")
	c.Options.Targets = []string{stick}
	w.Export(c)
	c = w.Content(settest.Alpha)
	c.Put("tools", "alpha.example/more", "more")
	c.Options.Targets, c.Options.Full = []string{later}, true
	remove(t, volumesOf(t, w.Export(c).Dirs[0])[0])
	if _, err := w.Import(later); !errors.Is(err, bundle.ErrIncomplete) {
		t.Fatal(err)
	}
	// Alpha's newest waits, so that its older one is compared with beta only when both
	// are published.
	next(w, settest.Beta, stick)
	w.Now = w.Now.Add(time.Hour)
	res, err := w.Receive(t.Context(), []string{stick}, unpack.ImportOptions{Changes: contents.All})
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "beta.example/tool") {
		t.Errorf("error %v", err)
	}
	if a, b := sequenceOf(t, w, settest.Alpha), sequenceOf(t, w, settest.Beta); a != 1 || b != 2 {
		t.Errorf("published: alpha %d, beta %d", a, b)
	}
	if len(res.Changes) != 1 || res.Changes[0].Set != settest.Beta || len(res.Names) != 1 || res.Names[0].Set != settest.Beta {
		t.Errorf("changes %+v, names %+v", res.Changes, res.Names)
	}
}

// TestSetThatTakesAnothersPlace: a set that wants what another one has is refused, and
// the other one goes on, also where both come in one run.
func TestSetThatTakesAnothersPlace(t *testing.T) {
	w, stick := settest.New(t), t.TempDir()
	next(w, settest.Alpha, stick)
	c := w.Content(settest.Beta)
	c.Put("tools", "alpha.example/tool", "not alpha's")
	c.Options.Targets = []string{stick}
	w.Export(c)
	_, err := w.Import(stick)
	var conflict *unpack.ConflictError
	if !errors.As(err, &conflict) || conflict.Path != "files/alpha.example/tool" {
		t.Errorf("%v", err)
	}
	if a, b := sequenceOf(t, w, settest.Alpha), sequenceOf(t, w, settest.Beta); a != 2 || b != 1 {
		t.Errorf("published: alpha %d, beta %d", a, b)
	}
}

// TestPendingOfAnotherSet: what waits of a set is published by an import that names the
// set, fails no import of another one, and can be let go.
func TestPendingOfAnotherSet(t *testing.T) {
	w, stick := settest.New(t), t.TempDir()
	made := next(w, settest.Alpha, stick)
	volume := volumesOf(t, made.Dirs[0])[0]
	aside := filepath.Join(t.TempDir(), filepath.Base(volume))
	if err := os.Rename(volume, aside); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Import(stick); !errors.Is(err, bundle.ErrIncomplete) {
		t.Fatal(err)
	}
	// The catalogue that waits is damaged: beta has nothing to do with it.
	flip(t, filepath.Join(w.Dir, "state/pending/alpha-000002/catalog-01.tar.zst"), 9)
	other := t.TempDir()
	next(w, settest.Beta, other)
	if err := os.Mkdir(filepath.Join(other, "alpha-000002"), 0o755); err != nil { // names nothing
		t.Fatal(err)
	}
	res, err := w.Import(other)
	if !errors.Is(err, bundle.ErrIncomplete) || slices.Contains(outcomes(res), "alpha-000002 imported") {
		t.Errorf("%v, %v", outcomes(res), err)
	}
	if a, b := sequenceOf(t, w, settest.Alpha), sequenceOf(t, w, settest.Beta); a != 1 || b != 2 {
		t.Errorf("published: alpha %d, beta %d", a, b)
	}
	flip(t, filepath.Join(w.Dir, "state/pending/alpha-000002/catalog-01.tar.zst"), 9)

	names, err := unpack.ForgetPending(t.Context(), w.Mirror, settest.Alpha)
	if err != nil || !slices.Equal(names, []string{"alpha-000002"}) {
		t.Errorf("%v, %v", names, err)
	}
	if s, err := w.Status(t.Context()); err != nil || len(s.Pending) != 0 || s.Generation == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := unpack.ForgetPending(t.Context(), w.Mirror, settest.Alpha); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("nothing waits: %v", err)
	}
	// It may come again.
	if err := os.Rename(aside, volume); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Import(stick); err != nil {
		t.Fatal(err)
	}
	if got := sequenceOf(t, w, settest.Alpha); got != 2 {
		t.Errorf("published %d", got)
	}
}

// TestOverridesAreForOneBundle: an override that nobody aimed is refused where there is
// more than one it could be for.
func TestOverridesAreForOneBundle(t *testing.T) {
	w, stick := settest.New(t), t.TempDir()
	past := w.Now.Add(-time.Hour)
	for _, set := range []string{settest.Alpha, settest.Beta} {
		c := w.Content(set)
		c.Put("tools", set+".example/new", "new")
		c.Options.Targets, c.Options.Expires = []string{stick}, &past
		w.Export(c)
	}
	try := func(o unpack.ImportOptions) (*unpack.Result, error) {
		o.AcceptExpired = true
		return w.Receive(t.Context(), []string{stick}, o)
	}
	for which, want := range map[string][]string{
		"": {"--accept-expired", "2 bundles at hand", "alpha-000002", "beta-000002"}, "2": {"--accept-expired=2", "2 bundles"}, "7": {"no such bundle", "alpha-000002"},
	} {
		_, err := try(unpack.ImportOptions{For: unpack.For{Expired: which}})
		if !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%q: %v", which, err)
			continue
		}
		for _, text := range want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q: does not say %q: %v", which, text, err)
			}
		}
	}
	res, err := try(unpack.ImportOptions{For: unpack.For{Expired: "beta-000002"}})
	var expired *verify.ExpiredError
	if !errors.As(err, &expired) || expired.Set != settest.Alpha {
		t.Errorf("alpha was let in too: %v", err)
	}
	if a, b := sequenceOf(t, w, settest.Alpha), sequenceOf(t, w, settest.Beta); a != 1 || b != 2 {
		t.Errorf("published: alpha %d, beta %d", a, b)
	}
	for _, b := range res.Bundles {
		if b.Set == settest.Beta && !slices.Equal(b.Overrides, []string{verify.OverrideExpired}) {
			t.Errorf("overrides %v", b.Overrides)
		}
	}
	// One is left that was not accepted: it needs no name. Keys that are known need no
	// override, and that is no error.
	if _, err = try(unpack.ImportOptions{AcceptKeys: true}); err != nil {
		t.Error(err)
	}
	if got := sequenceOf(t, w, settest.Alpha); got != 2 {
		t.Errorf("published %d", got)
	}
	if _, err = try(unpack.ImportOptions{AcceptKeys: true, AllowRollback: true}); err != nil {
		t.Errorf("nothing is new, and nothing is overridden: %v", err)
	}
}

// TestWithdrawnIsGone: neither current nor previous has what was withdrawn or forgotten.
func TestWithdrawnIsGone(t *testing.T) {
	w := settest.New(t)
	if _, err := w.Import(next(w, settest.Alpha, t.TempDir()).Dirs...); err != nil {
		t.Fatal(err)
	}
	reached := func(path string) bool {
		for _, link := range []string{"current", "previous"} {
			if _, err := os.Stat(filepath.Join(w.Dir, link, path)); err == nil {
				return true
			}
		}
		return false
	}
	const fresh, beta = "files/alpha.example/new", "files/beta.example/tool"
	if !reached(fresh) {
		t.Fatal("nothing to withdraw")
	}
	// A plain rollback leaves it where servers fall back to, and says how to go forward.
	g, err := w.Rollback(t.Context(), unpack.RollbackOptions{Set: settest.Alpha})
	if err != nil || g.Set(settest.Alpha).Sequence != 1 {
		t.Fatalf("%+v, %v", g, err)
	}
	if !reached(fresh) {
		t.Error("a rollback without withdraw keeps what clients are in the middle of")
	}
	s, err := w.Status(t.Context())
	if err != nil || s.Sets[0].ForwardTo != 3 || !strings.Contains(s.Sets[0].Forward, "--set alpha --to 3") || s.Sets[1].Forward != "" {
		t.Errorf("status %+v, %v", s.Sets, err)
	}
	if _, err := w.Rollback(t.Context(), unpack.RollbackOptions{To: g.Number, Withdraw: true}); err != nil {
		t.Fatal(err)
	}
	if reached(fresh) {
		t.Error("what was withdrawn can be reached")
	}
	if _, err := w.Rollback(t.Context(), unpack.RollbackOptions{Set: settest.Alpha}); err == nil && reached(fresh) {
		t.Error("a rollback that names no generation brought it back")
	}
	if g, err := w.Rollback(t.Context(), unpack.RollbackOptions{Set: settest.Alpha, To: 3}); err != nil || g.Set(settest.Alpha).Sequence != 2 {
		t.Errorf("forward again: %+v, %v", g, err)
	}
	if !reached(beta) {
		t.Fatal("beta is gone")
	}
	if _, err := w.Forget(t.Context(), settest.Beta); err != nil {
		t.Fatal(err)
	}
	if reached(beta) || !reached(fresh) {
		t.Error("what was forgotten can be reached, or what was not cannot")
	}
}

// TestImportSaysHowToGoForward: "already imported" alone would be no help after a rollback.
func TestImportSaysHowToGoForward(t *testing.T) {
	w := settest.New(t)
	made := next(w, settest.Alpha, t.TempDir())
	if _, err := w.Import(made.Dirs...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Rollback(t.Context(), unpack.RollbackOptions{Set: settest.Alpha}); err != nil {
		t.Fatal(err)
	}
	res, err := w.Import(made.Dirs...)
	if err != nil || res.Bundles[0].Outcome != unpack.AlreadyImported || !strings.Contains(res.Bundles[0].Reason, "rollback "+w.Dir+" --set alpha --to 3") {
		t.Errorf("%+v, %v", res.Bundles, err)
	}
}

// TestKeysThatAreRemoved: what was published under a key is named when it is removed, and
// after that.
func TestKeysThatAreRemoved(t *testing.T) {
	w := settest.New(t)
	if _, err := w.Import(next(w, settest.Alpha, t.TempDir()).Dirs...); err != nil {
		t.Fatal(err)
	}
	if d, err := unpack.FindDistrusted(w.Mirror); err != nil || len(d) != 0 {
		t.Fatalf("%v, %v", d, err)
	}
	for _, id := range []string{w.Alpha.Signer.KeyID().String(), w.Keys[settest.Alpha].Fingerprint} {
		err := w.Trust().Update(t.Context(), "remove", func(p *verify.Policy) error {
			_, err := p.Remove(id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		under, err := unpack.PublishedUnder(w.Mirror, id)
		if err != nil || len(under) != 1 || under[0].Set != settest.Alpha || !slices.Equal(under[0].Generations, []int{1, 2, 3}) || !under[0].Current {
			t.Errorf("%s: %+v, %v", id, under, err)
		}
	}
	s, err := w.Status(t.Context())
	if err != nil || len(s.Distrusted) != 2 || s.Distrusted[0].Set != settest.Alpha || s.Distrusted[0].Sequence != 2 ||
		!strings.Contains(s.Distrusted[0].Key, "exporter key sha256:") || !strings.Contains(s.Distrusted[1].Key, w.Keys[settest.Alpha].Fingerprint) {
		t.Errorf("status %+v, %v", s.Distrusted, err)
	}
}

// TestSpaceIsToldBefore: an import that the file system has no room for writes nothing and
// says both figures.
func TestSpaceIsToldBefore(t *testing.T) {
	for name, free := range map[string][2]int64{"bytes": {10_000, 1 << 40}, "inodes": {1 << 40, 3}, "no inodes told": {10_000, -1}} {
		w := settest.New(t)
		made := next(w, settest.Alpha, t.TempDir())
		w.Reopen(unpack.Options{Free: func(string) (int64, int64, error) { return free[0], free[1], nil }})
		before := stored(t, w.Dir)
		res, err := w.Import(made.Dirs...)
		var space *unpack.SpaceError
		if !errors.As(err, &space) || !errors.Is(err, syscall.ENOSPC) || space.Bytes == 0 || space.Inodes == 0 || !strings.Contains(err.Error(), " free") {
			t.Fatalf("%s: %v", name, err)
		}
		if stored(t, w.Dir) != before || len(pendingIn(t, w.Dir)) > 0 {
			t.Errorf("%s: something was written", name)
		}
		if res.Bundles[0].Outcome != unpack.Failed {
			t.Errorf("%s: %+v", name, res.Bundles)
		}
		w.Reopen(unpack.Options{DryRun: true, Free: func(string) (int64, int64, error) { return free[0], free[1], nil }})
		if _, err := w.Import(made.Dirs...); !errors.As(err, &space) {
			t.Errorf("%s: a dry run says %v", name, err)
		}
		w.Reopen(unpack.Options{})
		if res, err := w.Import(made.Dirs...); err != nil || res.Need == nil || res.Need.FreeBytes <= 0 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

// stored returns how many files the store has.
func stored(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pendingIn(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "state/pending"))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// TestNothingIsLeftOfARefusedBundle: what a bundle has staged that can never be published
// goes with it.
func TestNothingIsLeftOfARefusedBundle(t *testing.T) {
	w := settest.New(t)
	c := w.Content(settest.Beta)
	c.Put("tools", "beta.example/large", noise("large", 200_000))
	c.Put("_keys", "unlisted.asc", w.Keys[settest.Alpha].Armored) // no entry of the root names it
	made := w.Export(c)
	before := stored(t, w.Dir)
	if _, err := w.Import(made.Dirs...); !errors.Is(err, bundle.ErrUntrusted) {
		t.Fatal(err)
	}
	if after := stored(t, w.Dir); after != before {
		t.Errorf("%d files in the store, %d before", after, before)
	}
	if left := pendingIn(t, w.Dir); len(left) > 0 {
		t.Errorf("still waits: %v", left)
	}
	if res, err := w.Check(t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
		t.Errorf("%+v, %v", res, err)
	}
}
