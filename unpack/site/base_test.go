package site

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestSubstitute(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"@BASE@":                     "http://b",
		"@BASE@@BASE@":               "http://bhttp://b",
		"@BASE@BASE@":                "http://bBASE@",
		"@@BASE@@":                   "@http://b@",
		"@BAS @base@ @BASE":          "@BAS @base@ @BASE",
		"@BASE@x\n@@BASE@BASE@ @B":   "http://bx\n@http://bBASE@ @B",
		"@HOST@/x @BASE@ @INSECURE@": "b/x http://b true", "@BASE@HOST@": "http://bHOST@", "@HOST@@BASE@": "bhttp://b", "@INSECURE@HOST@@INSECUR": "trueHOST@@INSECUR",
		strings.Repeat("x", 32<<10-3) + "@BASE@" + strings.Repeat("y", 32<<10): strings.Repeat("x", 32<<10-3) + "http://b" + strings.Repeat("y", 32<<10),
	} {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(in), "byte": iotest.OneByteReader(strings.NewReader(in)), "data with EOF": iotest.DataErrReader(strings.NewReader(in)),
		} {
			var out bytes.Buffer
			if err := Substitute(&out, r, "http://b"); err != nil || out.String() != want {
				t.Errorf("%.40q, %s: %.60q, %v", in, name, out.String(), err)
			}
		}
	}
	for base, want := range map[string]string{
		"https://m.lan:8443": "m.lan:8443 false", "http://[fd00::1]:80": "[fd00::1]:80 true", "https://m.lan/a/b": "m.lan false", "http://m": "m true",
	} {
		var out bytes.Buffer
		if err := Substitute(&out, strings.NewReader("@HOST@ @INSECURE@"), base); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", base, out.String(), err, want)
		}
	}
	if err := Substitute(io.Discard, iotest.ErrReader(errLists), "x"); !errors.Is(err, errLists) {
		t.Errorf("a reader's error: %v", err)
	}
}

// FuzzSubstitute: streaming, in pieces of any size, is replacing all at once.
func FuzzSubstitute(f *testing.F) {
	f.Add([]byte("a@BASE@b@BASE"), "http://x")
	f.Add([]byte("@HOST@BASE@@INSECURE@HOST@@@BASE@"), "https://@HOST@/@INSECURE@")
	f.Fuzz(func(t *testing.T, b []byte, base string) {
		var pairs []string
		for _, w := range wordsOf(base) {
			pairs = append(pairs, w[0], w[1])
		}
		want := []byte(strings.NewReplacer(pairs...).Replace(string(b)))
		if base == "" {
			want = b
		}
		for _, r := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b)), iotest.HalfReader(bytes.NewReader(b))} {
			var out bytes.Buffer
			if err := Substitute(&out, r, base); err != nil || !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%q: %q, %v", b, out.Bytes(), err)
			}
		}
	})
}

func TestCheckBase(t *testing.T) {
	for _, good := range []string{"http://mirror", "https://mirror.lan:8443", "http://10.0.0.1/sub/path", "http://[fd00::1]:8080"} {
		if err := CheckBase(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "mirror", "ftp://m", "http://", "http://m/", "http://u:p@m", "http://m?x", "http://m#x", "http://m/a b", "http://m/'", "http://m\n", "http://m/$x", "http://m/%41", "http://:80"} {
		if err := CheckBase(bad); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%q: %v, want ErrUsage", bad, err)
		}
	}
}
