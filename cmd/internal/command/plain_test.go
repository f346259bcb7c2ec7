package command

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"plain, \u00e4\u4e16\t\n": "plain, \u00e4\u4e16\t\n",
		"\x1b[2Jx":                `\u001b[2Jx`,
		"a\rb":                    `a\u000db`,
		"\u009b2J":                `\u009b2J`,
		"\u202etxt.exe":           `\u202etxt.exe`,
		"\u2066x\u2069":           `\u2066x\u2069`,
		"x\u2028y":                `x\u2028y`,
		"\x7f":                    `\u007f`,
		"\x9b2J":                  `\x9b2J`,
		"\xffx":                   `\xffx`,
	} {
		if got := string(plainText([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestPlainWriter: a character may be cut by calls anywhere, and JSON stays JSON.
func TestPlainWriter(t *testing.T) {
	text := "a\u4e16\U0001f600\u202eb\u009b\n"
	for cut := range len(text) + 1 {
		var out bytes.Buffer
		w := &plainWriter{w: &out}
		for _, part := range []string{text[:cut], text[cut:]} {
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if want := string(plainText([]byte(text))); out.String() != want {
			t.Errorf("cut at %d: %q, want %q", cut, out.String(), want)
		}
	}
	var out bytes.Buffer
	in := map[string]string{"name": "x\u202ey\u009bz\x7f\x1b"}
	if err := json.NewEncoder(&plainWriter{w: &out}).Encode(in); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != in["name"] || strings.ContainsRune(out.String(), 0x202e) {
		t.Errorf("%s: %v, %v", out.String(), back, err)
	}
}

// TestSumLine: as sha256sum itself writes and reads it.
func TestSumLine(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain", "two\nlines", `back\slash`, "re\rturn", " blank"} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `printf x >"$1" && sha256sum -- "$1"`, "sh", name)
		cmd.Dir = dir
		want, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		digest := strings.TrimPrefix(strings.Fields(string(want))[0], `\`)
		if got := sumLine(digest, name); got != string(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzPlainText(f *testing.F) {
	f.Add([]byte("a\x1b\u202e\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := plainText(in)
		if bundle.CheckText(strings.NewReplacer("\n", "", "\t", "").Replace(string(out))) != nil || !utf8.Valid(out) || !bytes.Equal(plainText(out), out) {
			t.Fatalf("%q: %q", in, out)
		}
	})
}
