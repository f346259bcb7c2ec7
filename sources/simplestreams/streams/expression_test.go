package streams

import (
	"strings"
	"testing"
)

// Expressions are read as Python reads them: text is Unicode.
func TestExpression(t *testing.T) {
	for _, c := range []struct {
		text    string
		yes, no string // values, divided by blanks
		exactly []string
		neither []string
	}{
		{text: `^\d+$`, yes: "5 ٣٤", no: "x ½", exactly: []string{"5\n"}, neither: []string{"5\n\n", "5\nx"}},
		{text: `^\w+$`, yes: "é Ⅷ ½ _ 中", no: "- \u0345"},
		{text: `^\W$`, yes: "- \u0345", no: "é 5"},
		{text: `^[\w.-]+$`, yes: "é.5-", no: "a+"},
		{text: `^[^\d]$`, yes: "x", no: "٣ 3", exactly: []string{"\n"}},
		{text: `\s`, exactly: []string{"\v", "\u00a0", "\u3000", "\x1c", "\u0085"}, neither: []string{"x", "\u200b"}},
		{text: `^(a$|b)`, yes: "a b bc", no: "ab", exactly: []string{"a\n"}, neither: []string{"a\n\n"}},
		{text: `a\Z`, yes: "a", neither: []string{"a\n"}},
		{text: `(?i)^kis$`, yes: "KIS \u212ais k\u0131\u017f k\u0130S", no: "kit"},
		{text: `(?P<n>a)(?:b)\x2d`, yes: "ab-", no: "ab"},
		{text: `(?s)a.b`, exactly: []string{"a\nb"}},
		{text: `a.b`, neither: []string{"a\nb"}},
		{text: `[]a]`, yes: "] a", no: "b"},
	} {
		x, err := parseExpression(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for _, v := range append(strings.Fields(c.yes), c.exactly...) {
			if !x.matches(v) {
				t.Errorf("%s does not match %q", c.text, v)
			}
		}
		for _, v := range append(strings.Fields(c.no), c.neither...) {
			if x.matches(v) {
				t.Errorf("%s matches %q", c.text, v)
			}
		}
	}
}

func TestRefusesExpression(t *testing.T) {
	for text, want := range map[string]string{
		`a$b`: "$ anywhere but", `(a$)b`: "$ anywhere but", `a$*`: "$ anywhere but", `((a|b$)|c)d`: "$ anywhere but",
		`\bx`: `\b means something else`, `\B`: `\B means`, `\pL`: `\p means`, `\Qa`: `\Q means`, `\z`: `\z means`, `\1`: `\1 means`, `\012`: `\0 means`, `\x{41}`: `\x means`, `\é`: `means`, `\`: "means",
		`x{,3}`: "{, means", `[[:alpha:]]`: "[: means", `[\W]`: "in brackets", `[\S]`: "in brackets", `(?i)[\w]`: "in brackets", `[\A]`: `\A means`, `^*`: "nothing to repeat", `\Z{2}`: "nothing to repeat",
		`[+-\w]`: "a range that", `[\d-z]`: "a range that", `(?i)é`: "beyond ASCII",
		`(?m)a`: "question mark", `a(?i)b`: "question mark", `(?<n>a)`: "question mark", `(?=x)`: "question mark", `(?U)a`: "question mark", `(?>a)`: "question mark",
		`(`: "missing", `a)`: "unexpected )", `[a`: "missing closing ]", `*`: "missing argument", `a**`: "invalid nested repetition", `a{2000}`: "invalid repeat count",
	} {
		if _, err := parseExpression(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
