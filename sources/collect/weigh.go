package collect

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources"
)

// Weight is how much one line of a repository takes in the mirror.
type Weight struct {
	Line string `json:"line"`
	// Bytes are the sizes of its files, as far as they are known; Unsized counts
	// those that are not. A file that two lines share counts for both.
	Bytes   int64 `json:"bytes"`
	Files   int64 `json:"files"`
	Unsized int64 `json:"unsized,omitempty"`
}

// Weigh returns the weights of the lines of a repository, the heaviest first. It
// looks at the artifacts of all repositories whose mount a line leads to: a line's
// files may be in a source that named them earlier.
func (r *Resolved) Weigh(lines []sources.Line) ([]Weight, error) {
	weights := make([]Weight, len(lines))
	at := map[string][]int{} // lines by path
	for i, l := range lines {
		weights[i].Line = l.Text
		for _, path := range l.Paths {
			at[path] = append(at[path], i)
		}
	}
	leads := func(mount string) func(sources.Line) bool {
		return func(l sources.Line) bool {
			return slices.ContainsFunc(l.Paths, func(path string) bool { return strings.HasPrefix(path, mount+"/") })
		}
	}
	for _, p := range r.Repositories {
		if !slices.ContainsFunc(lines, leads(p.Mount)) {
			continue
		}
		for a, err := range p.Artifacts() {
			if err != nil {
				return nil, err
			}
			eachFolder(p.Mount+"/"+a.File.Path, func(path string) {
				for _, i := range at[path] {
					weights[i].add(a.File.Size)
				}
			})
		}
	}
	slices.SortStableFunc(weights, func(a, b Weight) int { return int(min(max(b.Bytes-a.Bytes, -1), 1)) })
	return weights, nil
}

// eachFolder calls f for a path and for each folder that it is in.
func eachFolder(path string, f func(string)) {
	f(path)
	for i := range len(path) {
		if path[i] == '/' {
			f(path[:i+1])
		}
	}
}

func (w *Weight) add(size int64) {
	w.Files++
	if size < 0 {
		w.Unsized++
		return
	}
	w.Bytes += size
}
