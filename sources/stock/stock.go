package stock

import (
	"fmt"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// File is a path of a repository and how to get it.
type File struct {
	Path   string        // below the repository's mount
	Size   int64         // bytes; -1: upstream does not state it
	Digest bundle.Digest // zero: not known, or More.Sum is what is known
	// Place has the file under the name From, which is not escaped; nil: it is made
	// here. From may be a part of Path, so that one string is held.
	Place *upstream.Place
	From  string
	// Reason is why it is in the mirror, for people.
	Reason string
	// Entries are what it stands for, by name. If a path is added twice, those of both
	// are kept.
	Entries sources.EntryList
	// Tag is the kind's own, for Stock.Finish. If a path is added twice, the
	// first Tag that is not empty is kept.
	Tag  string
	More *More // nil: nothing of it
}

// More is what few files have.
type More struct {
	// Vouched is how the file is vouched for; "" is bundle.VouchedIndex.
	Vouched string
	// Sum is what upstream's index has instead of a SHA-256. The base's digest is
	// taken over where it recorded the same sum.
	Sum upstream.Sum
	// Content is in memory, Local in scratch, Open anywhere else; at most one is set.
	// Otherwise Place has the file.
	Content []byte
	Local   string
	Open    bundle.Open
	// Also are other names of the same content at Place, which are tried before From.
	Also []string
	// Annotations are the file's, on the medium.
	Annotations map[string]string
	MediaType   string
	// Validator is recorded with the file and names its version; "" leaves it to
	// whoever is asked for the content.
	Validator string
}

// InMemory returns More for content that was read or made.
func InMemory(content []byte, vouched string) *More {
	if content == nil {
		content = []byte{}
	}
	return &More{Content: content, Vouched: vouched}
}

// Stock is the files of one repository. It is filled and settled by one goroutine;
// after that it may be read by several. The zero Stock is empty.
type Stock struct {
	Files []File
	// Finish completes an artifact before it is handed out: for a kind whose files
	// have to hold more than a digest. recorded is what the base has under the path,
	// nil if it has nothing. Finish is called in order of paths. nil: not needed.
	Finish func(f *File, recorded *sources.Recorded, a *sources.Artifact) error
}

// Add adds files in any order.
func (s *Stock) Add(files ...File) { s.Files = append(s.Files, files...) }

// Settle sorts the files by path and keeps one of those that were added twice. A
// path that cannot be one of a mirror, and one path with two contents, match
// fetch.ErrUpstream.
func (s *Stock) Settle() error {
	slices.SortStableFunc(s.Files, func(a, b File) int { return bundle.ComparePaths(a.Path, b.Path) })
	kept := s.Files[:0]
	for i := range s.Files {
		f := &s.Files[i]
		if len(kept) == 0 || kept[len(kept)-1].Path != f.Path {
			if err := bundle.CheckPath(f.Path); err != nil {
				return upstream.Blame("file list", err)
			}
			kept = append(kept, *f)
			continue
		}
		last := &kept[len(kept)-1]
		if last.want() != f.want() {
			return fmt.Errorf("%s: %s by one entry, %s by another: %w", f.Path, last.want(), f.want(), fetch.ErrUpstream)
		}
		if last.Tag == "" {
			last.Tag = f.Tag
		}
		last.Entries = last.Entries.Join(f.Entries)
	}
	// Not copied to its length: two lists at once would be the most memory that a plan needs.
	s.Files = slices.Clip(kept)
	return nil
}

// want returns what upstream's index states about the file.
func (f *File) want() upstream.Want {
	if f.Digest.IsZero() && f.More != nil {
		return upstream.Want{Sum: f.More.Sum, Size: f.Size}
	}
	return upstream.Want{Sum: upstream.SHA256(f.Digest), Size: f.Size}
}

// Artifacts returns the files as Repository.Artifacts wants them. repo is the name of
// the repository, whose base is looked at where Finish or a Sum needs it.
func (s *Stock) Artifacts(env *sources.Env, repo string) func() iter.Seq2[sources.Artifact, error] {
	return func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			base := env.Cursor(repo)
			defer base.Close()
			for i := range s.Files {
				a, err := s.artifact(env, base, &s.Files[i])
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
}

func (s *Stock) artifact(env *sources.Env, base *sources.Cursor, f *File) (sources.Artifact, error) {
	if s.Finish == nil && !f.isSummed() {
		return f.Artifact(env), nil
	}
	return s.finished(base, f, f.Artifact(env))
}

// finished completes an artifact by what the base recorded under its path.
func (s *Stock) finished(base *sources.Cursor, f *File, a sources.Artifact) (sources.Artifact, error) {
	recorded, known, err := base.Lookup(f.Path)
	if err != nil {
		return a, err
	}
	if f.isSummed() && known && a.Validator != "" && recorded.Validator == a.Validator && (f.Size < 0 || f.Size == recorded.File.Size) {
		a.File.Digest, a.File.Size = recorded.File.Digest, recorded.File.Size
	}
	if s.Finish == nil {
		return a, nil
	}
	if !known {
		return a, s.Finish(f, nil, &a)
	}
	return a, s.Finish(f, &recorded, &a)
}

// Artifact returns the file as an artifact, without a look at the base.
func (f *File) Artifact(env *sources.Env) sources.Artifact {
	a := sources.Artifact{
		File:     bundle.File{Path: f.Path, Size: f.Size, Digest: f.Digest},
		Evidence: bundle.Evidence{Path: f.Path, Vouched: bundle.VouchedIndex, Reason: f.Reason},
		Entries:  f.Entries,
	}
	x := f.More
	if x == nil {
		x = &More{}
	}
	a.File.Annotations, a.File.MediaType, a.Validator = x.Annotations, x.MediaType, x.Validator
	if x.Vouched != "" {
		a.Evidence.Vouched = x.Vouched
	}
	if f.Place != nil {
		a.Evidence.Origin = f.Place.Where(f.From)
	}
	switch {
	case x.Open != nil:
		a.Open = x.Open
	case x.Content != nil:
		a.Open = sources.InMemory(x.Content, "")
	case x.Local != "":
		a.Open = env.InScratch(x.Local)
	case f.Place != nil && f.isSummed():
		if a.Validator == "" {
			a.Validator = x.Sum.String() // by which it is found again in the base
		}
		want := upstream.Want{Sum: x.Sum, Size: f.Size}
		a.Open = upstream.Validated(f.Place.Open(env, want, f.names()...), a.Validator)
	case f.Place != nil:
		a.Open = f.Place.Open(env, upstream.Want{Sum: upstream.SHA256(f.Digest), Size: f.Size}, f.names()...)
	}
	return a
}

// names returns the names of the file at its place, in the order in which they are tried.
func (f *File) names() []string {
	if f.More == nil || len(f.More.Also) == 0 {
		return []string{f.From}
	}
	return append(slices.Clone(f.More.Also), f.From)
}

// isSummed reports whether the file is known by a checksum that is no SHA-256.
func (f *File) isSummed() bool { return f.Digest.IsZero() && f.More != nil && !f.More.Sum.IsZero() }
