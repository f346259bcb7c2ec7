package bundle

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Bounds of contents lists. Like those of limits.go they are part of the format.
const (
	// MaxEntries bounds the entries of all contents lists of one bundle: the gate holds
	// 16 bytes for each, and people search and compare them.
	MaxEntries = 2_000_000
	// MaxEntryText bounds each text of an entry but its summary: as long as a path,
	// which is the longest name that a kind makes.
	MaxEntryText = MaxPathSize // bytes
	// MaxSummary bounds the summary of an entry: one line of a table.
	MaxSummary = 200 // bytes
	// MaxFixes bounds how many advisories one entry names, and MaxFix one of them.
	MaxFixes = 64
	MaxFix   = 128 // bytes
)

// Entry is a line of a contents list: something of a repository that a person would
// call by a name. The list is strictly ascending by CompareEntries. Everything that
// reads it treats it blindly: what an entry means is known to the kind that wrote it.
// Field order here is the alphabetical order of the JSON.
type Entry struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	// Arch is the architecture as upstream writes it; of an image its platforms.
	Arch string `json:"arch,omitempty"`
	// Digest is that of the file at Path.
	Digest Digest `json:"digest"`
	// Fixes are advisories that this version fixes, sorted, each once.
	Fixes []string `json:"fixes,omitempty"`
	// Group is the part of the repository that a person knows: suite and component,
	// index, module stream.
	Group string `json:"group,omitempty"`
	// Licence is the licence expression as upstream states it.
	Licence string `json:"licence,omitempty"`
	// Name is what it is called; never empty.
	Name string `json:"name"`
	// Origin, Reason and Vouched are those of the evidence line of Path.
	Origin string `json:"origin,omitempty"`
	// Path is the file that stands for it, in the file list of the same repository.
	// Several entries may have the same.
	Path string `json:"path"`
	// Rank is 1 for the newest version of the same Name, Type, Arch and Group, by the
	// kind's own comparison, 2 for the next one, and so on; equal versions have equal
	// ranks. 0: the kind has no comparison.
	Rank   int64  `json:"rank,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Revision is the commit that it was made of or stands for; of a folder the digest of
	// the repository's file list up to Path, which is the folder's last file.
	Revision string `json:"revision,omitempty"`
	// Size is what a client downloads, in bytes: for most the size of the file at Path,
	// for an image that of its distinct blobs on all carried platforms.
	Size int64 `json:"size"`
	// Source is the name of the source package.
	Source string `json:"source,omitempty"`
	// Summary is one line for people, at most MaxSummary.
	Summary string `json:"summary,omitempty"`
	// Type is what it is: one of the Type constants, or of a kind that this program
	// does not know, in the form of CheckLabel.
	Type string `json:"type"`
	// Version is as upstream writes it; empty where there is none.
	Version string `json:"version,omitempty"`
	Vouched string `json:"vouched"`
}

// The types of entries that this program writes.
const (
	TypeDeb        = "deb"
	TypeUdeb       = "udeb"
	TypeDsc        = "dsc"
	TypeRPM        = "rpm"
	TypeSRPM       = "srpm"
	TypeImage      = "image"
	TypeArtifact   = "artifact"
	TypeChart      = "chart"
	TypeWheel      = "wheel"
	TypeSdist      = "sdist"
	TypeFile       = "file"
	TypeFolder     = "folder"
	TypeBootImage  = "boot-image"
	TypeBranch     = "branch"
	TypeTag        = "tag"
	TypeCollection = "collection"
	TypeRole       = "role"
	TypeDeployment = "deployment"
)

// CompareEntries returns the order of a contents list: by the bytes of name, type, arch,
// group, version and path.
func CompareEntries(a, b *Entry) int {
	return cmp.Or(CompareEntryGroups(a, b), strings.Compare(a.Version, b.Version), strings.Compare(a.Path, b.Path))
}

// CompareEntryGroups orders by name, type, arch and group: entries for which it is 0
// are versions of one thing, and follow each other in a contents list.
func CompareEntryGroups(a, b *Entry) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Group, b.Group))
}

// Check reports what is wrong with an entry by itself. Errors match ErrMalformed.
func (e *Entry) Check() error {
	if e.Name == "" {
		return fmt.Errorf("entry of %.80q: no name: %w", e.Path, ErrMalformed)
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("entry %.80q: %w", e.Name, err)
	}
	return nil
}

func (e *Entry) check() error {
	if CheckLabel(e.Type) != nil {
		return fmt.Errorf("type %.80q: want a-z, 0-9 and '-': %w", e.Type, ErrMalformed)
	}
	texts := [...]struct{ what, text string }{
		{"name", e.Name}, {"version", e.Version}, {"arch", e.Arch}, {"group", e.Group}, {"licence", e.Licence}, {"source", e.Source}, {"revision", e.Revision},
	}
	for i := range texts {
		if err := checkEntryText(texts[i].what, texts[i].text, MaxEntryText); err != nil {
			return err
		}
	}
	if err := checkEntryText("summary", e.Summary, MaxSummary); err != nil {
		return err
	}
	for _, text := range []string{e.Origin, e.Reason, e.Vouched} {
		if err := CheckText(text); err != nil {
			return err
		}
	}
	switch {
	case e.Vouched == "":
		return fmt.Errorf("does not say how it is vouched for: %w", ErrMalformed)
	case e.Digest.IsZero():
		return fmt.Errorf("no digest: %w", ErrMalformed)
	case !inRange(e.Size) || !inRange(e.Rank):
		return fmt.Errorf("size %d, rank %d: out of range: %w", e.Size, e.Rank, ErrMalformed)
	}
	if e.Annotations != nil {
		if err := CheckAnnotations(e.Annotations); err != nil {
			return fmt.Errorf("annotations: %w", err)
		}
	}
	if err := checkFixes(e.Fixes); err != nil {
		return err
	}
	return CheckPath(e.Path)
}

func checkEntryText(what, text string, most int) error {
	if len(text) > most {
		return fmt.Errorf("%s of %s, at most %d: %w", what, Count(len(text), "byte"), most, ErrMalformed)
	}
	if err := CheckText(text); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func checkFixes(fixes []string) error {
	if fixes != nil && len(fixes) == 0 || len(fixes) > MaxFixes {
		return fmt.Errorf("fixes: %d, want 1 to %d: %w", len(fixes), MaxFixes, ErrMalformed)
	}
	for i, fix := range fixes {
		if err := checkEntryText("fixes", fix, MaxFix); err != nil {
			return err
		}
		if fix == "" || i > 0 && fixes[i-1] >= fix {
			return fmt.Errorf("fixes: %.80q: empty, not sorted, or twice: %w", fix, ErrMalformed)
		}
	}
	return nil
}

// ReadContents reads a contents list line by line: it checks every entry by itself and
// that the list is strictly ascending, so what it yields may be printed. Memory does
// not grow with the list. The sequence ends after the first error, which names what.
// Errors match ErrMalformed, or are r's own.
func ReadContents(r io.Reader, what string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var last Entry
		for e, err := range ReadList[Entry](r, what) {
			if err == nil {
				if err = e.Check(); err == nil && last.Name != "" && CompareEntries(&last, &e) >= 0 {
					err = fmt.Errorf("entry %.80q %.80q: listed twice, or after %.80q %.80q: not in order: %w", e.Name, e.Version, last.Name, last.Version, ErrMalformed)
				}
				if err != nil {
					err = fmt.Errorf("%s: %w", what, err)
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
			last = e
		}
	}
}

func (e *Entry) validText() bool {
	return validText(e.Annotations, e.Arch, e.Group, e.Licence, e.Name, e.Origin, e.Path, e.Reason, e.Revision, e.Source, e.Summary, e.Type, e.Version, e.Vouched) &&
		validText(nil, e.Fixes...)
}

// appendEntry reports false as appendFile does.
func appendEntry(dst []byte, e *Entry) ([]byte, bool) {
	if !inRange(e.Rank) || !inRange(e.Size) || e.Fixes != nil && len(e.Fixes) == 0 {
		return dst, false
	}
	for _, text := range [...]string{e.Arch, e.Group, e.Licence, e.Name, e.Origin, e.Path, e.Reason, e.Revision, e.Source, e.Type, e.Version, e.Vouched} {
		if !plain(text) {
			return dst, false
		}
	}
	dst, ok := appendAnnotations(append(dst, '{'), e.Annotations)
	if e.Arch != "" {
		dst = append(appendText(append(dst, `"arch":`...), e.Arch), ',')
	}
	dst = appendDigest(append(dst, `"digest":`...), &e.Digest)
	before := `,"fixes":[`
	for _, fix := range e.Fixes {
		if !plain(fix) {
			return dst, false
		}
		dst, before = appendText(append(dst, before...), fix), `,`
	}
	if len(e.Fixes) > 0 {
		dst = append(dst, ']')
	}
	dst = appendOptional(dst, `,"group":`, e.Group)
	dst = appendOptional(dst, `,"licence":`, e.Licence)
	dst = appendText(append(dst, `,"name":`...), e.Name)
	dst = appendOptional(dst, `,"origin":`, e.Origin)
	dst = appendText(append(dst, `,"path":`...), e.Path)
	if e.Rank != 0 {
		dst = strconv.AppendInt(append(dst, `,"rank":`...), e.Rank, 10)
	}
	dst = appendOptional(dst, `,"reason":`, e.Reason)
	dst = appendOptional(dst, `,"revision":`, e.Revision)
	dst = strconv.AppendInt(append(dst, `,"size":`...), e.Size, 10)
	dst = appendOptional(dst, `,"source":`, e.Source)
	if e.Summary != "" {
		dst = appendString(append(dst, `,"summary":`...), e.Summary)
	}
	dst = appendText(append(dst, `,"type":`...), e.Type)
	dst = appendOptional(dst, `,"version":`, e.Version)
	dst = appendText(append(dst, `,"vouched":`...), e.Vouched)
	return append(dst, '}'), ok
}

func appendOptional(dst []byte, key, text string) []byte {
	if text == "" {
		return dst
	}
	return appendText(append(dst, key...), text)
}

func (s *scanner) entry(e *Entry) {
	s.literal(`{`)
	e.Annotations = s.annotations()
	if s.optional(`"arch":`) {
		e.Arch = s.text()
		s.literal(`,`)
	}
	s.literal(`"digest":`)
	s.digest(&e.Digest)
	if s.optional(`,"fixes":[`) {
		e.Fixes = s.texts()
	}
	e.Group = s.optionalText(`,"group":`)
	e.Licence = s.optionalText(`,"licence":`)
	s.literal(`,"name":`)
	e.Name = s.text()
	e.Origin = s.optionalText(`,"origin":`)
	s.literal(`,"path":`)
	e.Path = s.text()
	if s.optional(`,"rank":`) {
		e.Rank = s.integer()
	}
	e.Reason = s.optionalText(`,"reason":`)
	e.Revision = s.optionalText(`,"revision":`)
	s.literal(`,"size":`)
	e.Size = s.integer()
	e.Source = s.optionalText(`,"source":`)
	if s.optional(`,"summary":`) {
		e.Summary = s.escaped()
	}
	s.literal(`,"type":`)
	e.Type = s.text()
	e.Version = s.optionalText(`,"version":`)
	s.literal(`,"vouched":`)
	e.Vouched = s.text()
	s.end()
}

func (s *scanner) optionalText(key string) string {
	if !s.optional(key) {
		return ""
	}
	return s.text()
}

// texts takes the strings of an array whose bracket was taken.
func (s *scanner) texts() []string {
	all := make([]string, 0, 1+bytes.Count(s.rest[:max(0, bytes.IndexByte(s.rest, ']'))], []byte{','}))
	for more := true; more && s.ok && len(all) <= MaxFixes; more = s.optional(`,`) {
		all = append(all, s.text())
	}
	s.literal(`]`)
	return slices.Clip(all)
}
