package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

const sum = "9da92e6190185bd398e2ee4308d7d8ec34b848c28ffeaffa5912c811573eae98"

// sample is a products file whose keys are not in order and which uses
// everything that the format has.
const sample = `{
 "products": {
  "b:v3:x": {
   "versions": {
    "20260102": {"items": {"squashfs": {"ftype": "squashfs", "path": "b/2/squashfs", "size": 5, "sha256": "` + sum + `", "list": [1, null]}}, "label": "beta"},
    "20260101": {"items": {"squashfs": {"ftype": "squashfs", "path": "b/1/squashfs", "size": 5, "sha256": "` + sum + `"}}}
   },
   "label": "release", "arch": "amd64"
  },
  "a:v3:x" : {"arch": "arm64", "extra": true, "half": 0.5, "crsn": "one", "versions": {}}
 },
 "_aliases": {"crsn": {"one": {"region": "here"}}},
 "updated": "Wed, 25 Nov 2026 10:00:00 +0000", "unknown": {"kept": "<&>"},
 "content_id": "test", "datatype": "image-downloads", "format": "products:1.0"
}`

func open(t *testing.T, text string) *File {
	t.Helper()
	f, err := Open(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOpen(t *testing.T) {
	f := open(t, sample)
	if want := []string{"a:v3:x", "b:v3:x"}; !slices.Equal(f.Names, want) {
		t.Errorf("names %v, want %v", f.Names, want)
	}
	for _, key := range []string{"label", "ftype", "content_id", "product_name", "region"} {
		if !f.Keys[key] {
			t.Errorf("key %s: no item has it", key)
		}
	}
	for _, key := range []string{"extra", "versions", "list"} { // of a product without items, and no scalars
		if f.Keys[key] {
			t.Errorf("key %s: an item has it", key)
		}
	}
	p, err := f.Product("b:v3:x")
	if err != nil {
		t.Fatal(err)
	}
	newest := p.Versions[1]
	if newest.Name != "20260102" {
		t.Fatalf("last version %s", newest.Name)
	}
	get := Lookup(f.Header, p, &newest, &newest.Items[0])
	for key, want := range map[string]string{
		"arch": "amd64", "label": "beta", "content_id": "test", "product_name": "b:v3:x", "version_name": "20260102", "item_name": "squashfs", "list": "", "none": "",
	} {
		v, _ := get(key)
		if got, _ := text(v); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	place, ok, err := Locate(f.Header, p, &newest, &newest.Items[0])
	if err != nil || !ok || place.Path != "b/2/squashfs" || place.Size != 5 || place.Digest.Hex() != sum {
		t.Errorf("got %+v, %v, %v", place, ok, err)
	}
}

func TestExpand(t *testing.T) {
	f := open(t, sample)
	p, err := f.Product("a:v3:x")
	if err == nil {
		err = f.Expand(p)
	}
	if err != nil || p.Fields["region"] != "here" {
		t.Fatalf("got %v, %v", p.Fields, err)
	}
	for wrong, want := range map[string]string{
		`"crsn": "one", "versions"`: `crsn "two": is not in _aliases`,
	} {
		f := open(t, strings.Replace(sample, wrong, strings.Replace(wrong, "one", "two", 1), 1))
		p, err := f.Product("a:v3:x")
		if err == nil {
			err = f.Expand(p)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// What is written is read again, and equal content gives equal bytes whatever
// the order of its keys.
func TestWrite(t *testing.T) {
	f := open(t, sample)
	var all any
	if err := json.Unmarshal([]byte(sample), &all); err != nil {
		t.Fatal(err)
	}
	nothing := func(*Product) error { return nil }
	var b bytes.Buffer
	if err := f.Write(&b, f.Header, f.Names, nothing); err != nil {
		t.Fatal(err)
	}
	want, err := marshal(all, "")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	var again bytes.Buffer
	if err := open(t, b.String()).Write(&again, f.Header, []string{"b:v3:x", "a:v3:x"}, nothing); err != nil || again.String() != b.String() {
		t.Errorf("written again: %v\n%s", err, &again)
	}
	var one bytes.Buffer
	err = f.Write(&one, f.Header, []string{"b:v3:x"}, func(p *Product) error {
		p.Keep(func(version, item string) bool { return version == "20260102" })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := open(t, one.String())
	if p, err := kept.Product("b:v3:x"); err != nil || len(kept.Names) != 1 || len(p.Versions) != 1 || p.Fields["arch"] != "amd64" {
		t.Errorf("got %v, %v\n%s", p, err, &one)
	}
	var none bytes.Buffer
	if err := f.Write(&none, f.Header, nil, nothing); err != nil || !json.Valid(none.Bytes()) {
		t.Errorf("no products: %v\n%s", err, &none)
	}
}

func TestRefusesProducts(t *testing.T) {
	deep := strings.Repeat("[", 10_000)
	for name, test := range map[string]struct{ text, want string }{
		"empty":         {"", "ends too early"},
		"cut":           {sample[:len(sample)-5], "ends too early"},
		"two values":    {sample + "{}", "after the end"},
		"text after":    {sample + "x", "after the end"},
		"a list":        {"[]", "want an object"},
		"format":        {`{"format": "products:2.0", "products": {}}`, "want products:1.0"},
		"twice":         {strings.Replace(sample, `"updated"`, `"content_id"`, 1), `"content_id" occurs twice`},
		"product twice": {strings.Replace(sample, "a:v3:x", "b:v3:x", 1), "occurs twice"},
		"nested twice":  {strings.Replace(sample, `"ftype": "squashfs", "path"`, `"path": 1, "path"`, 1), "occurs twice"},
		"deep":          {strings.Replace(sample, `{"kept": "<&>"}`, deep, 1), "more than 8 levels"},
		"one too deep":  {strings.Replace(sample, `[1, null]`, `[[]]`, 1), "more than 8 levels"},
		"slash":         {strings.Replace(sample, "20260102", "2026/01", 1), "a slash in its name"},
		"no name":       {strings.Replace(sample, "20260102", "", 1), "want a name"},
		"not UTF-8":     {strings.Replace(sample, "a:v3:x", "a\xff", 1), "want a name"},
		"escaped name":  {strings.Replace(sample, "a:v3:x", `a\u0000`, 1), "want a name"},
		"items a list":  {strings.Replace(sample, `"versions": {}`, `"versions": {"1": {"items": []}}`, 1), "items: want an object"},
		"item a text":   {strings.Replace(sample, `"versions": {}`, `"versions": {"1": {"items": {"a": "b"}}}`, 1), "item a: want an object"},
		"versions":      {strings.Replace(sample, `"versions": {}`, `"versions": null`, 1), "versions: want an object"},
		"aliases":       {strings.Replace(sample, `{"one": {"region": "here"}}`, `"one"`, 1), "_aliases"},
		"long text":     {strings.Replace(sample, "<&>", strings.Repeat("x", 3<<20), 1), "a text, a number or blanks of more than 1048576"},
		"large field":   {strings.Replace(sample, `"<&>"`, "["+strings.Repeat(`"0123456789",`, 2<<20)+"0]", 1), "unknown: more than 16777216"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(strings.NewReader(test.text), int64(len(test.text)))
			if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestRefusesItems(t *testing.T) {
	for change, want := range map[[2]string]string{
		{`"size": 5`, `"size": -5`}:                                      "size -5",
		{`"size": 5`, `"size": 9223372036854775808`}:                     "size 9223372036854775808",
		{`"size": 5`, `"size": 5.5`}:                                     "size 5.5",
		{`"size": 5`, `"size": "5"`}:                                     "want a number",
		{`"sha256": "` + sum + `", "l`, `"md5": "` + sum[:32] + `", "l`}: "no sha256",
		{`"sha256": "9d`, `"sha256": "XX`}:                               "sha256",
		{"b/2/squashfs", "../squashfs"}:                                  "..",
		{"b/2/squashfs", "/etc/passwd"}:                                  "absolute",
		{"b/2/squashfs", "https://evil.example/x"}:                       "absolute, or an empty component",
		{"b/2/squashfs", "file:/etc/passwd"}:                             "a scheme",
		{"b/2/squashfs", ".hidden"}:                                      "begins with a dot",
		{"b/2/squashfs", "b/.hidden"}:                                    "begins with a dot",
		{"b/2/squashfs", "streams/v1/index.json"}:                        "the folder of an index",
		{"b/2/squashfs", "_upstream/x"}:                                  "the folder of an index",
	} {
		f := open(t, strings.Replace(sample, change[0], change[1], 1))
		p, err := f.Product("b:v3:x")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Locate(f.Header, p, &p.Versions[1], &p.Versions[1].Items[0])
		if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "b:v3:x, version 20260102, item squashfs") {
			t.Errorf("%s: got %v, want %s", change[1], err, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]string{
		"5": "5", "-0": "0", "1.5": "1.5", "1e3": "1000.0", "1E16": "1e+16", "0.0001": "0.0001", "0.00001": "1e-05", "1e400": "inf", "-1e400": "-inf", "0.0": "0.0",
		"12345678901234567890123": "12345678901234567890123",
	} {
		if got := number(json.Number(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func FuzzProducts(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"format":"products:1.0","products":{"a":{"versions":{"1":{"items":{"x":{"path":"a","size":1e400,"sha256":"00"}}}}}}}`))
	f.Add([]byte(`{"format":"products:1.0","products":{},"_aliases":{"a":{"b":{"c":1}}},"a":"b"}`))
	f.Add([]byte("{\"products\" \n:{\"a\"\t: {}},\"format\":\"products:1.0\"}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Open(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("%v: not of the class", err)
			}
			return
		}
		walk(t, file)
		var b bytes.Buffer
		if err := file.Write(&b, file.Header, file.Names, func(*Product) error { return nil }); err != nil {
			t.Fatal(err)
		}
		again, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, &b)
		}
		if !reflect.DeepEqual(again.Header, file.Header) || !slices.Equal(again.Names, file.Names) {
			t.Fatalf("read again: %v %v, want %v %v", again.Header, again.Names, file.Header, file.Names)
		}
	})
}

// walk calls everything that reads a file.
func walk(t *testing.T, f *File) {
	for _, name := range f.Names {
		p, err := f.Product(name)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Fits(p.Shape())
		p.Boots()
		if f.Expand(p) != nil {
			continue
		}
		for _, v := range p.Versions {
			for _, i := range v.Items {
				place, ok, err := Locate(f.Header, p, &v, &i)
				if err == nil && ok && (CheckItemPath(place.Path) != nil || place.Size < -1 || place.Digest.IsZero() && fmt.Sprint(i.Fields["sha256"]) == "") {
					t.Fatalf("located: %+v", place)
				}
			}
		}
	}
}
