package files

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// hostPath returns the folder of a fake upstream in the mirror.
func hostPath(up *upstreamtest.Server) string { return strings.ReplaceAll(up.Host(), ":", "_") }

func TestPlanPinned(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/d/x", []byte("x"))
	text := "- {name: s, urls: [{url: " + up.URL("/d/x") + ", sha256: " + sumX.Hex() + "}]}\n"
	a := find(t, s.mustPlan(text)["s"], hostPath(up)+"/d/x")
	want := bundle.Evidence{Path: a.File.Path, Origin: up.URL("/d/x"), Vouched: bundle.VouchedPinned, Reason: "urls"}
	if a.File.Digest != sumX || a.File.Size != 1 || a.Evidence.Vouched != want.Vouched || a.Evidence.Origin != want.Origin || a.Evidence.Reason != want.Reason {
		t.Errorf("got %+v %+v", a.File, a.Evidence)
	}
	if up.Bytes("/d/x") != 0 {
		t.Errorf("plan read %d bytes of payload", up.Bytes("/d/x"))
	}
	b, content, err := read(t, a)
	if err != nil || string(b) != "x" || content.Validator != a.Validator || a.Validator == "" {
		t.Errorf("got %q, %+v, %v", b, content, err)
	}
	// What the base has by digest is not asked for again.
	if err := s.collect(s.mustPlan(text)); err != nil {
		t.Fatal(err)
	}
	before := up.AllRequests()
	s.mustPlan(text)
	if n := up.AllRequests() - before; n != 0 {
		t.Errorf("%d requests for what the base has", n)
	}
}

func TestPlanMoved(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/get", []byte("x"))
	url := up.URL("/get?file=x&token=secret")
	a := find(t, s.mustPlan("- {name: s, urls: [{url: \"" + url + "\", path: tools/x.bin}]}\n")["s"], "tools/x.bin")
	if want := fetch.Redact(url); a.Evidence.Origin != want || a.File.Annotations[originKey] != want || strings.Contains(want, "secret") {
		t.Errorf("got %+v %+v, want origin %s", a.File, a.Evidence, want)
	}
	if err := a.Collected(bundle.File{Digest: sumX, Size: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.env.Lock.Save(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, sources.LockName))
	if err != nil || strings.Contains(string(b), "secret") || !strings.Contains(string(b), sumX.String()) {
		t.Errorf("lock: %s, %v", b, err)
	}
	s.lock(false)
	if pin, ok := s.env.Lock.Lookup(url); !ok || pin.Digest != sumX {
		t.Errorf("pin of %s: %v, %v", fetch.Redact(url), pin, ok)
	}
	if _, ok := s.env.Lock.Lookup(up.URL("/get?file=y&token=secret")); ok {
		t.Error("two URLs share a pin")
	}
}

// First sight pins, later ones hold to it.
func TestLock(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	text := "- {name: s, urls: [" + up.URL("/x") + "]}\n"
	file := filepath.Join(s.dir, sources.LockName)

	a := s.mustPlan(text)["s"][0]
	if a.Evidence.Vouched != bundle.VouchedNone || !a.File.Digest.IsZero() || a.File.Size != 1 {
		t.Errorf("first sight: %+v %+v", a.File, a.Evidence)
	}
	if err := s.collect(s.mustPlan(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("lock was written before Save: %v", err)
	}
	if err := s.env.Lock.Save(); err != nil {
		t.Fatal(err)
	}
	s.lock(false)

	// The same content: pinned now, and not read again.
	bytes := up.Bytes("/x")
	all := s.mustPlan(text)
	if a := all["s"][0]; a.Evidence.Vouched != bundle.VouchedPinned || a.File.Digest != sumX {
		t.Errorf("unchanged: %+v %+v", a.File, a.Evidence)
	}
	if err := s.collect(all); err != nil || up.Bytes("/x") != bytes {
		t.Errorf("unchanged: %v, %d bytes read", err, up.Bytes("/x")-bytes)
	}

	// Other content of equal size: read, and refused.
	up.Put("/x", []byte("y"))
	err := s.collect(s.mustPlan(text))
	var pin *sources.PinError
	if !errors.As(err, &pin) || !errors.Is(err, fetch.ErrRefused) || pin.URL != up.URL("/x") || pin.Pinned.Digest != sumX || pin.Found.Digest != sumY {
		t.Errorf("changed: got %v", err)
	}
	// Of another size: refused before anything is read. No base: the pin is
	// the digest that has to come.
	up.Put("/x", []byte("yy"))
	if _, err := s.plan(text); !errors.As(err, &pin) || errors.Is(err, bundle.ErrUsage) || pin.Found.Size != 2 {
		t.Errorf("changed size: got %v", err)
	}
	up.Put("/x", []byte("y"))
	delete(s.base, "s")
	if a := s.mustPlan(text)["s"][0]; a.File.Digest != sumX {
		t.Errorf("without a base: %+v, want the pin", a.File)
	}

	// With --update-lock it is taken, and said.
	s.lock(true)
	all = s.mustPlan(text)
	if a := all["s"][0]; a.Evidence.Vouched != bundle.VouchedNone || !a.File.Digest.IsZero() {
		t.Errorf("update: %+v %+v", a.File, a.Evidence)
	}
	if err := s.collect(all); err != nil {
		t.Fatal(err)
	}
	changed := s.env.Lock.Changed()
	if len(changed) != 1 || changed[0].URL != up.URL("/x") || changed[0].Old.Digest != sumX || changed[0].New.Digest != sumY {
		t.Errorf("changed: %+v", changed)
	}
}

// An upstream that tells no version is read each time: the pin has to be seen
// to hold.
func TestLockWithoutValidator(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.FailAlways("/x", upstreamtest.NoValidators)
	text := "- {name: s, urls: [" + up.URL("/x") + "]}\n"
	if err := s.collect(s.mustPlan(text)); err != nil {
		t.Fatal(err)
	}
	if err := s.env.Lock.Save(); err != nil {
		t.Fatal(err)
	}
	s.lock(false)
	up.Put("/x", []byte("y"))
	if err := s.collect(s.mustPlan(text)); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("got %v, want fetch.ErrRefused", err)
	}
}

// The validator of one URL says nothing about another one at the same path.
func TestMovedOriginIsReadAgain(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	for _, p := range []string{"/x", "/y"} {
		up.PutFile(p, upstreamtest.File{Content: []byte(p[1:]), ETag: `"same"`})
	}
	if err := s.collect(s.mustPlan("- {name: s, urls: [{url: " + up.URL("/x") + ", path: f}]}\n")); err != nil {
		t.Fatal(err)
	}
	if a := s.mustPlan("- {name: s, urls: [{url: " + up.URL("/y") + ", path: f}]}\n")["s"][0]; !a.File.Digest.IsZero() {
		t.Errorf("got %v: taken for what another URL had", a.File)
	}
	// Neither of two whose difference is left out of what is recorded.
	if err := s.collect(s.mustPlan("- {name: s, urls: [{url: " + up.URL("/x?v=1") + ", path: f}]}\n")); err != nil {
		t.Fatal(err)
	}
	if a := s.mustPlan("- {name: s, urls: [{url: " + up.URL("/x?v=2") + ", path: f}]}\n")["s"][0]; !a.File.Digest.IsZero() {
		t.Errorf("got %v: taken for what another query gave", a.File)
	}
}

func TestUnknownSize(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.FailAlways("/x", upstreamtest.Chunked)
	a := s.mustPlan("- {name: s, urls: [" + up.URL("/x") + "]}\n")["s"][0]
	if a.File.Size != -1 {
		t.Errorf("size %d, want -1", a.File.Size)
	}
}

// Everything that is wrong upstream is reported, with the line of the spec.
func TestPlanReportsAll(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	_, err := s.plan("- name: s\n  urls:\n  - " + up.URL("/a") + "\n  - " + up.URL("/b") + "\n- name: t\n  urls: " + up.URL("/c") + "\n")
	for _, want := range []string{"spec.yaml:4:5: " + up.URL("/a") + ": status 404", "spec.yaml:5:5: " + up.URL("/b"), "spec.yaml:7:9: " + up.URL("/c")} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got\n%v\nwant %s", err, want)
		}
	}
	if !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrUsage) {
		t.Errorf("%v: want fetch.ErrUpstream alone", err)
	}
}

func TestPlanEndsWithContext(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	up.FailAlways("/x", upstreamtest.Do(0, cancel))
	up.FailAlways("/x", upstreamtest.Stall(0))
	source, err := Kind().New(s.specs("- {name: s, urls: [" + up.URL("/x") + "]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := source.Plan(ctx, s.env); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A URL that two sources have is carried by the first one alone, with what
// either of them knows of it.
func TestSharedURL(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.Put("/y", []byte("y"))
	r, err := collect.Resolve(t.Context(), sources.Kinds{Kind()}, s.specs(
		"- {name: b, urls: ["+up.URL("/x")+"]}\n- {name: a, urls: ["+up.URL("/y")+", {url: "+up.URL("/x")+", sha256: "+sumX.Hex()+"}]}\n"), s.env)
	if err != nil {
		t.Fatal(err)
	}
	all := s.mustPlan("- {name: b, urls: [" + up.URL("/x") + "]}\n- {name: a, urls: [" + up.URL("/y") + ", {url: " + up.URL("/x") + ", sha256: " + sumX.Hex() + "}]}\n")
	if a := all["b"][0]; a.File.Digest != sumX || a.Evidence.Vouched != bundle.VouchedPinned {
		t.Errorf("first: %+v %+v", a.File, a.Evidence)
	}
	if len(all["a"]) != 1 {
		t.Errorf("second: %v", paths(all["a"]))
	}
	if notes := strings.Join(r.Repositories[0].Notes, "\n"); !strings.Contains(notes, "1 file: carried by source b already") {
		t.Errorf("notes: %s", notes)
	}
}

// A path that a source has which is not planned this time stays with it.
func TestHeldPath(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	up.Put("/y", []byte("y"))
	held := tree{files: map[string][]bundle.File{"a": {{Path: hostPath(up) + "/x"}}}}
	s.env.Held = []sources.Held{{Repository: bundle.Repository{Name: "a", Kind: Name, Mount: mount}, Files: func() iter.Seq2[bundle.File, error] { return held.Files("a") }}}
	all := s.mustPlan("- {name: b, urls: [" + up.URL("/x") + ", " + up.URL("/y") + "]}\n")
	if got := paths(all["b"]); len(got) != 1 || got[0] != hostPath(up)+"/y" {
		t.Errorf("got %v", got)
	}
}

func TestPrivateKeys(t *testing.T) {
	const key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"
	const cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	for content, want := range map[string]bool{
		key: true, cert + key: true, "Bag Attributes\r\n-----BEGIN PRIVATE KEY-----\r\n": true, "-----BEGIN OPENSSH PRIVATE KEY-----": true,
		"-----BEGIN PGP PRIVATE KEY BLOCK-----\n": true, "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n": true,
		cert: false, "-----BEGIN PUBLIC KEY-----\n": false, "see -----BEGIN PRIVATE KEY-----\n": false, "": false,
		"-----BEGIN PRIVATE KEYRING-----\n": false,
	} {
		if got := isPrivateKey([]byte(content)); got != want {
			t.Errorf("%q: got %v", content, got)
		}
	}
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/k.pem", []byte(key))
	long := strings.Repeat("x", keyWindow) + "\n" + key // it does not begin with the key
	up.Put("/long", []byte(long))
	s.write("d/k.pem", key)
	s.write("d/long", long)
	text := "- {name: s, urls: [" + up.URL("/k.pem") + ", " + up.URL("/long") + "]}\n- {name: d, dir: d}\n"
	all := s.mustPlan(text)
	for _, a := range []sources.Artifact{find(t, all["s"], hostPath(up)+"/k.pem"), find(t, all["d"], "d/k.pem")} {
		if _, _, err := read(t, a); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "k.pem: a PEM private key; allow-private-keys has to name it") {
			t.Errorf("%s: got %v", a.File.Path, err)
		}
	}
	for _, a := range []sources.Artifact{find(t, all["s"], hostPath(up)+"/long"), find(t, all["d"], "d/long")} {
		if b, _, err := read(t, a); err != nil || string(b) != long {
			t.Errorf("%s: got %d bytes, %v", a.File.Path, len(b), err)
		}
		c, err := a.Open(t.Context(), keyWindow+1, a.Validator)
		if err != nil || c.At != keyWindow+1 {
			t.Fatalf("%s from %d: %+v, %v", a.File.Path, keyWindow+1, c, err)
		}
		if err := c.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	all = s.mustPlan("- {name: s, urls: [" + up.URL("/k.pem") + "], allow-private-keys: " + up.URL("/k.pem") + "}\n- {name: d, dir: d, allow-private-keys: k.pem}\n")
	for _, a := range []sources.Artifact{find(t, all["s"], hostPath(up)+"/k.pem"), find(t, all["d"], "d/k.pem")} {
		if b, _, err := read(t, a); err != nil || string(b) != key {
			t.Errorf("%s, allowed: got %q, %v", a.File.Path, b, err)
		}
	}
}
