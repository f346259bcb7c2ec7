package gitfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of a .gitmodules file.
const (
	MaxModulesFile = 1 << 20 // bytes; git itself stops checking one at 100 MB
	maxModules     = 2000
	maxModuleValue = 4096 // bytes
)

// Submodule is one section of .gitmodules.
type Submodule struct {
	Name string
	Path string
	URL  string
}

// ParseModules reads .gitmodules in the syntax of git-config(1): sections
// [submodule "name"] with path and url; other keys and sections are skipped.
// Where a key is set twice the last one counts, as for git. It refuses what
// git's own fsck refuses: a path that leaves the tree, a name with "..", and a
// URL or path that begins with "-", which a program would take for an option.
// Errors match bundle.ErrMalformed.
func ParseModules(content []byte) ([]Submodule, error) {
	if len(content) > MaxModulesFile {
		return nil, malformedModules("%s, at most %d", bundle.Count(len(content), "byte"), MaxModulesFile)
	}
	p := modulesParser{rest: bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), line: 1, byName: map[string]int{}}
	if err := p.parse(); err != nil {
		return nil, malformedModules("line %d: %w", p.line, err)
	}
	var all []Submodule
	for _, m := range p.modules {
		if err := m.check(); err != nil {
			return nil, malformedModules("%w", err)
		}
		if m.Path != "" {
			all = append(all, m)
		}
	}
	return all, nil
}

func malformedModules(format string, args ...any) error {
	return fmt.Errorf(".gitmodules: "+format+": %w", append(args, bundle.ErrMalformed)...)
}

// check refuses what attacks a checkout (CVE-2018-11235, CVE-2018-17456).
func (m Submodule) check() error {
	if m.Name == "" || m.Name == ".." || strings.Contains(m.Name, "../") || strings.HasSuffix(m.Name, "/..") ||
		strings.Contains(m.Name, `..\`) || strings.HasSuffix(m.Name, `\..`) {
		return fmt.Errorf("submodule %.80q: a name that leaves .git/modules", m.Name)
	}
	if strings.HasPrefix(m.URL, "-") {
		return fmt.Errorf("submodule %.80q: URL %.80q begins with a dash", m.Name, m.URL)
	}
	if strings.HasPrefix(m.Path, "-") {
		return fmt.Errorf("submodule %.80q: path %.80q begins with a dash", m.Name, m.Path)
	}
	if m.Path == "" {
		return nil
	}
	for part := range strings.SplitSeq(m.Path, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.EqualFold(part, "git~1") {
			return fmt.Errorf("submodule %.80q: path %.80q leaves the tree", m.Name, m.Path)
		}
	}
	return nil
}

type modulesParser struct {
	rest    []byte
	line    int
	current int // index of the section, -1: another section
	modules []Submodule
	byName  map[string]int
}

// next returns the next character, 0 at the end; "\r\n" is one.
func (p *modulesParser) next() byte {
	if len(p.rest) == 0 {
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	if c == '\r' && len(p.rest) > 0 && p.rest[0] == '\n' {
		c, p.rest = '\n', p.rest[1:]
	}
	if c == '\n' {
		p.line++
	}
	return c
}

func (p *modulesParser) parse() error {
	if bytes.IndexByte(p.rest, 0) >= 0 {
		return errors.New("a null byte")
	}
	p.current = -1
	for len(p.rest) > 0 {
		var err error
		switch c := p.next(); {
		case c == ' ' || c == '\t' || c == '\n':
		case c == '#' || c == ';':
			p.comment()
		case c == '[':
			err = p.section()
		case isLetter(c):
			err = p.variable(c)
		default:
			err = fmt.Errorf("the character %q", c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (p *modulesParser) comment() {
	for c := p.next(); c != '\n' && c != 0; c = p.next() {
	}
}

// section reads a section's header after its bracket.
func (p *modulesParser) section() error {
	name := ""
	c := p.next()
	for ; isLetter(c) || c >= '0' && c <= '9' || c == '-' || c == '.'; c = p.next() {
		name += string(c)
		if len(name) > maxModuleValue {
			return errors.New("a section's name that is too long")
		}
	}
	sub := ""
	for c == ' ' || c == '\t' {
		c = p.next()
	}
	if c == '"' {
		var err error
		if sub, err = p.quoted(); err != nil {
			return err
		}
		c = p.next()
	}
	if c != ']' {
		return errors.New("a section that does not end")
	}
	p.current = -1
	if !strings.EqualFold(name, "submodule") || sub == "" {
		return nil
	}
	at, known := p.byName[sub]
	if !known {
		if len(p.modules) == maxModules {
			return fmt.Errorf("more than %d submodules", maxModules)
		}
		at = len(p.modules)
		p.byName[sub] = at
		p.modules = append(p.modules, Submodule{Name: sub})
	}
	p.current = at
	return nil
}

// quoted reads a subsection's name to its closing quote.
func (p *modulesParser) quoted() (string, error) {
	var b strings.Builder
	for {
		c := p.next()
		if c == '\\' {
			c = p.next()
		} else if c == '"' {
			return b.String(), nil
		}
		if c == 0 || c == '\n' {
			return "", errors.New("a name that does not end")
		}
		if b.WriteByte(c); b.Len() > maxModuleValue {
			return "", fmt.Errorf("a name of more than %d bytes", maxModuleValue)
		}
	}
}

// variable reads a key that begins with c, and its value.
func (p *modulesParser) variable(c byte) error {
	var key strings.Builder
	for ; isLetter(c) || c >= '0' && c <= '9' || c == '-'; c = p.next() {
		if key.WriteByte(c | 0x20); key.Len() > maxModuleValue {
			return errors.New("a key that is too long")
		}
	}
	for c == ' ' || c == '\t' {
		c = p.next()
	}
	value := ""
	switch c {
	case '\n', 0: // a key alone is true, which is no path and no URL
	case '=':
		var err error
		if value, err = p.value(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("the character %q after a key", c)
	}
	if p.current < 0 {
		return nil
	}
	switch m := &p.modules[p.current]; key.String() {
	case "path":
		m.Path = strings.TrimSuffix(value, "/")
	case "url":
		m.URL = value
	}
	return nil
}

// value reads to the end of the line: blanks around it go, quotes keep them,
// a backslash escapes a character or the end of the line.
func (p *modulesParser) value() (string, error) {
	var b strings.Builder
	kept, quoted := 0, false // kept: length without the blanks at the end
	for {
		c := p.next()
		switch {
		case c == 0 || c == '\n':
			if quoted {
				return "", errors.New("a quote that does not end")
			}
			return b.String()[:kept], nil
		case (c == ' ' || c == '\t') && !quoted:
			if b.Len() > 0 {
				b.WriteByte(c)
			}
			continue
		case (c == '#' || c == ';') && !quoted:
			p.comment()
			return b.String()[:kept], nil
		case c == '"':
			quoted = !quoted
		case c == '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
		if kept = b.Len(); kept > maxModuleValue {
			return "", fmt.Errorf("a value of more than %d bytes", maxModuleValue)
		}
	}
}

func (p *modulesParser) escape(b *strings.Builder) error {
	switch c := p.next(); c {
	case '\n':
	case '"', '\\':
		b.WriteByte(c)
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'b':
		b.WriteByte('\b')
	default:
		return fmt.Errorf("the escape %q", `\`+string(c))
	}
	return nil
}
