package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
)

// Bounds of what is read.
const (
	// MaxFile bounds a file, in bytes.
	MaxFile = 64 << 20
	// maxIncludes bounds how many files requirements may include.
	maxIncludes = 1000
	// maxRequirements bounds the lines of all of them.
	maxRequirements = 100_000
)

// ErrInvalid is matched by errors about a file's content.
var ErrInvalid = errors.New("not usable")

// Requirement is a line of a requirements file.
type Requirement struct {
	marker.Requirement
	// Hashes are SHA-256 digests in hexadecimal of which a file has to have one.
	Hashes []string
	From   string // "file:line"
}

// Requirements is what requirements files ask for.
type Requirements struct {
	Wanted, Constraints []Requirement
	// Hashed means that every file has to have a digest in the files: one has.
	Hashed bool
	// Pre means that pre-releases count, of every project.
	Pre bool
	// OnlyBinary and NoBinary are projects in normal form, or ":all:".
	OnlyBinary, NoBinary []string
}

// Reader reads requirements files.
type Reader struct {
	// Read returns the content of a file.
	Read func(name string) ([]byte, error)
	// Vars are the values of ${NAME}.
	Vars map[string]string

	files int
	open  []string
}

// Requirements reads a file and what it includes into all, as pip does.
func (r *Reader) Requirements(name string, all *Requirements) error { return r.file(name, all, false) }

// Constraints reads a file of constraints.
func (r *Reader) Constraints(name string, all *Requirements) error { return r.file(name, all, true) }

func (r *Reader) file(name string, all *Requirements, constraint bool) error {
	if slices.Contains(r.open, name) {
		return fmt.Errorf("%s: includes itself: %s: %w", name, strings.Join(append(r.open, name), " -> "), ErrInvalid)
	}
	if r.files++; r.files > maxIncludes {
		return fmt.Errorf("%s: more than %d files are included: %w", name, maxIncludes, ErrInvalid)
	}
	content, err := r.Read(name)
	if err != nil {
		return err
	}
	text, err := decode(content)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", name, err, ErrInvalid)
	}
	r.open = append(r.open, name)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	var errs []error
	for number, line := range logical(text) {
		if err := r.line(name, line, fmt.Sprintf("%s:%d", name, number), all, constraint); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

var (
	comment  = regexp.MustCompile(`(^|\s+)#.*$`)
	coding   = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)
	variable = regexp.MustCompile(`\$\{[A-Z0-9_]+\}`)
)

// decode accepts UTF-8, with a byte order mark or without. From other encodings
// a line in the first two may name those that are the same for ASCII.
func decode(content []byte) (string, error) {
	if len(content) > MaxFile {
		return "", fmt.Errorf("%s, want at most %d", spelling.Count(len(content), "byte"), MaxFile)
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	for i, line := range bytes.SplitN(content, []byte("\n"), 3) {
		m := coding.FindSubmatch(line)
		if i == 2 || m == nil {
			continue
		}
		switch strings.ReplaceAll(strings.ToLower(string(m[1])), "_", "-") {
		case "utf-8", "utf8", "ascii", "us-ascii", "latin-1", "iso-8859-1":
		default:
			return "", fmt.Errorf("encoding %s: want UTF-8", m[1])
		}
	}
	if bytes.ContainsRune(content, 0) {
		return "", errors.New("a NUL byte: want UTF-8")
	}
	return strings.ToValidUTF8(string(content), "\ufffd"), nil
}

// logical yields lines with their numbers: those that end with a backslash are
// joined with the next, comments are taken away.
func logical(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		begun, joined := 0, ""
		emit := func(number int, line string) bool {
			line = strings.TrimSpace(comment.ReplaceAllString(line, ""))
			return line == "" || yield(number, line)
		}
		number := 0
		for line := range strings.Lines(text) {
			number++
			line = strings.TrimRight(line, "\r\n")
			isComment := comment.MatchString(line)
			if strings.HasSuffix(line, `\`) && !isComment {
				if begun == 0 {
					begun = number
				}
				joined += strings.Trim(line, `\`)
				continue
			}
			if isComment {
				line = " " + line
			}
			at := number
			if begun > 0 {
				at = begun
			}
			if !emit(at, joined+line) {
				return
			}
			begun, joined = 0, ""
		}
		if begun > 0 {
			emit(begun, joined)
		}
	}
}

// line reads one logical line.
func (r *Reader) line(file, line, from string, all *Requirements, constraint bool) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s: "+format+": %w", slices.Concat([]any{from}, args, []any{ErrInvalid})...)
	}
	var unknown string
	line = variable.ReplaceAllStringFunc(line, func(s string) string {
		value, ok := r.Vars[s[2:len(s)-1]]
		if !ok {
			unknown = s
		}
		return value
	})
	if unknown != "" {
		return refuse("%s: not in vars of the spec", unknown)
	}
	text, words, err := split(line)
	if err != nil {
		return refuse("%w", err)
	}
	options, err := readOptions(words)
	if err != nil {
		return refuse("%w", err)
	}
	if text == "" {
		return r.options(file, from, options, all, constraint)
	}
	q := Requirement{From: from}
	for _, o := range options {
		digest, ok := strings.CutPrefix(o.value, "sha256:")
		switch {
		case o.name != "--hash":
			return refuse("%s: no option of a requirement here", o.name)
		case ok && isDigest(digest):
			q.Hashes = append(q.Hashes, digest)
		case ok || !strings.Contains(o.value, ":"):
			return refuse("--hash %.100q: want sha256: and 64 hexadecimal digits", o.value)
		default:
			q.Hashes = append(q.Hashes, "") // of another algorithm: does not count here
		}
	}
	if len(q.Hashes) > 0 {
		all.Hashed = true
		q.Hashes = slices.DeleteFunc(q.Hashes, func(h string) bool { return h == "" })
		if len(q.Hashes) == 0 {
			return refuse("%s: no sha256 among its hashes", text)
		}
	}
	if q.Requirement, err = Parse(text); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if len(all.Wanted)+len(all.Constraints) >= maxRequirements {
		return refuse("more than %d requirements", maxRequirements)
	}
	if constraint {
		all.Constraints = append(all.Constraints, q)
	} else {
		all.Wanted = append(all.Wanted, q)
	}
	return nil
}

func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// Parse reads a requirement, and refuses by name what pip would build from a
// folder or a repository.
func Parse(text string) (marker.Requirement, error) {
	refuse := func(what string) (marker.Requirement, error) {
		return marker.Requirement{}, fmt.Errorf("%.200s: %s: %w", text, what, ErrInvalid)
	}
	q, err := marker.ParseRequirement(text)
	target := q.URL
	if err != nil {
		target = text
	}
	scheme, _, hasScheme := strings.Cut(target, "://")
	switch vcs, _, isVCS := strings.Cut(scheme, "+"); {
	case hasScheme && isVCS:
		return refuse("a repository of " + vcs + " is built in place: want a release, or the file as \"name @ https://...\"")
	case strings.HasPrefix(target, "file:"):
		return refuse("a path: want a file that an index has, or \"name @ https://...\"")
	case err != nil && hasScheme:
		return refuse("a URL without a name: want \"name @ https://...\"")
	case err != nil && (strings.HasPrefix(text, ".") || strings.Contains(strings.SplitN(text, ";", 2)[0], "/")):
		return refuse("a path: want a file that an index has, or \"name @ https://...\"")
	case err != nil:
		return q, fmt.Errorf("%w: %w", err, ErrInvalid)
	case q.URL != "" && scheme != "https" && scheme != "http":
		return refuse("want a URL of https or http")
	}
	return q, nil
}

// options carries out a line of options alone.
func (r *Reader) options(file, from string, options []option, all *Requirements, constraint bool) error {
	var errs []error
	for _, o := range options {
		switch o.name {
		case "--requirement", "--constraint":
			if strings.Contains(o.value, "://") {
				errs = append(errs, fmt.Errorf("%s: %s %s: want a file: %w", from, o.name, o.value, ErrInvalid))
				continue
			}
			name := o.value
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(file), name)
			}
			err := r.file(name, all, constraint || o.name == "--constraint")
			if err != nil {
				err = fmt.Errorf("%s: %w", from, err)
			}
			errs = append(errs, err)
		case "--pre":
			all.Pre = true
		case "--require-hashes":
			all.Hashed = true
		case "--only-binary":
			all.OnlyBinary = formats(all.OnlyBinary, o.value)
		case "--no-binary":
			all.NoBinary = formats(all.NoBinary, o.value)
		case "--prefer-binary":
			errs = append(errs, fmt.Errorf("%s: --prefer-binary: is not done here: set sdists: never in the spec, or --only-binary: %w", from, ErrInvalid))
		case "--index-url", "--extra-index-url", "--find-links", "--no-index", "--trusted-host":
			errs = append(errs, fmt.Errorf("%s: %s: the spec says where packages come from (index, extra-indexes, names): %w", from, o.name, ErrInvalid))
		case "--editable":
			errs = append(errs, fmt.Errorf("%s: --editable %s: is built in place: want a release: %w", from, o.value, ErrInvalid))
		default:
			errs = append(errs, fmt.Errorf("%s: %s: an option that is not known here: %w", from, o.name, ErrInvalid))
		}
	}
	return errors.Join(errs...)
}

// formats adds what --only-binary and --no-binary name: ":none:" empties.
func formats(have []string, value string) []string {
	for name := range strings.SplitSeq(value, ",") {
		switch name = strings.TrimSpace(name); name {
		case ":none:":
			have = nil
		case ":all:":
			have = []string{":all:"}
		default:
			have = append(have, marker.NormalName(name))
		}
	}
	return have
}
