package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxText bounds the short texts of a root that only people read.
const maxText = 1024 // bytes

// StateDigest names the state that repositories are in: the SHA-256 over one
// line for each, "<mount> NUL <digest of the file list> LF", sorted as bytes.
// Nothing else goes in, so the same files have the same state whoever
// exported them, when, and how they were vouched for.
func StateDigest(repos []Repository) Digest {
	lines := make([]string, 0, len(repos))
	for _, r := range repos {
		lines = append(lines, r.Mount+"\x00"+string(r.Files.Digest)+"\n")
	}
	slices.Sort(lines)
	return DigestOf([]byte(strings.Join(lines, "")))
}

// ParseManifest reads a root that has been authenticated: canonical JSON and
// every rule of the format that needs nothing but the root. A root of another
// format, or one that requires what this program does not know, matches
// ErrUnsupported and is looked at no further; any other fault ErrMalformed.
func ParseManifest(b []byte) (*Manifest, error) { return parseManifest(b, false) }

// ParseKept reads a root that this side accepted or made before, perhaps with a program
// that had fewer rules. Texts that are not plain, and tables that are larger than a reader
// takes from a medium, are no faults in it: what is published or made already goes on.
// Every other rule is that of ParseManifest.
func ParseKept(b []byte) (*Manifest, error) { return parseManifest(b, true) }

func parseManifest(b []byte, kept bool) (*Manifest, error) {
	if len(b) > MaxRootSize {
		return nil, fmt.Errorf("%s: %s, at most %d: %w", RootName, Count(len(b), "byte"), MaxRootSize, ErrMalformed)
	}
	var first struct {
		Format   int      `json:"format"`
		Requires []string `json:"requires"`
	}
	if err := json.Unmarshal(b, &first); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", RootName, ErrMalformed, err)
	}
	if err := checkSupported(first.Format, first.Requires, Features()); err != nil {
		return nil, err
	}
	if !kept {
		if err := checkShape(b); err != nil {
			return nil, err
		}
	}
	m := new(Manifest)
	if err := UnmarshalCanonical(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", RootName, err)
	}
	if err := checkManifest(m, kept); err != nil {
		return nil, err
	}
	return m, nil
}

// checkSupported refuses another format, and by their names the features that
// are required and not among known.
func checkSupported(format int, requires, known []string) error {
	if format != Format {
		return fmt.Errorf("%s: format %d, this program reads %d: %w", RootName, format, Format, ErrUnsupported)
	}
	unknown := slices.DeleteFunc(slices.Clone(requires), func(name string) bool { return slices.Contains(known, name) })
	if len(unknown) > 0 {
		unknown = unknown[:min(len(unknown), 8)]
		return fmt.Errorf("%s: requires %.40q, which this program does not read: %w", RootName, unknown, ErrUnsupported)
	}
	return nil
}

// CheckManifest reports everything that is wrong with a root by itself: what
// ParseManifest checks apart from the JSON. Errors match ErrMalformed or
// ErrUnsupported.
func CheckManifest(m *Manifest) error { return checkManifest(m, false) }

func checkManifest(m *Manifest, kept bool) error {
	if err := checkSupported(m.Format, m.Requires, Features()); err != nil {
		return err
	}
	f := findings{kept: kept}
	f.checkIdentity(m)
	f.checkAnnotations("", m.Annotations)
	f.checkRepositories(m.Repositories)
	f.checkContents(m)
	f.checkKeys(m)
	f.checkCatalog(m.Catalog)
	f.descriptor("volume table", m.Volumes, MediaTypeVolumeTable)
	if m.Volumes.Size > MaxVolumeTable && !kept {
		f.add("volume table of %s, at most %d", Count(m.Volumes.Size, "byte"), MaxVolumeTable)
	}
	f.descriptor(SumsName, m.Sums, MediaTypeSums)
	if want := StateDigest(m.Repositories); m.State != want {
		f.add("state: want %s over the repositories, got %s", want, m.State)
	}
	return errors.Join(f.all...)
}

// findings collects all faults, because whoever wrote the root wants to know
// all of them at once.
type findings struct {
	all []error
	// kept is that of ParseKept.
	kept bool
}

const maxFindings = 100

func (f *findings) add(format string, args ...any) {
	if len(f.all) < maxFindings {
		f.all = append(f.all, fmt.Errorf(RootName+": "+format+": %w", append(args, ErrMalformed)...))
	}
}

func (f *findings) wrap(what string, err error) {
	if err != nil && len(f.all) < maxFindings {
		f.all = append(f.all, fmt.Errorf("%s: %s: %w", RootName, what, err))
	}
}

func (f *findings) text(what, s string) {
	if len(s) > maxText || !f.kept && CheckText(s) != nil {
		f.add("%s %.80q: want at most %d bytes of text", what, s, maxText)
	}
}

func (f *findings) time(what string, t time.Time) {
	_, offset := t.Zone()
	if offset != 0 || t.Nanosecond() != 0 || t.Year() < 1970 || t.Year() > 9999 {
		f.add("%s %s: want UTC, whole seconds, from 1970", what, t.Format(time.RFC3339Nano))
	}
}

func (f *findings) count(what string, n int64) {
	if n < 0 || n > MaxInteger {
		f.add("%s %d: want 0 to 2^53-1", what, n)
	}
}

func (f *findings) descriptor(what string, d v1.Descriptor, mediaType string) {
	_, err := CheckDescriptor(d, mediaType)
	f.wrap(what, err)
}

func (f *findings) checkAnnotations(what string, a map[string]string) {
	check := CheckAnnotations
	if f.kept {
		check = checkSizes
	}
	f.wrap(what+"annotations", check(a))
}

// CheckAnnotations reports whether an annotations map, of a root or of a list
// line, is within its bounds and has plain texts. Errors match ErrMalformed.
func CheckAnnotations(a map[string]string) error {
	if err := checkSizes(a); err != nil {
		return err
	}
	for k, v := range a {
		for _, text := range []string{k, v} {
			if err := CheckText(text); err != nil {
				return fmt.Errorf("entry %.80q: %w", k, err)
			}
		}
	}
	return nil
}

func checkSizes(a map[string]string) error {
	if a != nil && len(a) == 0 || len(a) > MaxAnnotations {
		return fmt.Errorf("%s, want 1 to %d: %w", Count(len(a), "entry"), MaxAnnotations, ErrMalformed)
	}
	for k, v := range a {
		if k == "" || len(k) > MaxAnnotationSize || len(v) > MaxAnnotationSize || !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fmt.Errorf("entry %.80q: want a key and at most %d bytes of text each: %w", k, MaxAnnotationSize, ErrMalformed)
		}
	}
	return nil
}

func (f *findings) checkIdentity(m *Manifest) {
	if CheckLabel(m.Set) != nil {
		f.add("set %.80q: not a name of a set", m.Set)
	}
	if !isStreamID(m.Stream) {
		f.add("stream %.80q: want 32 lower-case hex digits", m.Stream)
	}
	if m.Sequence < 1 || m.Sequence > MaxInteger {
		f.add("sequence %d: want 1 to 2^53-1", m.Sequence)
	}
	f.time("created", m.Created)
	if m.Expires != nil {
		f.time("expires", *m.Expires)
	}
	f.text("destination", m.Destination)
	f.text("tool", m.Tool)
	if m.Tool == "" {
		f.add("tool: empty")
	}
	f.names("overrides", m.Overrides)
	f.names("requires", m.Requires)
	switch {
	case m.Full != (m.Base == nil):
		f.add("full %v: a delta has a base and a full bundle none", m.Full)
	case m.Base != nil && (m.Base.Sequence < 1 || m.Base.Sequence >= m.Sequence):
		f.add("base %d: want 1 to %d", m.Base.Sequence, m.Sequence-1)
	}
}

// names checks a list of names that is left out when it is empty.
func (f *findings) names(what string, names []string) {
	if names != nil && len(names) == 0 {
		f.add("%s: empty, and not left out", what)
	}
	for i, n := range names {
		f.text(what, n)
		if n == "" || i > 0 && names[i-1] >= n {
			f.add("%s %.80q: not sorted, or twice", what, n)
		}
	}
}

func (f *findings) checkRepositories(repos []Repository) {
	if repos == nil {
		f.add("repositories: null")
	}
	if len(repos) > MaxRepositories {
		f.add("%s, at most %d", Count(len(repos), "repository"), MaxRepositories)
		return
	}
	var files, bytes int64
	checks := 0
	for i := range repos {
		r := &repos[i]
		f.checkRepository(r)
		if i > 0 && repos[i-1].Name >= r.Name {
			f.add("repository %.80q: not sorted by name, or twice", r.Name)
		}
		if r.Count > MaxFiles-files || r.Bytes > MaxInteger-bytes {
			f.add("more than %d files or 2^53-1 bytes", MaxFiles)
			return
		}
		files, bytes, checks = files+max(0, r.Count), bytes+max(0, r.Bytes), checks+len(r.Checks)
	}
	if checks > MaxChecks && !f.kept {
		f.add("%s, at most %d", Count(checks, "check"), MaxChecks)
	}
	f.checkMounts(repos)
}

func (f *findings) checkRepository(r *Repository) {
	what := fmt.Sprintf("repository %.80q: ", r.Name)
	if CheckRepositoryName(r.Name) != nil {
		f.add("repository %.80q: not a name of a repository", r.Name)
	}
	if CheckLabel(r.Kind) != nil {
		f.add(what+"kind %.80q: not a name of a kind", r.Kind)
	}
	if r.Mode != "" && r.Mode != "verbatim" && r.Mode != "rebuilt" {
		f.add(what+"mode %.80q: want verbatim or rebuilt", r.Mode)
	}
	f.checkAnnotations(what, r.Annotations)
	f.count(what+"count", r.Count)
	f.count(what+"bytes", r.Bytes)
	f.descriptor(what+"file list", r.Files, MediaTypeFileList)
	f.descriptor(what+"evidence list", r.Evidence, MediaTypeEvidence)
	if (r.Count == 0) != (r.Files.Size == 0) {
		f.add(what+"%s in a list of %s", Count(r.Count, "file"), Count(r.Files.Size, "byte"))
	}
	if r.Unpinned < 0 || r.Unpinned > r.Count {
		f.add(what+"%d of %s not pinned", r.Unpinned, Count(r.Count, "file"))
	}
	f.names(what+"carried", r.Carried)
	for _, c := range r.Carried {
		if c != CarriedFiles && c != CarriedEvidence && (c != CarriedContents || r.Contents == nil) {
			f.add(what+"carried %.80q: want %s, %s or, where it has one, %s", c, CarriedFiles, CarriedEvidence, CarriedContents)
		}
	}
	if r.Checks != nil && len(r.Checks) == 0 {
		f.add(what + "checks: empty, and not left out")
	}
	for i, c := range r.Checks {
		f.text(what+"check", c.Name)
		f.count(what+"check", c.Count)
		if c.Name == "" || i > 0 && r.Checks[i-1].Name >= c.Name {
			f.add(what+"check %.80q: not sorted, or twice", c.Name)
		}
	}
	if r.UpstreamExpires != nil {
		f.time(what+"upstreamExpires", *r.UpstreamExpires)
	}
}

// checkContents checks what the root states about contents lists: a reader that does not
// know them must not get as far as the repositories.
func (f *findings) checkContents(m *Manifest) {
	has, entries := false, int64(0)
	for i := range m.Repositories {
		r := &m.Repositories[i]
		what := fmt.Sprintf("repository %.80q: ", r.Name)
		f.count(what+"entries", r.Entries)
		if r.Contents == nil {
			if r.Entries != 0 {
				f.add(what+"%s and no contents list", Count(r.Entries, "entry"))
			}
			continue
		}
		has = true
		f.descriptor(what+"contents list", *r.Contents, MediaTypeContents)
		if (r.Entries == 0) != (r.Contents.Size == 0) {
			f.add(what+"%s in a list of %s", Count(r.Entries, "entry"), Count(r.Contents.Size, "byte"))
		}
		if r.Entries > MaxEntries-entries {
			f.add("more than %d entries in all contents lists", MaxEntries)
			return
		}
		entries += max(0, r.Entries)
	}
	if requires := slices.Contains(m.Requires, FeatureContents); has != requires {
		f.add("contents lists: %t, and required as %q: %t", has, FeatureContents, requires)
	}
}

// The values that Repository.Carried may name.
const (
	CarriedContents = "contents"
	CarriedEvidence = "evidence"
	CarriedFiles    = "files"
)

// ImageAlias returns the name of an image in a mirror without its registry, by which
// clients that know one registry alone ask for it; name itself if it has none.
// As in the reference grammar of container tools the first component is a
// registry if it holds a '.' or ':' or is "localhost"; a port may also stand
// after '_', because names hold no ':'.
func ImageAlias(name string) string {
	host, rest, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	i := strings.LastIndexByte(host, '_')
	port := i > 0 && i < len(host)-1 && strings.Trim(host[i+1:], "0123456789") == ""
	if strings.ContainsAny(host, ".:") || host == "localhost" || port {
		return rest
	}
	return name
}

// IsSharedMount reports whether several repositories may have this mount; that no
// path is in two of them is checked over their lists.
func IsSharedMount(mount string) bool {
	switch mount {
	case "files", "git", "v2", "keys", "_gapbundle/clients":
		return true
	}
	return false
}

// CheckFilled reports what is wrong with a filled line of a list below mount: it
// has to be in a mount of its own, because content that depends on the address
// has no place where files are found by their digest, and at most MaxFilledSize.
// The size may be unknown (-1). Errors match ErrMalformed.
func CheckFilled(mount string, f *File) error {
	switch {
	case !f.Filled:
	case IsSharedMount(mount):
		return fmt.Errorf("path %q: filled in the shared mount %s: %w", f.Path, mount, ErrMalformed)
	case f.Size > MaxFilledSize:
		return fmt.Errorf("path %q: filled, with %s, at most %d: %w", f.Path, Count(f.Size, "byte"), MaxFilledSize, ErrMalformed)
	}
	return nil
}

// CheckMount reports what is wrong with one mount by itself: the rules of
// CheckPath, no component that begins with a dot (web servers hide those), and
// none of the names that the mirror makes itself. Errors match ErrMalformed.
func CheckMount(mount string) error {
	if err := CheckPath(mount); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	first, _, deeper := strings.Cut(mount, "/")
	switch {
	case IsSharedMount(mount):
	case strings.HasPrefix(first, "_"), first == "index.html":
		return fmt.Errorf("mount %q: the mirror's own name: %w", mount, ErrMalformed)
	case deeper && IsSharedMount(first):
		return fmt.Errorf("mount %q: inside the shared mount %s: %w", mount, first, ErrMalformed)
	case mount[0] == '.' || strings.Contains(mount, "/."):
		return fmt.Errorf("mount %q: a component that begins with a dot: %w", mount, ErrMalformed)
	}
	return nil
}

func (f *findings) checkMounts(repos []Repository) {
	mounts := make([]string, 0, len(repos))
	for i := range repos {
		f.wrap(fmt.Sprintf("repository %.80q", repos[i].Name), CheckMount(repos[i].Mount))
		mounts = append(mounts, repos[i].Mount)
	}
	slices.SortFunc(mounts, ComparePaths)
	for i := 1; i < len(mounts); i++ {
		switch before, mount := mounts[i-1], mounts[i]; {
		case before == mount && !IsSharedMount(mount):
			f.add("mount %q: of two repositories", mount)
		case strings.HasPrefix(mount, before+"/"):
			f.add("mount %q: inside mount %q", mount, before)
		}
	}
}

func (f *findings) checkKeys(m *Manifest) {
	if m.Keys != nil && len(m.Keys) == 0 {
		f.add("keys: empty, and not left out")
	}
	known := make(map[string]bool, len(m.Repositories))
	for i := range m.Repositories {
		known[m.Repositories[i].Mount] = true
	}
	for i, k := range m.Keys {
		what := fmt.Sprintf("key %.80q: ", k.Fingerprint)
		if !isFingerprint(k.Fingerprint) {
			f.add(what + "want 40 or 64 upper-case hex digits")
		}
		if i > 0 && m.Keys[i-1].Fingerprint >= k.Fingerprint {
			f.add(what + "not sorted by fingerprint, or twice")
		}
		if k.Role != "site" && k.Role != "upstream" {
			f.add(what+"role %.80q: want site or upstream", k.Role)
		}
		if err := CheckPath(k.Path); err != nil || !strings.HasPrefix(k.Path, "keys/") {
			f.add(what+"path %.80q: want one below keys/", k.Path)
		}
		if k.Mounts == nil {
			f.add(what + "mounts: null")
		}
		for j, mount := range k.Mounts {
			if !known[mount] || j > 0 && k.Mounts[j-1] >= mount {
				f.add(what+"mount %.80q: not of a repository, not sorted, or twice", mount)
			}
		}
	}
}

func isFingerprint(s string) bool {
	const v4, v6 = 40, 64 // hex digits
	return (len(s) == v4 || len(s) == v6) && strings.Trim(s, "0123456789ABCDEF") == ""
}

func (f *findings) checkCatalog(files []CatalogFile) {
	if len(files) < 1 || len(files) > MaxCatalogFiles {
		f.add("%s, want 1 to %d", Count(len(files), "catalogue file"), MaxCatalogFiles)
		return
	}
	for i, c := range files {
		if want := CatalogName(i + 1); c.Name != want {
			f.add("catalogue file %.80q, want %s", c.Name, want)
		}
		if c.Size < 1 || c.Size >= MaxFileSize {
			f.add("%s: size %d: want 1 to %d", c.Name, c.Size, MaxFileSize-1)
		}
		sum := int64(0)
		for j, frame := range c.Frames {
			if frame.Raw < 1 || frame.Raw > MaxFrameRaw || frame.Compressed < 1 || frame.Compressed > min(c.Size-sum, MaxFrameCompressed) {
				f.add("%s: frame %d: compressed %d, raw %d", c.Name, j, frame.Compressed, frame.Raw)
				return
			}
			sum += frame.Compressed
		}
		if sum != c.Size {
			f.add("%s: frames of %s in a file of %d", c.Name, Count(sum, "byte"), c.Size)
		}
	}
}
