package index

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

const sample = `apiVersion: v1
generated: "2026-03-09T10:00:00Z"
entries:
  app:
  - &first
    name: app
    version: 1.0.0 # a comment
    appVersion: 1.10
    created: 2026-03-01T10:00:00.123456789+02:00
    digest: sha256:0
    urls: [https://a.example/app-1.0.0.tgz]
    maintainers: [{name: me, email: me@a.example, extra: 1}]
    dependencies: [{name: db, version: 1.x, repository: "", import-values: [x], extra: 2}]
    unknown: [1]
    keywords: &k [one, two]
    engine: gotpl
    sources: not a list
    deprecated: yes please
    annotations: {a: 1.10, b: [1]}
  - {name: app, version: 2.0.0-rc.1, urls: [b]}
  - {name: app, version: 1.10.0, urls: [c], keywords: *k, digest: x}
  - {name: app, version: 1.10.0, urls: [again]}
  - {name: other, version: 1.0.0}
  - {name: app, version: 1/2}
  - {name: app}
  - null
  - [1]
  - {name: app, version: 1.2.0+build, urls: [d], created: nonsense, type: library}
  ..:
  - {name: .., version: 1.0.0, urls: [e]}
`

func everything(string) bool { return true }

func read(t testing.TB, text string) *Index {
	t.Helper()
	x, err := Read([]byte(text), everything)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestRead: what helm skips is skipped with a remark, and the first of two counts.
func TestRead(t *testing.T) {
	x := read(t, sample)
	var got []string
	for _, e := range x.Charts["app"] {
		got = append(got, e.Version+" "+strings.Join(e.URLs, ","))
	}
	want := []string{"1.0.0 https://a.example/app-1.0.0.tgz", "2.0.0-rc.1 b", "1.10.0 c", "1.2.0+build d"}
	if !slices.Equal(got, want) || len(x.Charts) != 1 || len(x.Skipped) != maxSkipped {
		t.Errorf("%q, %d, %q", got, len(x.Charts), x.Skipped)
	}
	if e := x.Charts["app"][0]; !e.Created.Equal(time.Date(2026, 3, 1, 8, 0, 0, 123456789, time.UTC)) || e.Digest != "sha256:0" {
		t.Errorf("%+v", e)
	}
	if x, err := Read([]byte(sample), func(name string) bool { return name == "none" }); err != nil || len(x.Charts) != 0 {
		t.Error(x, err)
	}
	for _, text := range []string{"", "entries: {}", "<html>", "apiVersion: [", "apiVersion: v1\nentries: [1]"} {
		if _, err := Read([]byte(text), everything); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if x := read(t, `{"apiVersion":"v1","entries":{"a":[{"name":"a","version":"1.0.0","urls":["x"]}]}}`); len(x.Charts["a"]) != 1 {
		t.Errorf("JSON: %+v", x)
	}
}

// TestChoose: ranges as helm reads them.
func TestChoose(t *testing.T) {
	entries := read(t, sample).Charts["app"]
	for constraint, want := range map[string]string{
		"": "1.10.0", "1.0.0": "1.0.0", ">=1.0.0 <1.5": "1.2.0+build", ">=2.0.0-0": "2.0.0-rc.1", "^1.1": "1.10.0", "1.x": "1.10.0", ">3": "", "2.0.0-rc.1": "2.0.0-rc.1",
	} {
		got, err := Choose(entries, constraint, 1)
		if err != nil || len(got) > 1 || want == "" && len(got) > 0 || want != "" && (len(got) == 0 || got[0].Version != want) {
			t.Errorf("%q: %v %v, want %s", constraint, got, err, want)
		}
	}
	got, err := Choose(entries, "*", 2)
	if err != nil || len(got) != 2 || got[0].Version != "1.10.0" || got[1].Version != "1.2.0+build" {
		t.Error(got, err)
	}
	if _, err := Choose(entries, "><", 1); !errors.Is(err, bundle.ErrUsage) {
		t.Error(err)
	}
}

// TestWrite: relative addresses, our digests, the newest first, upstream's fields as far
// as helm knows them.
func TestWrite(t *testing.T) {
	x := read(t, sample)
	var all []Published
	for i, e := range x.Charts["app"] {
		all = append(all, Published{e, bundle.DigestOf([]byte{byte(i)})})
	}
	text, err := Write(all)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	if again, err := Write(all); err != nil || !bytes.Equal(text, again) {
		t.Errorf("another order gives other bytes: %v", err)
	}
	for _, want := range []string{
		`generated: "2026-03-01T08:00:00.123456789Z"`, "appVersion: \"1.10\"\n", "app-1.0.0.tgz", "app-1.2.0+build.tgz",
		fmt.Sprintf("digest: %q", all[len(all)-1].Package.Hex()), "import-values", "\"one\"",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, gone := range []string{"unknown", "extra", "a comment", "https://a.example", "engine", "not a list", "yes please", "&", "*k", "nonsense2"} {
		if strings.Contains(string(text), gone) {
			t.Errorf("%q is in\n%s", gone, text)
		}
	}
	back := read(t, string(text))
	var versions []string
	for _, e := range back.Charts["app"] {
		versions = append(versions, e.Version)
	}
	if !slices.Equal(versions, []string{"2.0.0-rc.1", "1.10.0", "1.2.0+build", "1.0.0"}) {
		t.Error(versions)
	}
	var strict struct {
		Entries map[string][]map[string]any `yaml:"entries"`
	}
	if err := yaml.Unmarshal(text, &strict); err != nil || len(strict.Entries["app"]) != 4 {
		t.Error(err)
	}
}

// TestFromChart: an entry for a chart that no index has.
func TestFromChart(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := FromChart([]byte("apiVersion: v2\nname: a\nversion: 1.0.0\nappVersion: 5.10\nurls: [evil]\ndigest: x\nmaintainers: [{name: x}]\n"), at)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Write([]Published{{e, bundle.DigestOf(nil)}})
	if err != nil || strings.Contains(string(text), "evil") || !strings.Contains(string(text), `appVersion: "5.10"`) || !strings.Contains(string(text), `created: "2026-01-02T03:04:05Z"`) {
		t.Errorf("%s %v", text, err)
	}
	for _, text := range []string{"", "[", "name: ..\nversion: 1.0.0", "name: a\nversion: x"} {
		if _, err := FromChart([]byte(text), at); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzRead: whatever an index holds, what is read of it can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("apiVersion: v1\nentries: {a: [&x {name: a, version: 1.0.0, annotations: &y {a: *y}}]}"))
	f.Add([]byte("apiVersion: v1\nentries: {a: [{name: a, version: 1.0.0, <<: {x: 1}}]}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		x, err := Read(content, everything)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		var all []Published
		for _, versions := range x.Charts {
			for _, e := range versions {
				all = append(all, Published{e, bundle.DigestOf([]byte(e.Version))})
			}
		}
		text, err := Write(all)
		if err != nil {
			return
		}
		back, err := Read(text, everything)
		if err != nil || len(back.Skipped) > 0 {
			t.Fatalf("%v %v\n%s", err, back, text)
		}
		n := 0
		for _, versions := range back.Charts {
			n += len(versions)
		}
		if n != len(all) {
			t.Errorf("%d of %d\n%s", n, len(all), text)
		}
	})
}
