package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/verify"
)

// errDamaged is content of a mirror that is not what it was.
var errDamaged = bundle.About(bundle.AboutMirror, bundle.ErrCorrupt)

// Generation is the record of one published state of the mirror.
type Generation struct {
	// Number counts publishes from 1 and is never used again.
	Number int `json:"number"`
	// Time is the one modification time of everything that this publish
	// brought: whole seconds, later than that of any publish before.
	Time time.Time `json:"time"`
	// Reason is why it was published, for people.
	Reason  string          `json:"reason"`
	BaseURL string          `json:"baseURL,omitempty"`
	Sets    []GenerationSet `json:"sets"` // by name
	// Withdrawn are the roots of bundles that it took out of reach at once.
	Withdrawn []bundle.Digest `json:"withdrawn,omitempty"`
	// NextTree is the first number below trees/ that was never published.
	NextTree int `json:"nextTree"`
	// Ambiguous are short image names that were not made.
	Ambiguous []site.Ambiguous `json:"ambiguous,omitempty"`
	// Dropped are image names without a registry that the generation before had.
	Dropped []site.Dropped `json:"dropped,omitempty"`
	// Unanswered are public names that the mirror does not answer for although it has the
	// content, at most maxUnanswered of them. PublicChanged means that the mirror answers for
	// other names than in the generation before.
	Unanswered    []site.Unanswered `json:"unanswered,omitempty"`
	PublicChanged bool              `json:"publicChanged,omitempty"`
	// Journal is the digest of the last line of the journal that is written with it. Zero:
	// it was made by a program that did not record it.
	Journal bundle.Digest `json:"journal,omitzero"`
	// Notes are what the operator has to know about how it was made.
	Notes []string `json:"notes,omitempty"`
}

// maxUnanswered bounds what a generation's record has of public names; hosts.json has all.
const maxUnanswered = 100

// GenerationSet is the part of one set in a generation.
type GenerationSet struct {
	Set       string          `json:"set"`
	Stream    string          `json:"stream"`
	Sequence  int64           `json:"sequence"`
	Root      bundle.Digest   `json:"root"`
	State     bundle.Digest   `json:"state"`
	Created   time.Time       `json:"created"`
	Imported  time.Time       `json:"imported"`
	Signers   []verify.Signer `json:"signers,omitempty"`
	Overrides []string        `json:"overrides,omitempty"`
	// Accepted is a copy of the set's ratchet at that time.
	Accepted int64 `json:"accepted"`
	// AcceptedStream is the stream that the ratchet was bound to, Floor its clock floor.
	// Empty: made by a program that did not record it.
	AcceptedStream string    `json:"acceptedStream,omitempty"`
	Floor          time.Time `json:"floor,omitzero"`

	Repositories []GenerationRepository `json:"repositories"`
	// Reach is how it was judged at its import; nil: not recorded.
	Reach *Reach `json:"reach,omitempty"`
}

// Reach is what was found when a set was judged by the rules of package reach.
type Reach struct {
	// Rules is reach.Rules of the program that judged.
	Rules int `json:"rules"`
	// Allowed is what its client files do without a signature because the root allows
	// it, Scripts the web paths of client files that are programs.
	Allowed []string `json:"allowed,omitempty"`
	Scripts []string `json:"scripts,omitempty"`
	// Differs means that another set had something of it with another media type, from
	// before these were compared.
	Differs bool `json:"differs,omitempty"`
}

// GenerationRepository is a repository and where its files are.
type GenerationRepository struct {
	bundle.Repository
	// Tree is the folder below trees/ of a repository that owns its mount; 0:
	// the mount is shared, and its files are in the generation itself.
	Tree int `json:"tree,omitempty"`
	// Filled is how many of its files have the mirror's address filled in.
	Filled int64 `json:"filled,omitempty"`
	// Without are web paths that an operator gave to another set: what the list has
	// there is not published. Count and Bytes are of the whole list.
	Without []string `json:"without,omitempty"`
	// Aside are the client files, by their paths in the list and sorted, that another set
	// has at the same place: they are published below site.AsideDir.
	Aside []string `json:"aside,omitempty"`
}

// Waiting names the repositories whose filled files are not published, because
// the mirror does not know its address.
func (g *Generation) Waiting() []string {
	if g == nil || g.BaseURL != "" {
		return nil
	}
	var names []string
	for _, s := range g.Sets {
		for _, r := range s.Repositories {
			if r.Filled > 0 {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

func generationDir(n int) string { return fmt.Sprintf("%s/%06d", generationsDir, n) }
func treeDir(n int) string       { return fmt.Sprintf("%s/%06d", treesDir, n) }
func recordFile(n int) string    { return fmt.Sprintf("%s/%06d.json", state.GenerationsDir, n) }

// generatedFile lists what a publish made itself; lines like a file list's.
func generatedFile(n int) string { return fmt.Sprintf("%s/%06d.generated", state.GenerationsDir, n) }

// Previous returns the number of the generation that servers fall back to; 0: none.
func (t *Trees) Previous() (int, error) { return t.linked(previousLink) }

// linked returns the number of the generation that a link names; 0: no such link.
func (t *Trees) linked(link string) (int, error) {
	target, err := t.root.Readlink(link)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(path.Base(target))
	if err != nil || target != generationDir(n) {
		return 0, fmt.Errorf("mirror %s: %s points to %q, want a generation: %w", t.dir, link, target, errDamaged)
	}
	return n, nil
}

// Generation reads the record of generation n.
func (t *Trees) Generation(n int) (*Generation, error) {
	var g Generation
	err := state.ReadJSON(t.root, recordFile(n), &g)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("generation %d: not here (never was, or gc removed it): %w", n, bundle.ErrUsage)
	}
	if err != nil {
		return nil, err
	}
	return &g, nil
}

// Current returns the generation that is published; where nothing was published yet
// the error matches bundle.ErrIncomplete.
func (t *Trees) Current() (*Generation, error) {
	g, err := t.Published()
	if err == nil && g == nil {
		return nil, bundle.About(bundle.AboutEmptyMirror, fmt.Errorf("mirror %s: nothing was published yet: %w", t.dir, bundle.ErrIncomplete))
	}
	return g, err
}

// Published returns Current, or nil where nothing was published yet.
func (t *Trees) Published() (*Generation, error) {
	n, err := t.linked(currentLink)
	if err != nil || n == 0 {
		return nil, err
	}
	return t.Generation(n)
}

// Generations returns all that are still here, in the order of their numbers; the
// last is the current one. Where the current one is not on record the error matches
// bundle.ErrCorrupt.
func (t *Trees) Generations() ([]Generation, error) {
	current, err := t.linked(currentLink)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(t.root.FS(), state.GenerationsDir)
	if err != nil {
		return nil, err
	}
	var all []Generation
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), ".json")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n > current {
			continue // being made, or left of a crash
		}
		g, err := t.Generation(n)
		if err != nil {
			return nil, err
		}
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b Generation) int { return a.Number - b.Number })
	if n := len(all); current != 0 && (n == 0 || all[n-1].Number != current) {
		// Nothing may be swept by what is on record then: what is served is not.
		return nil, fmt.Errorf("generation %d is served and not on record: this state is older than that generation: %w", current, errDamaged)
	}
	return all, nil
}

// Withdrawn returns the roots of what servers deliver now, or fall back to, and sets do not have.
func (t *Trees) Withdrawn(current *Generation, sets []GenerationSet) (roots []bundle.Digest, err error) {
	all := []*Generation{current}
	if n, err := t.Previous(); err != nil {
		return nil, err
	} else if n != 0 {
		previous, err := t.Generation(n)
		if err != nil {
			return nil, err
		}
		all = append(all, previous)
	}
	next := &Generation{Sets: sets}
	for _, g := range all {
		if g == nil {
			continue
		}
		for _, s := range g.Sets {
			if now := next.Set(s.Set); (now == nil || now.Root != s.Root) && !slices.Contains(roots, s.Root) {
				roots = append(roots, s.Root)
			}
		}
	}
	return roots, nil
}

// Set returns the part of a set; nil: the generation has none.
func (g *Generation) Set(name string) *GenerationSet {
	if g == nil {
		return nil
	}
	for i := range g.Sets {
		if g.Sets[i].Set == name {
			return &g.Sets[i]
		}
	}
	return nil
}

// Totals returns the numbers of files and bytes in the lists.
func Totals(sets []GenerationSet) (files, bytes int64) {
	for _, s := range sets {
		for _, r := range s.Repositories {
			files, bytes = files+r.Count, bytes+r.Bytes
		}
	}
	return files, bytes
}

// Files reads a kept file list; its bytes are compared with its digest at the
// end, so that a damaged list is never taken for a shorter one.
func (t *Trees) Files(r bundle.Repository) iter.Seq2[bundle.File, error] {
	return readKept(t, r.Files, "file list of "+r.Name, bundle.ReadList[bundle.File])
}

// Served returns the kept file list of a set's repository as it is published.
func (t *Trees) Served(set string, r *GenerationRepository) iter.Seq2[bundle.File, error] {
	return WithAside(set, t.listed(r), r.Aside)
}

// listed returns the kept file list of a repository without what is not published.
func (t *Trees) listed(r *GenerationRepository) iter.Seq2[bundle.File, error] {
	if len(r.Without) == 0 {
		return t.Files(r.Repository)
	}
	without, mount, files := r.Without, r.Mount, t.Files(r.Repository)
	return func(yield func(bundle.File, error) bool) {
		for f, err := range files {
			if err == nil && slices.ContainsFunc(without, func(path string) bool { return state.Below(path, mount+"/"+f.Path) }) {
				continue
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

func (t *Trees) evidence(r bundle.Repository) iter.Seq2[bundle.Evidence, error] {
	return readKept(t, r.Evidence, "evidence list of "+r.Name, bundle.ReadList[bundle.Evidence])
}

// Contents reads the kept contents list of a repository, as Generation.Sets has it: the
// entries in the order of bundle.CompareEntries, each checked by itself. A repository
// whose bundle had no such list (Repository.Contents is nil: it was made by a program
// that knew none) has no entries. Memory does not grow with the list. Its bytes are
// compared with its digest at the end: an error there means that what came before it
// may be wrong, and matches bundle.ErrCorrupt.
func (t *Trees) Contents(r bundle.Repository) iter.Seq2[bundle.Entry, error] {
	if r.Contents == nil {
		return func(func(bundle.Entry, error) bool) {}
	}
	return readKept(t, *r.Contents, "contents list of "+r.Name, bundle.ReadContents)
}

func readKept[T bundle.Line](t *Trees, d v1.Descriptor, what string, read func(io.Reader, string) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		want, err := bundle.ParseDigest(string(d.Digest))
		if err != nil {
			yield(zero, fmt.Errorf("%s: %w", what, err))
			return
		}
		f, err := t.lists.Open(want)
		if err != nil {
			yield(zero, fmt.Errorf("%s: %w", what, err))
			return
		}
		defer f.Close()
		h := bundle.NewHash()
		for v, err := range read(io.TeeReader(f, h), what) {
			if !yield(v, err) || err != nil {
				return
			}
		}
		if got := bundle.SumOf(h); got != want {
			yield(zero, fmt.Errorf("%s: digest mismatch: want %s, got %s: %w", what, want, got, errDamaged))
		}
	}
}

// openFiles works like Files, for union: next returns the lines, and between them holds as little
// as can be.
func (t *Trees) openFiles(r bundle.Repository) (next func() (bundle.File, error, bool), stop func(), err error) {
	what := "file list of " + r.Name
	want, err := bundle.ParseDigest(string(r.Files.Digest))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	f, err := t.lists.Open(want)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	h := bundle.NewHash()
	list := bundle.NewListReader[bundle.File](io.TeeReader(f, h), what)
	next = func() (line bundle.File, err error, more bool) {
		if line, err, more = list.Next(); more {
			return line, err, true
		}
		if got := bundle.SumOf(h); got != want {
			return line, fmt.Errorf("%s: digest mismatch: want %s, got %s: %w", what, want, got, errDamaged), true
		}
		return line, nil, false
	}
	return next, func() { _ = f.Close() }, nil // read-only
}
