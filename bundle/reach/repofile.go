package reach

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Options of a .repo file (dnf.conf(5), zypper's too), in lower case. Any other is
// refused: some lead to other addresses or switch checks off.
var (
	repoPlain = []string{
		"name", "enabled", "repo_gpgcheck", "module_hotfixes", "cost", "priority", "type", "autorefresh", "metadata_expire", "skip_if_unavailable",
		"excludepkgs", "exclude", "includepkgs",
	}
	// repoChecks are those whose no has dnf take packages without a signature.
	repoChecks = []string{"gpgcheck", "pkg_gpgcheck"}
	repoYes    = []string{"1", "yes", "true", "on"}
)

// repo judges a .repo file.
func (c *client) repo(content []byte) {
	var section []field
	id := ""
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, MaxFile+1)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "", trimmed[0] == '#', trimmed[0] == ';':
		case line[0] == ' ' || line[0] == '\t':
			if len(section) == 0 {
				c.wrong("line %.80q: continues nothing", line)
				return
			}
			section[len(section)-1].value += "\n" + line
		case trimmed[0] == '[':
			c.section(id, section)
			section, id = nil, trimmed
		default:
			name, value, ok := strings.Cut(line, "=")
			if !ok {
				c.wrong("line %.80q: no option", line)
				return
			}
			section = append(section, field{strings.ToLower(strings.TrimSpace(name)), value})
		}
	}
	if err := lines.Err(); err != nil {
		c.wrong("%w", err)
	}
	c.section(id, section)
}

// section judges one repository of a .repo file. id is its line; "": there was none yet.
func (c *client) section(id string, options []field) {
	var from []*bundle.Repository
	for _, o := range options {
		if o.name != "baseurl" {
			continue
		}
		for _, value := range splitList(o.value) {
			if r := c.source("baseurl", value); r != nil && !slices.Contains(from, r) {
				from = append(from, r)
			}
		}
	}
	if name := strings.TrimSuffix(strings.TrimPrefix(id, "["), "]"); id != "" && !c.clients.named(name+".") && !called(name, from) {
		c.wrong("section %.80q: want a name that begins with the name of a source of the set, or that the root has for the source it leads to", id)
	}
	checked := len(from) == 0
	for _, o := range options {
		switch {
		case o.name == "baseurl", slices.Contains(repoPlain, o.name):
		case o.name == "gpgkey":
			for _, key := range splitList(o.value) {
				if web, ok := strings.CutPrefix(key, baseMark+"/"); !ok || !c.isKey(web) {
					c.wrong("gpgkey %.200q: want %s/%s/FILE, a file of the set", key, baseMark, keysMount)
				}
			}
		case slices.Contains(repoChecks, o.name):
			checked = checked || o.name == repoChecks[0]
			if value := strings.ToLower(strings.TrimSpace(o.value)); !slices.Contains(repoYes, value) {
				c.unsigned(o.name+"="+value, from)
			}
		default:
			c.wrong("option %.80q: not one of those that are known", o.name)
		}
	}
	if !checked {
		c.unsigned("no gpgcheck", from) // dnf's own default is not to check
	}
}

// called reports whether the root states about all repositories that clients call them so.
func called(name string, repositories []*bundle.Repository) bool {
	for _, r := range repositories {
		if !slices.Contains(strings.Fields(r.Annotations[bundle.ClientIDsKey]), name) {
			return false
		}
	}
	return len(repositories) > 0
}

func splitList(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r <= ' ' })
}
