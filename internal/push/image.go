package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
)

// references is what a manifest or an index refers to (OCI image
// specification; Docker's manifest version 2, schema 2).
type references struct {
	Subject   *ocispec.Descriptor  `json:"subject"`
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
	Blobs     []ocispec.Descriptor `json:"blobs"` // of an artifact manifest
	Manifests []ocispec.Descriptor `json:"manifests"`
}

// pushing is one image on its way.
type pushing struct {
	*run
	img    *image
	target string
	to     *registry.Repository
	done   map[bundle.Digest]error // manifests that were dealt with

	mu     sync.Mutex // of report
	report *ImageReport
}

func (r *run) image(ctx context.Context, img *image, report *ImageReport) error {
	target := r.o.target(img.name)
	to, err := r.to.Repository(r.o.Registry + "/" + target)
	if err != nil {
		return fmt.Errorf("%s: %w", img.name, err)
	}
	p := &pushing{run: r, img: img, target: target, to: to, done: map[bundle.Digest]error{}, report: report}
	r.o.Progress.Item(img.name)
	var errs []error
	byName := func(a, b bundle.Digest) int { return strings.Compare(a.String(), b.String()) }
	for _, d := range slices.SortedFunc(maps.Keys(img.manifests), byName) {
		errs = append(errs, p.first(ctx, d))
	}
	for _, tag := range slices.Sorted(maps.Keys(img.tags)) {
		if p.done[img.tags[tag]] == nil && ctx.Err() == nil {
			errs = append(errs, p.tag(ctx, tag, img.tags[tag]))
		}
	}
	err = errors.Join(errs...)
	report.Complete = err == nil && ctx.Err() == nil
	return err
}

// first pushes a manifest unless that was tried before: then its error was reported.
func (p *pushing) first(ctx context.Context, d bundle.Digest) error {
	if _, tried := p.done[d]; !tried && ctx.Err() == nil {
		return p.manifest(ctx, d, 0)
	}
	return nil
}

// there wraps what the registry, or the way to it, did wrong.
func (p *pushing) there(err error) error {
	if err == nil {
		return nil
	}
	return &RegistryError{p.o.Registry, err}
}

// manifest pushes a manifest after everything it refers to.
func (p *pushing) manifest(ctx context.Context, d bundle.Digest, depth int) error {
	errs := p.try(ctx, d, depth)
	for i, err := range errs {
		errs[i] = p.named(d, err)
	}
	p.done[d] = errors.Join(errs...)
	return p.done[d]
}

func (p *pushing) try(ctx context.Context, d bundle.Digest, depth int) []error {
	if depth > maxDepth {
		return []error{fmt.Errorf("more than %d nested indexes: %w", maxDepth, bundle.ErrMalformed)}
	}
	content, err := p.img.manifest(ctx, p.tree, d)
	if err != nil {
		return []error{err}
	}
	var refs references
	if err := json.Unmarshal(content, &refs); err != nil {
		return []error{fmt.Errorf("manifest not readable: %w", bundle.ErrMalformed)}
	}
	missing, errs := p.below(ctx, refs, depth)
	if len(errs) > 0 {
		return errs
	}
	if err := p.put(ctx, d, content, refs, missing); err != nil {
		return []error{err}
	}
	return nil
}

// named puts the image's name before an error, once.
func (p *pushing) named(d bundle.Digest, err error) error {
	var already *imageError
	var sparse *SparseError
	if errors.As(err, &already) || errors.As(err, &sparse) {
		return err
	}
	return &imageError{fmt.Sprintf("%s@%s", p.img.name, d), err}
}

type imageError struct {
	name string
	err  error
}

func (e *imageError) Error() string { return e.name + ": " + e.err.Error() }
func (e *imageError) Unwrap() error { return e.err }

// below pushes what a manifest refers to, and counts the children of an index
// that the mirror does not have.
func (p *pushing) below(ctx context.Context, refs references, depth int) (missing int, errs []error) {
	for _, child := range refs.Manifests {
		d, err := bundle.ParseDigest(child.Digest.String())
		if err != nil {
			missing++ // of an algorithm that no mirror has
			continue
		}
		told, tried := p.done[d]
		switch {
		case p.img.manifests[d] == nil:
			missing++
		case !tried:
			errs = append(errs, p.manifest(ctx, d, depth+1))
		case told != nil:
			errs = append(errs, fmt.Errorf("needs %s, which was not pushed: %w", d, classOf(told)))
		}
	}
	if s := refs.Subject; s != nil {
		d, err := bundle.ParseDigest(s.Digest.String())
		if _, tried := p.done[d]; err == nil && !tried && p.img.manifests[d] != nil {
			errs = append(errs, p.manifest(ctx, d, depth+1))
		}
	}
	all := slices.Concat(refs.Layers, refs.Blobs)
	if refs.Config != nil {
		all = append(all, *refs.Config)
	}
	group := errgroup.Group{}
	group.SetLimit(p.o.Jobs)
	failed := make([]error, len(all))
	for i, b := range all {
		group.Go(func() error {
			failed[i] = p.blobOf(ctx, b)
			return nil
		})
	}
	_ = group.Wait() // failed has them
	return missing, slices.DeleteFunc(append(errs, failed...), func(err error) bool { return err == nil })
}

// classOf returns the class of an error without its text, for the things that
// depend on the failed one: the text was reported once already.
func classOf(told error) error {
	for _, class := range []error{bundle.ErrCorrupt, bundle.ErrMalformed, bundle.ErrIncomplete, fetch.ErrRefused, fetch.ErrConfig} {
		if errors.Is(told, class) {
			return class
		}
	}
	return fetch.ErrUpstream
}

// blobOf pushes a blob if the registry's repository lacks it.
func (p *pushing) blobOf(ctx context.Context, desc ocispec.Descriptor) error {
	d, err := bundle.ParseDigest(desc.Digest.String())
	if err != nil {
		return fmt.Errorf("blob %.100q: %w", desc.Digest, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b := p.blob(d)
	b.mu.Lock()
	defer b.mu.Unlock()
	has, err := p.to.HasBlob(ctx, desc.Digest)
	if err != nil {
		return p.there(fmt.Errorf("blob %s: %w", d, err))
	}
	if has {
		b.in = p.target
		p.count(func(r *ImageReport) { r.Present++ })
		return nil
	}
	if f, err := p.img.open(ctx, p.tree, blobs, d.String()); err == nil {
		f.Close()
	} else if len(desc.URLs) > 0 && errors.Is(err, bundle.ErrCorrupt) {
		return nil // a foreign layer that was left where it is
	} else {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	return p.send(ctx, desc, d, b)
}

func (p *pushing) send(ctx context.Context, desc ocispec.Descriptor, d bundle.Digest, b *blob) error {
	p.o.Progress.Grow(desc.Size)
	if p.o.DryRun {
		p.count(func(r *ImageReport) {
			switch b.in {
			case p.target:
				r.Present++
			case "":
				r.Blobs++
				r.Bytes += desc.Size
			default:
				r.Mounted++
			}
		})
		p.o.Progress.Add(desc.Size)
		b.in = p.target
		return nil
	}
	var passed atomic.Int64
	var local error
	sent, err := p.to.PushBlob(ctx, desc, b.in, func() (io.ReadCloser, error) {
		p.o.Progress.Add(-passed.Swap(0))
		f, err := p.img.open(ctx, p.tree, blobs, d.String())
		if err != nil {
			local = err
			return nil, err
		}
		return &watched{ReadCloser: f, passed: &passed, progress: p.o.Progress}, nil
	})
	var mismatch *registry.MismatchError
	switch {
	case local != nil:
		return fmt.Errorf("blob %s: %w", d, local)
	case errors.As(err, &mismatch):
		return fmt.Errorf("blob %s: %w: %w", d, bundle.ErrCorrupt, err)
	case err != nil:
		return p.there(fmt.Errorf("blob %s: %w", d, err))
	}
	p.o.Progress.Add(desc.Size - passed.Load())
	b.in = p.target
	p.count(func(r *ImageReport) {
		if sent {
			r.Blobs++
			r.Bytes += desc.Size
		} else {
			r.Mounted++
		}
	})
	return nil
}

// watched reports to progress what is read.
type watched struct {
	io.ReadCloser
	passed   *atomic.Int64 // the transport reads, and may be a little late
	progress bundle.Progress
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.passed.Add(int64(n))
	w.progress.Add(int64(n))
	return n, err
}

// put pushes the manifest itself where it is missing.
func (p *pushing) put(ctx context.Context, d bundle.Digest, content []byte, refs references, missing int) error {
	has, err := p.to.HasManifest(ctx, digest.Digest(d.String()))
	if err == nil && has && refs.Subject != nil && !p.o.DryRun {
		// One that was pushed, and is not listed: a push that was ended there.
		has, err = p.listed(ctx, refs.Subject.Digest, d)
	}
	if err != nil {
		return p.there(err)
	}
	if has {
		p.count(func(r *ImageReport) { r.Present++ })
		return nil
	}
	if !p.o.DryRun {
		err := p.to.PushManifest(ctx, p.descriptor(d, len(content)), content, "")
		var answer *registry.AnswerError
		if missing > 0 && errors.As(err, &answer) && answer.Status/100 == 4 {
			return &SparseError{p.img.name, d.String(), p.tagsOf(d), missing, err}
		}
		if err != nil {
			return p.there(err)
		}
	}
	p.count(func(r *ImageReport) { r.Manifests++; r.Bytes += int64(len(content)) })
	return nil
}

func (p *pushing) descriptor(d bundle.Digest, size int) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: p.img.manifests[d].mediaType, Digest: digest.Digest(d.String()), Size: int64(size)}
}

// listed reports whether the registry names a manifest among those that refer to
// its subject.
func (p *pushing) listed(ctx context.Context, subject digest.Digest, d bundle.Digest) (bool, error) {
	found, err := p.to.Referrers(ctx, subject, "")
	return slices.ContainsFunc(found, func(f ocispec.Descriptor) bool { return f.Digest.String() == d.String() }), err
}

func (p *pushing) tagsOf(d bundle.Digest) []string {
	var tags []string
	for tag, of := range p.img.tags {
		if of == d {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// referrersTag is the form of the tag under which registries without the API
// keep what refers to a manifest.
var referrersTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)

// tag points a tag to a manifest that was pushed.
func (p *pushing) tag(ctx context.Context, tag string, d bundle.Digest) error {
	err := func() error {
		now, err := p.to.Resolve(ctx, tag)
		switch {
		case err == nil && now.Digest.String() == d.String():
			return nil
		case err != nil && !registry.NotFound(err):
			return p.there(err)
		}
		content, readErr := p.img.manifest(ctx, p.tree, d)
		if readErr != nil {
			return readErr
		}
		desc := p.descriptor(d, len(content))
		if err == nil && referrersTag.MatchString(tag) {
			// The site's own signatures may be there: nothing is taken away.
			if desc, content, err = p.union(ctx, tag, desc, content); err != nil || content == nil {
				return err
			}
		} else if err == nil {
			p.count(func(r *ImageReport) { r.Moved = append(r.Moved, tag) })
		}
		if !p.o.DryRun {
			if err := p.to.PushManifest(ctx, desc, content, tag); err != nil {
				return p.there(err)
			}
		}
		p.count(func(r *ImageReport) { r.Tags++ })
		return nil
	}()
	if err != nil {
		return &imageError{p.img.name + ":" + tag, err}
	}
	return nil
}

// union returns the index under a tag of referrers with the mirror's added to what
// the registry has: the mirror's own bytes where that is all. content is nil
// where nothing is missing there.
func (p *pushing) union(ctx context.Context, tag string, desc ocispec.Descriptor, content []byte) (ocispec.Descriptor, []byte, error) {
	there, err := p.to.Manifest(ctx, tag)
	if err != nil {
		return desc, nil, p.there(err)
	}
	var index, ours ocispec.Index
	lists := func(i ocispec.Index, m ocispec.Descriptor) bool {
		return slices.ContainsFunc(i.Manifests, func(have ocispec.Descriptor) bool { return have.Digest == m.Digest })
	}
	if json.Unmarshal(there.Content, &index) != nil || json.Unmarshal(content, &ours) != nil {
		return desc, nil, fmt.Errorf("index of referrers not readable: %w", bundle.ErrMalformed)
	}
	if !slices.ContainsFunc(index.Manifests, func(m ocispec.Descriptor) bool { return !lists(ours, m) }) {
		return desc, content, nil
	}
	before := len(index.Manifests)
	for _, m := range ours.Manifests {
		if !lists(index, m) {
			index.Manifests = append(index.Manifests, m)
		}
	}
	if len(index.Manifests) == before {
		return desc, nil, nil
	}
	content, err = json.Marshal(index)
	desc.MediaType = ocispec.MediaTypeImageIndex
	desc.Digest, desc.Size = digest.FromBytes(content), int64(len(content))
	return desc, content, err
}

func (p *pushing) count(f func(*ImageReport)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.report)
}
