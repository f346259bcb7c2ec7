package settings

import (
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Place is where the mirror holds what a public address names.
type Place struct {
	At     string // web path, without a slash at its beginning
	Source string // name of the source
}

// Mirror is what a generation holds, as its clients see it.
type Mirror struct {
	// Lookup returns the places of the sources that stand for a public address; none: no
	// source does. answered means that the public name itself is answered, too: by the first.
	Lookup func(address string) (all []Place, answered bool)
	// Base, Host and Insecure stand for the address of the mirror, its host with the port,
	// and true where it has no TLS.
	Base, Host, Insecure string
	// Names are the public names that the mirror can answer under.
	Names []string
	// Clients are the client files that kinds wrote, by the name of the kind and the path
	// that it gave, and ClientsAt is the web path of their folder.
	Clients   fs.FS
	ClientsAt string
	// Open opens content by digest.
	Open func(bundle.Digest) (io.ReadCloser, error)

	index   *Index
	asking  bool
	clients []client
	notes   []string
}

// maxNotes bounds what is said about settings that lack something.
const maxNotes = 20

// note reports what the settings lack, each once.
func (m *Mirror) note(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); len(m.notes) < maxNotes && !slices.Contains(m.notes, line) {
		m.notes = append(m.notes, line)
	}
}

// Index returns an index that knows what the tables ask of this mirror. The answers of every
// repository have to be merged into it before Write. An error is that of reading Clients.
func (m *Mirror) Index() (*Index, error) {
	if err := m.readClients(); err != nil {
		return nil, err
	}
	m.index, m.asking = newIndex(), true
	Settle(m, DeepOps())
	m.pythonIndexes()
	m.galaxies()
	m.rewrites()
	m.registries()
	m.asking = false
	return m.index, nil
}

// has reports whether there is a file or a folder at a web path.
func (m *Mirror) has(at string) bool {
	if m.asking {
		m.index.ask(at)
	}
	return m.index.has(at)
}

// glob returns the web paths that fit a pattern of this package, sorted.
func (m *Mirror) glob(pattern string) []string {
	if m.asking {
		m.index.askGlob(pattern)
	}
	found, more := m.index.glob(pattern)
	if more {
		m.note("more than %d names in the mirror are like %s; the settings know that many", maxGlob, pattern)
	}
	return found
}

// url returns the address of a web path in the mirror.
func (m *Mirror) url(at string) string {
	return m.Base + "/" + (&url.URL{Path: at}).EscapedPath()
}

// where looks an address up. Sources have their files also where no public name is answered:
// two selections of one repository stand for one name, and each is at a place of its own.
func (m *Mirror) where(address string) (all []Place, answered bool) {
	all, answered = m.Lookup(address)
	for i := range all {
		all[i].At = strings.Trim(all[i].At, "/")
	}
	return all, answered
}

// found is the web path of something that a variable stands for.
type found struct {
	Place
	public   string // its public address, with the version that is there
	version  string // where it is another one than the table has
	answered bool
}

// file looks for the file at a public address; vary is the part of the address that is a
// version: where the mirror has another one, the highest is taken.
func (m *Mirror) file(address, vary string) (found, bool) {
	all, answered := m.where(address)
	for i, p := range all {
		if m.has(p.At) {
			return found{p, address, "", answered && i == 0}, true
		}
	}
	for i, p := range all {
		if at, version := m.other(p.At, vary); at != "" {
			p.At = at
			return found{p, strings.ReplaceAll(address, vary, version), version, answered && i == 0}, true
		}
	}
	return found{}, false
}

// other returns the path that differs from at in its version alone, and the version.
func (m *Mirror) other(at, vary string) (best, version string) {
	if vary == "" || !strings.Contains(at, vary) {
		return "", ""
	}
	before, after, _ := strings.Cut(at, vary)
	suffix, _, _ := strings.Cut(after, "/")
	for _, name := range m.glob(strings.ReplaceAll(at, vary, "*")) {
		rest, ok := strings.CutPrefix(name, before)
		if !ok {
			continue
		}
		part, _, _ := strings.Cut(rest, "/")
		v, ok := strings.CutSuffix(part, suffix)
		if !ok || v == "" || strings.ReplaceAll(at, vary, v) != name {
			continue
		}
		if version == "" || laterVersion(v, version) {
			best, version = name, v
		}
	}
	return best, version
}

// laterVersion compares runs of digits as numbers and everything else as text.
func laterVersion(a, b string) bool {
	for a != "" && b != "" {
		x, y := run(a), run(b)
		if x != y {
			if isDigit(x[0]) && isDigit(y[0]) {
				p, q := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
				if len(p) != len(q) {
					return len(p) > len(q)
				}
				return p > q
			}
			return x > y
		}
		a, b = a[len(x):], b[len(y):]
	}
	return len(a) > len(b)
}

// run returns the first run of digits, or of other characters.
func run(s string) string {
	i := 1
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}
	return s[:i]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// folder looks for a folder at a public address that has each of the probes below it.
func (m *Mirror) folder(address string, probes ...string) (found, bool) {
	all, answered := m.where(address)
	for i, p := range all {
		there := m.has(p.At)
		for _, probe := range probes {
			there = len(m.glob(path.Join(p.At, probe))) > 0 && there
		}
		if there {
			return found{p, address, "", answered && i == 0}, true
		}
	}
	return found{}, false
}

// image looks for an image by its name at its registry, in the tag of the name or, where
// vary is a part of it, in another.
func (m *Mirror) image(ref, vary string) (name string, f found, ok bool) {
	repository, tag := ref, ""
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		repository, tag = ref[:i], ref[i+1:]
	}
	at := "v2/" + repository + "/manifests/" + tag
	f = found{Place: Place{At: at}, public: ref}
	f.answered = m.registryAnswers(repository)
	if !m.has(at) {
		other, version := m.other(at, vary)
		if other == "" {
			return "", found{}, false
		}
		tag = strings.ReplaceAll(tag, vary, version)
		f.At, f.public, f.version = other, repository+":"+tag, version
	}
	return m.Host + "/" + repository + ":" + tag, f, true
}

// registryAnswers reports whether the mirror answers for an image under its registry's name.
func (m *Mirror) registryAnswers(repository string) bool {
	registry, name, _ := strings.Cut(repository, "/")
	if registry == "docker.io" {
		registry = "registry-1.docker.io"
	}
	_, answered := m.where("https://" + registry + "/v2/" + name)
	return answered
}

// client reads a client file. One that is longer than maxSmall is errTooLong.
func (m *Mirror) client(name string) ([]byte, error) {
	f, err := m.Clients.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded(f)
}

// key reads a file of published keys. One that is longer than maxSmall is errTooLong.
func (m *Mirror) key(at string) ([]byte, error) {
	digest, ok := m.index.keys[at]
	if !ok {
		return nil, fs.ErrNotExist
	}
	f, err := m.Open(digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded(f)
}

// maxSmall bounds client files and keys that become a part of others.
const maxSmall = 1 << 20 // bytes

var errTooLong = fmt.Errorf("longer than %d bytes", maxSmall)

func bounded(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxSmall+1))
	if err == nil && len(content) > maxSmall {
		err = errTooLong
	}
	return content, err
}
