package unpack_test

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// betas returns patterns for all that beta honestly has.
func betas() []string {
	return []string{"apt/*", "rpm/beta-rpms", "files/*.example", "files/beta.example", "files/both.example", "galaxy/*", "v2/registry.beta.example", "v2/docker.io/library/alpine"}
}

func setMounts(t *testing.T, w *settest.World, mounts, hosts []string) {
	t.Helper()
	if err := w.Trust().Update(t.Context(), "test", func(p *verify.Policy) error {
		return p.SetPatterns(w.Beta.Signer.KeyID().Hex(), "", mounts, hosts)
	}); err != nil {
		t.Fatal(err)
	}
}

// TestDelegationByPath: a key with patterns owns what they name and nothing else, though
// it is free; a key without any may take what is free.
func TestDelegationByPath(t *testing.T) {
	w := settest.New(t)
	patterns := slices.DeleteFunc(betas(), func(p string) bool { return strings.Contains(p, "*.") })
	setMounts(t, w, patterns, []string{"*.beta.example"})
	public := func(host string) map[string]string {
		m := map[string]string{}
		if err := bundle.AnnotatePublic(m, []bundle.Public{{Scheme: "https", Host: host}}); err != nil {
			t.Fatal(err)
		}
		return m
	}
	good := w.Content(settest.Beta)
	good.Repository("tools").Annotations = public("www.beta.example")
	if _, err := w.Import(w.Export(good).Dirs...); err != nil {
		t.Fatal(err)
	}
	before := servedAll(t, w.Dir)
	for name, c := range map[string]struct {
		do   func(c *settest.Content)
		want []string
	}{
		"a mount": {func(c *settest.Content) {
			c.Repositories = append(c.Repositories, bundletest.Repository{Name: "beta-pages", Kind: "pypi", Mount: "pypi/beta-pages", Files: map[string]string{"a": "a"}})
		}, []string{"pypi/beta-pages"}},
		"a mount above": {func(c *settest.Content) {
			c.Repositories = append(c.Repositories, bundletest.Repository{Name: "beta-pages", Kind: "pypi", Mount: "galaxy", Files: map[string]string{"a": "a"}})
		}, []string{"may not have galaxy:"}},
		"files of a host": {func(c *settest.Content) { c.Put("tools", "free.example/x", "x"); c.Put("tools", "free.example/y", "x") }, []string{"files/free.example/x and 1 more"}},
		"a longer host":   {func(c *settest.Content) { c.Put("tools", "beta.example.org/x", "x") }, []string{"files/beta.example.org/x"}},
		"an image":        {func(c *settest.Content) { c.PutImage("quay.io/free/image", "1", "x") }, []string{"v2/quay.io/free/image"}},
		"a repository": {func(c *settest.Content) {
			c.Repositories = append(c.Repositories, bundletest.Repository{Name: "beta-git", Kind: "git", Mount: "git", Files: map[string]string{"github.com/x/y.git/HEAD": "x"}})
		}, []string{"git/github.com/x/y.git/HEAD"}},
		"a public name": {func(c *settest.Content) { c.Repository("tools").Annotations = public("archive.ubuntu.com") }, []string{"archive.ubuntu.com"}},
		"several of these": {func(c *settest.Content) {
			c.Put("tools", "free.example/x", "x")
			c.PutImage("quay.io/free/image", "1", "x")
		}, []string{"files/free.example/x", "v2/quay.io/free/image"}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := w.Content(settest.Beta)
			bad.Options.Base = 2
			c.do(bad)
			made := w.Export(bad)
			w.Reopen(unpack.Options{DryRun: true})
			if _, err := w.Import(made.Dirs...); !errors.Is(err, bundle.ErrUntrusted) {
				t.Errorf("dry run: %v", err)
			}
			w.Reopen(unpack.Options{})
			_, err := w.Import(made.Dirs...)
			var beyond *unpack.BeyondError
			if !errors.As(err, &beyond) || !errors.Is(err, bundle.ErrUntrusted) {
				t.Fatal(err)
			}
			for _, want := range append(c.want, "set beta", w.Beta.Signer.KeyID().String()) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not have %q", err, want)
				}
			}
			if !maps.Equal(before, servedAll(t, w.Dir)) {
				t.Error("something else is served")
			}
			// Without patterns it is beta's: nobody else has it.
			setMounts(t, w, []string{}, []string{})
			w.Reopen(unpack.Options{DryRun: true})
			if _, err := w.Import(made.Dirs...); err != nil {
				t.Errorf("without patterns: %v", err)
			}
			w.Reopen(unpack.Options{})
			setMounts(t, w, patterns, []string{"*.beta.example"})
		})
	}
}

// TestPatternsThatChange: what a set has outside of new patterns stays published and is
// listed, and is refused when it comes again. Keys without patterns are named.
func TestPatternsThatChange(t *testing.T) {
	w := settest.New(t)
	st, err := w.Status(t.Context())
	if err != nil || len(st.Unbounded) != 2 {
		t.Fatalf("%v, %v", st.Unbounded, err)
	}
	before := servedAll(t, w.Dir)
	setMounts(t, w, []string{"apt/beta-debs", "files", "v2"}, nil)
	if st, err = w.Status(t.Context()); err != nil || len(st.Unbounded) != 1 || len(st.Sets[0].Outside) > 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	if out := st.Sets[1].Outside; len(out) != 1 || out[0].Path != "rpm/beta-rpms" || out[0].Pattern != "rpm/beta-rpms" || out[0].Key != w.Beta.Signer.KeyID() {
		t.Errorf("%+v", out)
	}
	if !maps.Equal(before, servedAll(t, w.Dir)) {
		t.Error("something else is served")
	}
	if _, err := w.SetBaseURL(t.Context(), "http://mirror.lan"); err != nil {
		t.Error(err)
	}
	again := w.Content(settest.Beta)
	again.Put("debs", "x", "x")
	if _, err := w.Import(w.Export(again).Dirs...); !errors.Is(err, bundle.ErrUntrusted) {
		t.Error(err)
	}
	alpha := w.Content(settest.Alpha)
	alpha.Put("debs", "x", "x")
	if res, err := w.Import(w.Export(alpha).Dirs...); err != nil || len(res.Unbounded) != 1 {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestTwoKeysThatArePatterned: where two exporters have to sign, each has to be given
// what the set has.
func TestTwoKeysThatArePatterned(t *testing.T) {
	one, two := bundletest.New(t, "site"), bundletest.New(t, "site")
	p := &verify.Policy{}
	for _, e := range []*bundletest.Exporter{one, two} {
		if err := e.Trust(p); err != nil {
			t.Fatal(err)
		}
	}
	signers := []verify.Signer{{ID: one.Signer.KeyID(), Role: verify.RoleExporter}, {ID: two.Signer.KeyID(), Role: verify.RoleExporter}}
	if err := p.SetPatterns(one.Signer.KeyID().Hex(), "", []string{"apt"}, nil); err != nil {
		t.Fatal(err)
	}
	if !p.MayOwn("site", signers, "rpm/x") || p.MayOwn("site", signers[:1], "rpm/x") || !p.MayOwn("site", signers[:1], "apt/x") {
		t.Error("one of two is enough")
	}
	if err := p.SetRequire(verify.RoleExporter, 2); err != nil {
		t.Fatal(err)
	}
	if p.MayOwn("site", signers, "rpm/x") || !p.MayOwn("site", signers, "apt/x") || p.MayOwn("site", signers[:1], "apt/x") {
		t.Error("two are asked for")
	}
	if b, err := p.Marshal(); err != nil {
		t.Error(err)
	} else if again, err := verify.ParsePolicy(b); err != nil || !slices.Equal(again.Given(one.Signer.KeyID(), "site")[0].Mounts, []string{"apt"}) {
		t.Errorf("%v", err)
	}
}

// TestConflictsOfTwoSets: what two sets want is named with both sets and both bundles,
// and belongs to the one that it is given to.
func TestConflictsOfTwoSets(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(c *settest.Content)
		give string
		want string // in the error
	}{
		"another content": {func(c *settest.Content) { c.Put("tools", "alpha.example/tool", "evil") }, "files/alpha.example", "different content"},
		"another media type": {func(c *settest.Content) {
			c.Repository("tools").MediaTypes = map[string]string{"both.example/tool": "text/html"}
		}, "files/both.example", `different media types, "" and "text/html"`},
		"a tag": {func(c *settest.Content) { c.PutImage(settest.SharedImage, "4", "evil") }, "v2/" + settest.SharedImage, "v2/docker.io/library/alpine/manifests/4"},
		"a mount": {func(c *settest.Content) {
			c.Repository("debs").Mount = "apt/alpha-debs"
			c.Drop("_clients")
			c.Keys[0].Mounts = []string{}
		}, "apt/alpha-debs", "apt/alpha-debs"},
	} {
		t.Run(name, func(t *testing.T) {
			w := settest.New(t)
			bad := w.Content(settest.Beta)
			c.do(bad)
			made := w.Export(bad)
			w.Reopen(unpack.Options{DryRun: true})
			if _, err := w.Import(made.Dirs...); !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("dry run: %v", err)
			}
			w.Reopen(unpack.Options{})
			_, err := w.Import(made.Dirs...)
			var conflict *unpack.ConflictError
			if !errors.As(err, &conflict) || conflict.Sets != [2]string{"alpha", "beta"} || !strings.Contains(err.Error(), c.want) {
				t.Fatal(err)
			}
			for _, want := range []string{"beta-000002"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not have %q", err, want)
				}
			}
			// alpha goes on as if nothing had been.
			alpha := w.Content(settest.Alpha)
			alpha.Put("debs", "x", "x")
			if _, err := w.Import(w.Export(alpha).Dirs...); err != nil {
				t.Error(err)
			}
			// An operator decides otherwise.
			if err := w.Trust().Give(t.Context(), c.give, settest.Beta); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Import(made.Dirs...); err != nil {
				t.Fatalf("given: %v", err)
			}
			if res, err := w.Check(t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
				t.Errorf("%v: %+v", err, res.Damage)
			}
			alpha.Put("debs", "y", "y")
			if _, err := w.Import(w.Export(alpha).Dirs...); !errors.As(err, &conflict) || conflict.Sets != [2]string{"beta", "alpha"} || name != "a mount" && !strings.Contains(err.Error(), "given "+c.give) {
				t.Errorf("alpha's: %v", err)
			}
			history, err := w.History()
			if err != nil || !slices.ContainsFunc(history, func(e unpack.Entry) bool { return e.Detail == "give "+c.give && e.Set == settest.Beta }) {
				t.Errorf("journal: %v", err)
			}
		})
	}
}

// TestSetsOfAMirrorOfBefore: testdata/sets-before.tar.gz has a mirror that the program of
// before these rules wrote. alpha has nothing against them, beta one thing against each.
// What is published stays and is listed; it is refused when it comes again; alpha and a
// corrected beta go on.
func TestSetsOfAMirrorOfBefore(t *testing.T) {
	dir, r := rigOfBefore(t, "sets-before")
	r.intact()
	before := r.served()
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Sets[0].Outside) > 0 || len(st.Unbounded) != 2 {
		t.Errorf("alpha: %+v, keys %v", st.Sets[0].Outside, st.Unbounded)
	}
	listed, shared := map[string]bool{}, map[string]bool{}
	for _, o := range st.Sets[1].Outside {
		if o.Give {
			shared[o.Path] = true
		} else {
			listed[o.Path] = true
		}
	}
	if want := map[string]bool{"files/both.example/tool": true, "v2/docker.io/library/alpine/manifests/4": true}; !maps.Equal(shared, want) {
		t.Errorf("status lists %v of what another set has, want %v", shared, want)
	}
	const clients, images = "_gapbundle/clients/apt/", "v2/registry.beta.example/team/"
	for _, want := range []string{"keys/beta-unnamed.asc", clients + "alpha-debs-beta.sources", clients + "beta-debs-trusted.sources", "v2/library/nohost/manifests/1", images + "stray.txt",
		images + "app/manifests/" + bundle.DigestOf([]byte("other")).String()} {
		if !listed[want] {
			t.Errorf("status does not list %s: %v", want, slices.Sorted(maps.Keys(listed)))
		}
	}
	// Media types were not compared: what differs already is in nobody's way.
	var conflict *unpack.ConflictError
	if _, err := r.refused(bundle.ErrUsage, unpack.ImportOptions{}, filepath.Join(dir, "again")); !errors.As(err, &conflict) || conflict.Path != "v2/docker.io/library/alpine/manifests/4" {
		t.Errorf("a tag in alpha's image: %v", err)
	}
	if err := r.Trust().Give(t.Context(), "v2/docker.io/library/alpine", settest.Beta); err != nil {
		t.Fatal(err)
	}
	_, err = r.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, filepath.Join(dir, "again"))
	for path := range listed { // the trusted one is seen by its bytes, which are read later
		if !strings.Contains(err.Error(), path) && path != clients+"beta-debs-trusted.sources" {
			t.Errorf("%v: does not name %s", err, path)
		}
	}
	if !maps.Equal(r.served(), before) {
		t.Error("something else is served")
	}
	if _, err := r.SetBaseURL(t.Context(), "http://mirror.lan"); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(r.contents(), contentsOf(before)) {
		t.Error("another address changed what is served")
	}
	if err := r.Trust().Give(t.Context(), "v2/docker.io/library/alpine", settest.Alpha); err != nil {
		t.Fatal(err)
	}
	res := r.receive(filepath.Join(dir, "alpha"))
	if notes := strings.Join(res.Notes, "\n"); strings.Count(notes, "taken over from an earlier program") != 1 {
		t.Errorf("notes %q", notes)
	}
	r.intact()
	for _, path := range []string{"files/both.example", "v2/docker.io/library/alpine"} {
		if err := r.Trust().Give(t.Context(), path, settest.Beta); err != nil {
			t.Fatal(err)
		}
	}
	if res := r.receive(filepath.Join(dir, "good")); strings.Contains(strings.Join(res.Notes, "\n"), "taken over") {
		t.Errorf("said twice: %q", res.Notes)
	}
	r.intact()
	if st, err = r.Status(t.Context()); err != nil || len(st.Sets[1].Outside) > 0 {
		t.Errorf("%+v, %v", st.Sets, err)
	}
}

func contentsOf(served map[string]stat) map[string]string {
	all := map[string]string{}
	for name, s := range served {
		all[name] = s.content
	}
	return all
}
