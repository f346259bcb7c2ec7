package sourcetest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/gapbundle/gapbundle/unpack"
)

// warehouse is an upstream of the fake kinds.
type warehouse struct {
	t        *testing.T
	server   *upstreamtest.Server
	manifest Manifest
	content  map[string][]byte
	text     string // of the manifest, as it was published last
}

func newWarehouse(t *testing.T) *warehouse {
	w := &warehouse{t: t, server: upstreamtest.New(t), manifest: Manifest{Files: map[string]bundle.Digest{}}, content: map[string][]byte{}}
	w.file("a/one.txt", "the first file")
	w.file("b.txt", "the second file")
	w.file("big", strings.Repeat("0123456789", 200_000))
	w.parcel("p/1", "a parcel")
	w.parcel("p/2", strings.Repeat("parcel", 100_000))
	w.publish()
	return w
}

func (w *warehouse) put(path, content string) {
	w.content["/r/"+path] = []byte(content)
	w.server.Put("/r/"+path, []byte(content))
}

func (w *warehouse) file(path, content string) {
	w.put(path, content)
	w.manifest.Files[path] = bundle.DigestOf([]byte(content))
}

func (w *warehouse) parcel(path, content string) {
	w.put(path, content)
	w.manifest.Parcels = append(w.manifest.Parcels, path)
}

func (w *warehouse) publish() {
	w.t.Helper()
	b, err := json.Marshal(w.manifest)
	if err != nil {
		w.t.Fatal(err)
	}
	w.text = string(b)
	w.server.Put("/r/manifest.json", b)
}

func (w *warehouse) sources() string {
	return "- name: main\n  kind: manifests\n  url: " + w.server.URL("/r/manifest.json") + "\n" +
		"- name: extra\n  kind: parcels\n  base: " + w.server.URL("/r/") + "\n  names: [p/1, p/3]\n"
}

// upstream has a parcel that two sources want, so the fakes' own view of all
// their specs counts: "extra" comes first and carries it.
func (w *warehouse) upstream() *Upstream {
	w.put("p/3", "a third parcel")
	files := map[string][]byte{}
	for path := range w.manifest.Files {
		files["/r/"+path] = w.content["/r/"+path]
	}
	url := w.server.URL("/r/manifest.json")
	return &Upstream{
		Server: w.server, Sources: w.sources(), Payload: files, Unsigned: w.sources,
		Next: [2]func() string{
			func() string {
				w.file("b.txt", "the second file, changed")
				w.file("c/new.txt", "a new file")
				w.parcel("p/4", "a new parcel")
				w.put("p/1", "another parcel")
				w.publish()
				return w.sources()
			},
			func() string {
				delete(w.manifest.Files, "a/one.txt")
				w.manifest.Parcels = w.manifest.Parcels[1:]
				w.publish()
				return w.sources()
			},
		},
		Nothing: []Nothing{{strings.Replace(w.sources(), "[p/1, p/3]", "[]", 1), []string{"names", w.server.URL("/r/")}}},
		Forgeries: []Forgery{
			{"no manifest", func() { w.server.Put("/r/manifest.json", []byte("<html>")) }, fetch.ErrUpstream, []string{url}},
			{"truncated", func() { w.server.Put("/r/manifest.json", []byte(`{"files":{"a/one.txt":`)) }, fetch.ErrUpstream, []string{url}},
			{"expired", func() {
				w.manifest.Expires = time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC)
				w.publish()
			}, fetch.ErrRefused, []string{url, "expired 2026-10-31"}},
			{"gone", func() { w.server.Remove("/r/manifest.json") }, fetch.ErrUpstream, []string{url}},
		},
	}
}

func fakeSuite() Suite {
	return Suite{
		Kinds: sources.Kinds{Manifests(), Parcels()}, Counted: "index entries",
		New: func(t *testing.T, _ string) *Upstream { return newWarehouse(t).upstream() },
	}
}

func TestFakes(t *testing.T) { Run(t, fakeSuite()) }

// The seams, looked at from the mirror's side.
func TestSeams(t *testing.T) {
	s := fakeSuite()
	s.key = newKey(t)
	r := newRig(t, s)
	private, _, fingerprint, err := keys.GenerateSite("Site", []byte(passphrase), time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "site.key"), private, 0o600); err != nil {
		t.Fatal(err)
	}
	signed := func(o *export.Options) {
		o.SiteKey = filepath.Join(r.dir, "site.key")
		o.SitePassphrase = o.Passphrase
	}
	plan, err := export.Plan(t.Context(), r.options())
	if err != nil {
		t.Fatal(err)
	}
	if plan.ScratchBytes != 4<<10 {
		t.Errorf("scratch: plan announces %d bytes", plan.ScratchBytes)
	}
	in := newInside(r)
	dirs := r.must(signed)

	// A key that clients are configured to trust needs somebody's consent.
	if _, err := in.Receive(t.Context(), dirs, unpack.ImportOptions{}); err == nil || !strings.Contains(err.Error(), fingerprint) {
		t.Errorf("a new key for clients: got %v, want a refusal that names %s", err, fingerprint)
	}
	if _, err := in.Receive(t.Context(), dirs, unpack.ImportOptions{AcceptKeys: true, BaseURL: "https://mirror.lan/m"}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Check(t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
		t.Error(err)
	}
	listed := in.listed()
	for _, p := range []string{
		"manifests/main/INDEX", "manifests/main/INDEX.asc", "manifests/main/files/a/one.txt",
		"parcels/main-parcels/p/2", "parcels/extra/p/1", "parcels/extra/p/3",
	} {
		if _, ok := listed[p]; !ok {
			t.Errorf("%s: not in the mirror", p)
		}
	}
	if _, ok := listed["parcels/main-parcels/p/1"]; ok {
		t.Error("a parcel that two sources want is carried twice")
	}
	for p, want := range map[string]string{
		"_gapbundle/clients/manifests/manifests.conf": "main https://mirror.lan/m/manifests/main/\n",
		"_gapbundle/clients/parcels/parcels.conf":     "extra https://mirror.lan/m/parcels/extra/\nmain/parcels https://mirror.lan/m/parcels/main-parcels/\n",
	} {
		if b, err := os.ReadFile(filepath.Join(in.dir, "current", p)); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v, want %q", p, b, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(in.dir, "current/keys/site.asc")); err != nil {
		t.Error(err)
	}
	g, err := in.Current()
	if err != nil {
		t.Fatal(err)
	}
	checked := false
	for _, repo := range g.Sets[0].Repositories {
		if repo.Name == "main" {
			checked = len(repo.Checks) == 1 && repo.Checks[0] == bundle.CheckCount{Name: "index entries", Count: 3}
		}
	}
	if !checked {
		t.Errorf("the root does not say what the kind's check counted: %+v", g.Sets[0].Repositories)
	}
}

// An index that promises what is not there stops the export.
func TestIncompleteIndex(t *testing.T) {
	s := fakeSuite()
	s.key = newKey(t)
	r := newRig(t, s)
	honest := s.Kinds[0].Check
	s.Kinds[0].Check = nil
	in := newInside(r)
	in.receive(r.must())
	if err := os.Truncate(filepath.Join(in.dir, "current/manifests/main/INDEX"), 10); err != nil {
		t.Fatal(err)
	}
	tree, err := in.Tree(manifestsName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := honest(t.Context(), tree); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("a cut index: got %v", err)
	}
}
