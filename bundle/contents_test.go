package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func someEntry() Entry {
	return Entry{Name: "nginx", Type: TypeDeb, Version: "1.22.1-9", Arch: "amd64", Group: "bookworm/main", Path: "pool/n/nginx.deb",
		Digest: someDigest, Size: 12, Vouched: VouchedIndex, Rank: 1}
}

func TestEntryCheck(t *testing.T) {
	long := strings.Repeat("a", MaxEntryText)
	for name, test := range map[string]struct {
		change func(*Entry)
		want   string // of the error; "": none
	}{
		"as it is":           {func(*Entry) {}, ""},
		"everything":         {func(e *Entry) { e.Fixes, e.Summary, e.Licence, e.Revision = []string{"a", "b"}, "s", "MIT", "c" }, ""},
		"markup":             {func(e *Entry) { e.Name = `<b onload="x">&amp;` }, ""},
		"a long name":        {func(e *Entry) { e.Name = long }, ""},
		"256 bytes":          {func(e *Entry) { e.Name, e.Version = strings.Repeat("n", 256), strings.Repeat("v", 256) }, ""},
		"a type to come":     {func(e *Entry) { e.Type = "sbom" }, ""},
		"no version":         {func(e *Entry) { e.Version = "" }, ""},
		"a backslash":        {func(e *Entry) { e.Name = `a\b` }, ""},
		"name too long":      {func(e *Entry) { e.Name = long + "a" }, "name of 1025 bytes, at most 1024"},
		"version too long":   {func(e *Entry) { e.Version = long + "a" }, "version of"},
		"arch too long":      {func(e *Entry) { e.Arch = long + "a" }, "arch of"},
		"group too long":     {func(e *Entry) { e.Group = long + "a" }, "group of"},
		"summary too long":   {func(e *Entry) { e.Summary = strings.Repeat("a", MaxSummary+1) }, "summary of 201 bytes, at most 200"},
		"no name":            {func(e *Entry) { e.Name = "" }, "no name"},
		"no type":            {func(e *Entry) { e.Type = "" }, "type"},
		"a type in words":    {func(e *Entry) { e.Type = "A type" }, "type"},
		"control":            {func(e *Entry) { e.Name = "a\x1b[2J" }, "U+001B"},
		"a line":             {func(e *Entry) { e.Summary = "a\nb" }, "U+000A"},
		"bidirectional":      {func(e *Entry) { e.Version = "1\u202e2" }, "U+202E"},
		"reason":             {func(e *Entry) { e.Reason = "\u2066" }, "U+2066"},
		"origin":             {func(e *Entry) { e.Origin = "a\x00" }, "U+0000"},
		"not UTF-8":          {func(e *Entry) { e.Group = "\xff" }, "not UTF-8"},
		"not vouched":        {func(e *Entry) { e.Vouched = "" }, "vouched"},
		"no digest":          {func(e *Entry) { e.Digest = Digest{} }, "no digest"},
		"negative size":      {func(e *Entry) { e.Size = -1 }, "size -1"},
		"negative rank":      {func(e *Entry) { e.Rank = -1 }, "rank -1"},
		"a path that is not": {func(e *Entry) { e.Path = "../x" }, "component"},
		"no fixes":           {func(e *Entry) { e.Fixes = []string{} }, "fixes"},
		"fixes twice":        {func(e *Entry) { e.Fixes = []string{"a", "a"} }, "twice"},
		"an empty fix":       {func(e *Entry) { e.Fixes = []string{""} }, "empty"},
		"a long fix":         {func(e *Entry) { e.Fixes = []string{strings.Repeat("a", MaxFix+1)} }, "fixes of 129 bytes"},
		"many fixes": {func(e *Entry) {
			for i := range MaxFixes + 1 {
				e.Fixes = append(e.Fixes, fmt.Sprintf("%03d", i))
			}
		}, "fixes: 65"},
		"annotations": {func(e *Entry) { e.Annotations = map[string]string{"": "a"} }, "annotations"},
	} {
		e := someEntry()
		test.change(&e)
		err := e.Check()
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), test.want)) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func contentsOf(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewListWriter[Entry](&b)
	for _, e := range entries {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// Each field of the order decides where the ones before it are equal.
func TestReadContents(t *testing.T) {
	entry := func(change func(*Entry)) Entry {
		e := someEntry()
		change(&e)
		return e
	}
	ordered := []Entry{
		entry(func(e *Entry) { e.Name = "a" }),
		someEntry(),
		entry(func(e *Entry) { e.Path = "pool/z.deb" }),
		entry(func(e *Entry) { e.Version = "1.23" }),
		entry(func(e *Entry) { e.Group, e.Version = "trixie/main", "0" }),
		entry(func(e *Entry) { e.Arch, e.Group = "arm64", "a" }),
		entry(func(e *Entry) { e.Type, e.Arch = TypeUdeb, "a" }),
		entry(func(e *Entry) { e.Name, e.Type = "nginx-full", "a" }),
	}
	var got []Entry
	for e, err := range ReadContents(bytes.NewReader(contentsOf(t, ordered...)), "contents") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != len(ordered) {
		t.Fatalf("%d entries of %d", len(got), len(ordered))
	}
	for i := range ordered[1:] {
		swapped := slices.Clone(ordered)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		_, err := drain(ReadContents(bytes.NewReader(contentsOf(t, swapped...)), "contents"))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "not in order") {
			t.Errorf("%d and the next swapped: %v", i, err)
		}
	}
	for name, entries := range map[string][]Entry{
		"listed twice":   {ordered[1], ordered[1]},
		"other in twice": {ordered[1], entry(func(e *Entry) { e.Size, e.Summary = 99, "more" })},
		"malformed":      {entry(func(e *Entry) { e.Name = "a\u202eb" })},
	} {
		if n, err := drain(ReadContents(bytes.NewReader(contentsOf(t, entries...)), "contents")); !errors.Is(err, ErrMalformed) || n != len(entries)-1 {
			t.Errorf("%s: %d entries, %v", name, n, err)
		}
	}
}

// What a reader yields is what may be printed and written again.
func FuzzContents(f *testing.F) {
	e := someEntry()
	f.Add(contentsOf(f, e))
	e.Fixes, e.Summary = []string{"DSA-1"}, "web server"
	f.Add(contentsOf(f, someEntry(), e))
	e.Version = "2"
	f.Add(contentsOf(f, someEntry(), e))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var last *Entry
		var again []byte
		for e, err := range ReadContents(bytes.NewReader(b), "contents") {
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("error without class: %v", err)
				}
				return
			}
			if err := e.Check(); err != nil || last != nil && CompareEntries(last, &e) >= 0 {
				t.Fatalf("yielded %+v after %+v: %v", e, last, err)
			}
			if again, err = AppendLine(again, e); err != nil {
				t.Fatal(err)
			}
			again, last = append(again, '\n'), &e
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%q is written as %q", b, again)
		}
	})
}

func BenchmarkParseEntry(b *testing.B) {
	e := someEntry()
	e.Origin, e.Summary, e.Source = "https://deb.example.org/debian/pool/main/n/nginx/nginx_1.22.1-9_amd64.deb", "small, powerful, scalable web/proxy server", "nginx"
	line, err := AppendLine(nil, e)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLine[Entry](line); err != nil {
			b.Fatal(err)
		}
	}
}
