package rpmmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// maxGroups bounds groups and what is in them: all of them are held in memory.
	maxGroups = 200_000
	// maxGroupText bounds their names.
	maxGroupText = 32 << 20 // bytes
)

// groupSize counts what is held of groups.
type groupSize struct{ n, text int }

// add counts a name.
func (s *groupSize) add(name string) error {
	if s.n++; s.n > maxGroups {
		return fmt.Errorf("more than %d groups and packages of groups: %w", maxGroups, bundle.ErrMalformed)
	}
	if s.text += len(name); s.text > maxGroupText {
		return fmt.Errorf("groups with more than %d bytes of names: %w", maxGroupText, bundle.ErrMalformed)
	}
	return nil
}

// Groups are the groups and environments of a comps.xml.
type Groups struct {
	Groups       map[string]Group       // by id
	Environments map[string]Environment // by id
}

// Group is what dnf installs of a group by default: its mandatory and default
// packages.
type Group struct {
	Name     string
	Packages []string
}

// Environment is what dnf installs of an environment by default: the groups of
// its grouplist, by id.
type Environment struct {
	Name   string
	Groups []string
}

// ParseGroups reads a comps.xml. Errors match bundle.ErrMalformed, or are
// those of r.
func ParseGroups(r io.Reader) (*Groups, error) {
	d, err := newDocument(r, "comps")
	if err != nil {
		return nil, err
	}
	all := &Groups{Groups: map[string]Group{}, Environments: map[string]Environment{}}
	var size groupSize
	for {
		start, err := d.next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		kind := start.name
		if kind != "group" && kind != "environment" {
			continue
		}
		id, name, members, err := readGroup(d, kind)
		if err != nil {
			return nil, err
		}
		for _, held := range append(members, id+name) {
			if err := size.add(held); err != nil {
				return nil, err
			}
		}
		if kind == "group" {
			all.Groups[id] = Group{name, members}
		} else {
			all.Environments[id] = Environment{name, members}
		}
	}
}

// readGroup reads one child: members are packages of a group, or groups of an
// environment.
func readGroup(d *document, kind string) (id, name string, members []string, err error) {
	var text strings.Builder
	wanted, translated := false, false
	err = d.each(kind, func(path []string, t *token) error {
		last := path[len(path)-1]
		switch t.kind {
		case startTag:
			text.Reset()
			switch last {
			case "packagereq":
				of := attr(t, "type")
				wanted = of == "" || of == "mandatory" || of == "default"
			case "groupid":
				wanted = len(path) == 3 && path[1] == "grouplist"
			case "name":
				translated = attr(t, "xml:lang") != ""
			}
		case charData:
			if text.Len() < maxText {
				text.Write(t.text)
			}
		case endTag:
			value := strings.TrimSpace(text.String())
			switch {
			case len(path) == 2 && last == "id":
				id = value
			case len(path) == 2 && last == "name" && !translated:
				name = value
			case len(path) == 3 && (last == "packagereq" || last == "groupid") && wanted:
				members = append(members, value)
			}
		}
		return nil
	})
	return id, name, members, err
}
