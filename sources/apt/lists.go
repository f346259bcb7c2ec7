package apt

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// stanza is an entry of a sources.list, in whatever form it was written.
type stanza struct {
	pos            strictyaml.Pos
	binary, source bool
	uris, suites   []string
	components     []string
	architectures  []string
	languages      []string
	signedBy       string // path, fingerprints, or a block of keys
	disabled       bool   // Enabled: no
	remarks        []string
}

// suite is one Release of a source, and what is wanted of it.
type suite struct {
	pos   strictyaml.Pos
	root  *root
	name  string // as in sources.list: "noble", "./"
	dir   string // of the Release, relative to root; "" is the root itself
	flat  bool
	keys  *keyring.Ref
	want  configuration
	entry *entry
}

// root is an address of a repository: one of a source's, or one for each
// architecture.
type root struct {
	url   string // ends with a slash
	place *upstream.Place
	// raw is url as it was written, with $(ARCH), and arch what stands for that in url.
	raw, arch string
	prefix    string // in the mount; "" or ends with a slash
	// pattern is prefix in a client's entry, where $(ARCH) may be a part of it.
	pattern string
}

// configuration is what a client has in its entry.
type configuration struct {
	Components    []string
	Architectures []string // sorted, without "all"
	Languages     []string // empty: all
	Binary        bool
	Source        bool
	Installer     bool `json:",omitempty"` // what the Debian installer reads, too
}

// maxList bounds a list of sources that is read from the spec's folder.
const maxList = 1 << 20 // bytes

// stanzas reads the one of url, line, sources-file and mirror-list that is set.
func (e *entry) stanzas() ([]stanza, error) {
	o := &e.options
	given := 0
	for _, some := range []bool{o.URL != "", len(o.Line) > 0, o.SourcesFile != "", o.MirrorList != ""} {
		if some {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, o.Pos.Errorf("source %s: want one of url, line, sources-file and mirror-list", e.name)
	case o.URL != "" && len(o.Suites) == 0:
		return nil, o.Pos.Errorf("source %s: url needs suites", e.name)
	case o.URL == "" && len(o.Suites) > 0:
		return nil, o.Pos.Errorf("suites: the list has them already")
	case o.URL != "":
		return []stanza{{pos: o.Pos, binary: true, uris: []string{o.URL}, suites: o.Suites}}, nil
	case len(o.Line) > 0:
		return lineStanzas(o.Line, o.Pos)
	}
	name := o.SourcesFile + o.MirrorList
	b, err := bundle.ReadNamed(sources.Within(e.dir, name), maxList)
	if err != nil {
		return nil, o.Pos.Errorf("source %s: %w", e.name, err)
	}
	switch {
	case o.MirrorList != "":
		return mirrorStanzas(string(b), name)
	case strings.HasSuffix(name, ".list"): // the end of the name decides, as for apt
		return listStanzas(string(b), name)
	}
	return deb822Stanzas(string(b), name)
}

// listStanzas reads a sources.list: one-line entries, empty lines and comments.
func listStanzas(text, name string) ([]stanza, error) {
	var all []stanza
	number := 0
	for line := range strings.Lines(text) {
		number++
		if entry, _, _ := strings.Cut(line, "#"); strings.TrimSpace(entry) == "" {
			continue
		}
		pos := strictyaml.Pos{File: name, Line: number, Column: 1}
		s, err := parseLine(strings.TrimRight(line, "\r\n"))
		if err != nil {
			return nil, pos.Errorf("%w", err)
		}
		s.pos = pos
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, strictyaml.Pos{File: name}.Errorf("want an entry that begins with deb or deb-src, got none")
	}
	return all, nil
}

func lineStanzas(lines []string, pos strictyaml.Pos) ([]stanza, error) {
	var all []stanza
	for _, line := range lines {
		s, err := parseLine(line)
		if err != nil {
			return nil, pos.Errorf("line: %w", err)
		}
		s.pos = pos
		all = append(all, s)
	}
	return all, nil
}

// parseLine reads "deb [option=value ...] uri suite [component ...]"
// (sources.list(5), one-line-style).
func parseLine(line string) (stanza, error) {
	var s stanza
	text, _, _ := strings.Cut(line, "#")
	kind, rest, _ := strings.Cut(strings.Join(strings.Fields(text), " "), " ")
	s.binary, s.source = kind == "deb", kind == "deb-src"
	if !s.binary && !s.source {
		return s, fmt.Errorf("%.100q: want deb or deb-src first", line)
	}
	rest = strings.TrimSpace(rest)
	if options, ok := strings.CutPrefix(rest, "["); ok {
		text, after, ok := strings.Cut(options, "]")
		if !ok {
			return s, fmt.Errorf("%.100q: [ without ]", line)
		}
		for _, option := range strings.Fields(text) {
			if err := s.option(option); err != nil {
				return s, err
			}
		}
		rest = after
	}
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return s, fmt.Errorf("%.100q: want an address and a suite", line)
	}
	s.uris, s.suites, s.components = fields[:1], fields[1:2], fields[2:]
	return s, nil
}

// option reads one option of a one-line entry. A value that would weaken what is
// checked is refused, an option that is about the client's machine is skipped.
func (s *stanza) option(option string) error {
	name, value, ok := strings.Cut(option, "=")
	if !ok || strings.HasSuffix(name, "+") || strings.HasSuffix(name, "-") {
		return fmt.Errorf("option %.60q: want name=value", option)
	}
	return s.set(name, strings.ReplaceAll(value, ",", " "))
}

// set sets an option, or a field of a .sources file.
func (s *stanza) set(name, value string) error {
	switch strings.ToLower(name) {
	case "arch", "architectures":
		s.architectures = strings.Fields(value)
	case "lang", "languages":
		s.languages = strings.Fields(value)
	case "signed-by":
		s.signedBy = value
	case "target", "targets", "pdiffs", "by-hash", "inrelease-path", "snapshot":
		// how a client fetches
	case "trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure":
		if !isFalse(value) {
			return fmt.Errorf("%s: signature, date and validity are always checked; without it, or with no, the entry is taken", name)
		}
	case "check-valid-until", "check-date":
		if !isTrue(value) {
			return fmt.Errorf("%s: signature, date and validity are always checked; allow-expired in the spec is for snapshots", name)
		}
	case "valid-until-max", "valid-until-min", "date-max-future":
		return fmt.Errorf("%s: signature, date and validity are always checked, by upstream's own dates", name)
	default:
		s.remarks = append(s.remarks, fmt.Sprintf("%.60q is no option of an entry that gapbundle knows: ignored, as apt does", name))
	}
	return nil
}

// isFalse and isTrue are apt's words for no and yes (StringToBool).
func isFalse(value string) bool {
	return slices.Contains([]string{"no", "false", "0", "off", "disable", "without"}, strings.ToLower(value))
}

func isTrue(value string) bool {
	return slices.Contains([]string{"yes", "true", "1", "on", "enable", "with"}, strings.ToLower(value))
}

// mirrorStanzas reads a mirror.list of apt-mirror: settings, entries, and
// "deb-<architecture>".
func mirrorStanzas(text, name string) ([]stanza, error) {
	var all []stanza
	var errs []error
	def := ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		pos := strictyaml.Pos{File: name, Line: number, Column: 1}
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] == "clean" || fields[0] == "skip-clean":
			continue
		case fields[0] == "set":
			if len(fields) == 3 && fields[1] == "defaultarch" {
				def = fields[2]
			}
			continue
		}
		arch, ok := strings.CutPrefix(fields[0], "deb-")
		if ok && arch != "src" {
			fields[0] = "deb"
		} else {
			arch = ""
		}
		s, err := parseLine(strings.Join(fields, " "))
		if err != nil {
			errs = append(errs, pos.Errorf("%w", err))
			continue
		}
		if s.pos = pos; arch != "" {
			s.architectures = []string{arch}
		} else if len(s.architectures) == 0 && def != "" && s.binary {
			s.architectures = []string{def}
		}
		all = append(all, s)
	}
	return all, strictyaml.Join(errs...)
}

// deb822Stanzas reads a .sources file (sources.list(5), deb822-style).
func deb822Stanzas(text, name string) ([]stanza, error) {
	var all []stanza
	var errs []error
	scan := deb.NewScanner(strings.NewReader(text), deb.Limits{Comments: true})
	for {
		p, err := scan.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		pos := strictyaml.Pos{File: name, Line: scan.Line(), Column: 1}
		if err != nil {
			return nil, pos.Errorf("%w", err)
		}
		s, err := parseStanza(p)
		if s.pos = pos; err != nil {
			errs = append(errs, pos.Errorf("%w", err))
		}
		if !s.disabled {
			all = append(all, s)
		}
	}
	return all, strictyaml.Join(errs...)
}

func parseStanza(p deb.Paragraph) (stanza, error) {
	var s stanza
	var errs []error
	for name, value := range p.Fields() {
		switch strings.ToLower(name) {
		case "types":
			types := strings.Fields(value)
			s.binary, s.source = slices.Contains(types, "deb"), slices.Contains(types, "deb-src")
		case "uris":
			s.uris = strings.Fields(value)
		case "suites":
			s.suites = strings.Fields(value)
		case "components":
			s.components = strings.Fields(value)
		case "enabled":
			s.disabled = isFalse(value)
		default:
			if strings.HasPrefix(strings.ToLower(name), "x-") {
				continue
			}
			errs = append(errs, s.set(name, value))
		}
	}
	if !s.binary && !s.source || len(s.uris) == 0 || len(s.suites) == 0 {
		errs = append(errs, errors.New("want Types, URIs and Suites"))
	}
	return s, errors.Join(errs...)
}

// expand makes suites of stanzas: each address, each suite, each architecture
// where the address depends on it. Stanzas about one suite are joined.
func (e *entry) expand(stanzas []stanza) ([]*suite, error) {
	var errs []error
	byKey := map[string]*suite{}
	var all []*suite
	for _, s := range stanzas {
		e.adopt(&s)
		for _, remark := range s.remarks {
			e.remarks = append(e.remarks, s.pos.Errorf("%s", remark).Error())
		}
		if len(s.architectures) == 0 && s.binary && !s.onlyFlat() {
			errs = append(errs, s.pos.Errorf("source %s: architectures: name them; a client would take its own", e.name))
		}
		for _, raw := range s.uris {
			for _, name := range s.suites {
				more, err := e.split(s, raw, name)
				errs = append(errs, err)
				for _, one := range more {
					key := one.root.url + " " + one.dir
					if known := byKey[key]; known != nil {
						errs = append(errs, known.join(one))
						continue
					}
					byKey[key] = one
					all = append(all, one)
				}
			}
		}
	}
	if len(all) > maxSuites {
		errs = append(errs, e.pos.Errorf("source %s: %s, at most %d: make several sources of it", e.name, bundle.Count(len(all), "suite"), maxSuites))
	}
	if len(all) == 0 && len(errs) == 0 {
		errs = append(errs, e.pos.Errorf("source %s: no entry in the list", e.name))
	}
	if err := strictyaml.Join(errs...); err != nil {
		return all, err
	}
	return all, e.place(all)
}

// maxSuites bounds a source: each of its suites is an annotation of the repository.
const maxSuites = 60

func (s *stanza) onlyFlat() bool {
	return !slices.ContainsFunc(s.suites, func(n string) bool { return !strings.HasSuffix(n, "/") })
}

// adopt adds to a stanza what the spec has besides the list.
func (e *entry) adopt(s *stanza) {
	o := &e.options
	s.source = s.source || o.Sources
	for _, f := range []struct {
		to   *[]string
		from []string
	}{{&s.components, o.Components}, {&s.architectures, o.Architectures}, {&s.languages, o.Languages}} {
		if len(f.from) > 0 {
			*f.to = f.from
		}
	}
	s.architectures = slices.DeleteFunc(slices.Clone(s.architectures), func(a string) bool { return a == "all" })
}

// archMark is replaced by the architecture, in an address or a suite.
const archMark = "$(ARCH)"

// split makes the suites of one address and one name: several if the
// architecture is part of it.
func (e *entry) split(s stanza, raw, name string) ([]*suite, error) {
	if address, err := upstream.CheckAddress(raw); err == nil { // otherwise newSuite reports what is wrong
		raw = address
	}
	if !strings.Contains(raw+name, archMark) {
		one, err := e.newSuite(s, raw, name)
		if err != nil {
			return nil, err
		}
		return []*suite{one}, nil
	}
	if len(s.architectures) == 0 {
		return nil, s.pos.Errorf("%s %s: %s needs architectures", raw, name, archMark)
	}
	var all []*suite
	for _, arch := range s.architectures {
		s.architectures = []string{arch}
		one, err := e.newSuite(s, strings.ReplaceAll(raw, archMark, arch), strings.ReplaceAll(name, archMark, arch))
		if err != nil {
			return nil, err
		}
		if strings.Contains(raw, archMark) {
			one.root.raw, one.root.arch = strings.TrimSuffix(raw, "/")+"/", arch
		}
		all = append(all, one)
	}
	return all, nil
}

func (e *entry) newSuite(s stanza, raw, name string) (*suite, error) {
	if !strings.HasSuffix(raw, "/") {
		raw += "/"
	}
	raw, err := upstream.CheckAddress(raw)
	if err != nil {
		return nil, s.pos.Errorf("%w", err)
	}
	one := &suite{
		pos: s.pos, root: &root{url: raw, raw: raw, place: upstream.At(raw)}, name: name, entry: e,
		flat: strings.HasSuffix(name, "/"),
		want: configuration{
			Components: s.components, Architectures: slices.Sorted(slices.Values(s.architectures)),
			Languages: s.languages, Binary: s.binary, Source: s.source, Installer: slices.Contains(e.options.Installer, name),
		},
	}
	one.dir = strings.Trim(strings.TrimPrefix(name, "./"), "/")
	if !one.flat {
		one.dir = "dists/" + one.dir
	}
	if one.dir == "." {
		one.dir = ""
	}
	if one.dir != "" {
		if err := bundle.CheckPath(one.dir); err != nil {
			return nil, s.pos.Errorf("suite %.80q: %w", name, err)
		}
		one.dir += "/"
	}
	if one.flat && len(one.want.Components) > 0 {
		return nil, s.pos.Errorf("suite %q: a flat repository has no components", name)
	}
	for _, n := range slices.Concat(one.want.Components, one.want.Architectures, one.want.Languages) {
		if !isWord(n) {
			return nil, s.pos.Errorf("suite %q: %q is no name", name, n)
		}
	}
	one.keys, err = e.keyRef(s)
	return one, err
}

// join adds to s what another entry wants of the same suite.
func (s *suite) join(other *suite) error {
	w, o := &s.want, other.want
	if s.keys.ID() != other.keys.ID() {
		return other.pos.Errorf("%s %s: %s has it already, with other keys", fetch.Redact(s.root.url), s.name, s.pos)
	}
	if len(w.Components) > 0 && len(o.Components) > 0 {
		w.Components = union(w.Components, o.Components)
	} else {
		w.Components = nil
	}
	if len(w.Languages) > 0 && len(o.Languages) > 0 {
		w.Languages = union(w.Languages, o.Languages)
	} else {
		w.Languages = nil
	}
	w.Architectures = slices.Sorted(slices.Values(union(w.Architectures, o.Architectures)))
	w.Binary, w.Source = w.Binary || o.Binary, w.Source || o.Source
	return nil
}
