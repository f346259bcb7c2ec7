package settings

import (
	"path"
	"strings"
)

// Where is the place where a variable is set.
type Where int

// The files of a project, in the order in which they are written.
const (
	// GroupVars is a file of inventory variables.
	GroupVars Where = iota
	// ExtraVars is a file for ansible-playbook -e @FILE: what a role or a more special group
	// sets itself beats inventory variables, and only that option beats it.
	ExtraVars
	// Environment is a file of environment variables.
	Environment
	// Written is no variable: an address that is written into the project.
	Written
)

// Form states how the value of a variable is made.
type Form int

// The forms.
const (
	// File: the address of one file, the first of Public that is there.
	File Form = iota
	// Files: a list of the addresses of all of Public.
	Files
	// Folder: the address of a folder, the first of Public that has Probe.
	Folder
	// Prefix: an address to which the project appends Probe.
	Prefix
	// PublishedKey: the address of a file of keys.
	PublishedKey
	// Image: the name of an image at the mirror.
	Image
	// Repository: the address of a git repository.
	Repository
	// Custom: Make makes it.
	Custom
)

// Variable is one name by which a project learns where to fetch something, or an address
// that is written into it.
type Variable struct {
	Name  string
	Where Where
	// By is the role or the script that reads it.
	By   string
	Form Form
	// Public are the addresses or images that it stands for.
	Public []string
	// Vary is the part of Public that is a version, and With the variable that has to name
	// the version where the mirror has another one.
	Vary, With string
	// Of is the address of the repository that a key is wanted for. Two repositories may have
	// keys of one address, and each is signed by its own: that of a selection by the site's.
	Of string
	// Probe is what has to be below a folder: a path, where * stands for any name.
	Probe string
	// Make makes the value of the form Custom; false: nothing of it is in the mirror.
	Make func(m *Mirror) (value any, note string, held bool)
	// Spec are lines of a spec that bring it; empty: they follow from Form and Public.
	Spec string
	// Note is said in any case.
	Note string
	// Lists means that the role writes a source list of apt with it. apt refuses two lists of
	// one repository that name different keys.
	Lists bool
}

// State is what becomes of a variable.
type State int

// The states.
const (
	// Missing: not in this mirror.
	Missing State = iota
	// Answered: the mirror answers under the public name, and the variable cannot express it.
	Answered
	// Served: the value leads to the mirror.
	Served
)

func (s State) String() string { return [...]string{"not in this mirror", "public name", "served"}[s] }

// Setting is a variable with its value for one mirror.
type Setting struct {
	Variable
	State State
	// Value is a text, a template of Ansible, a list, a map; nil unless Served.
	Value any
	// From are the public addresses of what is there.
	From []string
	// Other is the version that is there instead of the table's.
	Other string
	// Remark is what the value's own rule states.
	Remark string
}

// Settle returns the setting of each variable of a table.
func Settle(m *Mirror, table []Variable) []Setting {
	all := make([]Setting, 0, len(table))
	for _, v := range table {
		all = append(all, v.settle(m))
	}
	return all
}

func (v *Variable) settle(m *Mirror) Setting {
	s := Setting{Variable: *v}
	one := func(f found, value any, ok bool) bool {
		if !ok {
			return false
		}
		s.From, s.Other = append(s.From, f.public), f.version
		s.State = Served
		if v.Where == Written {
			s.State = Missing
			if f.answered {
				s.State = Answered
			}
			return f.answered
		}
		s.Value = value
		return true
	}
	if v.Form == Custom {
		value, note, held := v.Make(m)
		switch {
		case held && v.Where == Written:
			s.State = Answered
		case held:
			s.Value, s.Remark, s.State = value, note, Served
		}
		return s
	}
	if v.Form == Files {
		return v.settleAll(m, s)
	}
	for _, address := range v.Public {
		switch v.Form {
		case File:
			f, ok := m.file(address, v.Vary)
			if one(f, m.url(f.At), ok) {
				return s
			}
		case PublishedKey:
			f, ok := v.key(m, address)
			if one(f, m.url(f.At), ok) {
				return s
			}
		case Folder, Repository:
			f, ok := m.folder(address, v.probes()...)
			if one(f, m.url(f.At), ok) {
				return s
			}
		case Prefix:
			if v.prefix(m, address, &s) {
				return s
			}
		case Image:
			name, f, ok := m.image(address, v.Vary)
			if one(f, name, ok) {
				return s
			}
		}
	}
	return s
}

func (v *Variable) probes() []string {
	if v.Probe == "" {
		return nil
	}
	return []string{v.Probe}
}

// key looks for the file of keys at a public address: of several sources with keys of one
// address, it takes the one that has the repository.
func (v *Variable) key(m *Mirror, address string) (found, bool) {
	all, answered := m.where(address)
	if repository, ok := m.folder(v.Of); ok {
		for i, p := range all {
			if p.Source == repository.Source && m.has(p.At) {
				return found{p, address, "", answered && i == 0}, true
			}
		}
	}
	return m.folder(address)
}

// prefix settles an address to which the project appends a path of its own.
func (v *Variable) prefix(m *Mirror, address string, s *Setting) bool {
	full := strings.TrimSuffix(address, "/") + "/" + v.Probe
	f, ok := m.folder(full)
	if !ok {
		return false
	}
	s.From = []string{full}
	if at, fits := strings.CutSuffix(f.At, "/"+v.Probe); fits {
		s.State, s.Value = Served, m.url(at)
		return true
	}
	if f.answered {
		s.State = Answered
	}
	return f.answered
}

// settleAll settles a list: it is served if all of it is.
func (v *Variable) settleAll(m *Mirror, s Setting) Setting {
	var values, from []string
	other := ""
	for _, address := range v.Public { // all of them are asked for, found or not
		if f, ok := m.file(address, v.Vary); ok {
			from, other, values = append(from, f.public), f.version, append(values, m.url(f.At))
		}
	}
	if len(values) == len(v.Public) {
		s.State, s.Value, s.From, s.Other = Served, values, from, other
	}
	return s
}

// Advice returns the lines of a spec that would bring what a variable stands for; empty: no
// spec brings it. A mirror of these lines alone serves the variable, or answers under the
// public name.
func (v *Variable) Advice() string {
	if v.Spec != "" {
		return v.Spec
	}
	if len(v.Public) == 0 {
		return ""
	}
	name := v.Name
	if name == "" {
		name = path.Base(strings.TrimSuffix(v.Public[0], ".git"))
	}
	name = strings.NewReplacer("_", "-", ".", "-", ":", "-").Replace(strings.ToLower(name))
	switch v.Form {
	case File:
		return "- {name: " + name + ", kind: files, urls: [" + yamlText(v.Public[0]) + "]}"
	case Files:
		quoted := make([]string, 0, len(v.Public))
		for _, p := range v.Public {
			quoted = append(quoted, yamlText(p))
		}
		return "- {name: " + name + ", kind: files, urls: [" + strings.Join(quoted, ", ") + "]}"
	case Image:
		return "- {name: " + name + ", kind: oci, images: [" + yamlText(v.Public[0]) + "], platforms: [linux/amd64]}"
	case Repository:
		return "- {name: " + name + ", kind: git, url: " + yamlText(v.Public[0]) + "}"
	}
	return ""
}
