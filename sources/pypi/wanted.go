package pypi

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/index"
	"github.com/gapbundle/gapbundle/sources/pypi/lockfile"
	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/resolve"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
	"github.com/gapbundle/gapbundle/sources/pypi/tags"
	"github.com/gapbundle/gapbundle/sources/replay"
)

// wanted is what the spec and the files that it names ask for.
type wanted struct {
	files       lockfile.Requirements
	packages    []resolve.Wanted // of the spec itself
	constraints []resolve.Wanted
	locks       []*lockfile.Lock
	// hashes are the digests of which a file of a project has to have one.
	hashes map[string][]string
	// digests of the files that were read, in order: a plan is a function of them.
	digests []string

	mu       sync.Mutex
	directs  map[string]*resolve.Release // by URL
	pinnedBy map[string]string           // who has the hashes of a project
}

// readWanted reads the files of the spec. Everything that is wrong is reported.
func readWanted(e *entry) (*wanted, error) {
	w := &wanted{hashes: map[string][]string{}, directs: map[string]*resolve.Release{}, pinnedBy: map[string]string{}}
	var errs []error
	collect := func(key string, err error) {
		if err != nil {
			errs = append(errs, e.Pos.Errorf("%s: %w", key, err))
		}
	}
	read := func(name string) ([]byte, error) {
		at := name
		if !filepath.IsAbs(at) {
			at = sources.Within(e.dir, name)
		}
		content, err := bundle.ReadNamed(at, lockfile.MaxFile)
		w.digests = append(w.digests, bundle.DigestOf(content).Hex())
		return content, err
	}
	reader := &lockfile.Reader{Read: read, Vars: e.Vars}
	for _, name := range e.Requirements {
		collect("requirements", reader.Requirements(name, &w.files))
	}
	for _, name := range e.Constraints {
		collect("constraints", reader.Constraints(name, &w.files))
	}
	for _, text := range e.Packages {
		q, err := lockfile.Parse(text)
		collect("packages", err)
		w.packages = append(w.packages, resolve.Wanted{Requirement: q, From: "packages"})
	}
	for _, name := range e.Locks {
		content, err := read(name)
		if err == nil {
			var l *lockfile.Lock
			l, err = lockfile.ReadLock(name, content)
			w.locks = append(w.locks, l)
		}
		collect("locks", err)
	}
	w.takeHashes()
	return w, strictyaml.Join(errs...)
}

// takeHashes collects the digests of requirements and constraints. If a project
// has some twice, those that are everywhere count.
func (w *wanted) takeHashes() {
	for _, q := range slices.Concat(w.files.Wanted, w.files.Constraints) {
		if len(q.Hashes) == 0 {
			continue
		}
		have, again := w.hashes[q.Name]
		if again {
			q.Hashes = slices.DeleteFunc(slices.Clone(q.Hashes), func(h string) bool { return !slices.Contains(have, h) })
		}
		w.hashes[q.Name], w.pinnedBy[q.Name] = q.Hashes, q.From
	}
	for _, q := range w.files.Constraints {
		w.constraints = append(w.constraints, resolve.Wanted{Requirement: q.Requirement, From: q.From})
	}
}

// requirements returns the requirements of files and of the spec.
func (w *wanted) requirements() []resolve.Wanted {
	all := slices.Clone(w.packages)
	for _, q := range w.files.Wanted {
		all = append(all, resolve.Wanted{Requirement: q.Requirement, From: q.From})
	}
	return all
}

// preRelease reports whether pre-releases of a project count like others.
func (w *wanted) preRelease(e *entry) func(name string) bool {
	return func(name string) bool { return w.files.Pre || slices.Contains(e.PreReleases, name) }
}

// excludes reports why a target cannot have a file of a project; "": it can.
func (w *wanted) excludes(e *entry, t pages.Target, name string, f *index.File) string {
	// If this depends on a number that is not known, the metadata is read before the
	// number matters, and the resolution reports that it is missing.
	if admits, err := t.Env.AdmitsPython(f.Python); err == nil && !admits {
		return "needs Python " + f.Python.String()
	}
	named := func(list []string) bool { return slices.Contains(list, name) || slices.Contains(list, ":all:") }
	switch {
	case f.URL == "" || t.Rank(f.Parsed) < 0:
		return "no file for " + t.Name()
	case f.Parsed.Sdist && (e.Sdists == sdistsNever || named(w.files.OnlyBinary)):
		return "only a source archive"
	case !f.Parsed.Sdist && named(w.files.NoBinary):
		return "a wheel, and --no-binary excludes it"
	}
	if hashes, ok := w.hashes[name]; ok && !slices.Contains(hashes, f.SHA256) {
		return "sha256 is not among the hashes of " + w.pinnedBy[name]
	}
	return ""
}

// direct returns the release of a requirement that has a URL, which needs a digest.
func (w *wanted) direct(q *marker.Requirement) (*resolve.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have := w.directs[q.URL]; have != nil {
		return have, nil
	}
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, err
	}
	digest := ""
	for part := range strings.SplitSeq(u.Fragment, "&") {
		if hex, ok := strings.CutPrefix(part, "sha256="); ok {
			digest = hex
		}
	}
	hashes := w.hashes[q.Name]
	if digest == "" && len(hashes) == 1 {
		digest = hashes[0]
	}
	switch {
	case len(digest) != 64:
		return nil, fmt.Errorf("want a digest: %s#sha256=<64 hexadecimal digits>, or --hash: %w", fetch.Redact(q.URL), lockfile.ErrInvalid)
	case len(hashes) > 0 && !slices.Contains(hashes, digest):
		return nil, fmt.Errorf("sha256 %s is not among the hashes of %s: %w", digest, w.pinnedBy[q.Name], lockfile.ErrInvalid)
	}
	u.Fragment, u.RawFragment = "", ""
	f, err := newFile(q.Name, simple.File{Name: path.Base(u.Path), URL: u.String(), SHA256: digest, Size: -1}, "a requirement")
	if err != nil {
		return nil, err
	}
	w.directs[q.URL] = &resolve.Release{Version: f.Parsed.Version, File: f}
	return w.directs[q.URL], nil
}

// newFile returns a file whose address and digest a lock or a requirement has.
func newFile(project string, f simple.File, by string) (*index.File, error) {
	if err := fetch.CheckURL(f.URL); err != nil {
		return nil, err
	}
	parsed, err := tags.ParseFile(project, f.Name)
	if err != nil {
		return nil, err
	}
	return &index.File{File: f, Parsed: parsed, Pinned: by}, nil
}

// isHashed reports whether every file has to have a digest in requirements.
func (w *wanted) isHashed() bool { return w.files.Hashed }

// mark returns everything that the choice is a function of besides the indexes.
func (w *wanted) mark(e *entry, env *sources.Env) (string, error) {
	o := e.options
	o.Pos, o.Targets = strictyaml.Pos{}, slices.Clone(o.Targets)
	for i := range o.Targets {
		o.Targets[i].Pos = strictyaml.Pos{}
	}
	return replay.Mark(env, struct {
		Version int
		Options options
		Files   []string
	}{planVersion, o, w.digests})
}

// planVersion changes when the same indexes lead to another plan.
const planVersion = 1
