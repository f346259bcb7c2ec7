package replay

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// MarkKey is the annotation of a file that decides: what it was planned for, as
// Configuration returns it.
const MarkKey = "configuration"

// Configuration identifies what a file that decides is planned for: everything that
// the list is a function of besides the file itself. It begins with a version, which
// the kind changes when it plans the same differently. of is a struct of strings,
// numbers, booleans and lists of them.
func Configuration(of any) string { return digest(of).Hex()[:32] }

// serializing guards the site's key: go-crypto keeps parts of what it serializes in the
// key, which all sources share.
var serializing sync.Mutex

// Mark identifies everything that a choice is a function of: of, the program, and
// the public key of the site, if there is one.
func Mark(env *sources.Env, of any) (string, error) {
	var key bytes.Buffer
	if env.Site != nil {
		serializing.Lock()
		err := env.Site.Serialize(&key)
		serializing.Unlock()
		if err != nil {
			return "", err
		}
	}
	return digest(struct {
		Tool, SiteKey string
		Of            any
	}{env.Tool, bundle.DigestOf(key.Bytes()).Hex(), of}).Hex(), nil
}

func digest(of any) bundle.Digest {
	text, err := json.Marshal(of)
	if err != nil {
		// A programming error: a struct of text and numbers always marshals.
		panic("replay: " + err.Error())
	}
	return bundle.DigestOf(text)
}

// Memory is what the base recorded of one repository, as far as it decides whether
// the base stands for the plan. A nil Memory remembers nothing.
type Memory struct {
	marked map[string]sources.Recorded // by mark
	at     map[string]sources.Recorded // by path, of those that were requested
	made   map[string]int              // by validator
	twice  bool                        // two files have one mark
	// Remake is how many bytes are read and made again if somebody opens what was
	// made: the sizes of what was made and of the indexes.
	Remake int64
}

// Recall reads what the base recorded of a repository, in one pass; nil if there is no
// base, or one that was recorded without the entries of its files. paths are those that Has is asked about. index is the reason of the indexes
// that have to be read to make again what was made.
func Recall(env *sources.Env, repo, index string, paths ...string) (*Memory, error) {
	if _, named := env.Entries(repo); !named {
		return nil, nil
	}
	m := &Memory{marked: map[string]sources.Recorded{}, at: map[string]sources.Recorded{}, made: map[string]int{}}
	for r, err := range env.Base.Files(repo) {
		if err != nil {
			return nil, err
		}
		if IsMade(r) {
			m.made[r.Validator]++
			m.Remake += r.File.Size
		} else if index != "" && r.Reason == index {
			m.Remake += r.File.Size
		}
		if mark := r.File.Annotations[MarkKey]; mark != "" {
			_, known := m.marked[mark]
			m.marked[mark], m.twice = r, m.twice || known
		}
		if slices.Contains(paths, r.File.Path) {
			m.at[r.File.Path] = r
		}
	}
	return m, nil
}

// IsMade reports whether a recorded file was made here: it has no origin.
func IsMade(r sources.Recorded) bool { return r.Origin == "" && r.Vouched != bundle.VouchedLocal }

// Decided reports whether the files that decide are exactly those of the base: marks
// has the digest of each by its configuration.
func (m *Memory) Decided(marks map[string]bundle.Digest) bool {
	if m == nil || m.twice || len(m.marked) != len(marks) || len(marks) == 0 {
		return false
	}
	for mark, digest := range marks {
		if r, ok := m.marked[mark]; !ok || r.File.Digest != digest {
			return false
		}
	}
	return true
}

// Marked returns the file that decides with a configuration.
func (m *Memory) Marked(mark string) (r sources.Recorded, ok bool) {
	if m == nil {
		return r, false
	}
	r, ok = m.marked[mark]
	return r, ok
}

// Has reports whether the base has a file with this digest under a path that Recall
// was asked for.
func (m *Memory) Has(path string, digest bundle.Digest) bool {
	if m == nil {
		return false
	}
	r, ok := m.at[path]
	return ok && r.File.Digest == digest
}

// Knows reports whether the base has a file under a path that Recall was asked for.
func (m *Memory) Knows(path string) bool {
	if m == nil {
		return false
	}
	_, ok := m.at[path]
	return ok
}

// Made reports whether the base has exactly n files that were made of the choice with
// this mark.
func (m *Memory) Made(mark string, n int) bool {
	return m != nil && n > 0 && m.made[mark] == n
}

// Plan states how the files of a repository whose base is the plan are opened.
type Plan struct {
	// Fresh are the files that decide, which were just read: their content is at hand
	// and how it is vouched for was just found out.
	Fresh []stock.File
	// Again makes what was made once more. nil: nothing of this repository was made.
	Again *Again
	// Finish completes an artifact before it is handed out: for a kind whose files
	// have several addresses, or have to hold more than a digest. nil: not needed.
	Finish func(r sources.Recorded, a *sources.Artifact) error
}

// Artifacts returns what the base recorded of a repository, as Repository.Artifacts
// wants it. Files that were neither made nor read just now are fetched from where they
// came from.
func (p Plan) Artifacts(env *sources.Env, repo string) func() iter.Seq2[sources.Artifact, error] {
	fresh := make(map[string]sources.Artifact, len(p.Fresh))
	for i := range p.Fresh {
		fresh[p.Fresh[i].Path] = p.Fresh[i].Artifact(env)
	}
	return func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			entries, stop := recordedEntries(env, repo)
			defer stop()
			for r, err := range env.Base.Files(repo) {
				var a sources.Artifact
				if err == nil {
					a, err = p.artifact(env, repo, r, fresh)
				}
				if err == nil {
					a.Entries, err = entries(r.File.Path)
				}
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
}

// recordedEntries returns a function that returns the recorded entries of paths, asked for
// in their order.
func recordedEntries(env *sources.Env, repo string) (of func(path string) (sources.EntryList, error), stop func()) {
	all, ok := env.Entries(repo)
	if !ok {
		return func(string) (sources.EntryList, error) { return "", nil }, func() {}
	}
	next, stop := iter.Pull2(all)
	var at sources.NamedPath
	more := true
	return func(path string) (sources.EntryList, error) {
		for more && (at.Path == "" || bundle.ComparePaths(at.Path, path) < 0) {
			var err error
			if at, err, more = next(); err != nil {
				return "", err
			}
		}
		if more && at.Path == path {
			return at.Entries, nil
		}
		return "", nil
	}, stop
}

func (p Plan) artifact(env *sources.Env, repo string, r sources.Recorded, fresh map[string]sources.Artifact) (sources.Artifact, error) {
	a := sources.Artifact{
		File:     r.File,
		Evidence: bundle.Evidence{Path: r.File.Path, Origin: r.Origin, Vouched: r.Vouched, Reason: r.Reason},
	}
	own, isFresh := fresh[r.File.Path]
	switch {
	case isFresh:
		a.Open, a.Evidence.Vouched = own.Open, own.Evidence.Vouched
		return a, nil
	case IsMade(r) && p.Again != nil:
		a.Open, a.Validator = p.Again.Open(repo, r.File.Path), r.Validator
		return a, nil
	}
	a.Open = upstream.At(r.Origin).Open(env, upstream.Want{Sum: upstream.SHA256(r.File.Digest), Size: r.File.Size})
	if p.Finish == nil {
		return a, nil
	}
	return a, p.Finish(r, &a)
}
