package marker

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// Requirement is a dependency specifier.
type Requirement struct {
	Name   string   // in normal form
	Extras []string // in normal form, sorted, none twice
	Set    pep440.Set
	URL    string // of "name @ URL"; then Set is empty
	Marker *Marker
}

// maxName bounds names of projects and extras, in bytes.
const maxName = 200

// NormalName returns the normal form of a project's or an extra's name
// (PEP 503): lower case, and every run of "-", "_" and "." is one "-".
func NormalName(name string) string {
	var b strings.Builder
	separator := false
	for i := range len(name) {
		c := name[i]
		if c == '-' || c == '_' || c == '.' {
			separator = true
			continue
		}
		if separator {
			b.WriteByte('-')
			separator = false
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	if separator {
		b.WriteByte('-')
	}
	return b.String()
}

// CheckName refuses what is no name of a project or an extra: letters, digits,
// "-", "_" and ".", a letter or digit first and last.
func CheckName(name string) error {
	isEnd := func(c byte) bool { return isNameByte(c) && c != '_' }
	bad := strings.ContainsFunc(name, func(r rune) bool {
		return r >= 0x80 || !isNameByte(byte(r)) && r != '-' && r != '.'
	})
	switch {
	case len(name) > maxName:
		return fmt.Errorf("name of %s, want at most %d: %w", spelling.Count(len(name), "byte"), maxName, ErrInvalid)
	case name == "" || bad || !isEnd(name[0]) || !isEnd(name[len(name)-1]):
		return fmt.Errorf("name %q: %w", name, ErrInvalid)
	}
	return nil
}

// ParseRequirement reads a dependency specifier, with or without parentheses
// around its versions.
func ParseRequirement(text string) (Requirement, error) {
	p := &parser{text: text}
	r, err := p.requirement()
	if err != nil {
		return Requirement{}, fmt.Errorf("requirement %.200q: %w: %w", text, err, ErrInvalid)
	}
	return r, nil
}

func (p *parser) requirement() (r Requirement, err error) {
	if len(p.text) > MaxLength {
		return r, fmt.Errorf("%s, want at most %d", spelling.Count(len(p.text), "byte"), MaxLength)
	}
	name, err := p.name()
	if err != nil {
		return r, err
	}
	r.Name = NormalName(name)
	if r.Extras, err = p.extras(); err != nil {
		return r, err
	}
	if p.skip("@") {
		err = p.url(&r)
	} else {
		r.Set, err = p.versions()
	}
	if err != nil || p.at == len(p.text) {
		return r, err
	}
	if !p.skip(";") {
		return r, fmt.Errorf("%.40q: want a comma, a semicolon or the end", p.text[p.at:])
	}
	r.Marker, err = p.marker()
	return r, err
}

func (p *parser) name() (string, error) {
	p.spaces()
	from := p.at
	for p.at < len(p.text) && (isNameByte(p.text[p.at]) || p.text[p.at] == '-' || p.text[p.at] == '.') {
		p.at++
	}
	name := p.text[from:p.at]
	p.spaces()
	return name, CheckName(name)
}

func (p *parser) extras() ([]string, error) {
	if !p.skip("[") || p.skip("]") {
		return nil, nil
	}
	var extras []string
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		extras = append(extras, NormalName(name))
		if p.skip("]") {
			slices.Sort(extras)
			return slices.Compact(extras), nil
		}
		if !p.skip(",") {
			return nil, errors.New("no closing bracket of the extras")
		}
	}
}

// url reads up to a space: "name @ https://host/a;b" has no marker.
func (p *parser) url(r *Requirement) error {
	rest := p.text[p.at:]
	end := strings.IndexAny(rest, blanks)
	if end < 0 {
		end = len(rest)
	}
	r.URL = rest[:end]
	p.at += end
	p.spaces()
	if r.URL == "" {
		return errors.New("no URL after @")
	}
	return nil
}

func (p *parser) versions() (pep440.Set, error) {
	closing := ";"
	inside := p.skip("(")
	if inside {
		closing = ")"
	}
	rest := p.text[p.at:]
	end := strings.Index(rest, closing)
	if end < 0 {
		end = len(rest)
	}
	p.at += end
	if inside && !p.skip(")") {
		return nil, errors.New("no closing parenthesis of the versions")
	}
	list := strings.Trim(rest[:end], blanks)
	if strings.ContainsAny(list, "\n\r\f\v") {
		return nil, errors.New("a line break in the versions")
	}
	if strings.HasPrefix(list, ",") || strings.Contains(strings.ReplaceAll(list, " ", ""), ",,") {
		return nil, errors.New("a comma without a version before it")
	}
	return pep440.ParseSet(list)
}

// Key identifies what is wanted of a project: its name and its extras, as in
// "name[a,b]".
func (r *Requirement) Key() string { return Key(r.Name, r.Extras) }

// Key returns the name of a project with extras, both in normal form.
func Key(name string, extras []string) string {
	if len(extras) == 0 {
		return name
	}
	return name + "[" + strings.Join(extras, ",") + "]"
}

// String returns the normal form.
func (r *Requirement) String() string {
	text := r.Key()
	if r.URL != "" {
		text += " @ " + r.URL + " "
	}
	text += r.Set.String()
	if r.Marker != nil {
		text += "; " + r.Marker.String()
	}
	return strings.TrimSuffix(text, " ")
}
