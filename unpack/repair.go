package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// RepairResult is what Repair read, what it repaired, and what is missing.
type RepairResult struct {
	// Lists, Blobs and Bytes are what was read again.
	Lists int64 `json:"lists"`
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// BadLists and BadBlobs were gone or not what they should be; of those, NewLists and
	// NewBlobs came from bundles, and Rescued blobs from a published name that was right.
	BadLists int64 `json:"badLists"`
	BadBlobs int64 `json:"badBlobs"`
	NewLists int64 `json:"newLists"`
	NewBlobs int64 `json:"newBlobs"`
	Rescued  int64 `json:"rescued"`
	// Mended are the first published names and links that were repaired, More is the number
	// of the others.
	Mended []tree.Damage `json:"mended"`
	More   int64         `json:"more,omitempty"`
	// Missing is what was not found; MoreMissing is how much there is besides.
	Missing     []MissingBlob `json:"missing"`
	MoreMissing int64         `json:"moreMissing,omitempty"`
	// Requests are the files that ask the other side for what is missing, one for each set.
	Requests []RequestFile `json:"requests,omitempty"`
	// Left is the damage that remains in published content, apart from missing content.
	Left []tree.Damage `json:"left,omitempty"`
	// Generation is the one that was published, because what a publish makes itself was
	// damaged; 0: none was.
	Generation int `json:"generation,omitempty"`
	// Notes are what was wrong with bundles at hand.
	Notes []string `json:"notes,omitempty"`
}

// repair is one run of Repair. Each step reads what was found damaged so far, and adds to the
// result.
type repair struct {
	*writer
	ctx      context.Context // of the one run
	res      *RepairResult
	holdings []tree.Holding
	// badLists and badBlobs have to come from somewhere else; those that did are marked.
	badLists, badBlobs *bundle.DigestSet
}

// Repair reads everything again that the mirror keeps, lists and blobs, and puts right
// what is damaged: from names that are published and still right, and from the bundles in
// paths, full ones or deltas, whether they were imported or not. Such a bundle has to be
// signed by a key of the policy for its set; its age does not matter, because what is taken
// of it is named by a list that was accepted. Every published name of what was replaced is
// put right in every kept generation.
//
// Content that is not found is in the result, with a signed request for the exporting side, and
// in the error, a *MissingError.
func Repair(ctx context.Context, m *Mirror, paths []string) (res *RepairResult, err error) {
	if m.o.DryRun {
		r := &repair{ctx: ctx, writer: &writer{o: m.o, dir: m.dir, state: &state.Writer{State: m.state}, blobs: m.blobs, lists: m.lists,
			trees: tree.NewBuilder(m.trees, nil)}}
		return r.rehearse(paths)
	}
	err = m.write(ctx, func(w *writer) error {
		if err := w.sweep(); err != nil {
			return err
		}
		r := &repair{writer: w, ctx: ctx}
		res, err = r.run(paths)
		return err
	})
	return res, err
}

func (r *repair) begin() (err error) {
	r.res = &RepairResult{Mended: []tree.Damage{}, Missing: []MissingBlob{}}
	r.badLists, r.badBlobs = bundle.NewDigestSet(0), bundle.NewDigestSet(0)
	if r.holdings, err = r.trees.Holdings(r.state.State); err != nil {
		return err
	}
	return r.readLists()
}

func (r *repair) run(paths []string) (*RepairResult, error) {
	if err := r.begin(); err != nil {
		return r.res, err
	}
	bundles, done, err := r.open(paths)
	if err != nil {
		return r.res, err
	}
	err = r.mend(bundles)
	return r.res, errors.Join(err, done())
}

func (r *repair) mend(bundles []*verify.Bundle) error {
	if err := r.fetchLists(bundles); err != nil {
		return err
	}
	if err := r.readBlobs(); err != nil {
		return err
	}
	err := r.mendNames(r.ctx, r.isGood, r.res, func(m *tree.Mender) (err error) {
		if r.badBlobs.Len() == 0 {
			return nil
		}
		if r.res.Rescued, err = m.Rescue(r.badBlobs); err != nil {
			return err
		}
		return r.fetchBlobs(bundles)
	})
	if err != nil {
		return err
	}
	if err := r.clearDamaged(); err != nil {
		return err
	}
	if err := r.republish(); err != nil {
		return err
	}
	if err := r.findMissing(); err != nil {
		return err
	}
	if err := r.note(); err != nil {
		return err
	}
	return r.missingError()
}

// clearDamaged takes off the record what is right now.
func (r *repair) clearDamaged() error {
	all, err := r.state.Damaged()
	if err != nil || len(all) == 0 {
		return err
	}
	return r.state.SetDamaged(slices.DeleteFunc(all, r.isGood))
}

// isGood reports whether a blob is in the store and right.
func (r *repair) isGood(d bundle.Digest) bool {
	_, bad := r.badBlobs.Size(d)
	return !bad || r.badBlobs.Marked(d)
}

// readLists reads every kept list again.
func (r *repair) readLists() error {
	seen := bundle.NewDigestSet(0)
	return eachList(r.holdings, func(desc v1.Descriptor, d bundle.Digest) error {
		if !seen.Add(d, desc.Size) || r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		r.res.Lists++
		bad, err := isDamaged(r.lists, d, desc.Size)
		if bad {
			r.badLists.Add(d, desc.Size)
			r.res.BadLists++
		}
		return err
	})
}

func eachList(holdings []tree.Holding, each func(v1.Descriptor, bundle.Digest) error) error {
	for _, h := range holdings {
		for _, repo := range h.Repositories {
			for _, desc := range repo.Lists() {
				d, err := bundle.ParseDigest(string(desc.Digest))
				if err != nil {
					return err
				}
				if err := each(desc, d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// isDamaged reads a blob again and reports whether it is gone or not what it should be. An
// error is of the context or of the machine as a whole.
func isDamaged(s *store.Store, d bundle.Digest, size int64) (bool, error) {
	ok, err := s.Has(d, size)
	if err != nil {
		return false, err
	}
	return !ok || s.Verify(d) != nil, nil // what cannot be read is damaged too
}

// readBlobs reads every blob again that a good list names.
func (r *repair) readBlobs() error {
	seen := bundle.NewDigestSet(0)
	files := make(chan bundle.File, 256)
	g, ctx := errgroup.WithContext(r.ctx)
	g.Go(func() error {
		defer close(files)
		return r.eachFile(seen, func(f bundle.File) error {
			r.o.Progress.Grow(f.Size)
			select {
			case files <- f:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	var mu sync.Mutex
	jobs := r.o.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	for range jobs {
		g.Go(func() error {
			for f := range files {
				err := r.makeReadable(f.Digest)
				bad := false
				if err == nil {
					bad, err = isDamaged(r.blobs, f.Digest, f.Size)
				}
				if err != nil {
					return err
				}
				r.o.Progress.Add(f.Size)
				mu.Lock()
				r.res.Blobs, r.res.Bytes = r.res.Blobs+1, r.res.Bytes+f.Size
				if bad {
					r.badBlobs.Add(f.Digest, f.Size)
					r.res.BadBlobs++
				}
				mu.Unlock()
			}
			return nil
		})
	}
	return g.Wait()
}

// makeReadable mends the mode of a blob: web servers run as another user.
func (r *repair) makeReadable(d bundle.Digest) error {
	if r.o.DryRun {
		return nil
	}
	err := r.blobs.MakeReadable(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// eachFile calls each for every blob that a kept list names, once. A damaged list is
// passed over.
func (r *repair) eachFile(seen *bundle.DigestSet, each func(bundle.File) error) error {
	read := map[string]bool{}
	for _, h := range r.holdings {
		for _, repo := range h.Repositories {
			if read[string(repo.Files.Digest)] {
				continue
			}
			read[string(repo.Files.Digest)] = true
			for f, err := range r.trees.Files(repo) {
				if tree.IsListDamage(err) {
					break
				}
				if err == nil && seen.Add(f.Digest, f.Size) {
					err = each(f)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// open verifies the bundles in paths. A fault of one is a note: what it has may
// come from another.
func (r *repair) open(paths []string) (bundles []*verify.Bundle, done func() error, err error) {
	done = func() error { return nil }
	if len(paths) == 0 {
		return nil, done, nil
	}
	policy, err := r.state.Policy()
	if err != nil {
		return nil, done, err
	}
	readers, err := bundle.Discover(paths)
	if err != nil {
		return nil, done, err
	}
	done = func() error {
		var errs []error
		for _, b := range bundles {
			errs = append(errs, b.Close())
		}
		for _, reader := range readers {
			errs = append(errs, reader.Close())
		}
		return errors.Join(errs...)
	}
	for _, reader := range readers {
		b, _, err := verify.Open(r.ctx, reader, verify.Options{Policy: policy, Now: r.state.Now(), AcceptExpired: true})
		if r.ctx.Err() != nil {
			return nil, done, errors.Join(r.ctx.Err(), done())
		}
		if err != nil {
			r.res.Notes = append(r.res.Notes, fmt.Sprintf("%s cannot be used: %v", reader.Name(), err))
			continue
		}
		bundles = append(bundles, b)
	}
	return bundles, done, nil
}

// beginMending returns the time of what is repaired: later than that of any publish.
// It is on record first, so that no later publish has an earlier one.
func (w *writer) beginMending() (time.Time, error) {
	current, err := w.trees.Published()
	if err != nil {
		return time.Time{}, err
	}
	s, err := w.state.Settings()
	if err != nil {
		return time.Time{}, err
	}
	s.Mended = publishTime(time.Time{}, w.state.Now(), current, s.Mended)
	return s.Mended, w.state.SetSettings(s)
}

// mendDamaged repairs the published names of blobs that an import found damaged, and
// that are right now.
func (w *writer) mendDamaged(ctx context.Context) (*RepairResult, error) {
	all, err := w.state.Damaged()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	good, bad := map[bundle.Digest]bool{}, []bundle.Digest(nil)
	for _, d := range all {
		if good[d] || w.blobs.Verify(d) == nil {
			good[d] = true
		} else if !slices.Contains(bad, d) {
			bad = append(bad, d)
		}
	}
	if len(good) == 0 {
		return nil, nil
	}
	res := &RepairResult{}
	nothing := func(*tree.Mender) error { return nil }
	if err := w.mendNames(ctx, func(d bundle.Digest) bool { return good[d] }, res, nothing); err != nil {
		return nil, err
	}
	detail := fmt.Sprintf("%s were damaged; %s repaired", bundle.Count(len(good), "blob"), bundle.Count(int64(len(res.Mended))+res.More, "published name"))
	if err := w.state.Note(state.Entry{Time: w.state.Now(), What: "repair", Detail: detail}); err != nil {
		return nil, err
	}
	return res, w.state.SetDamaged(bad)
}

// mendNames repairs published names, after before has repaired blobs.
func (w *writer) mendNames(ctx context.Context, only func(bundle.Digest) bool, res *RepairResult, before func(*tree.Mender) error) (err error) {
	m := w.trees.NewMender(ctx, w.beginMending)
	defer func() {
		err = errors.Join(err, m.Close())
		res.Mended, res.More = append(res.Mended, m.Mended...), res.More+m.More
	}()
	if err := before(m); err != nil {
		return err
	}
	return m.Names(only)
}

// republish looks at what is published now. Where something is wrong that a publish makes
// itself, the same sets are published again.
func (r *repair) republish() error {
	current, err := r.trees.Published()
	if err != nil || current == nil {
		return err
	}
	left, err := r.left()
	if err != nil || !tree.MadeAgain(left) {
		r.res.Left = left
		return err
	}
	r.trees.Fresh = true
	g, err := r.publish(r.ctx, proposal{sets: unplanted(current.Sets), reason: "repair", then: state.Record{
		Journal: []state.Entry{{Time: r.state.Now(), What: "repair", Detail: "what a publish makes itself was damaged"}},
	}})
	if g != nil {
		r.res.Generation = g.Number
	}
	if err != nil {
		return err
	}
	r.res.Left, err = r.left()
	return err
}

// left returns what a check finds that no missing blob explains.
func (r *repair) left() ([]tree.Damage, error) {
	found, err := r.trees.Check(r.ctx, tree.CheckOptions{Made: true})
	if found == nil {
		return nil, err
	}
	var left []tree.Damage
	for _, d := range found.Damage {
		if d.Blob.IsZero() || r.isGood(d.Blob) {
			left = append(left, d)
		}
	}
	return left, nil
}

// note puts on record that something was repaired.
func (r *repair) note() error {
	n := int64(len(r.res.Mended)) + r.res.More
	if n+r.res.NewBlobs+r.res.NewLists+r.res.Rescued+int64(len(r.res.Missing)) == 0 {
		return nil
	}
	detail := fmt.Sprintf("%s and %s damaged; %s and %s from bundles, %s from published names; %s repaired; %s missing",
		bundle.Count(r.res.BadLists, "list"), bundle.Count(r.res.BadBlobs, "blob"), bundle.Count(r.res.NewLists, "list"), bundle.Count(r.res.NewBlobs, "blob"), bundle.Count(r.res.Rescued, "blob"), bundle.Count(n, "name"), bundle.Count(int64(len(r.res.Missing))+r.res.MoreMissing, "blob"))
	return r.state.Note(state.Entry{Time: r.state.Now(), What: "repair", Detail: detail})
}
