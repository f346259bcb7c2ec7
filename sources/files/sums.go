package files

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// maxSums bounds a SHA256SUMS file, which is held in memory before it is believed.
const maxSums = 64 << 20 // bytes

// sumsLine is a line of a SHA256SUMS file, or of one with longer checksums of its
// family, which count as well.
type sumsLine struct {
	Name string
	Sum  upstream.Sum
}

// parseSums reads the forms that sha256sum of coreutils 9 writes and checks
// (text, binary, escaped, --tag), BSD's, openssl's, and those of "gpg --print-md". Blank
// lines, comments and lines of other digests are skipped; any other line is an error,
// because it could be the one that counts.
func parseSums(b []byte) ([]sumsLine, error) {
	var all []sumsLine
	var open *printed
	number := 0
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	for raw := range bytes.Lines(b) {
		number++
		line := strings.TrimRight(string(raw), "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") || open.more(line) {
			continue
		}
		l, ours, err := parseSumsLine(line)
		if p := cutPrinted(line); err != nil && p != nil {
			p.number = number
			all, err = open.end(all)
			open, ours = p, false
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if ours {
			all = append(all, l)
		}
	}
	return open.end(all)
}

// printed is what "gpg --print-md" and "--print-mds" write, which Apache's projects
// publish: the name, a colon, maybe an algorithm, and digits in groups, over several lines.
type printed struct {
	name, algorithm, digits string
	number                  int // of the first line
}

// cutPrinted reads the first line of that form, nil for any other line.
func cutPrinted(line string) *printed {
	at := strings.LastIndex(line, ":")
	if at <= 0 {
		return nil
	}
	p := &printed{name: strings.TrimSpace(line[:at]), digits: line[at+1:]}
	if algorithm, digits, ok := strings.Cut(p.digits, "="); ok {
		p.algorithm, p.digits = strings.TrimSpace(algorithm), digits
	}
	p.digits = strings.ReplaceAll(p.digits, " ", "")
	if p.name == "" || strings.Trim(p.digits, "0123456789abcdefABCDEF") != "" {
		return nil
	}
	return p
}

// more adds a further line of digits; false for any other line.
func (p *printed) more(line string) bool {
	digits := strings.NewReplacer(" ", "", "\t", "").Replace(line)
	if p == nil || len(line) == len(strings.TrimLeft(line, " \t")) && p.digits != "" || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return false
	}
	p.digits += digits
	return true
}

// end adds what was read, unless it is by another algorithm.
func (p *printed) end(all []sumsLine) ([]sumsLine, error) {
	if p == nil {
		return all, nil
	}
	l, ours, err := parseSumsLine(cmp.Or(p.algorithm, tagByLength[len(p.digits)], "unknown") + " (" + p.name + ") = " + p.digits)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.number, err)
	}
	if ours {
		all = append(all, l)
	}
	return all, nil
}

// bareSum reads a file that is one checksum and nothing else, as Kubernetes, Go and
// Apache publish them next to a file: <file>.sha256. ok is false for anything else.
func bareSum(b []byte) (s upstream.Sum, ok bool) {
	digits := strings.ToLower(string(bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))))
	if _, err := hex.DecodeString(digits); err != nil {
		return s, false
	}
	s = upstream.Sum{Algorithm: byLength[len(digits)], Hex: digits}
	return s, s.Algorithm != "" && strings.Trim(digits, "0") != ""
}

// tagByLength is the tag of BSD's form, by the number of hexadecimal digits.
var tagByLength = map[int]string{32: "MD5", 40: "SHA1", 56: "SHA224", 64: "SHA256", 96: "SHA384", 128: "SHA512"}

// byLength is the algorithm of a checksum without a name, by its hexadecimal digits.
var byLength = map[int]string{64: "sha256", 96: "sha384", 128: "sha512"}

// parseSumsLine reads one line; ours is false for another kind of digest.
func parseSumsLine(line string) (l sumsLine, ours bool, err error) {
	line, escaped := strings.CutPrefix(line, `\`)
	var algorithm, name, digest string
	if head, rest, ok := cutTag(line); ok {
		at := strings.LastIndex(rest, ")")
		if at < 0 || !strings.Contains(rest[at:], "= ") {
			return l, false, fmt.Errorf("%.80q is no checksum", line)
		}
		_, digest, _ = strings.Cut(rest[at:], "= ")
		algorithm, name = head, rest[:at]
	} else {
		at := strings.IndexAny(line, " \t")
		if at < 0 {
			return l, false, fmt.Errorf("%.80q is no checksum", line)
		}
		digest, name = line[:at], strings.TrimLeft(line[at+1:], "\t")
		// The second character is ' ' for text, '*' for binary; BSD's
		// reversed form has none.
		if strings.HasPrefix(name, " ") || strings.HasPrefix(name, "*") {
			name = name[1:]
		}
	}
	if _, err := hex.DecodeString(digest); err != nil || digest == "" || name == "" {
		return l, false, fmt.Errorf("%.80q is no checksum", line)
	}
	known, length := tagged(algorithm), byLength[len(digest)]
	if known == "" {
		known = length
	}
	if length == "" || known != length {
		return l, false, nil
	}
	if strings.Trim(digest, "0") == "" {
		return l, false, fmt.Errorf("digest %s: a placeholder", digest)
	}
	l.Sum = upstream.Sum{Algorithm: known, Hex: strings.ToLower(digest)}
	if l.Name = name; escaped {
		l.Name, err = unescape(name)
	}
	return l, err == nil, err
}

// cutTag cuts the tag off a line of BSD's form, "SHA256 (name) = digits", or of
// openssl's, "SHA2-256(name)= digits".
func cutTag(line string) (tag, rest string, ok bool) {
	tag, rest, ok = strings.Cut(line, "(")
	tag = strings.TrimSuffix(tag, " ")
	return tag, rest, ok && (isAlgorithm(tag) || line == "("+rest && strings.HasPrefix(rest, "stdin)= "))
}

// tagged returns the algorithm of a tag, empty without a tag. Those that do not count are all
// "another".
func tagged(tag string) string {
	switch tag {
	case "":
		return ""
	case "SHA256", "SHA2-256":
		return "sha256"
	case "SHA384", "SHA2-384":
		return "sha384"
	case "SHA512", "SHA2-512":
		return "sha512"
	}
	return "another"
}

// isAlgorithm knows the tags that cksum and BSD's tools write.
func isAlgorithm(s string) bool {
	return slices.Contains([]string{
		"MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA512/256", "SHA3", "BLAKE2b", "SM3", "RMD160", "SIZE",
		"SHA2-256", "SHA2-384", "SHA2-512",
	}, s)
}

// unescape reverses what coreutils does to names with a backslash or a newline.
func unescape(name string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			out.WriteByte(name[i])
			continue
		}
		if i++; i == len(name) {
			return "", fmt.Errorf("name %.80q ends within an escape", name)
		}
		switch name[i] {
		case '\\':
			out.WriteByte('\\')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		default:
			return "", fmt.Errorf("name %.80q: unknown escape", name)
		}
	}
	return out.String(), nil
}

// sums is a SHA256SUMS file of a source.
type sums struct {
	pos       strictyaml.Pos
	file      *remote
	signature *remote   // configured, or nil
	guesses   []*remote // where it may be otherwise
}

// signatureNames end the URL of a SHA256SUMS file's detached signature, in
// the order in which they are requested.
var signatureNames = [...]string{".gpg", ".asc", ".sign"}

func newSums(e sumsEntry) (*sums, error) {
	s := &sums{pos: e.Pos}
	var err error
	s.file, err = newRemote(urlEntry{Pos: e.Pos, URL: e.URL, SHA256: e.SHA256, Path: e.Path}, "checksums")
	if err != nil {
		return nil, err
	}
	if e.Signature != "" {
		s.signature, err = newRemote(urlEntry{Pos: e.Pos, URL: e.Signature, Path: suffixed(e.Path, ".sig")}, "signature of the checksums")
		return s, err
	}
	for _, suffix := range signatureNames {
		if s.file.url().RawQuery != "" {
			break // what a suffix would mean there, nobody knows
		}
		guess, err := newRemote(urlEntry{Pos: e.Pos, URL: e.URL + suffix, Path: suffixed(e.Path, suffix)}, "signature of the checksums")
		if err != nil {
			return nil, err
		}
		s.guesses = append(s.guesses, guess)
	}
	return s, nil
}

// suffixed returns a configured path with a suffix, and empty without one.
func suffixed(path, suffix string) string {
	if path == "" {
		return ""
	}
	return path + suffix
}

// claims returns the paths that the file and its signature may take.
func (s *sums) claims() []claim {
	claims := []claim{{s.file.path, s.file.raw, s.pos}}
	for _, r := range append(s.guesses, s.signature) {
		if r != nil {
			claims = append(claims, claim{r.path, r.raw, s.pos})
		}
	}
	return claims
}

// vouching is the content of a SHA256SUMS file, and how it is vouched for itself.
type vouching struct {
	origin  *url.URL
	vouched string // a bundle.Vouched value for the files it names
	secure  bool
	lines   []sumsLine
	byName  map[string][]int // by path on origin's host, and by "*/" and base name
}

// where returns the SHA256SUMS file's URL without secrets.
func (v *vouching) where() string { return fetch.Redact(v.origin.String()) }

func newVouching(origin *url.URL, lines []sumsLine) *vouching {
	v := &vouching{origin: origin, lines: lines, byName: map[string][]int{}}
	for i, l := range lines {
		full := path.Join(path.Dir("/"+origin.Path), l.Name)
		v.byName[full] = append(v.byName[full], i)
		base := "*/" + path.Base(l.Name)
		v.byName[base] = append(v.byName[base], i)
	}
	return v
}

// forget drops the lines: every URL has its own by then.
func (v *vouching) forget() { v.lines, v.byName = nil, nil }

// match is what a SHA256SUMS file has for a URL: a digest, or another checksum where
// it has no digest.
type match struct {
	digest bundle.Digest
	sum    upstream.Sum
	by     *vouching
}

// contradicts reports whether m contradicts a checksum: the same algorithm, other digits.
func (m match) contradicts(s upstream.Sum) bool {
	if digest, ok := s.Digest(); ok {
		return !m.digest.IsZero() && m.digest != digest
	}
	return m.sum.Algorithm == s.Algorithm && m.sum != s
}

// with returns m and a checksum: the longest counts in addition to the digest.
func (m match) with(s upstream.Sum) match {
	if digest, ok := s.Digest(); ok {
		m.digest = digest
	} else if len(s.Hex) > len(m.sum.Hex) {
		m.sum = s
	}
	return m
}

func (m match) String() string {
	if m.digest.IsZero() {
		return m.sum.String()
	}
	return m.digest.String()
}

// matchAll finds the digests of urls: by path relative to the SHA256SUMS
// file's own URL, then by base name. A digest that one URL has by its path
// is not taken by another one by its name. More than one answer is an error.
func matchAll(files []*remote, all []*vouching) (map[*remote]match, error) {
	found := map[*remote]match{}
	taken := map[*vouching]map[int]bool{}
	var errs []error
	for _, v := range all {
		taken[v] = map[int]bool{}
	}
	for _, r := range files {
		u := r.url()
		for _, v := range all {
			if !sameHost(u, v.origin) {
				continue
			}
			lines := v.byName[path.Clean("/"+u.Path)]
			for _, i := range lines {
				taken[v][i] = true
			}
			errs = append(errs, note(found, r, v, lines))
		}
	}
	wanted := map[string]*remote{}
	for _, r := range files {
		if _, ok := found[r]; ok {
			continue
		}
		name := path.Base(r.url().Path)
		base := "*/" + name
		for _, v := range all {
			lines := slices.DeleteFunc(slices.Clone(v.byName[base]), func(i int) bool { return taken[v][i] })
			if len(lines) > 0 && wanted[base] != nil && wanted[base] != r {
				errs = append(errs, r.pos.Errorf("%s: %s names %s without a path, and %s is called so too: set sha256 for both",
					r.where(), v.where(), name, wanted[base].where()))
				continue
			}
			if len(lines) > 0 {
				wanted[base] = r
			}
			errs = append(errs, note(found, r, v, lines))
		}
	}
	return found, strictyaml.Join(errs...)
}

// note notes the digest that lines of v have for r.
func note(found map[*remote]match, r *remote, v *vouching, lines []int) error {
	for _, i := range lines {
		s := v.lines[i].Sum
		m, ok := found[r]
		if ok && m.contradicts(s) {
			return r.pos.Errorf("%s: %s has %s for it, and %s has %s: set sha256",
				r.where(), m.by.where(), m, v.where(), s)
		}
		if !ok {
			m.by = v
		}
		found[r] = m.with(s)
	}
	return nil
}

func sameHost(a, b *url.URL) bool { return hostDir(a) == hostDir(b) }
