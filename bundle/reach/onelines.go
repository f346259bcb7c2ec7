package reach

import (
	"bufio"
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Options of a one-line entry (sources.list(5)) that have nothing to do with trust, in lower case.
// Those of aptUnsigned and signed-by have the same names as in deb822. Any other is refused.
var linePlain = []string{"arch", "lang", "target", "pdiffs", "by-hash", "check-valid-until", "valid-until-min", "valid-until-max", "check-date", "date-max-future"}

// oneLine is an entry in the plainest form: type, options in brackets, address, suite,
// components. apt reads more forms, with quotes, escapes and brackets within words, and no
// character of these is in the expression.
var oneLine = regexp.MustCompile(`^[ \t]*(?:deb|deb-src)[ \t]+(?:\[([A-Za-z0-9@/:.,_+~=!$() \t-]*)\][ \t]+)?([A-Za-z0-9@/:._+~=$()-]+)((?:[ \t]+[A-Za-z0-9@/:._+~=$()-]+)+)[ \t]*$`)

// lines judges a file of one-line entries.
func (c *client) lines(content []byte) {
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, MaxFile+1)
	for lines.Scan() {
		line := lines.Text()
		if text := strings.Trim(line, " \t"); text == "" || text[0] == '#' {
			continue
		}
		parts := oneLine.FindStringSubmatch(line)
		if parts == nil {
			c.wrong("line %.80q: want deb or deb-src, options in brackets, an address and a suite", line)
			continue
		}
		c.entry(parts[1], parts[2])
	}
	if err := lines.Err(); err != nil {
		c.wrong("%w", err)
	}
}

// entry judges the options and the address of an entry.
func (c *client) entry(options, address string) {
	var from []*bundle.Repository
	if r := c.source("address", address); r != nil {
		from = append(from, r)
	}
	for option := range strings.FieldsSeq(options) {
		name, value, ok := strings.Cut(option, "=")
		name = strings.ToLower(name)
		switch {
		case !ok:
			c.wrong("option %.80q: want a name and a value", option)
		case slices.Contains(linePlain, name):
		default:
			c.aptOption(field{name, value}, from)
		}
	}
}
