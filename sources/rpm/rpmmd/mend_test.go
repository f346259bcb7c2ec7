package rpmmd

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// TestMend: what XML does not have becomes a blank, in any cut of the input; the rest stays.
func TestMend(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	for in, want := range map[string]string{
		"": "", "a\tb\r\n": "a\tb\r\n", "x\x1b[A\x00": "x [A ", "\xff\xfe€": "  €", "\ufffe\uffff\ufffd": "  \ufffd",
		"&amp;&#10;&#x41;": "&amp;&#10;&#x41;", "&#0;&#x1b;&#xD800;&#1114112;": "    ", "&#27": "&#27", "&#;&;&": "&#;&;&", "&#x;": "&#x;", "\xc3": " ", long + "\x01": long + " ",
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			m := Mend(r)
			got, err := io.ReadAll(iotest.HalfReader(m))
			if err != nil || string(got) != want || (m.Count > 0) != (in != want) {
				t.Errorf("%.30q: %.60q %d %v, want %.60q", in, got, m.Count, err, want)
			}
		}
	}
}

// FuzzMend: what comes out has only characters of XML, and a document that is whole stays as it is.
func FuzzMend(f *testing.F) {
	f.Add("<a>&#27;\x1b&amp;</a>")
	f.Add("\xed\xa0\x80&#xfffe;")
	f.Fuzz(func(t *testing.T, in string) {
		m := Mend(strings.NewReader(in))
		got, err := io.ReadAll(m)
		if err != nil || !utf8.Valid(got) {
			t.Fatalf("%q %v", got, err)
		}
		for _, r := range string(got) {
			if !isXML(r) {
				t.Fatalf("%q has %q", got, r)
			}
		}
		if utf8.ValidString(in) && xml.Unmarshal([]byte(in), new(struct{})) == nil && string(got) != in {
			t.Errorf("%q became %q", in, got)
		}
	})
}
