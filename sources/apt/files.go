package apt

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// file is a path of a repository on its way. There is one for each package of
// an archive, so it holds no more than it must.
type file struct {
	path   string // in the mount
	size   int64
	digest bundle.Digest
	root   *root
	// from is where upstream has it, below root; "": there is path without the
	// root's prefix.
	from   string
	reason string
	more   *extra
}

// extra is what few files have.
type extra struct {
	vouched     string      // "": index
	content     []byte      // in memory
	local       string      // name in scratch
	byHash      string      // where upstream has it by content, below root
	open        bundle.Open // made here
	annotations map[string]string
	mark        string // of a choice, for the ledger
}

// inventory is the files of a repository while they are found.
type inventory struct {
	files []file
}

func (v *inventory) add(f file) { v.files = append(v.files, f) }

// settle sorts the files and takes those off that stand twice. One path with
// two contents is refused: upstream contradicts itself.
func (v *inventory) settle() error {
	slices.SortStableFunc(v.files, func(a, b file) int { return bundle.ComparePaths(a.path, b.path) })
	kept := v.files[:0]
	for i := range v.files {
		f := &v.files[i]
		if len(kept) == 0 || kept[len(kept)-1].path != f.path {
			if err := checkPlace(f.path); err != nil {
				return err
			}
			kept = append(kept, *f)
			continue
		}
		if last := &kept[len(kept)-1]; last.digest != f.digest || last.size != f.size {
			return fmt.Errorf("%s: %s (%d bytes) by one index, %s (%d bytes) by another: %w",
				f.path, last.digest, last.size, f.digest, f.size, fetch.ErrUpstream)
		}
	}
	clear(v.files[len(kept):])
	v.files = slices.Clip(kept)
	return nil
}

// artifacts replays the files.
func (v *inventory) artifacts(env *sources.Env) func() iter.Seq2[sources.Artifact, error] {
	return func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for i := range v.files {
				if !yield(v.files[i].artifact(env), nil) {
					return
				}
			}
		}
	}
}

// upstream is where upstream has the file, below its root.
func (f *file) upstream() string {
	if f.from != "" {
		return f.from
	}
	return f.path[len(f.root.prefix):]
}

func (f *file) artifact(env *sources.Env) sources.Artifact {
	a := sources.Artifact{
		File:     bundle.File{Path: f.path, Size: f.size, Digest: f.digest},
		Evidence: bundle.Evidence{Path: f.path, Vouched: bundle.VouchedIndex, Reason: f.reason},
	}
	x := f.more
	if x == nil {
		x = &extra{}
	}
	a.File.Annotations, a.Validator = x.annotations, x.mark
	if x.vouched != "" {
		a.Evidence.Vouched = x.vouched
	}
	var urls []string
	if f.root != nil {
		if x.byHash != "" {
			urls = append(urls, f.root.url+escape(x.byHash))
		}
		origin := f.root.url + escape(f.upstream())
		urls = append(urls, origin)
		a.Evidence.Origin = fetch.Redact(origin)
	}
	switch {
	case x.open != nil:
		a.Open = x.open
	case x.content != nil:
		a.Open = sources.InMemory(x.content, "")
	case x.local != "":
		a.Open = env.InScratch(x.local)
	default:
		a.Open = overNetwork(env.Fetch, urls)
	}
	return a
}

func overNetwork(client *fetch.Client, urls []string) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		body, err := openFirst(ctx, client, urls, at, validator)
		if err != nil {
			return nil, err
		}
		return &bundle.Content{Body: body, At: body.At, Validator: body.Meta.Validator()}, nil
	}
}
