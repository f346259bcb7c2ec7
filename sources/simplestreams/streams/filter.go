package streams

import (
	"fmt"
	"regexp"
	"strings"
)

// Filter is one condition of sstream-mirror's grammar:
//
//	key OP value    OP is one of = != ~ !~
//
// "~" searches for a regular expression anywhere in the value. A field that an
// item does not have is the empty text.
type Filter struct {
	Key     string
	Text    string // as it was written
	value   string
	search  *expression // nil: compared
	negated bool
}

// form is the grammar of python-simplestreams' filters; \w is that of Python.
var form = regexp.MustCompile(`^([\p{L}\p{N}_|-]+) *(!?[=~]) *(.*)$`)

// UnmarshalText reads a filter. An expression that RE2 does not have, or reads
// differently from Python, is refused.
func (f *Filter) UnmarshalText(b []byte) error {
	parts := form.FindStringSubmatch(string(b))
	if parts == nil {
		return fmt.Errorf("want a filter like arch=amd64 or release~(jammy|noble), got %.80q", b)
	}
	*f = Filter{Key: parts[1], Text: string(b), value: parts[3], negated: parts[2][0] == '!'}
	if !strings.HasSuffix(parts[2], "~") {
		return nil
	}
	var err error
	if f.search, err = parseExpression(f.value); err != nil {
		return fmt.Errorf("filter %.80q: %w", b, err)
	}
	return nil
}

// MarshalText returns the filter as it was written.
func (f Filter) MarshalText() ([]byte, error) { return []byte(f.Text), nil }

// Matches reports whether the filter lets through an item whose fields get
// looks up.
func (f *Filter) Matches(get func(key string) (any, bool)) bool {
	v, _ := get(f.Key)
	s, _ := text(v)
	found := s == f.value
	if f.search != nil {
		found = f.search.matches(s)
	}
	return found != f.negated
}

// Names reports whether the filter asks for what has word in its value.
func (f *Filter) Names(word string) bool { return !f.negated && strings.Contains(f.value, word) }
