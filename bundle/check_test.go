package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// goodManifest has something in every field.
// testCreated is when the bundle of these tests was made.
var testCreated = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func goodManifest() *Manifest {
	d := someDigest
	later := testCreated.Add(time.Hour)
	m := &Manifest{
		Annotations: map[string]string{"k": "v"},
		Base:        &State{Sequence: 6, State: d},
		Catalog:     []CatalogFile{{Digest: d, Frames: []Frame{{Compressed: 100, Digest: d, Raw: 2048}}, Name: "catalog-01.tar.zst", Size: 100}},
		Created:     testCreated,
		Destination: "north",
		Expires:     &later,
		Format:      Format,
		Keys:        []PublishedKey{{Fingerprint: strings.Repeat("A1", 20), Mounts: []string{"apt/a"}, Path: "keys/site.asc", Role: "site"}},
		Overrides:   []string{"no-readback"},
		Repositories: []Repository{
			repository("a", "apt/a"), repository("a/oci", "v2"), repository("b", "v2"), repository("c", "files"),
		},
		Sequence: 7,
		Set:      "lab",
		Stream:   strings.Repeat("0a", 16),
		Sums:     Descriptor(MediaTypeSums, d, 5),
		Tool:     "gapbundle test",
		Volumes:  Descriptor(MediaTypeVolumeTable, d, 0),
	}
	m.Requires = []string{FeatureContents}
	contents := Descriptor(MediaTypeContents, someDigest, 70)
	m.Repositories[0].Contents, m.Repositories[0].Entries = &contents, 2
	m.Repositories[0].Mode = "rebuilt"
	m.Repositories[0].Carried = []string{"contents", "evidence", "files"}
	m.Repositories[0].Checks = []CheckCount{{3, "packages"}}
	m.Repositories[0].UpstreamExpires = &later
	m.State = StateDigest(m.Repositories)
	return m
}

func repository(name, mount string) Repository {
	return Repository{Name: name, Mount: mount, Kind: "files", Count: 1, Bytes: 2,
		Files: Descriptor(MediaTypeFileList, DigestOf([]byte(name)), 100), Evidence: Descriptor(MediaTypeEvidence, someDigest, 50)}
}

func TestParseManifest(t *testing.T) {
	b, err := MarshalCanonical(goodManifest())
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := MarshalCanonical(m)
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("%v: %s", err, again)
	}
}

// Every rule, broken alone.
func TestCheckManifestRefuses(t *testing.T) {
	early := time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)
	for what, spoil := range map[string]func(m *Manifest){
		"set":                     func(m *Manifest) { m.Set = "Lab" },
		"stream upper":            func(m *Manifest) { m.Stream = strings.ToUpper(m.Stream) },
		"stream short":            func(m *Manifest) { m.Stream = m.Stream[2:] },
		"sequence 0":              func(m *Manifest) { m.Sequence = 0 },
		"sequence large":          func(m *Manifest) { m.Sequence = MaxInteger + 1 },
		"created zone":            func(m *Manifest) { m.Created = m.Created.In(time.FixedZone("x", 3600)) },
		"created fraction":        func(m *Manifest) { m.Created = m.Created.Add(time.Millisecond) },
		"expires early":           func(m *Manifest) { m.Expires = &early },
		"upstream expires":        func(m *Manifest) { m.Repositories[0].UpstreamExpires = &early },
		"destination":             func(m *Manifest) { m.Destination = "a\nb" },
		"tool empty":              func(m *Manifest) { m.Tool = "" },
		"tool long":               func(m *Manifest) { m.Tool = strings.Repeat("x", maxText+1) },
		"overrides order":         func(m *Manifest) { m.Overrides = []string{"b", "a"} },
		"overrides empty":         func(m *Manifest) { m.Overrides = []string{} },
		"full with base":          func(m *Manifest) { m.Full = true },
		"delta without base":      func(m *Manifest) { m.Base = nil },
		"base later":              func(m *Manifest) { m.Base.Sequence = 7 },
		"annotations empty":       func(m *Manifest) { m.Annotations = map[string]string{} },
		"annotation key":          func(m *Manifest) { m.Annotations = map[string]string{"": "v"} },
		"annotation long":         func(m *Manifest) { m.Annotations = map[string]string{"k": strings.Repeat("v", MaxAnnotationSize+1)} },
		"annotation text":         func(m *Manifest) { m.Annotations = map[string]string{"k": "\xff"} },
		"no repositories":         func(m *Manifest) { m.Repositories = nil },
		"repository twice":        func(m *Manifest) { m.Repositories[1].Name = "a" },
		"repository order":        func(m *Manifest) { m.Repositories[3].Name = "0" },
		"repository name":         func(m *Manifest) { m.Repositories[0].Name = "A" },
		"kind":                    func(m *Manifest) { m.Repositories[0].Kind = "" },
		"mode":                    func(m *Manifest) { m.Repositories[0].Mode = "copied" },
		"count":                   func(m *Manifest) { m.Repositories[0].Count = -1 },
		"bytes":                   func(m *Manifest) { m.Repositories[0].Bytes = -1 },
		"files in all":            func(m *Manifest) { m.Repositories[0].Count = MaxFiles },
		"count without list":      func(m *Manifest) { m.Repositories[0].Files.Size = 0 },
		"unpinned":                func(m *Manifest) { m.Repositories[0].Unpinned = 2 },
		"carried name":            func(m *Manifest) { m.Repositories[0].Carried = []string{"blobs"} },
		"carried order":           func(m *Manifest) { m.Repositories[0].Carried = []string{"files", "evidence"} },
		"contents, not required":  func(m *Manifest) { m.Requires = nil },
		"contents required only":  func(m *Manifest) { m.Repositories[0].Contents, m.Repositories[0].Entries = nil, 0 },
		"contents list type":      func(m *Manifest) { m.Repositories[0].Contents.MediaType = MediaTypeFileList },
		"contents list digest":    func(m *Manifest) { m.Repositories[0].Contents.Digest = "sha512:00" },
		"entries without list":    func(m *Manifest) { m.Repositories[1].Entries = 1 },
		"entries in no bytes":     func(m *Manifest) { m.Repositories[0].Contents.Size = 0 },
		"entries negative":        func(m *Manifest) { m.Repositories[0].Entries = -1 },
		"entries in all":          func(m *Manifest) { m.Repositories[0].Entries = MaxEntries + 1 },
		"carried contents":        func(m *Manifest) { m.Repositories[1].Carried = []string{"contents"} },
		"checks empty":            func(m *Manifest) { m.Repositories[0].Checks = []CheckCount{} },
		"check name":              func(m *Manifest) { m.Repositories[0].Checks[0].Name = "" },
		"check count":             func(m *Manifest) { m.Repositories[0].Checks[0].Count = -1 },
		"file list type":          func(m *Manifest) { m.Repositories[0].Files.MediaType = MediaTypeEvidence },
		"file list digest":        func(m *Manifest) { m.Repositories[0].Files.Digest = "sha512:00" },
		"file list size":          func(m *Manifest) { m.Repositories[0].Files.Size = -1 },
		"evidence extra":          func(m *Manifest) { m.Repositories[0].Evidence.Data = []byte("x") },
		"mount empty":             func(m *Manifest) { m.Repositories[0].Mount = "" },
		"mount dots":              func(m *Manifest) { m.Repositories[0].Mount = "a/../b" },
		"mount hidden":            func(m *Manifest) { m.Repositories[0].Mount = "a/.b" },
		"mount own":               func(m *Manifest) { m.Repositories[0].Mount = "_gapbundle/x" },
		"mount index":             func(m *Manifest) { m.Repositories[0].Mount = "index.html" },
		"mount in shared":         func(m *Manifest) { m.Repositories[0].Mount = "files/a" },
		"mount twice":             func(m *Manifest) { m.Repositories[3].Mount = "apt/a" },
		"mount in mount":          func(m *Manifest) { m.Repositories[3].Mount = "apt/a/b" },
		"keys empty":              func(m *Manifest) { m.Keys = []PublishedKey{} },
		"key fingerprint":         func(m *Manifest) { m.Keys[0].Fingerprint = strings.Repeat("a1", 20) },
		"key twice":               func(m *Manifest) { m.Keys = append(m.Keys, m.Keys[0]) },
		"key role":                func(m *Manifest) { m.Keys[0].Role = "exporter" },
		"key path":                func(m *Manifest) { m.Keys[0].Path = "files/site.asc" },
		"key path out":            func(m *Manifest) { m.Keys[0].Path = "keys/../x" },
		"key mount":               func(m *Manifest) { m.Keys[0].Mounts = []string{"apt/b"} },
		"key mounts null":         func(m *Manifest) { m.Keys[0].Mounts = nil },
		"no catalogue":            func(m *Manifest) { m.Catalog = []CatalogFile{} },
		"catalogue name":          func(m *Manifest) { m.Catalog[0].Name = "../x" },
		"catalogue size":          func(m *Manifest) { m.Catalog[0].Size = 101 },
		"catalogue 4 GiB":         func(m *Manifest) { m.Catalog[0].Size = MaxFileSize },
		"catalogue frame raw":     func(m *Manifest) { m.Catalog[0].Frames[0].Raw = MaxFrameRaw + 1 },
		"catalogue frame size":    func(m *Manifest) { m.Catalog[0].Frames[0].Compressed = 101 },
		"catalogue frame nothing": func(m *Manifest) { m.Catalog[0].Frames[0].Compressed = 0 },
		"volume table type":       func(m *Manifest) { m.Volumes.MediaType = "" },
		"sums platform":           func(m *Manifest) { m.Sums.Platform = &v1.Platform{} },
		"state":                   func(m *Manifest) { m.State = someDigest },
	} {
		m := goodManifest()
		spoil(m)
		if !strings.HasPrefix(what, "state") {
			m.State = StateDigest(m.Repositories)
		}
		if err := CheckManifest(m); !errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestParseKept: what an earlier program accepted is read; every other rule is the same.
func TestParseKept(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"tool":        func(m *Manifest) { m.Tool = "a\u202eb" },
		"annotations": func(m *Manifest) { m.Annotations = map[string]string{"k": "a\u2028b"} },
		"repository":  func(m *Manifest) { m.Repositories[0].Annotations = map[string]string{"\ufeffk": "v"} },
		"volumes":     func(m *Manifest) { m.Volumes.Size = MaxVolumeTable + 1 },
		"checks": func(m *Manifest) {
			for i := range MaxChecks + 1 {
				m.Repositories[0].Checks = append(m.Repositories[0].Checks, CheckCount{1, fmt.Sprintf("z%07d", i)})
			}
		},
	} {
		m := goodManifest()
		change(m)
		b, err := MarshalCanonical(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseManifest(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: ParseManifest: %v, want ErrMalformed", name, err)
		}
		if _, err := ParseKept(b); err != nil {
			t.Errorf("%s: ParseKept: %v", name, err)
		}
		m.State = DigestOf(nil)
		if b, err = MarshalCanonical(m); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseKept(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, and another state: ParseKept: %v, want ErrMalformed", name, err)
		}
	}
}

func TestParseManifestOfANewerVersion(t *testing.T) {
	for _, c := range []struct{ root, names string }{
		{`{"format":2,"something":{"else":true}}`, "format 2"},
		{`{"format":1,"requires":["zip"],"something":1}`, "zip"},
	} {
		if _, err := ParseManifest([]byte(c.root)); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v", c.root, err)
		}
	}
}

// TestRequires: names that this program knows are accepted, sorted and once
// each; an importer that does not know a name refuses the golden bundle by it.
func TestRequires(t *testing.T) {
	root, err := os.ReadFile("testdata/golden-filled/golden-000001/" + RootName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest(root)
	if err != nil || !slices.Equal(m.Requires, []string{FeatureFilled}) {
		t.Fatalf("%v, %v", m, err)
	}
	if err := checkSupported(m.Format, m.Requires, nil); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), FeatureFilled) {
		t.Errorf("an importer without it: %v", err)
	}
	for _, requires := range [][]string{{}, {FeatureFilled, FeatureFilled}} {
		m.Requires = requires
		if err := CheckManifest(m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", requires, err)
		}
	}
}

func TestParseManifestIsStrict(t *testing.T) {
	b, err := MarshalCanonical(goodManifest())
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for what, root := range map[string]string{
		"blank":       good + " ",
		"line feed":   good + "\n",
		"twice":       good + good,
		"unknown key": strings.Replace(good, `{`, `{"aaa":1,`, 1),
		"upper case":  strings.Replace(good, `"tool"`, `"Tool"`, 1),
		"double key":  strings.Replace(good, `"format":1,`, `"format":1,"format":1,`, 1),
		"null":        strings.Replace(good, `"full":false`, `"full":null`, 1),
		"escape":      strings.Replace(good, `"lab"`, `"l\u0061b"`, 1),
		"exponent":    strings.Replace(good, `"sequence":7`, `"sequence":7e0`, 1),
		"zone":        strings.Replace(good, `00:00Z`, `00:00+00:00`, 1),
		"utf-8":       strings.Replace(good, `gapbundle test`, "gapbundle \xff", 1),
		"empty":       "",
		"large":       good + strings.Repeat(" ", MaxRootSize),
	} {
		if root == good {
			t.Fatalf("%s changes nothing", what)
		}
		if _, err := ParseManifest([]byte(root)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The state digest is a promise to other readers: fixed by value.
func TestStateDigest(t *testing.T) {
	repos := []Repository{repository("a", "b"), repository("b", "a")}
	want := DigestOf(fmt.Appendf(nil, "a\x00%s\nb\x00%s\n", DigestOf([]byte("b")), DigestOf([]byte("a"))))
	if got := StateDigest(repos); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := StateDigest(nil); got != DigestOf(nil) {
		t.Errorf("of nothing: %s", got)
	}
}

func FuzzManifest(f *testing.F) {
	b, err := MarshalCanonical(goodManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"requires":["x"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error without class: %v", err)
			}
			return
		}
		again, err := MarshalCanonical(m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s accepted, written as %s, %v", b, again, err)
		}
		if err := CheckManifest(m); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "a//b", "../a", "a\\b", "a\x00", "\u202ea", "a/.", strings.Repeat("x", 256)} {
		f.Add(s, "a-b")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if CheckPath(a) != nil || CheckPath(b) != nil {
			return
		}
		if c := ComparePaths(a, b); (c == 0) != (a == b) || c > 0 != (ComparePaths(b, a) < 0) {
			t.Fatalf("%q, %q: %d", a, b, c)
		}
		// Ordered by components, which is what '/' as the lowest byte means.
		want := strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
		if got := ComparePaths(a, b); got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Fatalf("%q, %q: %d, want %d", a, b, got, want)
		}
	})
}

func FuzzSums(f *testing.F) {
	line := someDigest.Hex() + "  volume-00001.tar.zst\n"
	f.Add([]byte(line))
	f.Add([]byte(line + line))
	f.Add([]byte(strings.ToUpper(line)))
	f.Add([]byte(strings.Replace(line, "  ", " *", 1)))
	f.Add([]byte(strings.Replace(line, "vol", "../vol", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for s, err := range ReadSums(bytes.NewReader(b)) {
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				return
			}
			again = AppendSum(again, s)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%q accepted, written as %q", b, again)
		}
	})
}
