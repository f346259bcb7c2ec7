package reach

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	clientsMount = "_gapbundle/clients"
	clientFile   = "client file"
	// baseMark is what client files have in place of the address of the mirror.
	baseMark = "@BASE@"
)

// Bounds of the client files of one set: each is read.
const (
	maxClientFiles = 50_000
	maxClientBytes = 64 << 20 // of all client files of a set together
)

// Endings of the forms of client files that are read. They are told apart by their endings
// and by no kind, as apt and dnf do.
const (
	sourcesEnding = ".sources" // deb822: sources.list(5)
	listEnding    = ".list"    // one-line entries: sources.list(5)
	repoEnding    = ".repo"    // dnf.conf(5)
)

// clientFiles are a set's client files, and what they may name.
type clientFiles struct {
	files  []bundle.File
	bytes  int64
	kinds  map[string]bool
	names  []string // of sources, as they are in the names of files
	mounts []*bundle.Repository
}

func (c *clientFiles) know(repositories []bundle.Repository) {
	c.kinds = map[string]bool{}
	for i := range repositories {
		r := &repositories[i]
		c.kinds[r.Kind] = true
		c.names = append(c.names, strings.ReplaceAll(r.Name, "/", "-"))
		c.mounts = append(c.mounts, r)
	}
}

// noteClientFile takes in a line of a list below the client files; relative is its path
// there: the kind, a folder for a program where the kind has some, and the file.
func (s *Survey) noteClientFile(f bundle.File, relative string) {
	c := &s.clients
	switch kind, _, deeper := strings.Cut(relative, "/"); {
	case !deeper || !c.kinds[kind]:
		s.refuse(clientFile, f.Path, "want the folder of a kind that a source of the set has, found %q", kind)
		return
	case isRead(relative) && !c.named(path.Base(relative)) && !c.inFolder(relative):
		s.refuse(clientFile, f.Path, "want a name that begins with the name of a source of the set, or a folder with such a name")
	}
	switch {
	case f.Size > MaxFile:
		s.refuse(clientFile, f.Path, "%s, at most %d", bundle.Count(f.Size, "byte"), MaxFile)
	case len(c.files) == maxClientFiles || c.bytes+f.Size > maxClientBytes:
		s.refuse(clientFile, f.Path, "a set has at most %d client files, of %d bytes together", maxClientFiles, int64(maxClientBytes))
	default:
		c.files, c.bytes = append(c.files, f), c.bytes+f.Size
	}
}

func isRead(name string) bool {
	return strings.HasSuffix(name, sourcesEnding) || strings.HasSuffix(name, listEnding) || strings.HasSuffix(name, repoEnding)
}

// inFolder reports whether a file below the client files is in a folder that is named after
// a source, below that of its kind. There it has whatever name a client needs, as that of a
// vendor's own.
func (c *clientFiles) inFolder(relative string) bool {
	folder := path.Dir(relative)
	return strings.Contains(folder, "/") && c.named(path.Base(folder)+".")
}

// named reports whether a file's name begins with that of a source.
func (c *clientFiles) named(name string) bool {
	for _, source := range c.names {
		rest, ok := strings.CutPrefix(name, source)
		if ok && rest != "" && (rest[0] == '.' || rest[0] == '-') {
			return true
		}
	}
	return false
}

// judgeClients reads every client file: the addresses in it, and, in the forms that
// are read, every field.
func (s *Survey) judgeClients(open Open) error {
	keys := map[string]bool{}
	for _, f := range s.keys.files {
		keys[f.Path] = true
	}
	for _, f := range s.clients.files {
		content, err := s.read(open, f)
		if err != nil {
			return err
		}
		if content == nil {
			continue
		}
		c := &client{Survey: s, path: f.Path, published: keys}
		c.addresses(content)
		switch {
		case strings.HasSuffix(f.Path, sourcesEnding):
			c.deb822(content)
		case strings.HasSuffix(f.Path, listEnding):
			c.lines(content)
		case strings.HasSuffix(f.Path, repoEnding):
			c.repo(content)
		case strings.HasSuffix(f.Path, ".sh"), bytes.HasPrefix(content, []byte("#!")):
			s.scripts = note(s.scripts, f.Path)
		}
	}
	return nil
}

// client is one client file that is judged.
type client struct {
	*Survey
	path      string
	published map[string]bool // paths of the set's key files
}

func (c *client) wrong(format string, args ...any) { c.refuse(clientFile, c.path, format, args...) }

// addresses looks at every address in the mirror, wherever it is in the file.
func (c *client) addresses(content []byte) {
	for {
		_, after, found := bytes.Cut(content, []byte(baseMark))
		if !found {
			return
		}
		content = after
		if len(after) == 0 || after[0] != '/' {
			continue
		}
		end := bytes.IndexFunc(after, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\"'`<>,;|)]}", r) })
		if end < 0 {
			end = len(after)
		}
		// A folder of all mounts of a kind, as in "@BASE@/apt/<source>", is nobody's. In
		// the forms that are read it is not enough.
		if folder := strings.Trim(string(after[:end]), "/"); isRead(c.path) || strings.Contains(folder, "/") || isSteps(folder) {
			c.address(string(after[:end]))
		}
	}
}

// address judges what follows the mirror's address: "/" and a path, which has to be
// below a mount of the set. Below keys/ it is a key file of the set. It returns the
// repository that has the mount.
func (c *client) address(rest string) *bundle.Repository {
	web := strings.TrimPrefix(rest, "/")
	if web == "" {
		return nil // the mirror itself
	}
	if isSteps(web) {
		c.wrong("the address %s%.200s: want a path without steps upwards", baseMark, rest)
		return nil
	}
	for _, r := range c.clients.mounts {
		if web != r.Mount && !strings.HasPrefix(web, r.Mount+"/") {
			continue
		}
		if r.Mount == keysMount && !c.isKey(web) {
			c.wrong("the address %s%.200s: the set publishes no such key file", baseMark, rest)
		}
		return r
	}
	c.wrong("the address %s%.200s: below no mount of the set", baseMark, rest)
	return nil
}

// isKey reports whether a web path is a key file of the set, as far as is known here.
func (c *client) isKey(web string) bool {
	return c.published[web] || c.noKeys && strings.HasPrefix(web, keysMount+"/")
}

// isSteps reports whether a path has a component that leads upwards, escaped or not.
func isSteps(web string) bool {
	web = strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/", `\`, "/").Replace(web)
	for part := range strings.SplitSeq(web, "/") {
		if part == ".." || part == "." {
			return true
		}
	}
	return false
}

// source judges an address that a client gets packages from: one of this mirror, below
// a mount of the set.
func (c *client) source(field, value string) *bundle.Repository {
	rest, ok := strings.CutPrefix(value, baseMark)
	if !ok || !strings.HasPrefix(rest, "/") || strings.Trim(rest, "/") == "" {
		c.wrong("%s %.200q: want an address below %s/", field, value, baseMark)
		return nil
	}
	return c.repository(rest)
}

// repository returns address without what addresses contains already.
func (c *client) repository(rest string) *bundle.Repository {
	said := len(c.errs)
	r := c.address(rest)
	c.errs = c.errs[:said]
	return r
}

// unsigned judges a field that has clients take packages without a signature: the root
// has to state for the source that it allows it.
func (c *client) unsigned(field string, repositories []*bundle.Repository) {
	if len(repositories) == 0 {
		c.wrong("%s: for no source of the set", field)
	}
	for _, r := range repositories {
		allowed := r.Annotations[bundle.AllowedKey]
		if allowed == "" {
			c.wrong("%s: the root does not say that source %s allows it", field, r.Name)
			continue
		}
		c.allowed = note(c.allowed, fmt.Sprintf("source %s allows %s: /%s has %s", r.Name, allowed, c.path, field))
	}
}

// maxNotes bounds what is reported of client files.
const maxNotes = 100

// note adds a line, each once.
func note(all []string, line string) []string {
	if len(all) == maxNotes || slices.Contains(all, line) {
		return all
	}
	return append(all, line)
}
