package reach

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// keyrings is the folder in which a client keeps the key files that it got from keys/,
// by their names there.
const keyrings = "/usr/share/keyrings/gapbundle-"

// Fields of deb822 sources (sources.list(5)), in lower case. Any other is refused: apt
// knows options that this program does not, and may know more tomorrow.
var (
	aptPlain = []string{
		"types", "suites", "components", "architectures", "languages", "targets", "pdiffs", "by-hash", "enabled", "description", "x-repolib-name",
		"check-valid-until", "valid-until-min", "valid-until-max", "check-date", "date-max-future",
	}
	// aptUnsigned are those that have apt take what no key vouches for.
	aptUnsigned = []string{"trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"}
	aptNo       = []string{"no", "false", "without", "off", "disable", "0"}
)

// field is a name in lower case and its value, with lines of continuation.
type field struct{ name, value string }

// deb822 judges a file of deb822 sources.
func (c *client) deb822(content []byte) {
	var stanza []field
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, MaxFile+1)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			c.stanza(stanza)
			stanza = nil
		case line[0] == ' ' || line[0] == '\t':
			if len(stanza) == 0 {
				c.wrong("line %.80q: continues nothing", line)
				return
			}
			stanza[len(stanza)-1].value += "\n" + line
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				c.wrong("line %.80q: no field", line)
				return
			}
			stanza = append(stanza, field{strings.ToLower(strings.TrimSpace(name)), value})
		}
	}
	if err := lines.Err(); err != nil {
		c.wrong("%w", err)
	}
	c.stanza(stanza)
}

// stanza judges one entry.
func (c *client) stanza(fields []field) {
	var from []*bundle.Repository
	for _, f := range fields {
		if f.name != "uris" {
			continue
		}
		for _, value := range strings.Fields(f.value) {
			if r := c.source("URIs", value); r != nil && !slices.Contains(from, r) {
				from = append(from, r)
			}
		}
	}
	for _, f := range fields {
		switch {
		case f.name == "uris", slices.Contains(aptPlain, f.name):
		default:
			c.aptOption(f, from)
		}
	}
}

// aptOption judges a field that is about trust, or one that is not known. from are the
// repositories that the entry leads to.
func (c *client) aptOption(f field, from []*bundle.Repository) {
	switch {
	case f.name == "signed-by":
		c.signedBy(f.value)
	case slices.Contains(aptUnsigned, f.name):
		if value := strings.ToLower(strings.TrimSpace(f.value)); !slices.Contains(aptNo, value) {
			c.unsigned(f.name+": "+value, from)
		}
	default:
		c.wrong("field %.80q: not one of those that are known", f.name)
	}
}

// signedBy judges which keys vouch for an entry: key files of the set, by the names
// under which a client has them, or fingerprints that the root declares.
func (c *client) signedBy(value string) {
	all := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r <= ' ' })
	if len(all) == 0 || strings.Contains(value, "-----BEGIN") {
		c.wrong("Signed-By: want key files of the set")
		return
	}
	for _, key := range all {
		name, isFile := strings.CutPrefix(key, keyrings)
		fingerprint := strings.ToUpper(strings.TrimSuffix(key, "!"))
		if !(isFile && c.isKey(keysMount+"/"+name)) && !c.Survey.keys.declared[fingerprint] {
			c.wrong("Signed-By: %.200s: want %sFILE of a file below %s/ of the set", key, keyrings, keysMount)
		}
	}
}
