package streams

import (
	"fmt"
	"regexp"
	"strings"
)

// expression is a regular expression of Python's re, as sstream-mirror searches for
// it: text is Unicode, and only whether there is a match counts.
type expression struct {
	compiled *regexp.Regexp
	fold     bool // case is ignored
}

// Python's classes as members of a class of RE2, whose own know ASCII alone.
const (
	pythonDigit = `\p{Nd}`
	pythonWord  = `\p{L}_\p{N}`
	pythonSpace = `\t-\r\x1c-\x20\x{85}\p{Z}`
)

// pythonEnd is "$" of Python, which also holds before a newline that ends the text.
// It takes that newline, so nothing may follow it.
const pythonEnd = `(?:\n?\z)`

// parseExpression translates an expression of Python's re. Anything that RE2 does not
// have, or reads differently without a translation, is refused by its name.
func parseExpression(text string) (*expression, error) {
	t := &translation{in: text, open: []bool{false}}
	for _, flags := range []string{"(?i)", "(?s)", "(?is)", "(?si)"} {
		if strings.HasPrefix(text, flags) {
			t.at, t.fold = len(flags), strings.Contains(flags, "i")
			t.out.WriteString(flags)
		}
	}
	if t.fold && !isASCII(text) {
		return nil, fmt.Errorf("(?i) with letters beyond ASCII means something else in Python: write it differently")
	}
	for t.at < len(t.in) {
		if err := t.next(); err != nil {
			return nil, err
		}
	}
	compiled, err := regexp.Compile(t.out.String())
	return &expression{compiled, t.fold}, err
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}

// undotted makes the two letters that Python alone takes for an "i" where case is
// ignored one.
var undotted = strings.NewReplacer("\u0130", "i", "\u0131", "i")

// matches searches s.
func (x *expression) matches(s string) bool {
	if x.fold {
		s = undotted.Replace(s)
	}
	return x.compiled.MatchString(s)
}

// translation is an expression on its way from Python to RE2.
type translation struct {
	in   string
	at   int
	out  strings.Builder
	fold bool
	// open has an entry for the whole and for each group that is open: whether a "$"
	// ends one of its branches.
	open []bool
}

// take copies n bytes.
func (t *translation) take(n int) {
	n = min(n, len(t.in)-t.at)
	t.out.WriteString(t.in[t.at : t.at+n])
	t.at += n
}

func (t *translation) rest() string { return t.in[t.at:] }

// isLast reports whether a branch ends here.
func (t *translation) isLast() bool {
	rest := t.rest()
	return rest == "" || rest[0] == ')' || rest[0] == '|'
}

func foreign(what string) error {
	return fmt.Errorf("%s means something else in Python: write it differently", what)
}

func (t *translation) next() error {
	switch rest := t.rest(); rest[0] {
	case '\\':
		return t.escape()
	case '[':
		return t.class()
	case '^':
		t.take(1)
		return t.once()
	case '$':
		t.at++
		t.out.WriteString(pythonEnd)
		return t.end(true)
	case '(':
		if strings.HasPrefix(rest, "(?") && !strings.HasPrefix(rest, "(?:") && !strings.HasPrefix(rest, "(?P<") {
			return fmt.Errorf("%.4s...: of groups with a question mark RE2 and Python share (?: and (?P<, and (?i) and (?s) as the beginning", rest)
		}
		t.open = append(t.open, false)
		t.take(1)
		if strings.HasPrefix(rest, "(?") {
			t.take(2)
		}
	case ')':
		t.take(1)
		if last := len(t.open) - 1; last > 0 { // otherwise RE2 complains
			ends := t.open[last]
			t.open = t.open[:last]
			return t.end(ends)
		}
	case '{':
		if strings.HasPrefix(rest, "{,") {
			return foreign("{,")
		}
		t.take(1)
	default:
		t.take(1)
	}
	return nil
}

// end notes that a "$" may be the last that a branch has matched.
func (t *translation) end(is bool) error {
	if is && !t.isLast() {
		return foreign("$ anywhere but at an end")
	}
	t.open[len(t.open)-1] = t.open[len(t.open)-1] || is
	return nil
}

// once refuses that a place in the text is repeated, as Python does.
func (t *translation) once() error {
	if rest := t.rest(); rest != "" && strings.IndexByte("*+?{", rest[0]) >= 0 {
		return fmt.Errorf("%.1s after a place in the text: there is nothing to repeat", rest)
	}
	return nil
}

// shared are escapes that RE2 and Python read alike, besides those of punctuation.
const shared = "afnrtv"

// escape translates an escape outside of a class.
func (t *translation) escape() error {
	whole := func(members, not string) error {
		fmt.Fprintf(&t.out, "(?-i:[%s%s])", not, members)
		t.at += 2
		return nil
	}
	switch c := t.escaped(); c {
	case 'd', 'D':
		return whole(pythonDigit, t.not('D'))
	case 'w', 'W':
		return whole(pythonWord, t.not('W'))
	case 's', 'S':
		return whole(pythonSpace, t.not('S'))
	case 'Z':
		t.at += 2
		t.out.WriteString(`\z`)
		return t.once()
	case 'A':
		t.take(2)
		return t.once()
	}
	return t.character(shared)
}

// escaped returns the letter after the backslash; 0: none.
func (t *translation) escaped() byte {
	if rest := t.rest(); len(rest) > 1 {
		return rest[1]
	}
	return 0
}

func (t *translation) not(letter byte) string {
	if t.escaped() == letter {
		return "^"
	}
	return ""
}

// character copies an escape that stands for one character, or one of those in alike.
func (t *translation) character(alike string) error {
	c := t.escaped()
	switch {
	case c == 'x' && len(t.rest()) >= 4 && isHex(t.rest()[2]) && isHex(t.rest()[3]):
		t.take(4)
	case strings.IndexByte(alike, c) >= 0, c > ' ' && c < 0x7f && !isWord(c), c == ' ':
		t.take(2)
	default:
		return foreign(fmt.Sprintf(`\%.1s`, t.rest()[1:]))
	}
	return nil
}

func isHex(c byte) bool  { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }
func isWord(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// class translates a class in brackets.
func (t *translation) class() error {
	t.take(1)
	if strings.HasPrefix(t.rest(), "^") {
		t.take(1)
	}
	for first := true; t.at < len(t.in); first = false {
		switch rest := t.rest(); {
		case rest[0] == ']' && !first:
			t.take(1)
			return nil
		case strings.HasPrefix(rest, "[:"):
			return foreign("[:")
		case rest[0] != '\\':
			t.take(1)
		default:
			if err := t.member(); err != nil {
				return err
			}
		}
	}
	return nil // RE2 names what is missing
}

// member translates an escape in a class.
func (t *translation) member() error {
	members := ""
	switch c := t.escaped(); {
	case c == 'd':
		members = pythonDigit
	case c == 'D':
		members = `\P{Nd}`
	case c == 's':
		members = pythonSpace
	case c == 'w' && !t.fold:
		members = pythonWord
	case strings.IndexByte("wWS", c) >= 0 && c != 0:
		return fmt.Errorf(`\%c in brackets has no like in RE2: write it differently`, c)
	default:
		return t.character(shared)
	}
	before := t.in[:t.at]
	ends := func(s string) bool { return strings.HasSuffix(before, s) }
	t.at += 2
	if rest := t.rest(); ends("-") && !ends("[-") && !ends("[^-") && !ends(`\-`) || strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "-]") {
		return fmt.Errorf("a range that begins or ends with a class: write it differently")
	}
	t.out.WriteString(members)
	return nil
}
