package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// Result is what an export did.
type Result struct {
	// Nothing means that there was nothing new: no bundle was made. Message
	// says since when.
	Nothing bool   `json:"nothing,omitempty"`
	Message string `json:"message,omitempty"`
	// Dirs are the directories of the bundle, the one with the root last.
	Dirs []string `json:"dirs,omitempty"`
	// Without are directories on media that were taken out before there was a
	// root: payload only. An import takes a medium with the root first.
	Without  []string `json:"without,omitempty"`
	Set      string   `json:"set"`
	Sequence int64    `json:"sequence,omitempty"`
	Full     bool     `json:"full"`
	// Root is the digest of bundle.json, State the state digest.
	Root  bundle.Digest `json:"root"`
	State bundle.Digest `json:"state"`
	// Base is the sequence that a delta builds on. Assumed: no receipt says
	// that it arrived; Before is then the one to build on if it was lost, 0: none.
	Base    int64 `json:"base,omitempty"`
	Assumed bool  `json:"assumed,omitempty"`
	Before  int64 `json:"before,omitempty"`
	// Files and Bytes are what the mirror will publish of the set; Carried is
	// how many bytes the volumes have, Volumes how many there are.
	Files    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	Carried  int64  `json:"carried"`
	Volumes  int    `json:"volumes"`
	Readback string `json:"readback,omitempty"`
	// Pinned are URLs whose content was seen for the first time and is
	// enforced from now on; Changed are pins that --update-lock replaced.
	Pinned  []string         `json:"pinned,omitempty"`
	Changed []sources.Change `json:"changed,omitempty"`
	// Changes are those of each source against the base; Gone are the sources of the base
	// that the spec does not have any more.
	Changes []SourceChanges `json:"changes,omitempty"`
	Gone    []Gone          `json:"gone,omitempty"`
	// Adopted is what was taken over from Options.Adopt.
	Adopted *Adopted `json:"adopted,omitempty"`
	// Destination is the one that the bundle is for; empty: it has no name.
	Destination string `json:"destination,omitempty"`
	// Unknown are the destinations exported to before, when this one never was.
	Unknown []string `json:"otherDestinations,omitempty"`
	// Left are directories of an earlier export that was given up; they may
	// be deleted.
	Left []string `json:"left,omitempty"`
	// Unpinned counts files that nothing but the connection vouches for.
	Unpinned int64 `json:"unpinned"`
	// Outdated means that the destination's importer has to be updated before
	// it can read the bundle; nil: nothing says so.
	Outdated *Outdated `json:"outdated,omitempty"`
	// Names are what was added, changed and removed by name, as PlanReport has it.
	Names []*contents.Summary `json:"names,omitempty"`
	// Asked is how much a repair request asks for, Answered how much of it the bundle
	// carries: the rest is named by no list any more, and the mirror does not need it once
	// the bundle is imported.
	Asked    int `json:"asked,omitempty"`
	Answered int `json:"answered,omitempty"`
	// Notes are the sources' remarks for the person who exports: what lapses,
	// what moved, what was left out.
	Notes []Note `json:"notes,omitempty"`
}

// Note is a remark of one source.
type Note struct {
	Source string `json:"source"`
	Text   string `json:"text"`
}

// notes are what the plan says to people.
func (s *session) notes() []Note {
	var all []Note
	for _, p := range s.resolved.Repositories {
		for _, text := range p.Notes {
			all = append(all, Note{p.Name, text})
		}
	}
	return all
}

// Run exports: it makes a signed bundle of what the spec names, or finds that
// there is nothing new. Repeating an interrupted export goes on where it
// stopped.
func Run(ctx context.Context, o Options) (*Result, error) {
	if len(o.Targets) == 0 {
		return nil, fmt.Errorf("target: none given: name a directory with --to: %w", bundle.ErrUsage)
	}
	s, err := begin(ctx, o, true)
	if err != nil {
		return nil, err
	}
	r, err := s.finished()
	if r == nil && err == nil {
		r, err = s.alreadyExported(ctx)
	}
	if r == nil && err == nil {
		r, err = s.write(ctx)
	}
	if r != nil {
		r.Destination, r.Adopted = s.o.Destination, s.adopted
	}
	return r, errors.Join(err, s.close())
}

func (j *job) collect(ctx context.Context, open func() (*media.Writer, error)) ([]collect.Collected, error) {
	return collect.Collect(ctx, j.resolved, j.survey, collect.Options{
		Writer: open, Have: j.have.Size, Scratch: j.scratch, Seen: j.newSeen, Progress: j.o.Progress, Site: j.site,
		Documents: keeper{j.ledger}, InOrder: j.layout.inOrder,
	})
}

// errCarries ends a look that was to find nothing to carry.
var errCarries = errors.New("there is something to carry")

// alreadyExported finds out whether the destination was sent just this
// before, by a bundle that no receipt has acknowledged yet: then a delta on
// the acknowledged state would be the same bundle once more. nil: it was not.
func (s *session) alreadyExported(ctx context.Context) (*Result, error) {
	if s.base == nil || s.o.Base != "" || s.asked != nil || len(s.o.Only)+len(s.o.Hold) > 0 {
		return nil, nil
	}
	newest := s.ledger.Destinations()[s.o.Destination].Exported
	if newest <= s.base.manifest.Sequence {
		return nil, nil
	}
	m, err := s.ledger.Manifest(newest)
	if err != nil {
		return nil, err
	}
	sent := *s
	sent.base = &base{manifest: m, openList: s.ledger.OpenList}
	if sent.have, err = sent.base.blobs(nil); err != nil {
		return nil, err
	}
	if sent.survey, err = s.resolved.Survey(collect.SurveyOptions{VolumeSize: s.layout.load.VolumeSize, Have: sent.have.Size}); err != nil || sent.survey.Total().Fetch > 0 {
		return nil, err
	}
	j := newJob(&sent)
	collected, err := j.collect(ctx, func() (*media.Writer, error) { return nil, errCarries })
	if errors.Is(err, errCarries) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now, _, err := j.manifest(ctx, collected)
	if err != nil || !sameContent(now, m) {
		return nil, err
	}
	return j.nothing()
}

// open makes the writer: the number is taken, durably, before the first byte
// is written, unless the same request was interrupted and goes on.
func (j *job) open() (*media.Writer, error) {
	if j.writer != nil {
		return j.writer, nil
	}
	request, err := j.request()
	if err != nil {
		return nil, err
	}
	if err := j.sameMedia(request); err != nil {
		return nil, err
	}
	for _, t := range j.o.Targets {
		if err := os.Mkdir(t, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if p := j.ledger.Pending(); p != nil && p.Request != request {
		for _, t := range p.Targets {
			dir := strings.TrimRight(t, "/") + "/" + bundle.DirName(j.spec.Set, p.Sequence) + bundle.PartialSuffix
			if _, err := os.Stat(dir); err == nil {
				j.result.Left = append(j.result.Left, dir)
			}
		}
		if err := j.ledger.Settle(); err != nil {
			return nil, err
		}
	}
	if j.ledger.Pending() == nil {
		if _, err := j.ledger.Take(request, j.o.Targets, j.o.Now); err != nil {
			return nil, err
		}
	}
	if err := j.recordLayout(); err != nil {
		return nil, err
	}
	if m := j.mediaPlan(); m != nil && j.o.Media != nil {
		j.o.Media(m)
	}
	j.created = *j.ledger.Pending()
	j.result.Unknown = j.strangeDestination()
	records, err := j.ledger.Records()
	if err != nil {
		return nil, err
	}
	j.closers = append(j.closers, records.Close)
	load := j.layout.load
	j.writer, err = media.NewWriter(media.WriterOptions{
		Set: j.spec.Set, Sequence: j.created.Sequence, Targets: j.o.Targets, VolumeSize: load.VolumeSize, Jobs: j.o.Jobs, Compression: j.o.Compression,
		Raw: load.Raw(), Lists: load.Lists, Tail: load.Tail, Records: records, NoReadback: j.o.NoReadback, Progress: j.o.Progress, NextMedium: j.o.NextMedium, Absent: j.o.Absent,
	})
	return j.writer, err
}

func (j *job) newSeen(repository string) (collect.SeenSink, error) {
	name := fmt.Sprintf("seen-%d", len(j.seen))
	f, err := j.scratch.Create(name)
	if err != nil {
		return nil, err
	}
	entries, err := j.scratch.Create(name + "-entries")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j.seen[repository] = name
	return newSeenFile(f, entries), nil
}

func (j *job) signerValues() []bundle.Signer {
	out := make([]bundle.Signer, len(j.signers))
	for i, s := range j.signers {
		out[i] = *s
	}
	return out
}

// nothing ends an export whose result is the state of its base.
func (j *job) nothing() (*Result, error) {
	m := j.base.manifest
	j.result.Notes = j.notes()
	j.result.Nothing, j.result.Set, j.result.Base, j.result.State = true, m.Set, m.Sequence, m.State
	j.result.Message = fmt.Sprintf("nothing new since %d", m.Sequence)
	if !j.base.acknowledged {
		j.result.Message += " (never acknowledged"
		before, err := j.before(m.Sequence)
		if err != nil {
			return nil, err
		}
		if before > 0 {
			j.result.Message += fmt.Sprintf("; if it was lost: --base %d", before)
		} else {
			j.result.Message += "; if it was lost: --full"
		}
		j.result.Message += ")"
	}
	if j.writer != nil {
		if err := j.writer.Abort(); err != nil {
			return nil, err
		}
		if err := j.ledger.Settle(); err != nil {
			return nil, err
		}
	}
	if err := j.keepSeen(); err != nil {
		return nil, err
	}
	return &j.result, j.saveLock()
}

// before is the newest kept state older than n that the destination was sent
// or acknowledged; 0: none. What others were sent it does not have.
func (s *session) before(n int64) (int64, error) {
	acknowledged := s.ledger.Destinations()[s.o.Destination].Acknowledged
	for _, k := range slices.Backward(s.ledger.States()) {
		if k >= n {
			continue
		}
		m, err := s.ledger.Manifest(k)
		if err != nil {
			return 0, err
		}
		if k == acknowledged || m.Destination == s.o.Destination {
			return k, nil
		}
	}
	return 0, nil
}

func (j *job) keepSeen() error {
	for repository, name := range j.seen {
		if err := j.ledger.KeepSeen(repository, j.scratch, name, name+"-entries"); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) saveLock() error {
	j.result.Pinned, j.result.Changed = j.lock.Added(), j.lock.Changed()
	return j.lock.Save()
}

// settle notes the finished bundle as a state. What a crash before the end of
// it leaves is noted by finished.
func (j *job) settle(collected []collect.Collected, f *media.Finished) (*Result, error) {
	m, err := readManifest(f.Dirs[len(f.Dirs)-1])
	if err != nil {
		return nil, err
	}
	fresh := make(map[bundle.Digest]string)
	for _, c := range collected {
		fresh[digestOf(c.Repository.Files.Digest.String())] = c.FilesName
		fresh[digestOf(c.Repository.Evidence.Digest.String())] = c.EvidenceName
		fresh[digestOf(c.Repository.Contents.Digest.String())] = c.ContentsName
	}
	if err := j.ledger.Commit(m, j.scratch, fresh, j.kept); err != nil {
		return nil, err
	}
	r := &j.result
	r.Notes, r.Changes, r.Gone = j.notes(), j.changes(), j.gone()
	r.Outdated = j.outdated(m.Requires)
	r.of(m)
	if m.Base != nil && !j.base.acknowledged {
		before, err := j.before(m.Base.Sequence)
		if err != nil {
			return nil, err
		}
		r.Assumed, r.Before = true, before
	}
	r.Without = f.Without
	r.Dirs, r.Root, r.Carried, r.Volumes, r.Readback = f.Dirs, f.Root, f.Bytes, f.Volumes, f.Readback
	return r, nil
}

// of fills in what the root says.
func (r *Result) of(m *bundle.Manifest) {
	r.Set, r.Sequence, r.Full, r.State = m.Set, m.Sequence, m.Full, m.State
	for _, repo := range m.Repositories {
		r.Files += repo.Count
		r.Bytes += repo.Bytes
		r.Unpinned += repo.Unpinned
	}
	if m.Base != nil {
		r.Base = m.Base.Sequence
	}
}

// finished looks for a bundle that was signed and complete when the export
// that made it died before it could note so: it is noted now, as it is. To
// make it again would put two roots under one number if upstream has changed
// since. nil: there is none, or it was another request than this one, which
// then goes on.
func (s *session) finished() (*Result, error) {
	p := s.ledger.Pending()
	if p == nil {
		return nil, nil
	}
	var dirs []string
	for _, t := range s.o.Targets {
		dir := filepath.Join(t, bundle.DirName(s.spec.Set, p.Sequence))
		if _, err := os.Stat(dir + bundle.PartialSuffix); err == nil {
			return nil, nil // not complete on every medium
		}
		if _, err := os.Stat(filepath.Join(dir, bundle.RootName)); err == nil {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return nil, nil
	}
	reader, m, err := s.openOwnBundle(dirs[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // read-only
	if m.Stream != s.ledger.Stream() || m.Sequence != p.Sequence {
		return nil, nil
	}
	request, err := newJob(s).request()
	if err != nil {
		return nil, err
	}
	same := p.Request == request
	if err := s.keepLists(reader, m); err != nil {
		return nil, err
	}
	documents, err := listedDocuments(m, s.ledger.OpenList)
	if err != nil {
		return nil, err
	}
	if err := s.ledger.Commit(m, s.scratch, nil, documents); err != nil || !same {
		return nil, err
	}
	root, err := reader.Root()
	r := &Result{Dirs: dirs, Root: bundle.DigestOf(root), Message: "was complete already"}
	r.of(m)
	return r, err
}

// manifest puts the root together, but for what only the writer knows.
func (j *job) manifest(ctx context.Context, collected []collect.Collected) (*bundle.Manifest, []media.Lists, error) {
	m := &bundle.Manifest{
		Format: bundle.Format, Set: j.spec.Set, Destination: j.o.Destination, Full: j.base == nil, Tool: j.o.Tool,
		Keys: j.publishedKeys(),
	}
	m.Overrides = j.overrides()
	if j.base != nil {
		m.Base = &bundle.State{Sequence: j.base.manifest.Sequence, State: j.base.manifest.State}
	}
	if err := errors.Join(j.check(ctx, collected), j.keepDates()); err != nil {
		return nil, nil, err
	}
	var lists []media.Lists
	m.Repositories, lists = j.describe(collected)
	m.State = bundle.StateDigest(m.Repositories)
	var err error
	m.Requires, err = j.requires(collected, m.Repositories)
	return m, lists, err
}

// shortContents is the length of all contents lists of a set together below which each
// bundle carries all of them, so that a medium says by name what the set holds.
const shortContents = 4 << 20 // bytes

// describe returns the repositories, sorted by name, and their lists that are carried.
func (j *job) describe(collected []collect.Collected) (repos []bundle.Repository, lists []media.Lists) {
	has := j.base.lists()
	maps.DeleteFunc(has, func(d bundle.Digest, _ bool) bool { return j.asked.wantsList(d) })
	names := map[string]collect.Collected{}
	for _, c := range collected {
		repos, names[c.Repository.Name] = append(repos, c.Repository), c
	}
	repos = append(repos, j.held...)
	slices.SortFunc(repos, func(a, b bundle.Repository) int { return strings.Compare(a.Name, b.Name) })
	length := int64(0)
	for i := range repos {
		if repos[i].Contents != nil {
			length += repos[i].Contents.Size
		}
	}
	lists = make([]media.Lists, len(repos))
	for i := range repos {
		r := &repos[i]
		c, fresh := names[r.Name]
		if d := r.Contents; d != nil && (length < shortContents || !has[digestOf(d.Digest.String())]) {
			lists[i].Contents = j.opener(c.ContentsName)
			if !fresh {
				lists[i].Contents = func() (io.ReadCloser, error) { return j.base.openList(digestOf(d.Digest.String())) }
			}
			r.Carried = append(r.Carried, bundle.CarriedContents)
		}
		if fresh && !has[digestOf(r.Evidence.Digest.String())] {
			lists[i].Evidence = j.opener(c.EvidenceName)
			r.Carried = append(r.Carried, bundle.CarriedEvidence)
		}
		if fresh && !has[digestOf(r.Files.Digest.String())] {
			lists[i].Files = j.opener(c.FilesName)
			r.Carried = append(r.Carried, bundle.CarriedFiles)
		}
	}
	return repos, lists
}

// digestOf reads a digest that this program wrote.
func digestOf(s string) bundle.Digest {
	d, err := bundle.ParseDigest(s)
	if err != nil {
		return bundle.Digest{}
	}
	return d
}

func (j *job) opener(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return j.scratch.Open(name) }
}
