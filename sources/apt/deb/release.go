package deb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Release is the content of a Release file. Its signature is none of this
// package's business: parse exactly the bytes that were verified.
type Release struct {
	// Paragraph is the text that was parsed, for the fields that are not
	// members; "" in one that is to be written.
	Paragraph

	Origin, Label, Suite, Version, Codename, Description string
	// Date and ValidUntil are zero where the field is missing or names no moment.
	Date, ValidUntil time.Time
	// BadDate and BadValidUntil are the values that apt cannot read: those in another
	// zone than universal time, whose moment is known, and those that name none. apt
	// warns of such a Date and goes on; it refuses such a Valid-Until.
	BadDate, BadValidUntil    string
	Components, Architectures []string
	AcquireByHash             bool
	// NotAutomatic is an archive of priority 1, with ButAutomaticUpgrades 100.
	NotAutomatic, ButAutomaticUpgrades bool
	// ArchitectureAll is what No-Support-for-Architecture-all states: "Packages"
	// means that packages for all architectures are in every other one's
	// index as well, and binary-all is not to be fetched.
	ArchitectureAll string
	// Files are the indexes, in order of bundle.ComparePaths.
	Files []ReleaseFile
}

// ReleaseFile is an index that a Release lists.
type ReleaseFile struct {
	// Path is relative to the folder of the Release file.
	Path string
	Size int64
	// Lower-case hexadecimal digits, "" where the table of that algorithm
	// does not have the file.
	MD5, SHA1, SHA256, SHA512 string
}

// hashTable is one of the tables of a Release file: its field, its by-hash
// folder, and how many digits a line has.
type hashTable struct {
	field  string
	digits int
	of     func(*ReleaseFile) *string
}

// hashTables returns all known ones, weakest first.
func hashTables() []hashTable {
	return []hashTable{
		{"MD5Sum", 32, func(f *ReleaseFile) *string { return &f.MD5 }},
		{"SHA1", 40, func(f *ReleaseFile) *string { return &f.SHA1 }},
		{"SHA256", 64, func(f *ReleaseFile) *string { return &f.SHA256 }},
		{"SHA512", 128, func(f *ReleaseFile) *string { return &f.SHA512 }},
	}
}

// ByHash returns the paths under which Acquire-By-Hash offers f, one for each
// algorithm that lists it, weakest first.
func (f *ReleaseFile) ByHash() []string {
	folder := f.Path[:strings.LastIndexByte(f.Path, '/')+1]
	var all []string
	for _, t := range hashTables() {
		if h := *t.of(f); h != "" {
			all = append(all, folder+"by-hash/"+t.field+"/"+h)
		}
	}
	return all
}

// Strongest returns the last of ByHash: the one that apt asks for. "" if no
// algorithm lists f.
func (f *ReleaseFile) Strongest() string {
	all := f.ByHash()
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// File returns the index of that path, if it is listed.
func (r *Release) File(path string) (*ReleaseFile, bool) {
	i, ok := slices.BinarySearchFunc(r.Files, path, func(f ReleaseFile, p string) int { return bundle.ComparePaths(f.Path, p) })
	if !ok {
		return nil, false
	}
	return &r.Files[i], true
}

// maxReleaseFiles bounds the tables of one Release; Ubuntu's have 1,100 lines.
const maxReleaseFiles = 1 << 18

// ParseRelease reads a Release file, or the text of an InRelease that was
// verified. Errors match bundle.ErrMalformed.
func ParseRelease(b []byte) (*Release, error) {
	s := NewScanner(strings.NewReader(string(b)), Limits{Paragraph: 64 << 20})
	text, err := s.Next()
	if err != nil {
		return nil, fmt.Errorf("release: empty or not a paragraph: %w: %w", err, bundle.ErrMalformed)
	}
	if _, err := s.Next(); err == nil {
		return nil, fmt.Errorf("release: line %d: a second paragraph: %w", s.Line(), bundle.ErrMalformed)
	}
	r := &Release{Paragraph: text}
	seen := map[string]bool{}
	for name, value := range text.Fields() {
		name = strings.ToLower(name)
		if seen[name] {
			return nil, fmt.Errorf("release: field %.60s twice: %w", name, bundle.ErrMalformed)
		}
		seen[name] = true
		r.set(name, value)
	}
	return r, r.tables()
}

func (r *Release) set(name, value string) {
	switch name {
	case "origin":
		r.Origin = value
	case "label":
		r.Label = value
	case "suite":
		r.Suite = value
	case "version":
		r.Version = value
	case "codename":
		r.Codename = value
	case "description":
		r.Description = value
	case "date":
		r.Date, r.BadDate = parseDate(value)
	case "valid-until":
		r.ValidUntil, r.BadValidUntil = parseDate(value)
	case "components":
		r.Components = strings.Fields(value)
	case "architectures":
		r.Architectures = strings.Fields(value)
	case "acquire-by-hash":
		r.AcquireByHash = isYes(value)
	case "notautomatic":
		r.NotAutomatic = isYes(value)
	case "butautomaticupgrades":
		r.ButAutomaticUpgrades = isYes(value)
	case "no-support-for-architecture-all":
		r.ArchitectureAll = value
	}
}

func isYes(value string) bool { return strings.EqualFold(value, "yes") }

// parseDate reads a date and time of RFC 5322, section 3.3, with the zones by name of
// section 4.3. bad is the value if apt does not read it, which knows universal time
// alone; the time is zero if the value names no moment.
func parseDate(value string) (t time.Time, bad string) {
	at := strings.LastIndexByte(value, ' ')
	if at < 0 {
		return time.Time{}, value
	}
	zone := value[at+1:]
	for _, universal := range []string{"UTC", "GMT", "Z", "+0000", "-0000"} {
		if zone == universal {
			if t, err := time.Parse("Mon, _2 Jan 2006 15:04:05", value[:at]); err == nil {
				return t, ""
			}
			zone = "+0000"
		}
	}
	if hours, known := namedZones()[zone]; known {
		zone = fmt.Sprintf("%+03d00", hours)
	}
	text := strings.Join(strings.Fields(value[:at]), " ") + " " + zone
	for _, form := range []string{"Mon, _2 Jan 2006 15:04:05 -0700", "Mon, _2 Jan 2006 15:04 -0700", "_2 Jan 2006 15:04:05 -0700", "_2 Jan 2006 15:04 -0700"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), value
		}
	}
	return time.Time{}, value
}

// namedZones returns the zones whose names RFC 5322 defines, with their hours east
// of universal time. Other names, as CET, name no moment.
func namedZones() map[string]int {
	return map[string]int{"UT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
}

// tables joins the hash tables by path. A file with two sizes, or with two
// hashes of one algorithm, is refused.
func (r *Release) tables() error {
	index := map[string]int{}
	for _, t := range hashTables() {
		for line := range lines(r.Field(t.field)) {
			f, err := parseReleaseLine(line, t)
			if err != nil {
				return fmt.Errorf("release: %s: %w", t.field, err)
			}
			i, ok := index[f.Path]
			if !ok {
				if len(r.Files) == maxReleaseFiles {
					return fmt.Errorf("release: more than %d files: %w", maxReleaseFiles, bundle.ErrMalformed)
				}
				index[f.Path] = len(r.Files)
				r.Files = append(r.Files, f)
				continue
			}
			have := t.of(&r.Files[i])
			if r.Files[i].Size != f.Size || (*have != "" && *have != *t.of(&f)) {
				return fmt.Errorf("release: %s: %s: two sizes or two hashes: %w", t.field, f.Path, bundle.ErrMalformed)
			}
			*have = *t.of(&f)
		}
	}
	slices.SortFunc(r.Files, func(a, b ReleaseFile) int { return bundle.ComparePaths(a.Path, b.Path) })
	return nil
}

func parseReleaseLine(line string, t hashTable) (ReleaseFile, error) {
	words := strings.Fields(line)
	if len(words) != 3 || len(words[0]) != t.digits || strings.Trim(words[0], "0123456789abcdef") != "" {
		return ReleaseFile{}, fmt.Errorf("line %.160q: want %s, size and path: %w", line, bundle.Count(t.digits, "hex digit"), bundle.ErrMalformed)
	}
	var f ReleaseFile
	var err error
	if f.Size, err = parseSize(words[1]); err != nil {
		return f, err
	}
	if f.Path, err = listedPath(words[2]); err != nil {
		return f, err
	}
	*t.of(&f) = words[0]
	return f, nil
}

// Marshal writes r: members alone, Paragraph is not looked at; fields in the
// order that archives have, tables in order of Files, empty fields left out.
// The same r leads to the same bytes.
func (r *Release) Marshal() []byte {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	yes := func(name string, is bool) {
		if is {
			field(name, "yes")
		}
	}
	field("Origin", r.Origin)
	field("Label", r.Label)
	field("Suite", r.Suite)
	field("Version", r.Version)
	field("Codename", r.Codename)
	field("Date", formatDate(r.Date))
	field("Valid-Until", formatDate(r.ValidUntil))
	yes("NotAutomatic", r.NotAutomatic)
	yes("ButAutomaticUpgrades", r.ButAutomaticUpgrades)
	yes("Acquire-By-Hash", r.AcquireByHash)
	field("No-Support-for-Architecture-all", r.ArchitectureAll)
	field("Architectures", strings.Join(r.Architectures, " "))
	field("Components", strings.Join(r.Components, " "))
	field("Description", r.Description)
	for _, t := range hashTables() {
		r.writeTable(&b, t)
	}
	return []byte(b.String())
}

func (r *Release) writeTable(b *strings.Builder, t hashTable) {
	begun := false
	for i := range r.Files {
		f := &r.Files[i]
		if *t.of(f) == "" {
			continue
		}
		if !begun {
			b.WriteString(t.field + ":\n")
			begun = true
		}
		fmt.Fprintf(b, " %s %16d %s\n", *t.of(f), f.Size, f.Path)
	}
}

func formatDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("Mon, 02 Jan 2006 15:04:05") + " UTC"
}
