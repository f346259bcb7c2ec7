package rpmmd

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gapbundle/gapbundle/bundle"
)

// scan writes down what the scanner makes of a document.
func scan(r io.Reader) ([]string, error) {
	s := newScanner(r)
	var all []string
	for {
		t, err := s.next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		switch t.kind {
		case startTag:
			line := "<" + local(t.name)
			for i := range t.attrs {
				line += fmt.Sprintf(" %s=%q", local(string(t.attrs[i].name)), t.attrs[i].value)
			}
			all = append(all, line)
		case endTag:
			all = append(all, "/"+local(t.name))
		case charData:
			if len(s.open) > 0 {
				all = joined(all, string(t.text))
			}
		}
	}
}

// local returns a name without its prefix, for which encoding/xml has what it stands for.
func local(name string) string { return name[strings.IndexByte(name, ':')+1:] }

// joined adds a text to what it continues.
func joined(all []string, text string) []string {
	if n := len(all); n > 0 && strings.HasPrefix(all[n-1], "'") {
		all[n-1] += text
		return all
	}
	return append(all, "'"+text)
}

// standard returns what encoding/xml makes of it.
func standard(text []byte) ([]string, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	var all []string
	depth := 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			line := "<" + t.Name.Local
			for _, a := range t.Attr {
				line += fmt.Sprintf(" %s=%q", a.Name.Local, a.Value)
			}
			all = append(all, line)
		case xml.EndElement:
			depth--
			all = append(all, "/"+t.Name.Local)
		case xml.CharData:
			if depth > 0 {
				all = joined(all, string(t))
			}
		}
	}
}

// FuzzScanner: what the scanner takes is to it what it is to encoding/xml,
// however the bytes come.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		primaryXML, repomdXML, groupsText, "\ufeff<a/>", "<?xml version='1.0' encoding=\"utf-8\"?>\r\n<!DOCTYPE comps PUBLIC \"-//a>\" 'b'>\n<a b = 'x\ty\r\nz' c:d=\"&#x41;&#10;&amp;&quot;'\">\r&lt;<![CDATA[<&]] >\r\n]]>\u00e9]]<b></b ><!-- -> --><?x y?></a><!-- x -->\n",
		"<a><b/>", "<a></b>", "<a b=c/>", "<a b='1'c='2'/>", "<a b='<'/>", "<a>]]></a>", "<a>\x01</a>", "<a>\xff</a>", "<a>&b;</a>", "<a/><b/>", "<a/>x", "<a b='1' b='2'/>",
		"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "<a>&#xd800;</a>", "<a>\ufffe</a>", "<a><!-- -- --></a>", "<?xml version='1.1'?><a/>", "<?xml version='1.0' encoding='latin1'?><a/>", "<:a/>", "<a:/>", "<a:b:c/>", "<1/>", "< a/>", "<a / >",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		have, err := scan(bytes.NewReader(text))
		byByte, again := scan(iotest.OneByteReader(bytes.NewReader(text)))
		if !slices.Equal(have, byByte) || fmt.Sprint(err) != fmt.Sprint(again) {
			t.Fatalf("%q, %v and by bytes %q, %v", have, err, byByte, again)
		}
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("got %v", err)
			}
			return
		}
		want, err := standard(text)
		if err != nil || !slices.Equal(have, want) {
			t.Errorf("%q, and by encoding/xml %q, %v", have, want, err)
		}
	})
}

// TestScannerTakes: what well-formed documents of the kinds that are read
// have in them is taken.
func TestScannerTakes(t *testing.T) {
	for _, text := range []string{
		primaryXML, repomdXML, groupsText,
		"\ufeff<?xml version='1.0' encoding=\"utf-8\" standalone='yes'?>\r\n<!DOCTYPE comps PUBLIC \"-//a>\" 'b'>\n<a b = 'x\ty\r\nz>' c:d=\"&#x41;&#10;&amp;&quot;'\" xmlns:c='e'\n>\r&lt;<![CDATA[<&]] >\r\n]]>\u00e9]]<b></b\n><!-- -> --><?x y?></a><!-- x -->\n ",
	} {
		have, err := scan(strings.NewReader(text))
		want, _ := standard([]byte(text))
		if err != nil || !slices.Equal(have, want) {
			t.Errorf("%q, %v, want %q", have, err, want)
		}
	}
}

// TestScannerRefuses: what is refused says why.
func TestScannerRefuses(t *testing.T) {
	long := strings.Repeat("a", maxName+1)
	var attributes strings.Builder
	for i := range maxAttributes + 1 {
		fmt.Fprintf(&attributes, " a%d=''", i)
	}
	for text, want := range map[string]string{
		"": "unexpected end", " ": "unexpected end", "<a><b/>": "unexpected end", "<a": "unexpected end", "<a b='": "unexpected end", "<a><![CDATA[": "unexpected end", "<!-- -": "unexpected end",
		"<a></b>": "<a> ended by </b>", "<a b=c/>": "without quotes", "<a b/>": "without a value", "<a b='1'c='2'/>": "without a blank", "<a b='<'/>": "< within quotes",
		"<a>]]></a>": "]]> outside", "<a>\x01</a>": "character", "<a>\xff</a>": "UTF-8", "<a>\ufffe</a>": "character", "<a>&#0;</a>": "entity &#0;", "<a>&#xd800;</a>": "entity", "<a>&b;</a>": "entity &b;",
		"<a>&" + long + ";</a>": "entity without", "<a/><b/>": "after the end", "<a/>x": "outside of the root", "x<a/>": "outside of the root", "<a b='1' b='2'/>": "occurs twice",
		"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>": "entity", "<a><!DOCTYPE a></a>": "declaration", "<a><!-- -- --></a>": "comment", "<?xml version='1.1'?><a/>": "version", "<?xml version='1.0' encoding='latin1'?><a/>": "encoding",
		"<a><?xml version='1.0'?></a>": "beginning", "<:a/>": "the name", "<a:b:c/>": "the name", "<1/>": "name is missing", "<a / >": "does not end", "<" + long + "/>": "a name of", "<a" + attributes.String() + "/>": "attributes",
		strings.Repeat("<a>", maxDepth+1): "deeper", "</a>": "not open",
	} {
		if have, err := scan(strings.NewReader(text)); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %q, %v, want %q", text, have, err, want)
		}
	}
}

// BenchmarkScanner reads a file of XML next to encoding/xml.
func BenchmarkScanner(b *testing.B) {
	text := []byte("<metadata>" + strings.Repeat(primaryXML[strings.Index(primaryXML, "<package type"):strings.Index(primaryXML, "</metadata>")], 5000) + "</metadata>")
	if name := os.Getenv("GAPBUNDLE_XML"); name != "" {
		var err error
		if text, err = os.ReadFile(filepath.Clean(name)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("scanner", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			s := newScanner(bytes.NewReader(text))
			var err error
			for ; err == nil; _, err = s.next() {
				s.forget()
			}
			if err != io.EOF {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/xml", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			d := xml.NewDecoder(bytes.NewReader(text))
			var err error
			for ; err == nil; _, err = d.RawToken() {
			}
			if err != io.EOF {
				b.Fatal(err)
			}
		}
	})
}
