package unpack

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// MissingBlob is a blob or a list that is damaged and that nothing at hand has.
type MissingBlob struct {
	Digest bundle.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Set    string        `json:"set"`
	// List means that it is a list; what it names is then not known.
	List bool `json:"list,omitempty"`
	// Bundles are the numbers of those bundles of the set of which one has it, as far as
	// they are on record: from the newest full one before it was named.
	Bundles []int64 `json:"bundles,omitempty"`
	// Paths are web paths with that content, More how many there are besides.
	Paths []string `json:"paths,omitempty"`
	More  int64    `json:"more,omitempty"`
}

// RequestFile is a signed request for what is missing of one set.
type RequestFile struct {
	Set  string `json:"set"`
	Path string `json:"path"`
	// Asked is how many blobs and lists it names. More than bundle.MaxRequest are missing:
	// Full means that a full bundle is what helps.
	Asked int  `json:"asked"`
	Full  bool `json:"full,omitempty"`
}

// MissingError: something is damaged, and nothing at hand has it. It matches bundle.ErrIncomplete.
type MissingError struct {
	// Count and Bytes are of blobs and lists.
	Count, Bytes int64
	First        MissingBlob
	Requests     []RequestFile
}

func (e *MissingError) Error() string {
	what := "blob " + e.First.Digest.String()
	switch {
	case e.First.List:
		what = "list " + e.First.Digest.String()
	case len(e.First.Paths) > 0:
		what = e.First.Paths[0] + " (" + what + ")"
	}
	return fmt.Sprintf("no bundle at hand has %d of the damaged blobs and lists (%s), the first: %s of set %s", e.Count, bundle.Count(e.Bytes, "byte"), what, e.First.Set)
}

// Is makes it bundle.ErrIncomplete.
func (e *MissingError) Is(target error) bool { return target == bundle.ErrIncomplete }

const (
	// maxMissing bounds what a result names.
	maxMissing = 10_000
	// maxMissingPaths is how many paths of one blob are named.
	maxMissingPaths = 4
)

// missing collects what was not found.
type missing struct {
	all   map[bundle.Digest]*MissingBlob
	order []bundle.Digest
	more  int64
	bytes int64
	asked map[string]*bundle.RepairRequest // by set
}

// findMissing names what was not found, and writes the requests for it.
func (r *repair) findMissing() error {
	m := &missing{all: map[bundle.Digest]*MissingBlob{}, asked: map[string]*bundle.RepairRequest{}}
	seen := bundle.NewDigestSet(0)
	for _, h := range r.holdings {
		if err := r.missingLists(m, seen, h); err != nil {
			return err
		}
		if r.badBlobs.Len() == 0 {
			continue
		}
		if err := r.missingBlobs(m, seen, h); err != nil {
			return err
		}
	}
	for _, d := range m.order {
		b := *m.all[d]
		if b.Bundles == nil {
			b.Bundles = []int64{}
		}
		r.res.Missing = append(r.res.Missing, b)
	}
	r.res.MoreMissing = m.more
	if r.o.DryRun {
		return nil
	}
	return r.writeRequests(m)
}

func (r *repair) missingLists(m *missing, seen *bundle.DigestSet, h tree.Holding) error {
	return eachList([]tree.Holding{h}, func(desc v1.Descriptor, d bundle.Digest) error {
		if _, bad := r.badLists.Size(d); !bad || r.badLists.Marked(d) || !seen.Add(d, desc.Size) {
			return nil
		}
		return r.lack(m, h, MissingBlob{Digest: d, Size: desc.Size, List: true}, "")
	})
}

func (r *repair) missingBlobs(m *missing, seen *bundle.DigestSet, h tree.Holding) error {
	for _, repo := range h.Repositories {
		for f, err := range r.trees.Files(repo) {
			if tree.IsListDamage(err) {
				break
			}
			if err != nil {
				return err
			}
			if r.isGood(f.Digest) {
				continue
			}
			path := repo.Mount + "/" + f.Path
			if !seen.Add(f.Digest, f.Size) {
				m.name(f.Digest, path)
				continue
			}
			if err := r.lack(m, h, MissingBlob{Digest: f.Digest, Size: f.Size}, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// name adds a path to a blob that is missing.
func (m *missing) name(d bundle.Digest, path string) {
	b := m.all[d]
	switch {
	case b == nil || slices.Contains(b.Paths, path):
	case len(b.Paths) < maxMissingPaths:
		b.Paths = append(b.Paths, path)
	default:
		b.More++
	}
}

func (r *repair) lack(m *missing, h tree.Holding, b MissingBlob, path string) (err error) {
	m.bytes += b.Size
	if err := r.ask(m, h.Set, b); err != nil {
		return err
	}
	if len(m.order) == maxMissing {
		m.more++
		return nil
	}
	b.Set = h.Set
	if path != "" {
		b.Paths = []string{path}
	}
	if b.Bundles, err = r.bundlesUpTo(h.Set, h.Sequence); err != nil {
		return err
	}
	m.all[b.Digest] = &b
	m.order = append(m.order, b.Digest)
	return nil
}

// bundlesUpTo returns the accepted bundles of a set that have what number n describes: from the
// newest full one up to n.
func (r *repair) bundlesUpTo(set string, n int64) ([]int64, error) {
	t, err := r.state.Ratchet(set)
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, a := range t.Roots {
		if a.Sequence <= n {
			all = append(all, a.Sequence)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for i, number := range slices.Backward(all) {
		if root, err := r.state.AcceptedRoot(bundle.DirName(set, number)); err == nil && root.Full {
			return all[i:], nil
		}
	}
	return all, nil
}

// ask adds a blob to the request of its set.
func (r *repair) ask(m *missing, set string, b MissingBlob) error {
	q := m.asked[set]
	if q == nil {
		t, err := r.state.Ratchet(set)
		if err != nil {
			return err
		}
		q = &bundle.RepairRequest{Set: set, Stream: t.Stream, Created: r.state.Now(), Tool: r.o.Tool, Accepted: t.Sequence}
		if c := t.Acknowledged; c != nil {
			q.Sequence, q.State = c.Sequence, c.State
		}
		m.asked[set] = q
	}
	switch {
	case len(q.Blobs)+len(q.Lists) >= bundle.MaxRequest:
		q.Full = true
	case b.List:
		q.Lists = append(q.Lists, b.Digest)
	default:
		q.Blobs = append(q.Blobs, b.Digest)
	}
	return nil
}

// writeRequests writes the signed requests, and takes away those of runs before whose set
// misses nothing any more.
func (r *repair) writeRequests(m *missing) error {
	if err := r.state.SweepRequests(func(set string) bool { return m.asked[set] != nil }); err != nil {
		return err
	}
	var sets []string
	for set := range m.asked {
		sets = append(sets, set)
	}
	slices.Sort(sets)
	for _, set := range sets {
		q := m.asked[set]
		if q.Sequence == 0 {
			continue // nothing of the set is acknowledged: only a full bundle helps
		}
		name, err := r.state.WriteRequest(q)
		if err != nil {
			return err
		}
		r.res.Requests = append(r.res.Requests, RequestFile{
			Set: set, Path: filepath.Join(r.dir, filepath.FromSlash(name)), Asked: len(q.Blobs) + len(q.Lists), Full: q.Full,
		})
	}
	return nil
}

// missingError returns the error of what was not found; nil: everything is right. Any other
// damage matches bundle.ErrCorrupt.
func (r *repair) missingError() error {
	var errs []error
	if n := int64(len(r.res.Missing)) + r.res.MoreMissing; n > 0 {
		e := &MissingError{Count: n, First: r.res.Missing[0], Requests: r.res.Requests}
		for _, b := range r.res.Missing {
			e.Bytes += b.Size
		}
		errs = append(errs, e)
	}
	if len(r.res.Left) > 0 {
		errs = append(errs, tree.NewDamagedError(0, int64(len(r.res.Left)), r.res.Left[0]))
	}
	return errors.Join(errs...)
}

// rehearse returns what is damaged, and how much of it the bundles in paths could repair.
// It writes nothing and reads no volume.
func (r *repair) rehearse(paths []string) (*RepairResult, error) {
	if err := r.begin(); err != nil {
		return r.res, err
	}
	bundles, done, err := r.open(paths)
	if err != nil {
		return r.res, err
	}
	if err := r.readBlobs(); err != nil {
		return r.res, errors.Join(err, done())
	}
	for _, b := range bundles {
		if err := r.foresee(b); err != nil {
			return r.res, errors.Join(err, done())
		}
	}
	if err := r.findMissing(); err != nil {
		return r.res, errors.Join(err, done())
	}
	return r.res, errors.Join(r.missingError(), done())
}

// foresee marks what a bundle would bring.
func (r *repair) foresee(b *verify.Bundle) error {
	for i, v := range b.Volumes() {
		if !v.Present {
			continue
		}
		for blob, err := range b.Blobs(i) {
			if err != nil {
				return err
			}
			if _, bad := r.badBlobs.Size(blob.Digest); bad && b.Carries(blob.Digest) {
				if first, _ := r.badBlobs.Mark(blob.Digest); first {
					r.res.NewBlobs++
				}
			}
		}
	}
	for _, repo := range b.Manifest().Repositories {
		for _, desc := range repo.Lists() {
			d, err := bundle.ParseDigest(string(desc.Digest))
			if err != nil {
				return err
			}
			if _, bad := r.badLists.Size(d); !bad || r.badLists.Marked(d) {
				continue
			}
			if in, err := b.OpenList(d); err == nil {
				r.badLists.Mark(d)
				r.res.NewLists++
				if err := in.Close(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
