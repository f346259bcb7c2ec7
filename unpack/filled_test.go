package unpack_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

const page = `{"href":"@BASE@/galaxy/site/v3/","host":"@HOST@","insecure":@INSECURE@}`

// pages returns a repository with a page that needs the mirror's address. The same
// content, not filled, is next to it.
func pages(more map[string]string) bundletest.Repository {
	files := map[string]string{"api/index.html": page, "api/raw": page, "a.tar.gz": "archive"}
	for name, content := range more {
		files[name] = content
	}
	return bundletest.Repository{
		Name: "site", Kind: "galaxy", Mount: "galaxy/site", Files: files, Filled: map[string]bool{"api/index.html": true, "api/more.html": true},
	}
}

func filledPage(host string) string {
	return `{"href":"https://` + host + `/galaxy/site/v3/","host":"` + host + `","insecure":false}`
}

// waits expects what import, check and status say about pages without an address.
func (r *rig) waits(res *unpack.Result, want []string) {
	r.t.Helper()
	checked, err := r.Check(r.t.Context(), unpack.CheckOptions{Data: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for name, got := range map[string][]string{"import": res.Waiting, "check": checked.Waiting, "status": s.Waiting} {
		if !slices.Equal(got, want) {
			r.t.Errorf("%s: waiting %v, want %v", name, got, want)
		}
	}
}

// TestFilled: pages wait for the address, are written when it is known and again
// when it changes; check compares them with what was signed; nothing else moves.
func TestFilled(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	res := r.receive(e.Export(t, []bundletest.Repository{pages(nil)}, bundletest.Options{}).Dirs...)
	plain := map[string]string{"galaxy/site/api/raw": page, "galaxy/site/a.tar.gz": "archive"}
	r.expect(plain)
	r.waits(res, []string{"site"})

	first, err := r.SetBaseURL(t.Context(), "https://one.lan")
	if err != nil {
		t.Fatal(err)
	}
	with := func(host string) map[string]string {
		return map[string]string{"galaxy/site/api/raw": page, "galaxy/site/a.tar.gz": "archive", "galaxy/site/api/index.html": filledPage(host)}
	}
	r.expect(with("one.lan"))
	before := r.served()
	res = r.receive(e.Export(t, []bundletest.Repository{pages(map[string]string{"api/more.html": "@HOST@"})}, bundletest.Options{}).Dirs...)
	r.waits(res, nil)
	now := with("one.lan")
	now["galaxy/site/api/more.html"] = "one.lan"
	r.expect(now)
	after := r.served()
	if !after["galaxy/site/api/index.html"].mtime.Equal(before["galaxy/site/api/index.html"].mtime) {
		t.Error("an unchanged page got another time")
	}
	if _, err := r.SetBaseURL(t.Context(), "https://two.lan"); err != nil {
		t.Fatal(err)
	}
	now = with("two.lan")
	now["galaxy/site/api/more.html"] = "two.lan"
	r.expect(now)
	moved := r.served()
	if !moved["galaxy/site/api/index.html"].mtime.After(after["galaxy/site/api/index.html"].mtime) {
		t.Error("a page with another address kept its time")
	}
	if !moved["galaxy/site/a.tar.gz"].mtime.Equal(before["galaxy/site/a.tar.gz"].mtime) {
		t.Error("another address gave a file that is not filled another time")
	}
	r.intact()
	if _, err := r.Rollback(t.Context(), unpack.RollbackOptions{To: first.Number}); err != nil {
		t.Fatal(err)
	}
	r.expect(with("two.lan")) // the content of then, at the address of now
	r.intact()
	if _, err := r.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true}); err != nil {
		t.Fatal(err)
	}
	r.intact()
	receipt, err := r.Receipt("site")
	if err != nil {
		t.Fatal(err)
	}
	if signed, err := bundle.ParseReceipt(receipt); err != nil || !slices.Equal(signed.Claims.Features, []string{bundle.FeatureContents, bundle.FeatureFilled}) {
		t.Errorf("receipt: %+v, %v", signed, err)
	}
}

// TestFilledIsChecked: a page that is not what was signed, filled in, and one
// that is there while the address is not known, are named.
func TestFilledIsChecked(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	r.receive(e.Export(t, []bundletest.Repository{pages(nil)}, bundletest.Options{}).Dirs...)
	damage := func(content, problem string) {
		t.Helper()
		file := filepath.Join(r.dir, "current/galaxy/site/api/index.html")
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		res, err := r.Check(t.Context(), unpack.CheckOptions{})
		if !errors.Is(err, bundle.ErrCorrupt) || len(res.Damage) != 1 || !strings.Contains(res.Damage[0].Problem, problem) {
			t.Errorf("%q: %v, %+v", content, err, res)
		}
	}
	damage(page, "in no list")
	if _, err := r.SetBaseURL(t.Context(), "https://one.lan"); err != nil {
		t.Fatal(err)
	}
	r.intact()
	damage(page, "digest mismatch")
	damage(filledPage("two.lan"), "digest mismatch")
	damage("", "gone")
	if _, err := r.SetBaseURL(t.Context(), "https://three.lan"); err != nil {
		t.Fatal(err)
	}
	r.intact()
}

// TestFilledForKinds: a kind's check reads what was signed, whatever the address.
func TestFilledForKinds(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	r.receive(e.Export(t, []bundletest.Repository{pages(nil)}, bundletest.Options{}).Dirs...)
	for _, base := range []string{"", "https://one.lan"} {
		if base != "" {
			if _, err := r.SetBaseURL(t.Context(), base); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := r.Tree("galaxy")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"api/index.html", "api/raw"} {
			f, err := tree.Open(t.Context(), "site", name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(f)
			if err != nil || string(b) != page {
				t.Errorf("base %q: %s: %q, %v", base, name, b, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
