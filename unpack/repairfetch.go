package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// fetchLists takes damaged lists from bundles that carry them.
func (r *repair) fetchLists(bundles []*verify.Bundle) error {
	if r.badLists.Len() == 0 {
		return nil
	}
	batch := r.lists.Begin()
	defer batch.Discard()
	for _, b := range bundles {
		for _, repo := range b.Manifest().Repositories {
			for _, desc := range repo.Lists() {
				d, err := bundle.ParseDigest(string(desc.Digest))
				if err != nil {
					return err
				}
				if _, bad := r.badLists.Size(d); !bad || r.badLists.Marked(d) {
					continue
				}
				err = copyList(b, batch, d)
				if errors.Is(err, bundle.ErrIncomplete) || errors.Is(err, fs.ErrNotExist) {
					continue // not carried
				}
				if err != nil {
					return fmt.Errorf("%s: list of %s: %w", b.Name(), repo.Name, err)
				}
				r.badLists.Mark(d)
				r.res.NewLists++
			}
		}
	}
	return batch.Flush(r.ctx)
}

// fetchBlobs takes damaged blobs from the volumes of bundles, each volume read once and
// only if it has one.
func (r *repair) fetchBlobs(bundles []*verify.Bundle) error {
	var stored atomic.Int64
	for _, b := range bundles {
		gather := &gatherer{wanted: r.badBlobs, sizes: map[bundle.Digest]int64{}, shelver: shelver{
			ctx: r.ctx, store: r.blobs, batch: r.blobs.Begin(), stored: &stored,
		}}
		if err := r.fetchFrom(b, gather); err != nil {
			return err
		}
	}
	return nil
}

func (r *repair) fetchFrom(b *verify.Bundle, from *gatherer) error {
	defer from.batch.Discard()
	for i, v := range b.Volumes() {
		if v.Found < 0 {
			continue
		}
		has, err := carriesAny(b, i, r.badBlobs)
		if err != nil {
			return err
		}
		if !has {
			continue
		}
		r.o.Progress.Item(b.Name() + "/" + v.Name)
		r.o.Progress.Grow(v.Size)
		err = b.Stream(r.ctx, i, from, verify.StreamOptions{Jobs: r.o.Jobs, Progress: r.o.Progress})
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		var damage *verify.DamageError
		switch {
		case err == nil:
		case errors.As(err, &damage): // what came before it is right
			r.res.Notes = append(r.res.Notes, fmt.Sprintf("%s: %v", b.Name(), err))
		default:
			return fmt.Errorf("%s: %w", b.Name(), err)
		}
	}
	if err := from.batch.Flush(r.ctx); err != nil {
		return err
	}
	whole, err := from.join()
	if err != nil {
		return err
	}
	for _, d := range append(from.whole, whole...) {
		if first, _ := r.badBlobs.Mark(d); first {
			r.res.NewBlobs++
		}
	}
	return nil
}

func carriesAny(b *verify.Bundle, volume int, wanted *bundle.DigestSet) (bool, error) {
	for blob, err := range b.Blobs(volume) {
		if err != nil {
			return false, err
		}
		if _, is := wanted.Size(blob.Digest); is && !wanted.Marked(blob.Digest) {
			return true, nil
		}
	}
	return false, nil
}

// gatherer is a verify.Sink that takes wanted blobs and no others. Those that are split
// are joined at the end of a bundle.
type gatherer struct {
	shelver
	wanted *bundle.DigestSet

	guard sync.Mutex // of what follows
	whole []bundle.Digest
	sizes map[bundle.Digest]int64 // of blobs that are split
}

// Create is called concurrently.
func (g *gatherer) Create(b bundle.Blob) (verify.BlobWriter, error) {
	g.guard.Lock()
	_, is := g.wanted.Size(b.Digest)
	is = is && !g.wanted.Marked(b.Digest)
	if is && !b.Whole() {
		g.sizes[b.Digest] = b.Size
	}
	g.guard.Unlock()
	if !is {
		return nil, nil
	}
	w, err := g.write(b)
	if err != nil || !b.Whole() {
		return w, err
	}
	return &gathered{w, g, b.Digest}, nil
}

type gathered struct {
	verify.BlobWriter
	gatherer *gatherer
	digest   bundle.Digest
}

func (w *gathered) Commit() error {
	if err := w.BlobWriter.Commit(); err != nil {
		return err
	}
	w.gatherer.guard.Lock()
	defer w.gatherer.guard.Unlock()
	w.gatherer.whole = append(w.gatherer.whole, w.digest)
	return nil
}

// join puts split blobs on the shelf of which every segment came.
func (g *gatherer) join() (whole []bundle.Digest, err error) {
	if len(g.segments) == 0 {
		return nil, nil
	}
	if err := g.store.Sync(); err != nil {
		return nil, err
	}
	length := map[bundle.Digest]int64{}
	for _, s := range g.segments {
		length[s.Digest] += s.Length
	}
	for d, size := range g.sizes {
		if length[d] != size {
			continue // the rest is on another medium, or damaged
		}
		err := g.store.FinishPartial(g.ctx, d, size)
		if errors.Is(err, bundle.ErrCorrupt) {
			continue
		}
		if err != nil {
			return nil, err
		}
		whole = append(whole, d)
	}
	return whole, nil
}
