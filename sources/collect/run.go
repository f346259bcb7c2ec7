package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Bounds of what Collect holds in memory, whatever is collected.
const (
	// aheadItems is how many artifacts a run may be ahead of what is written:
	// small ones are fetched meanwhile, several at once.
	aheadItems = 32
	// aheadBytes bounds the content of small artifacts held in memory over
	// all runs.
	aheadBytes = 24 << 20
	// openRuns is how many runs of volumes are written at once.
	openRuns = 4
)

// errLeft marks an artifact that was not collected because another one of its
// run was refused; only the other one is reported.
var errLeft = errors.New("left after an earlier finding")

// result is the future of one artifact. The listing waits for results in
// plan order while runs settle them in any.
type result struct {
	placed
	// settled is closed when file, validator and err are final.
	settled   chan struct{}
	file      bundle.File
	validator string
	err       error
}

func newResult(p placed) *result {
	return &result{placed: p, settled: make(chan struct{}), file: p.artifact.File, validator: p.artifact.Validator}
}

// settle ends the result; the artifact's own callback may still refuse it.
func (u *result) settle(err error) {
	if err == nil && u.artifact.Collected != nil {
		err = u.artifact.Collected(u.file)
	}
	u.err = err
	close(u.settled)
}

// known runs the artifact's own check for content that is already there and is not read. The error names
// source and path.
func (c *collection) known(ctx context.Context, u *result) error {
	if err := c.checkKnown(ctx, u); err != nil {
		return u.named(asUpstream(err, u.artifact))
	}
	return nil
}

// checkKnown does what known does, without the names.
func (c *collection) checkKnown(ctx context.Context, u *result) (err error) {
	if u.artifact.Known != nil {
		err = u.artifact.Known(ctx)
	}
	if err == nil {
		err = c.ensureKept(ctx, u)
	}
	return err
}

// named puts source and path before an error, and before each of joined ones, so that
// every line of a report names its file.
func (u *result) named(err error) error {
	parts := joined(err)
	if len(parts) < 2 {
		return fmt.Errorf("source %s, %s: %w", u.source, u.artifact.File.Path, err)
	}
	all := make([]error, len(parts))
	for i, part := range parts {
		all[i] = u.named(part)
	}
	return errors.Join(all...)
}

// key names the result in the resume record: the same key is the same content.
func (u *result) key() string {
	f := u.artifact.File
	return fmt.Sprintf("%s\x00%s\x00%d\x00%s\x00%s", u.source, f.Path, f.Size, f.Digest.Hex(), u.artifact.Validator)
}

// collection has what all runs of one Collect share.
type collection struct {
	resolved *Resolved
	o        Options
	planned  *bundle.DigestSet
	writer   func() (*media.Writer, error)
	memory   *semaphore.Weighted
	// spools counts the files made in scratch, to name them.
	spools atomic.Int64
	// runs are the goroutines that fill runs; running bounds how many.
	runs    *errgroup.Group
	running *semaphore.Weighted
	// abort ends everything at once: nothing more can be written.
	abort context.CancelCauseFunc
	// tail receives what has no planned place; nil until it is needed. last
	// is the number of the last planned volume.
	tail chan *result
	last int
}

// drop reports whether content which turned out to be d need not be carried.
func (c *collection) drop(d bundle.Digest) bool {
	_, ok := c.have(d)
	return ok
}

// have returns the size of a blob that the base has or that the plan carries.
func (c *collection) have(d bundle.Digest) (int64, bool) {
	if d.IsZero() {
		return 0, false
	}
	if c.o.Have != nil {
		if size, ok := c.o.Have(d); ok {
			return size, true
		}
	}
	return c.planned.Size(d)
}

// fill writes the artifacts that come along in to one run of volumes, in
// order, and settles each. It returns an error only if nothing more can be
// written; a refused artifact is a finding, and those after it in this run
// are left for the next attempt, so that the record of the run stays a prefix
// of its plan. They are looked at all the same (suspect): all that are bad are
// findings.
func (c *collection) fill(ctx context.Context, run media.Run, in <-chan *result) (err error) {
	w, err := c.open(ctx, run)
	if err != nil {
		c.abort(err)
		for u := range in {
			u.settle(errLeft)
		}
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan *loading, aheadItems)
	group.Go(func() error { return c.ahead(ctx, group, w, in, queue) })
	group.Go(func() error {
		refused, probes := false, maxProbes
		for l := range queue {
			if ctx.Err() != nil {
				l.release()
				l.settle(errLeft)
				continue
			}
			if refused {
				l.settle(c.suspect(ctx, l, &probes))
				continue
			}
			err := c.write(ctx, w, l)
			l.settle(err)
			if err != nil && !refusal(err) {
				c.abort(err)
				return err
			}
			if l.err != nil {
				refused = true
				if !Moved(l.err) {
					probes = 0 // upstream cannot be reached, or the like: nothing is learned by asking on
				}
			}
		}
		return nil
	})
	err = group.Wait()
	for l := range queue {
		l.release()
		l.settle(errLeft)
	}
	return errors.Join(err, w.Close(context.WithoutCancel(ctx)))
}

func (c *collection) open(ctx context.Context, run media.Run) (*media.RunWriter, error) {
	w, err := c.writer()
	if err != nil {
		return nil, err
	}
	return w.Run(ctx, run)
}

// refusal reports whether err is about one artifact and not about the export.
func refusal(err error) bool {
	return errors.Is(err, fetch.ErrUpstream) || errors.Is(err, fetch.ErrRefused) || errors.Is(err, bundle.ErrCorrupt)
}

// loading is a result whose content may be in memory already.
type loading struct {
	*result
	// recorded means that an interrupted export has it on its medium.
	recorded *media.Written
	// loaded is closed when content and failed are final; nil: not loaded ahead.
	loaded  chan struct{}
	content *bundle.Content
	bytes   []byte
	failed  error
	// free releases the memory that was reserved; once.
	free func()
}

func (l *loading) release() {
	if l.free != nil {
		l.free()
		l.free = nil
	}
}

// ahead passes results on in order, fetching small ones meanwhile.
func (c *collection) ahead(ctx context.Context, group *errgroup.Group, w *media.RunWriter, in <-chan *result, queue chan<- *loading) error {
	defer close(queue)
	replaying := true
	for u := range in {
		l := &loading{result: u}
		if replaying {
			done, ok := w.Done(u.key())
			if replaying = ok; ok {
				l.recorded = &done
			}
		}
		if f := u.artifact.File; l.recorded == nil && f.Size >= 0 && f.Size <= bundle.SmallBlob {
			if err := c.memory.Acquire(ctx, f.Size); err != nil {
				u.settle(errLeft)
				continue
			}
			l.loaded, l.free = make(chan struct{}), func() { c.memory.Release(f.Size) }
			group.Go(func() error {
				defer close(l.loaded)
				l.content, l.bytes, l.failed = load(ctx, u.artifact, f.Size)
				return nil
			})
		}
		select {
		case queue <- l:
		case <-ctx.Done():
			l.release()
			u.settle(errLeft)
		}
	}
	return nil
}

// load reads a small artifact whole; one byte more than promised is kept, so
// that the writer sees that it is too long.
func load(ctx context.Context, a sources.Artifact, size int64) (*bundle.Content, []byte, error) {
	content, err := opened(a)(ctx, 0, "")
	if err != nil {
		return nil, nil, err
	}
	b := make([]byte, size+1)
	n, err := io.ReadFull(content.Body, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return content, b[:n], errors.Join(err, content.Body.Close())
}

// write puts one artifact into the run. The error names source and path.
func (c *collection) write(ctx context.Context, w *media.RunWriter, l *loading) error {
	defer l.release()
	a := l.artifact
	c.o.Progress.Item(l.source + ": " + a.File.Path)
	written := l.recorded
	if written == nil {
		done, err := c.append(ctx, w, l)
		if err != nil {
			return l.named(asUpstream(err, a))
		}
		written = &done
	}
	l.file.Digest, l.file.Size = written.Digest, written.Size
	if written.Validator != "" {
		l.validator = written.Validator
	}
	if l.recorded != nil {
		return c.ensureKept(ctx, l.result)
	}
	return nil
}

func (c *collection) append(ctx context.Context, w *media.RunWriter, l *loading) (media.Written, error) {
	a := l.artifact
	item := media.Item{
		Key:    l.key(),
		Digest: a.File.Digest, Size: a.File.Size, Open: opened(a), Drop: c.drop,
	}
	switch {
	case l.loaded != nil:
		<-l.loaded
		if l.failed != nil {
			return media.Written{}, l.failed
		}
		item.Open = sources.InMemory(l.bytes, l.content.Validator)
	case a.File.Size < 0:
		if size, ok := w.Has(a.File.Digest); ok { // another source has brought it
			item.Size = size
			if err := c.checkKnown(ctx, l.result); err != nil {
				return media.Written{}, err
			}
			break
		}
		spooled, err := c.spool(ctx, a)
		if err != nil {
			return media.Written{}, err
		}
		defer spooled.remove()
		item.Size, item.Open = spooled.size, spooled.open
		c.o.Progress.Grow(spooled.size)
	}
	done, err := w.Append(ctx, item)
	if !errors.Is(err, bundle.ErrCorrupt) || a.Evidence.Vouched == bundle.VouchedPinned {
		return done, err
	}
	// Upstream may have changed between its index and the file: one more look.
	if a.File.Size >= 0 {
		item.Open = opened(a)
	}
	return w.Append(ctx, item)
}

// asUpstream decides whose fault a wrong digest or size is: a pin that differs
// is a refusal, everything else is an upstream that contradicts itself. The
// content on the medium is not corrupt, so bundle.ErrCorrupt ends here.
func asUpstream(err error, a sources.Artifact) error {
	var status *fetch.StatusError
	var changed *fetch.ChangedError
	switch {
	case errors.As(err, &changed), errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusGone):
		return &movedError{err}
	case !errors.Is(err, bundle.ErrCorrupt):
		return err
	case a.Evidence.Vouched == bundle.VouchedPinned:
		return bundle.About(bundle.AboutPin, fmt.Errorf("%s: %s: %w", a.Evidence.Origin, err.Error(), fetch.ErrRefused))
	}
	return &movedError{fmt.Errorf("%s: %s: %w", a.Evidence.Origin, err.Error(), fetch.ErrUpstream)}
}

// movedError: upstream does not have what its metadata said when it was read.
type movedError struct{ err error }

func (e *movedError) Error() string { return e.err.Error() }
func (e *movedError) Unwrap() error { return e.err }

// Moved reports whether Collect was refused something that is gone, or not what
// upstream's metadata said: upstream may have changed in between, and a plan
// from newer metadata may be free of it.
func Moved(err error) bool {
	var moved *movedError
	return errors.As(err, &moved)
}

// spooled is content whose size had to be found out first.
type spooled struct {
	size   int64
	open   bundle.Open
	remove func()
}

// direct returns content of which opening it showed the size: it is read from where it is.
func direct(content *bundle.Content, again bundle.Open) *spooled {
	return &spooled{
		size: content.Size,
		remove: func() {
			if content != nil {
				_ = content.Body.Close() // nobody has read it
			}
		},
		open: func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
			if first := content; first != nil && at == 0 {
				content = nil
				return first, nil
			}
			return again(ctx, at, validator)
		},
	}
}

// spool reads content of unknown size: into memory, or into a file in scratch
// when it is larger than bundle.SpoolBlob.
func (c *collection) spool(ctx context.Context, a sources.Artifact) (_ *spooled, err error) {
	content, err := opened(a)(ctx, 0, "")
	if err != nil {
		return nil, err
	}
	if content.Size > 0 && content.At == 0 {
		return direct(content, opened(a)), nil
	}
	defer func() { err = errors.Join(err, content.Body.Close()) }()
	var head bytes.Buffer
	n, err := io.CopyN(&head, content.Body, bundle.SpoolBlob+1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if n <= bundle.SpoolBlob {
		return &spooled{size: n, open: sources.InMemory(head.Bytes(), content.Validator), remove: func() {}}, nil
	}
	name := fmt.Sprintf("spool-%d", c.spools.Add(1))
	f, err := c.o.Scratch.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	remove := func() {
		_ = f.Close()
		_ = c.o.Scratch.Remove(name) // scratch is emptied at the end in any case
	}
	size, err := io.Copy(f, io.MultiReader(&head, content.Body))
	if err != nil {
		remove()
		return nil, err
	}
	validator := content.Validator
	return &spooled{size: size, remove: remove, open: func(context.Context, int64, string) (*bundle.Content, error) {
		return &bundle.Content{Body: io.NopCloser(io.NewSectionReader(f, 0, size)), Validator: validator}, nil
	}}, nil
}
