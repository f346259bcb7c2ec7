package strictyaml

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

type inner struct {
	Pos Pos
	URL string `yaml:"url,required,scalar"`
	Sum string `yaml:"sha256"`
}

type days int

func (d *days) UnmarshalText(b []byte) error {
	t, err := time.ParseDuration(strings.Replace(string(b), "d", "h", 1))
	*d = days(t / time.Hour)
	return err
}

type outer struct {
	Name  string           `yaml:"name,required"`
	Count int              `yaml:"count"`
	On    bool             `yaml:"on"`
	URLs  []inner          `yaml:"urls,single"`
	Hosts map[string]inner `yaml:"hosts"`
	Later *Node            `yaml:"later"`
	Keep  days             `yaml:"keep"`
	Other int
}

func decode(t *testing.T, text string) (outer, error) {
	t.Helper()
	var o outer
	n, err := Parse("s.yaml", []byte(text))
	if err != nil {
		return o, err
	}
	err = n.Decode(&o)
	return o, err
}

func TestDecode(t *testing.T) {
	o, err := decode(t, `# a comment	with a tab
name: a      # another	one
count: 12
on: true
keep: 90d
urls:
  - https://a.example/x
  - url: "https://a.example/\ty"
    sha256: 'abc'
  - {url: z}
hosts:
  a.example:8443: {url: q}
  10.0.0.1: r
later:
  - name: 1
`)
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) Pos { return Pos{"s.yaml", line, column} }
	want := outer{
		Name: "a", Count: 12, On: true, Keep: 90,
		URLs: []inner{
			{Pos: at(7, 5), URL: "https://a.example/x"},
			{Pos: at(8, 5), URL: "https://a.example/\ty", Sum: "abc"},
			{Pos: at(10, 6), URL: "z"},
		},
		Hosts: map[string]inner{
			"a.example:8443": {Pos: at(12, 20), URL: "q"},
			"10.0.0.1":       {Pos: at(13, 13), URL: "r"},
		},
	}
	var later []map[string]int
	if err := o.Later.Decode(&later); err != nil || later[0]["name"] != 1 {
		t.Errorf("later: %v, %v", later, err)
	}
	o.Later = nil
	if !reflect.DeepEqual(o, want) {
		t.Errorf("got  %+v\nwant %+v", o, want)
	}
}

func TestSingle(t *testing.T) {
	o, err := decode(t, "name: a\nurls: x\n")
	if err != nil || len(o.URLs) != 1 || o.URLs[0].URL != "x" {
		t.Fatalf("%+v, %v", o, err)
	}
}

// Every refusal, with its place: what is requested is an error message that
// takes the reader to the character.
func TestRefusals(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1)
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "s.yaml:1:1: empty"},
		{"only a comment", "# x\n", "s.yaml:1:1: empty"},
		{"a list", "- a\n", "s.yaml:1:1: want a mapping of keys and values, got a list"},
		{"unknown key", "name: a\ncuont: 1\n", `s.yaml:2:1: unknown key "cuont"; did you mean "count"?`},
		{"unknown key, nothing near", "name: a\nxxxxxxxxxx: 1\n", `s.yaml:2:1: unknown key "xxxxxxxxxx"; valid: count, hosts, keep, later, name, on, urls`},
		{"case matters", "name: a\nCount: 1\n", `s.yaml:2:1: unknown key "Count"; did you mean "count"?`},
		{"unknown key within", "name: a\nurls:\n  - url: x\n    sha265: y\n", `s.yaml:4:5: unknown key "sha265"; did you mean "sha256"?`},
		{"missing", "count: 1\n", `s.yaml:1:1: key "name" is missing`},
		{"duplicate", "name: a\ncount: 1\nname: b\n", `s.yaml:3:1: key "name": is in line 1 already`},
		{"duplicate, quoted", "name: a\n\"name\": b\n", `s.yaml:2:1: key "name": is in line 1 already`},
		{"duplicate, flow", "name: a\nhosts: {x: y, x: z}\n", `s.yaml:2:15: key "x": is in line 2 already`},
		{"number for text", "name: 12\n", "s.yaml:1:7: name: want text (in quotes, if need be), got the number 12"},
		{"null for text", "name:\n", "s.yaml:1:7: name: want text (in quotes, if need be), got nothing"},
		{"text for number", "name: a\ncount: x\n", `s.yaml:2:8: count: want a whole number, got the text "x"`},
		{"float for number", "name: a\ncount: 1.5\n", "s.yaml:2:8: count: want a whole number, got the number 1.5"},
		{"hex for number", "name: a\ncount: 0x10\n", "s.yaml:2:8: count: want a whole number, got the number 0x10"},
		{"too large a number", "name: a\ncount: 99999999999999999999\n", "s.yaml:2:8: count: want a whole number"},
		{"yes is no boolean", "name: a\non: yes\n", `s.yaml:2:5: on: want true or false, got the text "yes"`},
		{"mapping for list", "name: a\nurls: {url: [x]}\n", "s.yaml:2:13: url: want text (in quotes, if need be), got a list"},
		{"list for mapping", "name: a\nhosts: []\n", "s.yaml:2:8: hosts: want a mapping, got a list"},
		{"bad text", "name: a\nkeep: 12x\n", "s.yaml:2:7: keep: time: "},
		{"tab for indentation", "name: a\nurls:\n\t- x\n", "s.yaml:3:1: a tab"},
		{"tab between", "name:\ta\n", "s.yaml:1:6: a tab"},
		{"anchor", "name: &n a\nurls: *n\n", "s.yaml:1:7: anchors and aliases are not allowed"},
		{"alias", "name: &n a\nurls: *n\n", "s.yaml:2:7: anchors and aliases are not allowed"},
		{"merge key", "name: a\nhosts:\n  <<: {x: y}\n", "s.yaml:3:3: merge keys are not allowed"},
		{"tag", "name: !!str 12\n", "s.yaml:1:7: tags are not allowed"},
		{"directive", "%YAML 1.2\n---\nname: a\n", "s.yaml:1:1: directives are not allowed"},
		{"explicit key", "? name\n: a\n", "s.yaml:1:1: keys by '?' are not allowed"},
		{"number as key", "name: a\nhosts: {1: x}\n", "s.yaml:2:9: key: want text, got the number 1"},
		{"second document", "name: a\n---\nname: b\n", "s.yaml:2:1: a second document; want one"},
		{"second document, empty", "name: a\n---", "s.yaml:2:1: a second document; want one"},
		{"syntax", "name: [a\n", "s.yaml:1:"},
		{"not UTF-8", "name: \"\xff\"\n", "s.yaml:1:8: byte 0xff is not UTF-8"},
		{"control", "name: \"\x00\"\n", "s.yaml:1:8: control character U+0000"},
		{"carriage return", "name: a\ron: true\n", "s.yaml:1:8: control character U+000D"},
		{"behind CRLF", "name: a\r\nurls: 'x\r\n  y'\r\noff: 1\r\n", "s.yaml:4:1: unknown key"},
		{"port in a flow mapping", "name: a\nhosts: {a.example:80: {url: x}}\n", "s.yaml:2:18: a ':' without a space after it"},
		{"port in a list in a flow mapping", "{name: a, urls: [http://a.example:80/x]}\n", "a ':' without a space after it"},
		{"too deep", "name: " + deep, "nested deeper than"},
		{"too deep in a line", strings.Repeat("- ", 200) + "x\n", "nested deeper than"},
		{"too large", strings.Repeat(" ", MaxSize+1), "at most 16777216"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := decode(t, test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
			if !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%v: does not match bundle.ErrUsage", err)
			}
		})
	}
}

func TestAllErrorsInOrder(t *testing.T) {
	_, err := decode(t, "nmae: a\ncount: x\nurls:\n  - {url: 1, foo: 2}\n")
	want := `s.yaml:1:1: unknown key "nmae"; did you mean "name"?
s.yaml:1:1: key "name" is missing
s.yaml:2:8: count: want a whole number, got the text "x"
s.yaml:4:11: url: want text (in quotes, if need be), got the number 1
s.yaml:4:14: unknown key "foo"; valid: sha256, url`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestSplitOver(t *testing.T) {
	own, err := Parse("s.yaml", []byte("name: a\nkind: k\ncount: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := Parse("s.yaml", []byte("\n\n\n\ncount: 2\non: maybe\n"))
	if err != nil {
		t.Fatal(err)
	}
	taken, rest := own.Split("name")
	var named struct {
		Name string `yaml:"name"`
	}
	if err := taken.Decode(&named); err != nil || named.Name != "a" {
		t.Errorf("taken: %v, %v", named, err)
	}
	_, rest = rest.Split("kind")
	var o struct {
		Count int  `yaml:"count"`
		On    bool `yaml:"on"`
	}
	err = rest.Over(defaults).Decode(&o)
	if o.Count != 1 {
		t.Errorf("count %d, want that of the source, 1", o.Count)
	}
	if want := `s.yaml:6:5: on: want true or false, got the text "maybe"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFromValue(t *testing.T) {
	n, err := FromValue("source gpu/files", map[string]any{
		"name": "a", "count": 3, "on": true, "urls": []any{"x", map[string]string{"url": "y", "sha256": "z"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var o outer
	if err := n.Decode(&o); err != nil || o.Count != 3 || o.URLs[1].Sum != "z" {
		t.Errorf("%+v, %v", o, err)
	}
	n, err = FromValue("source gpu/files", map[string]any{"name": 1.5, "nmae": nil})
	if err != nil {
		t.Fatal(err)
	}
	err = n.Decode(&o)
	if err == nil || !strings.Contains(err.Error(), `source gpu/files: unknown key "nmae"`) || !errors.Is(err, bundle.ErrUsage) {
		t.Error(err)
	}
}

// FuzzParse: whatever the bytes, an answer without a panic, and what is
// accepted has places inside the file.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"name: a\n", "a:\n  - b: [c, {d: e}]\n", "a: |\n  x\n  y\n", "a: >-\n x\n", "a: 'b''c'\n", "a: \"\\u00e9\\n\"\n",
		"a: &b c\nd: *b\n", "a:\n  <<: b\n", "? a\n: b\n", "---\na: b\n...\n", "- - - a\n", "a: !!binary x\n", "%TAG ! x\n---\na: b\n",
		"a: {b: c,}\n", "a: 0x1f\nb: .inf\nc: ~\n", "\ufeffa: b\r\nc: d\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Parse("f", b)
		if err != nil {
			if !errors.Is(err, bundle.ErrUsage) {
				t.Fatalf("%v: does not match bundle.ErrUsage", err)
			}
			return
		}
		lines := strings.Count(string(b), "\n") + 1
		var walk func(*Node)
		walk = func(n *Node) {
			if n.pos.Line < 1 || n.pos.Line > lines+1 {
				t.Fatalf("line %d of %d", n.pos.Line, lines)
			}
			for _, e := range n.entries {
				walk(e.value)
			}
			for _, item := range n.items {
				walk(item)
			}
		}
		walk(n)
		var o outer
		_ = n.Decode(&o)
	})
}
