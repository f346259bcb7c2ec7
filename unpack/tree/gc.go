package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/state"
)

// DefaultKeep is how many generations gc keeps if nobody sets it.
const DefaultKeep = 3

const (
	// keepReplaced is how long a generation is kept after another took its
	// place: a client may be in the middle of it.
	keepReplaced = 24 * time.Hour
	// maxSweep is the part of the store, in percent, above which gc asks to
	// be told again: more often a mistake than a wish.
	maxSweep = 40
)

// GCOptions define what may go.
type GCOptions struct {
	// Keep is how many generations stay, the current one among them; 0: DefaultKeep.
	Keep int
	// Force sweeps more than 40 % of the store.
	Force bool
}

// GCResult is what was removed, or would be.
type GCResult struct {
	Generations []int `json:"generations"`
	Trees       int   `json:"trees"`
	Lists       int64 `json:"lists"`
	// Blobs and Bytes went from the store, KeptBlobs and KeptBytes stayed.
	Blobs     int64 `json:"blobs"`
	Bytes     int64 `json:"bytes"`
	KeptBlobs int64 `json:"keptBlobs"`
	KeptBytes int64 `json:"keptBytes"`
	// Kept are the generations that stay, and why.
	Kept []Kept `json:"kept"`
	// Pending are the bundles that are not whole yet, whose content stays.
	Pending []string `json:"pending,omitempty"`
}

// Kept is a generation that gc leaves, with the reason.
type Kept struct {
	Number int        `json:"number"`
	Why    KeepReason `json:"why"`
	// Until is when the generation may go, where that is a matter of time.
	Until time.Time `json:"until,omitzero"`
}

// KeepReason is why gc keeps a generation.
type KeepReason string

// The reasons.
const (
	KeptNewest   KeepReason = "newest"   // one of the newest, by GCOptions.Keep
	KeptPrevious KeepReason = "previous" // what clients fall back to
	KeptYoung    KeepReason = "young"    // replaced less than a day ago: a client may be in the middle of it
)

// Needs is what has to stay and, counted, what has not.
type Needs struct {
	// Result counts what goes.
	Result GCResult

	current      *Generation
	trees        map[int]bool
	blobs, lists *bundle.DigestSet
	claimed      map[bundle.Digest]bool // partial blobs
}

// Survey finds out what has to stay: the generations that o keeps, and what the
// state refers to. More than maxSweep that would go is an error that matches
// bundle.ErrUsage, unless o.Force.
func (t *Trees) Survey(ctx context.Context, of *state.State, o GCOptions) (*Needs, error) {
	s := &Needs{
		trees: map[int]bool{}, blobs: bundle.NewDigestSet(0), lists: bundle.NewDigestSet(0), claimed: map[bundle.Digest]bool{},
	}
	all, err := t.Generations()
	if err != nil {
		return nil, err
	}
	var keep [][]bundle.Repository
	for i, g := range all {
		kept, err := t.stays(all, i, o.Keep, of.Now())
		if err != nil {
			return nil, err
		}
		if kept.Why == "" {
			s.Result.Generations = append(s.Result.Generations, g.Number)
			continue
		}
		s.Result.Kept = append(s.Result.Kept, kept)
		s.current = &all[i] // the last one that stays is the newest
		for _, set := range g.Sets {
			var repos []bundle.Repository
			for _, r := range set.Repositories {
				repos = append(repos, r.Repository)
				s.trees[r.Tree] = true
			}
			keep = append(keep, repos)
		}
	}
	ratchets, err := of.Ratchets()
	if err != nil {
		return nil, err
	}
	for _, r := range ratchets {
		for _, c := range []*state.Content{r.Newest, r.Acknowledged} {
			if c != nil {
				keep = append(keep, c.Repositories)
			}
		}
	}
	for _, repos := range keep {
		if err := s.mark(ctx, t, repos); err != nil {
			return nil, err
		}
	}
	if err := s.markPending(ctx, of); err != nil {
		return nil, err
	}
	return s, s.count(ctx, t, o.Force)
}

// stays returns why the i-th of all generations is kept whatever its blobs; no reason:
// it is not.
func (t *Trees) stays(all []Generation, i, keep int, now time.Time) (Kept, error) {
	k := Kept{Number: all[i].Number}
	if i >= len(all)-keep {
		k.Why = KeptNewest
		return k, nil
	}
	previous, err := t.linked(previousLink)
	switch {
	case err != nil:
		return k, err
	case all[i].Number == previous:
		k.Why = KeptPrevious
	case now.Sub(all[i+1].Time) < keepReplaced:
		k.Why, k.Until = KeptYoung, all[i+1].Time.Add(keepReplaced).UTC()
	}
	return k, nil
}

// mark marks the lists of repositories and the blobs that they name.
func (s *Needs) mark(ctx context.Context, t *Trees, repos []bundle.Repository) error {
	for _, r := range repos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Contents != nil {
			if _, err := markList(s.lists, *r.Contents); err != nil {
				return err
			}
		}
		if _, err := markList(s.lists, r.Evidence); err != nil {
			return err
		}
		added, err := markList(s.lists, r.Files)
		if err != nil {
			return err
		}
		if !added {
			continue
		}
		for f, err := range t.Files(r) {
			if err != nil {
				return err
			}
			s.blobs.Add(f.Digest, f.Size)
		}
	}
	return nil
}

func markList(set *bundle.DigestSet, desc v1.Descriptor) (added bool, err error) {
	d, err := bundle.ParseDigest(string(desc.Digest))
	if err != nil {
		return false, err
	}
	return set.Add(d, desc.Size), nil
}

// markPending marks what pending bundles carry, and what those that leave
// something out describe as far as it is known here.
func (s *Needs) markPending(ctx context.Context, of *state.State) error {
	names, err := of.Pendings()
	if err != nil {
		return err
	}
	s.Result.Pending = names
	for _, name := range names {
		p, err := of.ReadPending(name)
		if err != nil {
			return err
		}
		for d := range p.Segments {
			s.claimed[d] = true
		}
		err = of.PendingCatalog(ctx, name, func(v bundle.Volume, c *bundle.Catalog) error {
			for b, err := range c.Blobs(v) {
				if err != nil {
					return err
				}
				s.blobs.Add(b.Digest, b.Size)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// count counts what is to go, and refuses when that is too much.
func (s *Needs) count(ctx context.Context, t *Trees, force bool) error {
	n := &s.Result
	for b, err := range t.blobs.All() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if _, ok := s.blobs.Size(b.Digest); ok {
			n.KeptBlobs, n.KeptBytes = n.KeptBlobs+1, n.KeptBytes+b.Size
		} else {
			n.Blobs, n.Bytes = n.Blobs+1, n.Bytes+b.Size
		}
	}
	for l, err := range t.lists.All() {
		if err != nil {
			return err
		}
		if _, ok := s.lists.Size(l.Digest); !ok {
			n.Lists++
		}
	}
	trees, err := s.strayTrees(t)
	if err != nil {
		return err
	}
	n.Trees = len(trees)
	if !force && (tooMuch(n.Blobs, n.KeptBlobs) || tooMuch(n.Bytes, n.KeptBytes)) {
		return fmt.Errorf("gc: would remove %d of %s, %d of %s: more than %d %% has to be asked for: %w",
			n.Blobs, bundle.Count(n.Blobs+n.KeptBlobs, "blob"), n.Bytes, bundle.Count(n.Bytes+n.KeptBytes, "byte"), maxSweep, bundle.ErrUsage)
	}
	return nil
}

func tooMuch(swept, kept int64) bool { return swept > 0 && swept*100 > (swept+kept)*maxSweep }

// strayTrees returns the folders below trees/ that no kept generation links to.
func (s *Needs) strayTrees(t *Trees) ([]string, error) {
	kept := map[string]bool{}
	for n := range s.trees {
		kept[treeDir(n)] = true
	}
	entries, err := fs.ReadDir(t.root.FS(), treesDir)
	if err != nil {
		return nil, err
	}
	var stray []string
	for _, e := range entries {
		if name := treesDir + "/" + e.Name(); !kept[name] {
			stray = append(stray, name)
		}
	}
	return stray, nil
}

// Collect removes what Survey found nothing to need. The record of a generation
// goes first: what is left of it then is rubbish to every later run.
func (b *Builder) Collect(ctx context.Context, s *Needs) error {
	for _, n := range s.Result.Generations {
		if err := b.collectGeneration(n); err != nil {
			return err
		}
	}
	if err := b.SweepBuilds(s.current); err != nil {
		return err
	}
	strays, err := b.strays()
	if err != nil {
		return err
	}
	trees, err := s.strayTrees(b.Trees)
	if err != nil {
		return err
	}
	for _, dir := range append(strays, trees...) {
		if err := b.root.RemoveAll(dir); err != nil {
			return err
		}
	}
	for l, err := range b.lists.All() {
		if err != nil {
			return err
		}
		if _, ok := s.lists.Size(l.Digest); !ok {
			if err := b.lists.Remove(l.Digest); err != nil {
				return err
			}
		}
	}
	for blob, err := range b.blobs.All() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if _, ok := s.blobs.Size(blob.Digest); !ok {
			if err := b.blobs.Remove(blob.Digest); err != nil {
				return err
			}
		}
	}
	return errors.Join(b.lists.Sweep(nil), b.blobs.Sweep(func(d bundle.Digest) bool { return s.claimed[d] }))
}

// Discard removes the blobs that carries reports and that Survey found nothing to need.
func (b *Builder) Discard(ctx context.Context, s *Needs, carries func(bundle.Digest) bool) error {
	for blob, err := range b.blobs.All() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if _, needed := s.blobs.Size(blob.Digest); needed || !carries(blob.Digest) {
			continue
		}
		if err := b.blobs.Remove(blob.Digest); err != nil {
			return err
		}
	}
	return b.blobs.Sweep(func(d bundle.Digest) bool { return s.claimed[d] })
}

func (b *Builder) collectGeneration(n int) error {
	for _, file := range []string{recordFile(n), copyFile(n), generatedFile(n)} {
		if err := durable.Remove(b.root, file); err != nil {
			return err
		}
	}
	return b.root.RemoveAll(generationDir(n))
}

// strays returns the folders of generations without a record: gc was interrupted.
func (t *Trees) strays() (dirs []string, err error) {
	entries, err := fs.ReadDir(t.root.FS(), generationsDir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		_, err := t.root.Lstat(state.GenerationsDir + "/" + e.Name() + ".json")
		if errors.Is(err, fs.ErrNotExist) {
			dirs = append(dirs, generationsDir+"/"+e.Name())
		} else if err != nil {
			return nil, err
		}
	}
	return dirs, nil
}
