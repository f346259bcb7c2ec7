package simplestreams

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
)

var now = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

// newEnv returns what an export gets, with an open key of the site.
func newEnv(t testing.TB, dir string) *sources.Env {
	t.Helper()
	env := plantest.NewEnv(t, dir, nil)
	env.Tool, env.Now = "test", now
	env.Site, _, _ = plantest.SiteKey(t, signedOn)
	return env
}

func plan(t testing.TB, env *sources.Env, text string) (*collect.Resolved, error) {
	t.Helper()
	return plantest.Plan(t, Kind(), env, text)
}

// tree is what a plan of one repository becomes when it is collected.
type tree struct {
	*plantest.Tree
	files   map[string]bundle.File
	content map[string][]byte
	notes   string
	keys    []sources.Key
	vouched map[string]string
}

func collectAll(t testing.TB, r *collect.Resolved) *tree {
	t.Helper()
	c, repo := plantest.CollectAll(t, r), r.Repositories[0]
	tr := &tree{Tree: c, files: c.Lists[repo.Name], content: c.Contents[repo.Name], vouched: map[string]string{}, notes: strings.Join(repo.Notes, "\n"), keys: repo.Keys}
	for path, a := range plantest.Artifacts(t, r, repo.Name) {
		tr.vouched[path] = a.Evidence.Vouched
	}
	return tr
}

// images returns the paths with a prefix; without one all.
func (tr *tree) images(prefixes ...string) []string {
	var all []string
	for _, p := range slices.SortedFunc(maps.Keys(tr.files), bundle.ComparePaths) {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p, prefix) }) {
			all = append(all, p)
		}
	}
	return all
}

// products reads a published products file.
func (tr *tree) products(t testing.TB, id string) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(tr.content["streams/v1/"+id+".json"], &o); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return o
}

func planned(t testing.TB, m *mirror, options ...string) *tree {
	t.Helper()
	r, err := plan(t, newEnv(t, m.dir), m.spec(options...))
	if err != nil {
		t.Fatal(err)
	}
	tr := collectAll(t, r)
	if _, err := readers.Check(t.Context(), tr); err != nil {
		t.Error(err)
	}
	return tr
}

// A selection has the newest version of what the filters let through, and the
// bootloaders of those architectures, and its streams name nothing else.
func TestRebuilt(t *testing.T) {
	m := newMirror(t, t.TempDir())
	env := newEnv(t, m.dir)
	r, err := plan(t, env, m.spec(`filters: ["arch=amd64", "release~noble"]`))
	if err != nil {
		t.Fatal(err)
	}
	tr := collectAll(t, r)
	counts, err := readers.Check(t.Context(), tr)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bootloaders/pxe/i386/20261101.0/syslinux.tar.xz", "bootloaders/uefi/amd64/20261101.0/grub2-signed.tar.xz", "bootloaders/uefi/amd64/20261101.0/shim-signed.tar.xz",
		"noble/amd64/20261120/ga/boot-initrd", "noble/amd64/20261120/ga/boot-kernel", "noble/amd64/20261120/hwe/boot-initrd", "noble/amd64/20261120/hwe/boot-kernel",
		"noble/amd64/20261120/squashfs", "noble/amd64/20261120/squashfs.manifest",
	}
	if got := tr.images("bootloaders", "jammy", "noble"); !slices.Equal(got, want) {
		t.Errorf("images\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantCounts := []bundle.CheckCount{{Name: "bootable", Count: 2}, {Name: "items", Count: 11}, {Name: "products", Count: 4}, {Name: "versions", Count: 4}}
	if !slices.Equal(counts, wantCounts) {
		t.Errorf("counts %v, want %v", counts, wantCounts)
	}
	for _, id := range []string{imagesID, bootloadersID, "index"} {
		path := "streams/v1/" + id + ".sjson"
		var text bytes.Buffer
		signature, err := streams.Unsign(&text, bytes.NewReader(tr.content[path]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pgpkeys.Signers(text.Bytes(), signature, openpgp.EntityList{env.Site}, now); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if own := rebuildFolder + path; !bytes.Equal(tr.content[own], m.content[own]) && len(tr.content[own]) == 0 {
			t.Errorf("%s: upstream's is not there", own)
		}
		if tr.vouched[path] != bundle.VouchedMade || !strings.HasPrefix(tr.vouched[rebuildFolder+path], bundle.VouchedOpenPGP) {
			t.Errorf("%s: vouched %s, upstream's %s", path, tr.vouched[path], tr.vouched[rebuildFolder+path])
		}
	}
	index := tr.products(t, "index")
	if index["updated"] != m.updated || !strings.Contains(string(tr.content["streams/v1/index.sjson"]), imagesID+".sjson") || !strings.Contains(string(tr.content["streams/v1/index.json"]), imagesID+".json") {
		t.Errorf("index\n%s\n%s", tr.content["streams/v1/index.json"], tr.content["streams/v1/index.sjson"])
	}
	if tr.Repos[0].Mode != "rebuilt" || len(tr.keys) != 1 || tr.keys[0].Role != "site" {
		t.Errorf("mode %s, keys %v", tr.Repos[0].Mode, tr.keys)
	}
	again := planned(t, m, `filters: ["arch=amd64", "release~noble"]`)
	for p, b := range tr.content {
		if strings.HasSuffix(p, ".json") && !bytes.Equal(b, again.content[p]) {
			t.Errorf("%s: the same selection has other bytes", p)
		}
	}
}

const rebuildFolder = "_upstream/"

// What else chooses, and what it leaves.
func TestChoice(t *testing.T) {
	const noble = `filters: ["release=noble", "arch=amd64"]`
	for name, test := range map[string]struct {
		options []string
		change  func(m *mirror)
		want    []string // that are there
		gone    []string // that are not
		note    string
	}{
		"subarch":                {[]string{`subarch: ga-24.04`}, nil, []string{"noble/amd64/20261120/ga/boot-kernel", "noble/arm64/20261120/squashfs"}, []string{"noble/amd64/20261120/hwe/boot-kernel", "jammy/"}, ""},
		"newest 2":               {[]string{noble, `newest: 2`}, nil, []string{"noble/amd64/20261110/squashfs"}, []string{"noble/amd64/20261101/squashfs"}, ""},
		"newest alone":           {[]string{`newest: 1`}, nil, []string{"jammy/arm64/20261120/squashfs", "bootloaders/uefi/arm64/20261101.0/grub2.tar.xz"}, []string{"jammy/arm64/20261110/"}, ""},
		"mode alone":             {[]string{`mode: rebuilt`}, nil, []string{"jammy/arm64/20261120/squashfs"}, []string{"jammy/arm64/20261110/"}, ""},
		"bootloaders none":       {[]string{noble, `bootloaders: none`}, nil, []string{"noble/amd64/20261120/squashfs"}, []string{"bootloaders/"}, ""},
		"bootloaders all":        {[]string{noble, `bootloaders: all`}, nil, []string{"bootloaders/uefi/arm64/20261101.0/grub2.tar.xz"}, []string{"bootloaders/uefi/arm64/20261001.0/"}, ""},
		"no bootloader upstream": {[]string{noble}, func(m *mirror) { delete(m.files, bootloadersID) }, []string{"noble/amd64/20261120/squashfs"}, []string{"bootloaders/"}, "amd64: upstream has no bootloader"},
		"incomplete newest": {[]string{noble}, func(m *mirror) {
			delete(m.items(imagesID, productName("24.04", "amd64", "ga"), "20261120"), "manifest")
		},
			[]string{"noble/amd64/20261110/ga/boot-kernel", "noble/amd64/20261120/hwe/boot-kernel"}, []string{"noble/amd64/20261120/ga/"}, "version 20261120: skipped: upstream has no manifest"},
		"differences": {[]string{`mode: rebuilt`}, func(m *mirror) {
			m.items(imagesID, productName("24.04", "amd64", "ga"), "20261120")["d"] = m.item("squashfs.vcdiff", "noble/d.vcdiff")
		}, nil, []string{"noble/d.vcdiff"}, ""},
		"differences by name": {[]string{`filters: ["ftype!~no.vcdiff", "path~(vcdiff|noble/amd64/.*/(squashfs|boot|ga))", "arch=amd64", "release=noble", "subarch~ga"]`}, func(m *mirror) {
			m.items(imagesID, productName("24.04", "amd64", "ga"), "20261120")["d"] = m.item("squashfs.vcdiff", "noble/d.vcdiff")
		}, []string{"noble/d.vcdiff", "noble/amd64/20261120/squashfs"}, nil, ""},
		"images of a cloud": {[]string{noble}, func(m *mirror) {
			m.files["cloud"] = object{"cloud:v3:1": object{"arch": "amd64", "release": "noble", "versions": object{"1": object{"items": object{"here": object{"id": "ami-1", "region": "here"}}}}}}
		}, []string{"noble/amd64/20261120/squashfs"}, []string{"streams/v1/cloud.json", "_upstream/streams/v1/cloud.sjson"}, "cloud: left out: its items name no files"},
		"image-ids that are files":       {[]string{noble}, func(m *mirror) { m.datatype = "image-ids" }, []string{"noble/amd64/20261120/squashfs", "bootloaders/pxe/i386/20261101.0/syslinux.tar.xz"}, nil, ""},
		"CentOS":                         {[]string{`filters: ["os=centos"]`}, func(m *mirror) { m.centos() }, []string{"centos/8/amd64/2/manifest", "centos/8/amd64/2/root-tgz", "bootloaders/pxe/i386/20261101.0/syslinux.tar.xz"}, []string{"noble/", "streams/v1/" + imagesID + ".json"}, ""},
		"bootloaders apart from filters": {[]string{`filters: ["os=ubuntu", "ftype!=nothing", "subarch~24", "arch=arm64"]`}, nil, []string{"bootloaders/uefi/arm64/20261101.0/grub2.tar.xz"}, []string{"bootloaders/pxe/", "bootloaders/uefi/amd64/"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, t.TempDir())
			if test.change != nil {
				test.change(m)
				m.publish()
			}
			tr := planned(t, m, test.options...)
			for _, p := range test.want {
				if _, ok := tr.files[p]; !ok {
					t.Errorf("%s: is not there", p)
				}
			}
			for _, prefix := range test.gone {
				if got := tr.images(prefix); len(got) > 0 {
					t.Errorf("%v: are there", got)
				}
			}
			if !strings.Contains(tr.notes, test.note) {
				t.Errorf("notes %q, want %q", tr.notes, test.note)
			}
		})
	}
}

// images of another datatype than images' are left out, unless there is
// nothing else.
func TestOtherDatatypes(t *testing.T) {
	m := newMirror(t, t.TempDir())
	m.put("streams/v1/index.sjson", object{"format": "index:1.0", "updated": m.updated, "index": object{
		imagesID:        object{"datatype": "image-downloads", "format": "products:1.0", "path": "streams/v1/" + imagesID + ".sjson", "products": []string{}, "updated": m.updated},
		"tools:1:tools": object{"datatype": "content-download", "format": "products:1.0", "path": "streams/v1/tools.sjson", "products": []string{}, "updated": m.updated},
	}}, true)
	if tr := planned(t, m, wanted); !strings.Contains(tr.notes, "tools:1:tools: left out: its datatype is content-download") {
		t.Errorf("notes %q", tr.notes)
	}
	tools := object{"content_id": "tools:1:tools", "datatype": "content-download", "format": "products:1.0", "products": object{
		"tools:1": object{"arch": "amd64", "versions": object{"1": object{"items": object{"t": m.item("tar.gz", "tools/t.tgz")}}}},
	}}
	m.publish()
	m.put("streams/v1/tools.sjson", tools, true)
	m.put("streams/v1/index.sjson", object{"format": "index:1.0", "updated": m.updated, "index": object{
		"tools:1:tools": object{"datatype": "content-download", "format": "products:1.0", "path": "streams/v1/tools.sjson"},
	}}, true)
	if tr := planned(t, m, "newest: 1"); len(tr.images("tools/")) != 1 {
		t.Errorf("a source of tools alone: %v", tr.images(""))
	}
}

// What must be refused, with the class and what the error has to name.
func TestRefusals(t *testing.T) {
	noble := productName("24.04", "amd64", "ga")
	for name, test := range map[string]struct {
		options []string
		change  func(m *mirror)
		class   error
		want    []string
	}{
		"unknown key":     {[]string{`filters: ["architecture=amd64"]`}, nil, bundle.ErrUsage, []string{"no item has a field architecture", "items have arch", "ftype"}},
		"nothing":         {[]string{`filters: ["arch=s390x"]`}, nil, bundle.ErrUsage, []string{"no item passes all of them"}},
		"unknown subarch": {[]string{`subarch: [ga-99.04]`}, nil, bundle.ErrUsage, []string{"ga-99.04", "ga-22.04, ga-24.04, hwe-22.04"}},
		"incomplete":      {[]string{`filters: ["ftype~(boot-kernel|boot-initrd|squashfs)"]`}, nil, bundle.ErrUsage, []string{"leave out manifest of product", "20261120"}},
		"no root":         {[]string{`filters: ["ftype!=squashfs"]`}, nil, bundle.ErrUsage, []string{"leave out squashfs or root-image.gz"}},
		"title":           {[]string{`filters: ["arch=amd64"]`}, func(m *mirror) { delete(m.product(imagesID, noble), "release_title") }, fetch.ErrUpstream, []string{noble, "release_title"}},
		"two shapes":      {[]string{`mode: rebuilt`}, func(m *mirror) { maps.Copy(m.files[imagesID], m.files[bootloadersID]); delete(m.files, bootloadersID) }, fetch.ErrUpstream, []string{"MAAS refuses a file with both"}},
		"a file of others": {[]string{`mode: rebuilt`}, func(m *mirror) {
			m.files["tools"] = object{"tools:1": object{"arch": "amd64", "versions": object{"1": object{"items": object{"t": m.item("tar.gz", "tools/t.tgz")}}}}}
		}, fetch.ErrUpstream, []string{"content_id!=tools"}},
		"depth": {nil, func(m *mirror) {
			var deep any
			for range 20 {
				deep = []any{deep}
			}
			m.product(imagesID, noble)["deep"] = deep
		}, fetch.ErrUpstream, []string{"more than 8 levels"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, t.TempDir())
			if test.change != nil {
				test.change(m)
				m.publish()
			}
			_, err := plan(t, newEnv(t, m.dir), m.spec(test.options...))
			if !errors.Is(err, test.class) {
				t.Fatalf("got %v, want %v", err, test.class)
			}
			for _, want := range append(test.want, "spec.yaml:4:5") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not name %s", err, want)
				}
			}
		})
	}
}

func TestSpec(t *testing.T) {
	m := newMirror(t, t.TempDir())
	for text, want := range map[string]string{
		`filters: ["arch amd64"]`:                       "5:15: want a filter like",
		`filters: ["release~(jammy"]`:                   "missing closing )",
		"newest: -1":                                    "newest: want 1 or more",
		"bootloaders: some":                             "want auto, none or all",
		"mode: half":                                    "want verbatim or rebuilt",
		"mode: verbatim\n    newest: 1":                 "verbatim is upstream's own index",
		"mode: verbatim\n    bootloaders: none":         "verbatim is upstream's own index",
		"unsigned: true":                                "want one of the two",
		"-keyring":                                      "name the keys that may sign it, or unsigned: true",
		"-url: ftp://a.example/":                        "url: ",
		"-url: https://a.example/?a=b":                  "no query and no fragment",
		"-url: https://a.example/streams/v1/index.json": "has no signature",
		"-url: https://a.example/streams/v1/../a.sjson": "streams/v1/../a.sjson",
	} {
		spec := m.spec()
		switch {
		case text == "-keyring":
			spec = strings.Replace(spec, "keyring: images.asc", "newest: 1", 1)
		case text[0] == '-':
			spec = strings.Replace(spec, "url: "+m.url(""), text[1:], 1)
		default:
			spec = m.spec(strings.Split(text, "\n    ")...)
		}
		if _, err := plan(t, newEnv(t, m.dir), spec); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), strings.TrimPrefix(want, "5:15: ")) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	if n := m.server.AllRequests(); n != 0 {
		t.Errorf("%d requests although the specs are refused", n)
	}
	env := newEnv(t, m.dir)
	env.Site = nil
	if _, err := plan(t, env, m.spec(wanted)); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "need a site key") {
		t.Errorf("got %v, want that there is no site key", err)
	}
	m.server.ResetCounts()
	if r, err := plan(t, env, m.spec()); err != nil || r.Repositories[0].Mode != "verbatim" {
		t.Errorf("verbatim without a site key: %v", err)
	}
}

// verbatim is upstream's streams byte for byte, and an unsigned form of them.
func TestVerbatim(t *testing.T) {
	m := newMirror(t, t.TempDir())
	tr := planned(t, m)
	for p, body := range m.content {
		if !bytes.Equal(tr.content[p], body) {
			t.Errorf("%s: is not there", p)
		}
	}
	for _, id := range []string{imagesID, bootloadersID} {
		var text bytes.Buffer
		path := "streams/v1/" + id + ".sjson"
		if _, err := streams.Unsign(&text, bytes.NewReader(tr.content[path])); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text.Bytes(), tr.content["streams/v1/"+id+".json"]) || !strings.HasPrefix(tr.vouched[path], bundle.VouchedOpenPGP) {
			t.Errorf("%s: the unsigned form is another text, or it is vouched %s", path, tr.vouched[path])
		}
	}
	if !strings.Contains(string(tr.content["streams/v1/index.json"]), imagesID+`.json"`) || tr.Repos[0].Mode != "verbatim" || len(tr.keys) != 1 || tr.keys[0].Path != "images.asc" {
		t.Errorf("%s\n%s %v", tr.content["streams/v1/index.json"], tr.Repos[0].Mode, tr.keys)
	}
	// Upstream that MAAS refuses is carried as it is, and this is said.
	delete(m.items(imagesID, productName("24.04", "amd64", "ga"), "20261101"), "manifest")
	m.publish()
	if tr := planned(t, m); !strings.Contains(tr.notes, "not complete for their readers") {
		t.Errorf("notes %q", tr.notes)
	}
}

// A source that nobody signed is read from its index.json, and what it leads to
// counts as what nothing but the connection vouches for.
func TestUnsigned(t *testing.T) {
	m := newMirror(t, t.TempDir())
	m.sign = nil
	for _, options := range [][]string{nil, {wanted}} {
		tr := planned(t, m, options...)
		if n := m.server.Requests(root + "streams/v1/index.sjson"); n != 0 {
			t.Errorf("%d requests for a signed index", n)
		}
		for p, vouched := range tr.vouched {
			if vouched != bundle.VouchedNone {
				t.Errorf("%s: vouched %s over plain http", p, vouched)
			}
		}
		_, signed := tr.files["streams/v1/index.sjson"]
		if signed != (len(options) > 0) { // a selection is signed by the site
			t.Errorf("%v: a signed index: %t", options, signed)
		}
	}
}

// containers serves a source in the form of LXD's.
func containers(t testing.TB, m *mirror) {
	m.files = map[string]object{"images": {}}
	m.content = map[string][]byte{}
	for _, arch := range []string{"amd64", "arm64"} {
		versions := object{}
		for _, v := range []string{"20261101_07:42", "20261120_07:42"} {
			at := fmt.Sprintf("images/debian/bookworm/%s/%s/", arch, strings.ReplaceAll(v, ":", "-"))
			meta, squashfs := m.item("lxd.tar.xz", at+"lxd.tar.xz"), m.item("squashfs", at+"rootfs.squashfs")
			both := bundle.DigestOf(slices.Concat(m.content[at+"lxd.tar.xz"], m.content[at+"rootfs.squashfs"])).Hex()
			meta["combined_squashfs_sha256"] = both
			incus := maps.Clone(meta)
			incus["ftype"] = "incus.tar.xz"
			versions[v] = object{"items": object{"lxd.tar.xz": meta, "incus.tar.xz": incus, "root.squashfs": squashfs}}
		}
		m.files["images"]["debian:bookworm:"+arch+":default"] = object{
			"aliases": "debian/bookworm/default,debian/bookworm", "arch": arch, "os": "Debian", "release": "bookworm", "release_title": "bookworm", "variant": "default", "versions": versions,
		}
	}
	m.publish()
}

func TestContainers(t *testing.T) {
	m := newMirror(t, t.TempDir())
	containers(t, m)
	tr := planned(t, m, `filters: "arch=amd64"`)
	if got := tr.images("images/"); len(got) != 2 || !strings.Contains(got[0], "amd64/20261120") {
		t.Errorf("got %v", got)
	}
	if _, err := plan(t, newEnv(t, m.dir), m.spec(`filters: "ftype~tar.xz"`)); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "leave out a root file") {
		t.Errorf("got %v, want that the root is left out", err)
	}
	if tr := planned(t, m, `filters: "ftype=squashfs"`); len(tr.images("images/")) != 2 {
		t.Errorf("root files alone: %v", tr.images("images/"))
	}
}
