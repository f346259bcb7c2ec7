package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// DefaultKeep is how many generations gc keeps when it is not told.
const DefaultKeep = 3

const (
	// keepReplaced is how long a generation is kept after another took its
	// place: a client may be in the middle of it.
	keepReplaced = 24 * time.Hour
	// maxSweep is the part of the store, in percent, above which gc asks to
	// be told again: more often a mistake than a wish.
	maxSweep = 40
)

// GCOptions say what may go.
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
}

// GC removes generations that are old, and what nothing needs any more. It
// keeps the current generation and the previous, the newest o.Keep, those that
// were replaced less than a day ago, what pending bundles have brought, and of
// each set what its newest receipt and its newest accepted bundle describe,
// because the next delta leaves that out.
func (m *Mirror) GC(ctx context.Context, o GCOptions) (res *GCResult, err error) {
	if o.Keep < 0 {
		return nil, fmt.Errorf("gc: keep %d generations: want 1 or more: %w", o.Keep, bundle.ErrUsage)
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if m.o.DryRun {
		s, err := m.survey(ctx, o)
		if err != nil {
			return nil, err
		}
		return &s.GCResult, nil
	}
	err = m.write(ctx, func(w *writer) error {
		s, err := w.survey(ctx, o)
		if err != nil {
			return err
		}
		res = &s.GCResult
		return w.collect(ctx, s)
	})
	return res, err
}

// survey is what is needed and, counted, what is not.
type survey struct {
	GCResult
	current      *Generation
	trees        map[int]bool
	blobs, lists *bundle.DigestSet
	claimed      map[bundle.Digest]bool // partial blobs
}

func (m *Mirror) survey(ctx context.Context, o GCOptions) (*survey, error) {
	s := &survey{
		trees: map[int]bool{}, blobs: bundle.NewDigestSet(0), lists: bundle.NewDigestSet(0), claimed: map[bundle.Digest]bool{},
	}
	all, err := m.Generations()
	if err != nil {
		return nil, err
	}
	var keep [][]bundle.Repository
	for i, g := range all {
		stays, err := m.stays(all, i, o.Keep)
		if err != nil {
			return nil, err
		}
		if !stays {
			s.Generations = append(s.Generations, g.Number)
			continue
		}
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
	ratchets, err := m.ratchets()
	if err != nil {
		return nil, err
	}
	for _, t := range ratchets {
		for _, c := range []*content{t.Newest, t.Acknowledged} {
			if c != nil {
				keep = append(keep, c.Repositories)
			}
		}
	}
	for _, repos := range keep {
		if err := m.mark(ctx, s, repos); err != nil {
			return nil, err
		}
	}
	if err := m.markPending(ctx, s); err != nil {
		return nil, err
	}
	return s, m.count(ctx, s, o.Force)
}

// stays says whether the i-th of all generations is kept whatever its blobs.
func (m *Mirror) stays(all []Generation, i, keep int) (bool, error) {
	if i >= len(all)-keep {
		return true, nil
	}
	previous, err := m.linked(previousLink)
	if err != nil {
		return false, err
	}
	return all[i].Number == previous || m.now().Sub(all[i+1].Time) < keepReplaced, nil
}

// mark marks the lists of repositories and the blobs that they name.
func (m *Mirror) mark(ctx context.Context, s *survey, repos []bundle.Repository) error {
	for _, r := range repos {
		if err := ctx.Err(); err != nil {
			return err
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
		for f, err := range m.files(r) {
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
func (m *Mirror) markPending(ctx context.Context, s *survey) error {
	names, err := m.pendings()
	if err != nil {
		return err
	}
	for _, name := range names {
		p, err := m.readPending(name)
		if err != nil {
			return err
		}
		for d := range p.segments {
			s.claimed[d] = true
		}
		err = m.pendingCatalog(ctx, name, func(v bundle.Volume, c *bundle.Catalog) error {
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

// pendingCatalog calls each for the volumes of a pending bundle, whose root
// was verified when it was put there.
func (m *Mirror) pendingCatalog(ctx context.Context, name string, each func(bundle.Volume, *bundle.Catalog) error) error {
	dir, err := m.root.OpenRoot(pendingPath(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	b, err := dir.ReadFile(bundle.RootName)
	if err != nil {
		return err
	}
	manifest, err := bundle.ParseManifest(b)
	if err != nil {
		return fmt.Errorf("pending %s: %w", name, err)
	}
	var files []io.Closer
	defer func() {
		for _, f := range files {
			_ = f.Close() // read only
		}
	}()
	c, err := bundle.NewCatalog(manifest, func(file string) (io.ReaderAt, int64, error) {
		f, err := dir.Open(file)
		if err != nil {
			return nil, 0, err
		}
		files = append(files, f)
		fi, err := f.Stat()
		if err != nil {
			return nil, 0, err
		}
		return f, fi.Size(), nil
	})
	if err != nil {
		return fmt.Errorf("pending %s: %w", name, err)
	}
	for v, err := range c.Volumes(ctx) {
		if err == nil {
			err = each(v, c)
		}
		if err != nil {
			return fmt.Errorf("pending %s: %w", name, err)
		}
	}
	return nil
}

// count counts what is to go, and refuses when that is too much.
func (m *Mirror) count(ctx context.Context, s *survey, force bool) error {
	for b, err := range m.store.All() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if _, ok := s.blobs.Size(b.Digest); ok {
			s.KeptBlobs, s.KeptBytes = s.KeptBlobs+1, s.KeptBytes+b.Size
		} else {
			s.Blobs, s.Bytes = s.Blobs+1, s.Bytes+b.Size
		}
	}
	for l, err := range m.lists.All() {
		if err != nil {
			return err
		}
		if _, ok := s.lists.Size(l.Digest); !ok {
			s.Lists++
		}
	}
	trees, err := m.strayTrees(s)
	if err != nil {
		return err
	}
	s.Trees = len(trees)
	if !force && (tooMuch(s.Blobs, s.KeptBlobs) || tooMuch(s.Bytes, s.KeptBytes)) {
		return fmt.Errorf("gc: would remove %d of %d blobs, %d of %d bytes: more than %d %% has to be asked for: %w",
			s.Blobs, s.Blobs+s.KeptBlobs, s.Bytes, s.Bytes+s.KeptBytes, maxSweep, bundle.ErrUsage)
	}
	return nil
}

func tooMuch(swept, kept int64) bool { return swept > 0 && swept*100 > (swept+kept)*maxSweep }

// strayTrees are the folders below trees/ that no kept generation links to.
func (m *Mirror) strayTrees(s *survey) ([]string, error) {
	kept := map[string]bool{}
	for n := range s.trees {
		kept[treeDir(n)] = true
	}
	entries, err := fs.ReadDir(m.root.FS(), treesDir)
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

// collect removes what the survey found nothing to need. The record of a
// generation goes first: what is left of it then is rubbish to every later run.
func (w *writer) collect(ctx context.Context, s *survey) error {
	if err := w.note(Entry{Time: w.now(), What: "gc", Detail: fmt.Sprintf("generations %v, %d blobs, %d bytes", s.Generations, s.Blobs, s.Bytes)}); err != nil {
		return err
	}
	for _, n := range s.Generations {
		if err := w.collectGeneration(n); err != nil {
			return err
		}
	}
	if err := w.sweepBuilds(s.current); err != nil {
		return err
	}
	strays, err := w.strays()
	if err != nil {
		return err
	}
	trees, err := w.strayTrees(s)
	if err != nil {
		return err
	}
	for _, dir := range append(strays, trees...) {
		if err := w.root.RemoveAll(dir); err != nil {
			return err
		}
	}
	for l, err := range w.lists.All() {
		if err != nil {
			return err
		}
		if _, ok := s.lists.Size(l.Digest); !ok {
			if err := w.lists.Remove(l.Digest); err != nil {
				return err
			}
		}
	}
	for b, err := range w.store.All() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if _, ok := s.blobs.Size(b.Digest); !ok {
			if err := w.store.Remove(b.Digest); err != nil {
				return err
			}
		}
	}
	return errors.Join(w.lists.Sweep(nil), w.store.Sweep(func(d bundle.Digest) bool { return s.claimed[d] }))
}

func (w *writer) collectGeneration(n int) error {
	for _, file := range []string{recordFile(n), generatedFile(n)} {
		if err := durable.Remove(w.root, file); err != nil {
			return err
		}
	}
	return w.root.RemoveAll(generationDir(n))
}

// strays are the folders of generations without a record: gc was interrupted.
func (m *Mirror) strays() (dirs []string, err error) {
	entries, err := fs.ReadDir(m.root.FS(), generationsDir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		_, err := m.root.Lstat(recordsDir + "/" + e.Name() + ".json")
		if errors.Is(err, fs.ErrNotExist) {
			dirs = append(dirs, generationsDir+"/"+e.Name())
		} else if err != nil {
			return nil, err
		}
	}
	return dirs, nil
}
