package bundle

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var someDigest = DigestOf([]byte("x"))

// lineSeeds returns lines in and out of canonical form.
func lineSeeds() []string {
	d := someDigest.String()
	seeds := []string{
		`{"digest":"` + d + `","mediaType":"application/json","path":"a/b.c","size":12}`,
		`{"digest":"` + d + `","path":"ä/\"q","size":0}`,
		`{"annotations":{"k":"v"},"digest":"` + d + `","path":"p","size":9007199254740991}`,
		`{"annotations":{"a":"","etag":"\"x\\\\y\"","k":"ä"},"digest":"` + d + `","path":"p","size":512}`,
		`{"annotations":{"b":"1","a":"2"},"digest":"` + d + `","path":"p","size":512}`,
		`{"annotations":{"a":"1","a":"2"},"digest":"` + d + `","path":"p","size":512}`,
		`{"annotations":{},"digest":"` + d + `","path":"p","size":512}`,
		`{"annotations":{"a":"\\u0001","b":"\\n"},"digest":"` + d + `","path":"p","size":512}`,
		`{"annotations":{"k":"v"},"origin":"o","path":"p","vouched":"index"}`,
		`{"origin":"https://h.lan/x?y","path":"p","reason":"because","vouched":"tls-only"}`,
		`{"path":"p","vouched":"index"}`,
		`{"digest":"` + d + `","name":"p","path":"p","size":0,"type":"file","vouched":"index"}`,
		`{"arch":"amd64","digest":"` + d + `","fixes":["CVE-1","DSA-2"],"group":"bookworm/main","licence":"MIT","name":"ä","origin":"https://h.lan/x","path":"p",` +
			`"rank":1,"reason":"because","revision":"c0ffee","size":12,"source":"s","summary":"a \"word\"","type":"deb","version":"1:2~3","vouched":"index"}`,
		`{"digest":"` + d + `","fixes":[],"name":"p","path":"p","size":512,"type":"file","vouched":"index"}`,
		`{"digest":"` + d + `","fixes":["a],[,"],"name":"p","path":"p","size":512,"type":"file","vouched":"index"}`,
		`{"annotations":{"k":"v"},"digest":"` + d + `","name":"p","path":"p","size":77,"type":"file","vouched":"index"}`,
		`{"at":5,"digest":"` + d + `","length":6,"offset":512,"size":11}`,
		`{"digest":"` + d + `","length":0,"offset":512,"size":0}`,
		`{"compressed":77,"digest":"` + d + `","raw":4194304}`,
		`{"blobCount":1,"blobs":{"digest":"` + d + `","mediaType":"m","size":1},"digest":"` + d + `","frames":{"digest":"` + d +
			`","mediaType":"m","size":1},"name":"n","raw":1,"role":"data","size":1}`,
	}
	for _, s := range seeds {
		seeds = append(seeds, strings.Replace(s, ":", ": ", 1), strings.Replace(s, `"size":`, `"Size":`, 1), s+" ",
			strings.ToUpper(s), strings.Replace(s, `"path":"p"`, `"path":"\u0070"`, 1), strings.Replace(s, `"at":5`, `"at":0`, 1),
			strings.Replace(s, "512", "0512", 1), strings.Replace(s, "512", "-512", 1), strings.Replace(s, "77", "99999999999999999", 1),
			strings.Replace(s, "9007199254740991", "9007199254740992", 1), strings.Replace(s, "p", "p\xff", 1), strings.Replace(s, "sha256", "sha512", 1),
			strings.Replace(s, `"application/json"`, `""`, 1), strings.Replace(s, "a/b", "a\x7f\u2028/b", 1), "["+s)
	}
	return seeds
}

// sameBothWays checks that the fast way returns what the slow one returns.
func sameBothWays[T Line](t *testing.T, line []byte) {
	t.Helper()
	fast, errFast := ParseLine[T](line)
	slow, errSlow := parseLineSlowly[T](line)
	if (errFast == nil) != (errSlow == nil) {
		t.Fatalf("%T %q: fast says %v, slow says %v", fast, line, errFast, errSlow)
	}
	if errFast != nil {
		if !errors.Is(errFast, ErrMalformed) {
			t.Fatalf("%T %q: error without class: %v", fast, line, errFast)
		}
		return
	}
	if !reflect.DeepEqual(fast, slow) {
		t.Fatalf("%T %q: fast %+v, slow %+v", fast, line, fast, slow)
	}
	again, err := AppendLine(nil, fast)
	if err != nil || !bytes.Equal(again, line) {
		t.Fatalf("%T %q: written as %q (%v)", fast, line, again, err)
	}
}

func checkEveryLine(t *testing.T, line []byte) {
	t.Helper()
	sameBothWays[File](t, line)
	sameBothWays[Evidence](t, line)
	sameBothWays[Entry](t, line)
	sameBothWays[Blob](t, line)
	sameBothWays[Frame](t, line)
	sameBothWays[Volume](t, line)
}

func TestLineSeeds(t *testing.T) {
	for _, s := range lineSeeds() {
		checkEveryLine(t, []byte(s))
	}
}

func FuzzListLine(f *testing.F) {
	for _, s := range lineSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) { checkEveryLine(t, line) })
}

func TestAppendLineRoundTrip(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z/"\\]{0,8}`), rapid.Just(""))
	number := rapid.Int64Range(-MaxInteger, MaxInteger)
	annotations := rapid.OneOf(rapid.Just(map[string]string(nil)), rapid.MapOfN(text, text, 1, 3))
	rapid.Check(t, func(t *rapid.T) {
		d := Digest(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		roundTrip(t, File{annotations.Draw(t, "a"), d, rapid.Bool().Draw(t, "f"), text.Draw(t, "m"), text.Draw(t, "p"), number.Draw(t, "n")})
		roundTrip(t, Evidence{annotations.Draw(t, "a"), text.Draw(t, "o"), text.Draw(t, "p"), text.Draw(t, "r"), text.Draw(t, "v")})
		e := Entry{Annotations: annotations.Draw(t, "a"), Digest: d, Rank: number.Draw(t, "k"), Size: number.Draw(t, "n")}
		for i, p := range []*string{&e.Arch, &e.Group, &e.Licence, &e.Name, &e.Origin, &e.Path, &e.Reason, &e.Revision, &e.Source, &e.Summary, &e.Type, &e.Version, &e.Vouched} {
			*p = text.Draw(t, strconv.Itoa(i))
		}
		if fixes := rapid.SliceOfN(text, 0, 3).Draw(t, "x"); len(fixes) > 0 {
			e.Fixes = fixes
		}
		roundTrip(t, e)
		roundTrip(t, Blob{number.Draw(t, "at"), d, number.Draw(t, "l"), number.Draw(t, "o"), number.Draw(t, "s")})
		roundTrip(t, Frame{number.Draw(t, "c"), d, number.Draw(t, "r")})
	})
}

func roundTrip[T Line](t *rapid.T, v T) {
	fast, err := AppendLine([]byte("before"), v)
	if err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	slow, err := MarshalCanonical(v)
	if err != nil || string(fast) != "before"+string(slow) {
		t.Fatalf("%+v: fast %q, slow %q (%v)", v, fast, slow, err)
	}
	back, err := ParseLine[T](slow)
	if err != nil || !reflect.DeepEqual(back, v) {
		t.Fatalf("%q: back %+v, %v", slow, back, err)
	}
}

func TestAppendLineRefusesWhatIsNotText(t *testing.T) {
	bad := "a\xffb"
	for _, f := range []File{{Path: bad}, {Path: "a", MediaType: bad}, {Path: "a", Annotations: map[string]string{bad: ""}}, {Path: "a", Annotations: map[string]string{"k": bad}}} {
		if _, err := AppendLine(nil, f); !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	for _, e := range []Evidence{{Path: bad}, {Origin: bad}, {Reason: bad}, {Vouched: bad}} {
		if _, err := AppendLine(nil, e); !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, e := range []Entry{{Name: bad}, {Version: bad}, {Summary: bad}, {Fixes: []string{bad}}, {Annotations: map[string]string{bad: ""}}} {
		if _, err := AppendLine(nil, e); !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if _, err := AppendLine(nil, Volume{Name: bad}); !errors.Is(err, ErrMalformed) {
		t.Errorf("volume: %v", err)
	}
	for _, n := range []int64{MaxInteger + 1, -MaxInteger - 1} {
		if _, err := AppendLine(nil, Blob{Size: n}); !errors.Is(err, ErrMalformed) {
			t.Errorf("size %d: %v", n, err)
		}
	}
}

func BenchmarkParseFileLine(b *testing.B) {
	line, _ := AppendLine(nil, File{Digest: someDigest, Path: "pool/main/l/linux/linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb", Size: 12345678})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLine[File](line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAnnotatedLine(b *testing.B) {
	line, _ := AppendLine(nil, annotated())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLine[File](line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendAnnotatedLine(b *testing.B) {
	f := annotated()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendLine(buf[:0], f); err != nil {
			b.Fatal(err)
		}
	}
}

// annotated returns a line as the exporter keeps it.
func annotated() File {
	return File{Digest: someDigest, Path: "pool/main/l/linux/linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb", Size: 12345678,
		Annotations: map[string]string{"etag": `"65a1-60d2c"`, "last-modified": "Mon, 30 Nov 2026 07:00:00 GMT", "size": "12345678"}}
}

func BenchmarkAppendFileLine(b *testing.B) {
	f := File{Digest: someDigest, Path: "pool/main/l/linux/linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb", Size: 12345678}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendLine(buf[:0], f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadFileList(b *testing.B) {
	name := filepath.Join(b.TempDir(), "list")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	buffered := bufio.NewWriter(f)
	w := NewListWriter[File](buffered)
	const n = 200_000
	for i := range n {
		if err := w.Write(File{Digest: someDigest, Path: "pool/" + strconv.Itoa(1_000_000+i), Size: int64(i)}); err != nil {
			b.Fatal(err)
		}
	}
	if err := buffered.Flush(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		if got, err := drain(ReadList[File](f, "list")); got != n || err != nil {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "lines/s")
}
