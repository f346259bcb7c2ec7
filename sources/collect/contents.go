package collect

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Bounds of what is held of a contents list while it is made.
const (
	// entryChunk is how much is sorted in memory.
	entryChunk = 16 << 20 // bytes
	// entryCost is what an entry takes besides its texts.
	entryCost = 400 // bytes
	// maxRuns is how many sorted files are merged at once, each with a buffer of
	// bundle.MaxLineSize, twice.
	maxRuns = 64
	// fewRuns is up to how many of them are merged with what is still in memory, instead
	// of writing and reading that as well.
	fewRuns = 8
	// fewVersions is how many entries of one thing are held until its ranks are known.
	fewVersions = 100
)

// namer makes the contents list of one repository. Entries come in the order of the
// plan and leave in that of names, sorted through scratch.
type namer struct {
	scratch *os.Root
	source  string
	list    string // the name of the list in scratch
	compare func(typ, a, b string) int
	chunk   []bundle.Entry
	bytes   int
	runs    []string // files in scratch, each sorted
	made    int      // how many files there were
	// planned means that files are not collected: what is not known of them is left out.
	planned bool
	// most is how much is sorted in memory; 0: entryChunk.
	most int
}

// add adds the entries of an artifact, whose line of the file list is f. list is the file
// list up to that line; nil: not all of it is known.
func (n *namer) add(f *bundle.File, e *bundle.Evidence, entries sources.EntryList, list *bundle.ListWriter[bundle.File]) error {
	for entry := range entries.All() {
		line := entryLine(f, e, &entry)
		if line.Type == bundle.TypeFolder {
			describeFolder(&line, list)
		}
		if err := n.check(line); err != nil {
			// The class is upstream's: the names are.
			return fmt.Errorf("source %s, %s: %s: %w", n.source, f.Path, err.Error(), fetch.ErrUpstream)
		}
		n.chunk = append(n.chunk, line)
		n.bytes += entryCost + len(line.Name) + len(line.Path) + len(line.Origin) + len(line.Reason) + len(line.Summary) + len(line.Version)
		if n.bytes >= cmp.Or(n.most, entryChunk) {
			if err := n.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// entryLine returns the line of a contents list for an entry of an artifact.
func entryLine(f *bundle.File, e *bundle.Evidence, entry *sources.Entry) bundle.Entry {
	line := bundle.Entry{
		Arch: entry.Arch, Digest: f.Digest, Fixes: entry.Fixes, Group: entry.Group, Licence: entry.Licence, Name: entry.Name, Origin: e.Origin,
		Path: f.Path, Reason: e.Reason, Revision: entry.Revision, Size: entry.Size, Source: entry.Source, Summary: entry.Summary,
		Type: entry.Type, Version: entry.Version, Vouched: e.Vouched,
	}
	if line.Size == 0 {
		line.Size = max(f.Size, 0)
	}
	return line
}

// describeFolder sets the digest by which a folder is compared, that of all its files: the
// entry's own is that of the last file alone, which stands for the folder.
func describeFolder(line *bundle.Entry, list *bundle.ListWriter[bundle.File]) {
	line.Revision = ""
	if list == nil {
		line.Digest = bundle.Digest{}
		return
	}
	line.Revision = string(list.Descriptor(bundle.MediaTypeFileList).Digest)
}

// checkEntries checks what a planned artifact is called, whose digest may not be known yet.
func checkEntries(a *sources.Artifact) error {
	for entry := range a.Entries.All() {
		line := entryLine(&a.File, &a.Evidence, &entry)
		line.Digest, line.Size = bundle.Digest{1}, max(0, entry.Size)
		if err := line.Check(); err != nil {
			return err
		}
	}
	return nil
}

func (n *namer) check(line bundle.Entry) error {
	if n.planned && line.Digest.IsZero() {
		line.Digest[0] = 1
	}
	return line.Check()
}

// spill writes what is in memory as one more run.
func (n *namer) spill() error {
	if len(n.chunk) == 0 {
		return nil
	}
	n.sort()
	chunk := n.chunk
	n.chunk, n.bytes = nil, 0
	if err := n.run(inMemory(chunk)); err != nil || len(n.runs) < maxRuns {
		return err
	}
	before := n.runs
	n.runs = nil
	err := n.run(n.merged(before, nil))
	for _, name := range before {
		err = errors.Join(err, n.scratch.Remove(name))
	}
	return err
}

// sort puts what is in memory into the order of names.
func (n *namer) sort() {
	slices.SortStableFunc(n.chunk, func(a, b bundle.Entry) int { return bundle.CompareEntries(&a, &b) })
}

func inMemory(chunk []bundle.Entry) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		for i := range chunk {
			if !yield(chunk[i], nil) {
				return
			}
		}
	}
}

// run writes a run.
func (n *namer) run(entries iter.Seq2[bundle.Entry, error]) error {
	name := fmt.Sprintf("%s-run-%d", n.list, n.made)
	if _, err := n.write(name, entries); err != nil {
		return err
	}
	n.made++
	n.runs = append(n.runs, name)
	return nil
}

func (n *namer) write(name string, entries iter.Seq2[bundle.Entry, error]) (_ *bundle.ListWriter[bundle.Entry], err error) {
	f, err := n.scratch.Create(name)
	if err != nil {
		return nil, err
	}
	buffer := bufio.NewWriterSize(f, listBuffer)
	list := bundle.NewListWriter[bundle.Entry](buffer)
	defer func() { err = errors.Join(err, f.Close()) }()
	for e, err := range entries {
		if err == nil {
			err = list.Write(e)
		}
		if err != nil {
			return nil, fmt.Errorf("source %s: contents list: %w", n.source, err)
		}
	}
	return list, buffer.Flush()
}

// finish writes the list into scratch and describes it. The runs are removed.
func (n *namer) finish() (d v1.Descriptor, count int64, err error) {
	if len(n.runs) > fewRuns {
		if err := n.spill(); err != nil {
			return d, 0, err
		}
	}
	n.sort()
	entries := n.merged(n.runs, n.chunk)
	if n.compare != nil {
		entries = n.ranked()
	}
	list, err := n.write(n.list, entries)
	if err != nil {
		return d, 0, err
	}
	for _, name := range n.runs {
		err = errors.Join(err, n.scratch.Remove(name))
	}
	n.runs, n.chunk, n.bytes = nil, nil, 0
	return list.Descriptor(bundle.MediaTypeContents), list.Count(), err
}

// entryRun is a run and its next entry.
type entryRun struct {
	next  func() (bundle.Entry, error, bool)
	stop  func()
	entry bundle.Entry
	more  bool
}

func (r *entryRun) advance() (err error) {
	r.entry, err, r.more = r.next()
	return err
}

// merged streams the entries of runs, and after them those of a sorted chunk, in their
// order. If several have one place in the order, it has the first: what two indexes state about
// one file is said once.
func (n *namer) merged(names []string, chunk []bundle.Entry) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		runs := make([]*entryRun, 0, len(names)+1)
		defer func() {
			for _, r := range runs {
				r.stop()
			}
		}()
		parts := make([]iter.Seq2[bundle.Entry, error], 0, len(names)+1)
		for _, name := range names {
			parts = append(parts, n.read(name))
		}
		for _, part := range append(parts, inMemory(chunk)) {
			r := &entryRun{}
			r.next, r.stop = iter.Pull2(part)
			runs = append(runs, r)
			if err := r.advance(); err != nil {
				yield(bundle.Entry{}, err)
				return
			}
		}
		var last bundle.Entry
		for {
			first := firstRun(runs)
			if first == nil {
				return
			}
			e := first.entry
			if last.Name == "" || bundle.CompareEntries(&last, &e) != 0 {
				if !yield(e, nil) {
					return
				}
			}
			last = e
			if err := first.advance(); err != nil {
				yield(bundle.Entry{}, err)
				return
			}
		}
	}
}

// firstRun returns the run whose entry comes first, the earlier of two that are equal.
func firstRun(runs []*entryRun) *entryRun {
	var first *entryRun
	for _, r := range runs {
		if r.more && (first == nil || bundle.CompareEntries(&r.entry, &first.entry) < 0) {
			first = r
		}
	}
	return first
}

func (n *namer) read(name string) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		f, err := n.scratch.Open(name)
		if err != nil {
			yield(bundle.Entry{}, err)
			return
		}
		defer func() { _ = f.Close() }() // read-only
		for e, err := range bundle.ReadList[bundle.Entry](f, name) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// ranked returns all entries with their ranks. Entries of one thing beyond fewVersions are
// read a second time instead of being held in memory.
func (n *namer) ranked() iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		ahead, again := n.pass(), n.pass()
		defer ahead.stop()
		defer again.stop() // it reads nothing unless it is needed
		t := thing{again: again}
		err := ahead.advance()
		for more := true; more && err == nil && ahead.more; {
			if err = t.read(&ahead); err == nil {
				more, err = t.write(n.ranks(t.group.Type, t.versions), yield)
			}
		}
		if err != nil {
			yield(bundle.Entry{}, err)
		}
	}
}

// pass reads all entries in their order.
type pass struct {
	entryRun
	read int // how many, the present one included
}

func (n *namer) pass() (p pass) {
	p.next, p.stop = iter.Pull2(n.merged(n.runs, n.chunk))
	return p
}

func (p *pass) advance() error {
	p.read++
	return p.entryRun.advance()
}

// thing is what has several versions: the entries that differ in version alone, or in what
// is less than that.
type thing struct {
	group    bundle.Entry // its first entry
	first    int          // which entry of all that is
	count    int
	held     []bundle.Entry // the first fewVersions of them
	versions []string
	again    pass // for the others
}

// read reads the next thing.
func (t *thing) read(ahead *pass) error {
	t.group, t.first, t.count, t.held, t.versions = ahead.entry, ahead.read, 0, t.held[:0], t.versions[:0]
	for ahead.more && bundle.CompareEntryGroups(&t.group, &ahead.entry) == 0 {
		if v := ahead.entry.Version; t.count == 0 || t.versions[len(t.versions)-1] != v {
			t.versions = append(t.versions, v)
		}
		if t.count < fewVersions {
			t.held = append(t.held, ahead.entry)
		}
		t.count++
		if err := ahead.advance(); err != nil {
			return err
		}
	}
	return nil
}

// write hands out its entries with their ranks until nobody wants more.
func (t *thing) write(ranks map[string]int64, yield func(bundle.Entry, error) bool) (more bool, err error) {
	for i := range t.count {
		var e bundle.Entry
		if i < len(t.held) {
			e = t.held[i]
		} else {
			for t.again.read < t.first+i {
				if err := t.again.advance(); err != nil {
					return false, err
				}
			}
			e = t.again.entry
		}
		e.Rank = 1
		if len(ranks) > 0 {
			e.Rank = ranks[e.Version]
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// ranks returns 1 for the newest version, 2 for the next one and so on; nil if there is one.
func (n *namer) ranks(typ string, versions []string) map[string]int64 {
	if len(versions) == 1 {
		return nil
	}
	slices.SortStableFunc(versions, func(a, b string) int { return n.compare(typ, b, a) })
	ranks, rank := make(map[string]int64, len(versions)), int64(0)
	for i, v := range versions {
		if i == 0 || n.compare(typ, versions[i-1], v) != 0 {
			rank++
		}
		ranks[v] = rank
	}
	return ranks
}

// Contents makes the contents lists of a plan in scratch, before anything is fetched,
// and returns them in the order of Repositories: Repository.Contents and Entries are
// set, and the list is in scratch under ContentsName. Facts that only the content has
// are not in it: the digest is zero and the size 0 where upstream does not state them, and
// entries of late artifacts are missing.
func (r *Resolved) Contents(scratch *os.Root) ([]Collected, error) {
	all := make([]Collected, len(r.Repositories))
	namers := make([]*namer, len(all))
	lists := make([]plannedList, len(all))
	for i, p := range r.Repositories {
		name := fmt.Sprintf("planned-contents-%d", i)
		namers[i] = &namer{scratch: scratch, source: p.Name, list: name, compare: p.Compare, planned: true}
		all[i] = Collected{Repository: bundle.Repository{Name: p.Name, Kind: p.Kind, Mode: p.Mode, Mount: p.Mount}, ContentsName: name}
	}
	at := 0
	end := func(to int) (err error) {
		for ; at < to && err == nil; at++ {
			err = all[at].named(namers[at])
		}
		return err
	}
	for p, err := range r.artifacts() {
		if err == nil {
			err = end(p.repository)
		}
		if err == nil {
			f := p.artifact.File
			err = namers[p.repository].add(&f, &p.artifact.Evidence, p.artifact.Entries, lists[p.repository].with(f))
		}
		if err != nil {
			return nil, err
		}
	}
	return all, end(len(all))
}

// plannedList is the file list of a planned repository as long as all of it is known.
type plannedList struct {
	lines   *bundle.ListWriter[bundle.File]
	unknown bool
}

// with adds a line, and returns nil where the content of any so far is not known.
func (l *plannedList) with(f bundle.File) *bundle.ListWriter[bundle.File] {
	if l.unknown = l.unknown || f.Digest.IsZero() || f.Size < 0; l.unknown {
		return nil
	}
	if l.lines == nil {
		l.lines = bundle.NewListWriter[bundle.File](io.Discard)
	}
	l.unknown = l.lines.Write(f) != nil
	return l.lines
}

// named ends the contents list of a repository.
func (c *Collected) named(n *namer) error {
	d, count, err := n.finish()
	c.Repository.Contents, c.Repository.Entries = &d, count
	return err
}

// name ends the contents lists of all repositories.
func (ls *listing) name() error {
	total := int64(0)
	for _, l := range ls.lists {
		if err := l.collected.named(l.names); err != nil {
			return err
		}
		total += l.collected.Repository.Entries
	}
	return entriesWithin(total)
}

// entriesWithin refuses more entries than a set may have.
func entriesWithin(total int64) error {
	if total > bundle.MaxEntries {
		return fmt.Errorf("contents lists: %s, at most %d in a set: make several sets of it: %w", bundle.Count(total, "entry"), bundle.MaxEntries, bundle.ErrUsage)
	}
	return nil
}
