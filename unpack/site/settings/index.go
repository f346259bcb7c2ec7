package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Index finds out whether a mirror holds the content that variables point to. Lists of files
// are too long to be held in memory, and unchanged ones are not read again, so it works in
// steps: the tables register their questions, a Reader answers them for the list of one
// repository, and its Answers are merged. Memory grows with the tables, and with the folders
// of registries, repositories and indexes up to a bound.
type Index struct {
	exact    map[string]bool     // asked: whether it is there, as a file or a folder
	patterns map[string][]string // by the folders before the first star: patterns of names
	hits     map[string][]string // by pattern
	cut      map[string]bool     // patterns that more names fit than are kept
	keys     map[string]bundle.Digest
}

const (
	// maxGlob bounds the names that are kept for one pattern.
	maxGlob = 1000
	// maxKeys bounds the published keys of a repository that are kept; a set may have as
	// many files of keys (package reach).
	maxKeys = 4096
)

func newIndex() *Index {
	return &Index{exact: map[string]bool{}, patterns: map[string][]string{}, hits: map[string][]string{}, cut: map[string]bool{}, keys: map[string]bundle.Digest{}}
}

// ask notes an exact path.
func (x *Index) ask(at string) { x.exact[at] = false }

// askGlob notes a pattern, where * stands for any name or part of one.
func (x *Index) askGlob(pattern string) {
	before, _, _ := strings.Cut(pattern, "*")
	dir := path.Dir(before + "x")
	if !slices.Contains(x.patterns[dir], pattern) {
		x.patterns[dir] = append(x.patterns[dir], pattern)
	}
}

// Questions returns a digest of everything that is asked: equal questions about equal lists have
// equal answers.
func (x *Index) Questions() (bundle.Digest, error) {
	var patterns []string
	for _, of := range x.patterns {
		patterns = append(patterns, of...)
	}
	slices.Sort(patterns)
	b, err := json.Marshal([][]string{slices.Sorted(maps.Keys(x.exact)), patterns})
	if err != nil {
		return bundle.Digest{}, fmt.Errorf("what the tables of settings ask: %w", err)
	}
	return bundle.DigestOf(b), nil
}

// Answers are the answers of one repository's lists to the registered questions.
type Answers struct {
	Exact []string                 `json:"exact,omitempty"`
	Hits  map[string][]string      `json:"hits,omitempty"`
	Keys  map[string]bundle.Digest `json:"keys,omitempty"`
	// Cut are the patterns that more names fit than are in Hits.
	Cut []string `json:"cut,omitempty"`
}

// Merge adds the answers of a repository.
func (x *Index) Merge(a Answers) {
	for _, at := range a.Exact {
		if _, asked := x.exact[at]; asked {
			x.exact[at] = true
		}
	}
	for pattern, found := range a.Hits {
		x.hits[pattern] = append(x.hits[pattern], found...)
	}
	for _, pattern := range a.Cut {
		x.cut[pattern] = true
	}
	maps.Copy(x.keys, a.Keys)
}

func (x *Index) has(at string) bool { return x.exact[at] }

// glob returns the names that match a pattern, sorted and each once. more means that there are
// others, beyond the bound.
func (x *Index) glob(pattern string) (found []string, more bool) {
	all := slices.Compact(slices.Sorted(slices.Values(x.hits[pattern])))
	return all[:min(len(all), maxGlob)], x.cut[pattern] || len(all) > maxGlob
}

// Reader goes over the list of one repository.
type Reader struct {
	index   *Index
	answers Answers
	exact   map[string]bool
	// dir is the folder of the file before, and near the patterns that its files may match.
	dir  string
	near []string
}

// Read returns a reader.
func (x *Index) Read() *Reader {
	return &Reader{index: x, dir: "?", exact: map[string]bool{}, answers: Answers{Hits: map[string][]string{}, Keys: map[string]bundle.Digest{}}}
}

// Answers returns the answers of all files that were added.
func (r *Reader) Answers() Answers {
	r.answers.Exact = slices.Sorted(maps.Keys(r.exact))
	return r.answers
}

// Add adds a file by its web path. Lists are sorted, so that most files are in the folder of
// the one before.
func (r *Reader) Add(at string, digest bundle.Digest) {
	dir := path.Dir(at)
	if dir != r.dir {
		r.enter(dir)
	}
	if _, asked := r.index.exact[at]; asked {
		r.exact[at] = true
	}
	for _, pattern := range r.near {
		r.match(pattern, at)
	}
	if dir == "keys" && len(r.answers.Keys) < maxKeys {
		r.answers.Keys[at] = digest
	}
}

// enter goes to another folder.
func (r *Reader) enter(dir string) {
	r.dir, r.near = dir, nil
	for d := dir; d != "."; d = path.Dir(d) {
		if _, asked := r.index.exact[d]; asked {
			r.exact[d] = true
		}
		r.near = append(r.near, r.index.patterns[d]...)
	}
}

// match keeps a file, or the folder above it, that a pattern fits.
func (r *Reader) match(pattern, at string) {
	depth := strings.Count(pattern, "/")
	for i := range len(at) {
		if at[i] != '/' {
			continue
		}
		if depth == 0 {
			at = at[:i]
			break
		}
		depth--
	}
	if depth != 0 {
		return
	}
	hits := r.answers.Hits[pattern]
	if n := len(hits); n > 0 && hits[n-1] == at {
		return
	}
	if ok, err := path.Match(pattern, at); err != nil || !ok || slices.Contains(hits, at) {
		return
	}
	if len(hits) == maxGlob {
		if !slices.Contains(r.answers.Cut, pattern) {
			r.answers.Cut = append(r.answers.Cut, pattern)
		}
		return
	}
	r.answers.Hits[pattern] = append(hits, at)
}
