//go:build clients

package streams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode"
)

// python runs a script that reads JSON and answers in JSON.
func python(t *testing.T, script string, question, answer any) {
	t.Helper()
	in, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", script)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, answer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const searches = `
import json, re, sys, warnings
warnings.simplefilter("ignore")
def ask(text, values):
    try:
        search = re.compile(text).search
    except Exception:
        return None
    return [bool(search(v)) for v in values]
print(json.dumps([ask(q["text"], q["values"]) for q in json.load(sys.stdin)]))
`

// Made-up expressions find in made-up values what Python's re finds, wherever they are
// not refused.
func TestExpressionsOfPython(t *testing.T) {
	type question struct {
		Text   string   `json:"text"`
		Values []string `json:"values"`
	}
	r := rand.New(rand.NewPCG(18, 1))
	atoms := []string{
		"a", "b", "k", "i", "S", "-", "_", ".", "^", "$", `\d`, `\D`, `\w`, `\W`, `\s`, `\S`, `\Z`, `\A`, `\n`, `\-`, `\.`, `\x61`, "é", "٣", "[ab]", "[^a]", `[\d_]`, `[^\w]`, `[a-k]`, `[\s-]`, `[]-]`,
		`[^\D]`, `\b`, `[+-\w]`, `\012`, "{,2}", "{2}", "{1,2}", "*", "+", "?", "*?", "|", "(", ")", "(?:", "(?P<x>", " ", "\n",
	}
	letters := []string{"a", "b", "k", "i", "S", "-", "_", "5", "é", "٣", "½", " ", "\n", "\u0130", "\u0131", "\u212a", "\u017f", "\u0345", "\u00a0", "\x1c", "."}
	word := func(from []string, most int) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteString(from[r.IntN(len(from))])
		}
		return b.String()
	}
	var questions []question
	for i := range 30_000 {
		q := question{Text: word(atoms, 7)}
		if i%4 == 0 {
			q.Text = "(?i)" + q.Text
		}
		for range 20 {
			q.Values = append(q.Values, word(letters, 5))
		}
		questions = append(questions, q)
	}
	var answers [][]bool
	python(t, searches, questions, &answers)
	valid, refused := 0, 0
	for i, q := range questions {
		x, err := parseExpression(q.Text)
		switch want := answers[i]; {
		case want == nil && err == nil:
			t.Errorf("%q: Python refuses it", q.Text)
		case want == nil:
		case err != nil:
			valid++
			refused++
		default:
			valid++
			for j, v := range q.Values {
				if x.matches(v) != want[j] {
					t.Errorf("%q in %q: Python says %t", q.Text, v, want[j])
				}
			}
		}
	}
	t.Logf("%d expressions, %d valid in Python, %d of them refused", len(questions), valid, refused)
	if valid < 5000 || refused > valid/2 {
		t.Error("too few are compared")
	}
}

const characters = `
import json, re, sys, unicodedata
every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
print(json.dumps({"unknown": [ord(c) for c in every if unicodedata.category(c) == "Cn"], "found": [[ord(c) for c in re.findall(q, every)] for q in json.load(sys.stdin)]}))
`

// Classes, and letters whose case is ignored, have the characters that they have in
// Python: all that this Python's Unicode knows.
func TestCharactersOfPython(t *testing.T) {
	expressions := []string{`\w`, `\W`, `\d`, `\D`, `\s`, `\S`, `[\w]`, `[^\w]`, `[\d]`, `[\D]`, `[\s]`, `[^\s]`, ".", "(?s).", "(?i)[a-z]", "(?i)[^a-z]", "(?i)[^i]", `(?i)\w`, `(?i)\W`, `(?i)[\s]`}
	for _, c := range "aiksIKS5_" {
		expressions = append(expressions, fmt.Sprintf("(?i)%c", c))
	}
	var answer struct {
		Unknown []rune
		Found   [][]rune
	}
	python(t, characters, expressions, &answer)
	unknown := map[rune]bool{}
	for _, c := range answer.Unknown {
		unknown[c] = true
	}
	for i, text := range expressions {
		x, err := parseExpression(text)
		if err != nil {
			t.Fatal(err)
		}
		found := map[rune]bool{}
		for _, c := range answer.Found[i] {
			found[c] = true
		}
		for c := rune(0); c <= unicode.MaxRune; c++ {
			if c >= 0xd800 && c < 0xe000 || unknown[c] {
				continue
			}
			if x.matches(string(c)) != found[c] {
				t.Errorf("%s and %U: Python says %t", text, c, found[c])
			}
		}
	}
}
