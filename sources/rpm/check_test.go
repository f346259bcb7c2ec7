package rpm

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

const prestodelta = `<prestodelta><newpackage name="hello" epoch="0" version="2" release="1" arch="x86_64"><delta oldepoch="0" oldversion="1" oldrelease="1"><filename>drpms/hello.drpm</filename><sequence>x</sequence><size>5</size><checksum type="sha256">` +
	`2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824</checksum></delta></newpackage></prestodelta>`

// mirrored returns a mirror of a repository, with a layout.
func mirrored(t *testing.T, r *rpmtest.Repository, l layout) *tree {
	t.Helper()
	annotations := map[string]string{keysKey: "epel.asc"}
	if err := sources.Annotate(annotations, layoutKey, []layout{l}); err != nil {
		t.Fatal(err)
	}
	c := &plantest.Tree{
		Repos:    []bundle.Repository{{Name: "epel", Kind: Name, Mode: modeVerbatim, Mount: "rpm/epel", Annotations: annotations}},
		Lists:    map[string]map[string]bundle.File{"epel": {}},
		Contents: map[string]map[string][]byte{"epel": {}},
	}
	tr := &tree{Tree: c, files: c.Lists, content: c.Contents}
	for name, content := range r.Build(t) {
		tr.put(name, content)
	}
	return tr
}

func (tr *tree) put(name string, content []byte) {
	tr.content["epel"][name] = content
	tr.files["epel"][name] = bundle.File{Path: name, Size: int64(len(content)), Digest: bundle.DigestOf(content)}
}

// TestCheck: what dnf would miss is named, and what it does without is not.
func TestCheck(t *testing.T) {
	key, _ := signers(t)
	ask := func(t *testing.T, tr *tree, class error, names ...string) {
		t.Helper()
		counts, err := check(t.Context(), tr)
		if class != nil {
			refused(t, err, class, names...)
		} else if err != nil || len(counts) != 3 {
			t.Errorf("%v, %v", counts, err)
		}
	}
	repository := func() *rpmtest.Repository {
		return &rpmtest.Repository{Packages: []*rpmtest.Package{{Name: "hello", Version: "1", Release: "1", Arch: "x86_64", Signer: key}}}
	}
	t.Run("counts", func(t *testing.T) {
		counts, err := check(t.Context(), mirrored(t, repository(), layout{}))
		if err != nil || counts[0] != (bundle.CheckCount{Name: "metadata", Count: 3}) || counts[1] != (bundle.CheckCount{Name: "packages", Count: 1}) || counts[2] != (bundle.CheckCount{Name: "repositories", Count: 1}) {
			t.Errorf("%v, %v", counts, err)
		}
	})
	t.Run("absent upstream", func(t *testing.T) {
		r := repository()
		r.Hidden = []string{"other"}
		ask(t, mirrored(t, r, layout{Absent: []string{"other"}}), nil)
		ask(t, mirrored(t, r, layout{}), bundle.ErrIncomplete, "rpm/epel/repodata/", "-other.xml.gz", "dnf makecache (other)")
	})
	t.Run("no primary", func(t *testing.T) {
		r := repository()
		r.Change = replaceAll(`type="primary"`, `type="primary_zck"`)
		ask(t, mirrored(t, r, layout{}), bundle.ErrIncomplete, "rpm/epel/repodata/repomd.xml", "no primary")
	})
	for _, kind := range []string{typeDeltas, typeDeltasOld} {
		t.Run(kind, func(t *testing.T) {
			r := repository()
			r.Extra = map[string]string{kind: prestodelta}
			tr := mirrored(t, r, layout{})
			ask(t, tr, bundle.ErrIncomplete, "rpm/epel/drpms/hello.drpm", "delta")
			tr.put("drpms/hello.drpm", []byte("hallo"))
			ask(t, tr, bundle.ErrCorrupt, "rpm/epel/drpms/hello.drpm")
			tr.put("drpms/hello.drpm", []byte("hello"))
			ask(t, tr, nil)
			r.Extra[kind] = "<prestodelta><newpackage>"
			ask(t, mirrored(t, r, layout{}), bundle.ErrCorrupt, "-"+kind)
		})
	}
	t.Run("leads elsewhere", func(t *testing.T) {
		r := repository()
		r.Packages[0].Base = "http://h.example"
		ask(t, mirrored(t, r, layout{}), bundle.ErrIncomplete, "http://h.example/Packages/hello-1-1.x86_64.rpm", "cannot reach")
		r.Packages[0].Base, r.Edit = "", replace("Packages/hello", "Packages/?hello")
		ask(t, mirrored(t, r, layout{}), bundle.ErrCorrupt, "/?hello")
	})
	t.Run("size", func(t *testing.T) {
		r := repository()
		r.Sum, r.Edit = "sha512", replace(`<size package="`, `<size package="1`)
		ask(t, mirrored(t, r, layout{}), bundle.ErrCorrupt, "rpm/epel/Packages/hello-1-1.x86_64.rpm", "bytes")
	})
	t.Run("unpacks further than it says", func(t *testing.T) {
		r := repository()
		r.Change = func(repomd string) string {
			at := strings.Index(repomd, `type="primary"`)
			return repomd[:at] + strings.Replace(strings.Replace(repomd[at:], "<open-size>", "<open-size>100</open-size><!--", 1), "</open-size>\n", "-->", 1)
		}
		if _, err := check(t.Context(), mirrored(t, r, layout{})); err == nil || !strings.Contains(err.Error(), "100 bytes") {
			t.Error(err)
		}
	})
	t.Run("cut off, not packed, no repomd", func(t *testing.T) {
		r := repository()
		r.Pack, r.Suffix = func(_ testing.TB, b []byte) []byte { return b[:len(b)/2] }, ""
		ask(t, mirrored(t, r, layout{}), bundle.ErrCorrupt, "primary.xml")
		r.Pack = nil
		r.Change = func(string) string { return "<html>" }
		ask(t, mirrored(t, r, layout{}), bundle.ErrCorrupt, "rpm/epel/repodata/repomd.xml")
	})
	t.Run("two", func(t *testing.T) {
		tr := mirrored(t, repository(), layout{})
		tr.Repos[0].Annotations[layoutKey+"01"] = `{"id":"b","dir":"b/","signed":true}`
		ask(t, tr, bundle.ErrIncomplete, "source epel", "rpm/epel/b/repodata/repomd.xml")
	})
	t.Run("evidence", func(t *testing.T) {
		r := repository()
		r.Extra = map[string]string{"primary_db": "x"}
		tr := mirrored(t, r, layout{Evidence: true, Absent: []string{"other"}})
		tr.Repos[0].Mode = modeRebuilt
		for name, content := range r.Build(t) {
			if !strings.Contains(name, "primary_db") && !strings.Contains(name, "-other.xml") && strings.HasPrefix(name, "repodata/") {
				tr.put(upstreamFolder+name, bytes.Clone(content))
			}
		}
		ask(t, tr, bundle.ErrIncomplete, "rpm/epel/_upstream/repodata/repomd.xml.asc", "what upstream had")
		tr.put(upstreamFolder+nameSignature, []byte("signature"))
		ask(t, tr, nil)
	})
}

// TestLayouts: what check and client files work from.
func TestLayouts(t *testing.T) {
	if err := sources.Annotate(map[string]string{}, layoutKey, []layout{{Title: strings.Repeat("x", bundle.MaxAnnotationSize)}}); err == nil {
		t.Error("an annotation that is too long")
	}
	r := bundle.Repository{Name: "epel", Annotations: map[string]string{keysKey: "x"}}
	for _, text := range []string{"", "{", `{"dir":1}`} {
		if text != "" {
			r.Annotations[layoutKey+"00"] = text
		}
		if _, err := layouts(r); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), "source epel") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, id := range []string{"07", "03", "05", "01", "00", "02", "04", "06"} {
		r.Annotations[layoutKey+id] = `{"id":"` + id + `"}`
	}
	all, err := layouts(r)
	if err != nil || len(all) != 8 {
		t.Fatal(all, err)
	}
	for i := range all {
		if all[i].ID != "0"+string(rune('0'+i)) {
			t.Errorf("not in order: %v", all)
		}
	}
}
