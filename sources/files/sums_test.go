package files

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

var (
	sumX = bundle.DigestOf([]byte("x"))
	sumY = bundle.DigestOf([]byte("y"))
)

func TestParseSums(t *testing.T) {
	x := sumX.Hex()
	for _, test := range []struct{ name, text, want string }{
		{"text", x + "  a/b.txt\n", "a/b.txt"},
		{"binary", x + " *a/b.txt\n", "a/b.txt"},
		{"reversed BSD", x + " a/b.txt\n", "a/b.txt"},
		{"BSD", "SHA256 (a/b.txt) = " + x + "\n", "a/b.txt"},
		{"BSD, parentheses", "SHA256 (a (1) = b.txt) = " + x + "\n", "a (1) = b.txt"},
		{"escaped", `\` + x + `  a\\b\nc\rd` + "\n", "a\\b\nc\rd"},
		{"escaped BSD", `\SHA256 (a\\b) = ` + x + "\n", `a\b`},
		{"backslash without escape", x + `  a\b` + "\n", `a\b`},
		{"upper case", strings.ToUpper(x) + "  a\n", "a"},
		{"name with blanks", x + "   a  b \n", " a  b "},
		{"name with a star", x + "  *a\n", "*a"},
		{"byte order mark", "\ufeff" + x + "  a\n", "a"},
		{"tab", x + "\ta\n", "a"},
		{"openssl", "SHA256(a b)= " + x + "\n", "a b"},
		{"openssl 3", "SHA2-256(a)= " + x + "\n", "a"},
		{"gpg --print-md", "a b.tar.gz: " + groups(strings.ToUpper(x)) + "\n", "a b.tar.gz"},
		{"gpg --print-md, over lines", "a:\n" + groups(x[:32]) + "\n " + groups(x[32:]) + "\n", "a"},
		{"gpg --print-md, over lines with the first next to the name", "a: " + groups(x[:32]) + "\r\n   " + groups(x[32:]) + "\r\n", "a"},
		{"gpg --print-mds", "a:    MD5 = " + groups(strings.Repeat("A1", 16)) + "\na:   SHA1 = " + groups(strings.Repeat("A1", 20)) + "\na: SHA256 = " + groups(x[:40]) + "\n    " + groups(x[40:]) + "\na: SHA224 = " + groups(strings.Repeat("A1", 28)) + "\n", "a"},
		{"CRLF", x + "  a\r\n", "a"},
		{"no newline at the end", x + "  a", "a"},
		{"comments, blanks, other digests", "# c\n\n" + strings.Repeat("0", 32) + "  a\nMD5 (a) = 00\nb: " + groups(strings.Repeat("A1", 16)) + "\nSHA1 (a) = " + strings.Repeat("0", 40) + "\nSHA512/256 (a) = " + strings.Repeat("1", 64) + "\n" + x + "  a\n", "a"},
	} {
		lines, err := parseSums([]byte(test.text))
		if err != nil || len(lines) != 1 || lines[0] != (sumsLine{test.want, upstream.SHA256(sumX)}) {
			t.Errorf("%s: got %q, %v, want %q", test.name, lines, err, test.want)
		}
	}
	for _, text := range []string{"hello", x, x + " ", x[1:] + "z  a", "SHA256 (a = " + x, "SHA256 (a) = zz", `\` + x + `  a\`, `\` + x + `  a\t`, "<html><body>", "a: " + x[2:], "a: SHA512 = " + x[1:], "a: 12\n", "key: value", strings.Repeat("0", 64) + "  a"} {
		if lines, err := parseSums([]byte("# one\n" + text + "\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: got %q, %v, want an error in line 2", text, lines, err)
		}
	}
}

// groups writes digits as gpg does.
func groups(digits string) string {
	var all []string
	for i := 0; i < len(digits); i += 8 {
		all = append(all, digits[i:i+8])
	}
	return strings.Join(all, " ")
}

func TestMatch(t *testing.T) {
	const host = "https://a.example/r/"
	x, y := sumX.Hex(), sumY.Hex()
	for _, test := range []struct {
		name string
		urls []string
		sums map[string]string // URL: text
		want string            // "x", "y" or "-" for each URL; otherwise part of the error
	}{
		{"by path", []string{host + "v1/f", host + "v2/f"}, map[string]string{host + "SHA256SUMS": x + "  v1/f\n" + y + "  ./v2/f\n"}, "x y"},
		{"by path upwards", []string{"https://a.example/f"}, map[string]string{host + "SHA256SUMS": x + "  ../f\n"}, "x"},
		{"by path, encoded", []string{host + "a%20b"}, map[string]string{host + "SHA256SUMS": x + "  a b\n"}, "x"},
		{"by base name on another host", []string{"https://cdn.example/q/f"}, map[string]string{host + "SHA256SUMS": x + "  v1/f\n" + y + "  g\n"}, "x"},
		{"not listed", []string{host + "h"}, map[string]string{host + "SHA256SUMS": x + "  f\n"}, "-"},
		{"path before base name", []string{host + "f"}, map[string]string{host + "SHA256SUMS": y + "  v1/f\n" + x + "  f\n"}, "x"},
		{"what one has by path, another has not by name", []string{host + "v1/f", "https://b.example/v2/f"}, map[string]string{host + "SHA256SUMS": x + "  v1/f\n"}, "x -"},
		{"base name twice, same digest", []string{"https://b.example/f"}, map[string]string{host + "SHA256SUMS": x + "  v1/f\n" + x + "  v2/f\n"}, "x"},
		{"base name twice", []string{"https://b.example/f"}, map[string]string{host + "SHA256SUMS": x + "  v1/f\n" + y + "  v2/f\n"}, "set sha256"},
		{"path on another host", []string{"https://b.example/r/v1/f"}, map[string]string{host + "SHA256SUMS": x + "  v1/f\n" + y + "  v2/f\n"}, "set sha256"},
		{"path twice", []string{host + "f"}, map[string]string{host + "SHA256SUMS": x + "  f\n" + y + "  f\n"}, "set sha256"},
		{"two files differ", []string{host + "f"}, map[string]string{host + "SHA256SUMS": x + "  f\n", host + "sums": y + "  f\n"}, "set sha256"},
		{"two URLs of one base name", []string{"https://b.example/f", "https://c.example/f"}, map[string]string{host + "SHA256SUMS": x + "  f\n"}, "set sha256 for both"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var files []*remote
			for _, u := range test.urls {
				r, err := newRemote(urlEntry{URL: u}, "")
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, r)
			}
			var all []*vouching
			for u, text := range test.sums {
				lines, err := parseSums([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				origin, err := parseURL(u)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, newVouching(origin, lines))
			}
			found, err := matchAll(files, all)
			if err != nil {
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %s", err, test.want)
				}
				return
			}
			var got []string
			for _, r := range files {
				name := map[bundle.Digest]string{sumX: "x", sumY: "y", {}: "-"}[found[r].digest]
				got = append(got, name)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

// FuzzSums: no line makes it panic, and what coreutils would write of what was
// read is read as the same.
func FuzzSums(f *testing.F) {
	x := sumX.Hex()
	for _, s := range []string{x + "  a\n", x + " *a\n", "SHA256 (a) = " + x + "\n", `\` + x + `  a\\\n` + "\n", "# c\nMD5 (x) = 00\n", x + " a"} {
		f.Add([]byte(s))
	}
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := parseSums(b)
		if err != nil {
			return
		}
		for _, l := range lines {
			text := fmt.Sprintf("\\%s  %s\n", l.Sum.Hex, escape.Replace(l.Name))
			again, err := parseSums([]byte(text))
			if err != nil || len(again) != 1 || again[0] != l {
				t.Fatalf("%q: got %q, %v", text, again, err)
			}
		}
	})
}
