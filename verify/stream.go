package verify

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
)

// Sink takes the blobs of a volume.
type Sink interface {
	// Create is called once for each line of the blob table, concurrently,
	// and before any byte of it is written. (nil, nil): the content is not
	// needed; it is checked all the same.
	Create(b bundle.Blob) (BlobWriter, error)
}

// BlobWriter takes the bytes of one blob or segment, from one goroutine at a
// time. Every BlobWriter is ended by Commit or Abort, once.
type BlobWriter interface {
	io.Writer
	// Commit means that everything was written and, of a whole blob, that its
	// digest is right. The bytes of a segment are authenticated as those of
	// the volume; whoever joins segments checks the digest of the blob, unless
	// Bundle.Hashed reports that it was right.
	Commit() error
	// Abort means that it is not going to be committed.
	Abort()
}

// StreamOptions has a zero value that is right for most.
type StreamOptions struct {
	// Jobs is how many frames are decoded at a time; 0: GOMAXPROCS.
	Jobs int
	// Progress receives the bytes of the file as they are done; nil: nobody.
	Progress bundle.Progress
}

// streamMemory bounds the frames that are in memory at a time, compressed and
// raw. Two frames are held whatever their size.
const streamMemory = 64 << 20 // bytes

// Stream reads a volume, an index of Volumes, once, from its first byte to its
// last. Each frame is authenticated before it is decompressed, each whole blob
// is hashed before its writer is committed, and what is in no blob is of no
// consequence. Whole blobs within a frame are handed to sink (nil: nowhere) by
// as many goroutines as there are jobs; longer ones and segments in order.
//
// A volume that is not at hand matches bundle.ErrIncomplete. Anything wrong
// with its bytes is a *DamageError; what sink was given before stays good. The
// errors of sink come back as they are. When Stream returns, no goroutine of
// it is left.
func (b *Bundle) Stream(ctx context.Context, volume int, sink Sink, o StreamOptions) error {
	v := b.volumes[volume]
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = bundle.NoProgress
	}
	file, err := b.reader.Open(v.Name, v.Size)
	if err != nil {
		return err
	}
	defer file.Close()
	s := &stream{b: b, v: v.Volume, sink: sink, progress: o.Progress}
	if err := s.checkSize(file.Size()); err != nil {
		return err
	}
	slots, err := s.slots(o.Jobs)
	if err != nil {
		return err
	}
	return s.run(ctx, file, o.Jobs, slots)
}

// stream is one run of Stream.
type stream struct {
	b        *Bundle
	v        bundle.Volume
	sink     Sink
	progress bundle.Progress
	current  *longBlob     // a blob that goes on in the next frame
	whole    bundle.Digest // of the file as it was read
}

// job is a frame on its way. Its buffers are used again.
type job struct {
	frame      bundle.Frame
	number     int64 // from 1
	offset     int64 // in the file
	start      int64 // in the raw stream
	coded, raw []byte
	pieces     []piece
	done       chan struct{} // closed when the worker is through with it
	err        error
	damaged    bool         // err is about the bytes of the frame
	bad        *bundle.Blob // the one blob that is wrong, if the frame is right
}

// piece is what a frame holds of a blob.
type piece struct {
	blob        bundle.Blob
	from, to    int64 // in the frame's raw bytes
	first, last bool
}

// alone reports whether nothing but this frame is needed to check the blob.
func (p *piece) alone() bool { return p.first && p.last && p.blob.Whole() }

// slots returns how many frames may be in memory at once: the jobs and three that are read,
// hashed or written, but not more than streamMemory holds.
func (s *stream) slots(jobs int) (int, error) {
	largest := int64(1)
	for f, err := range s.b.catalog.Frames(s.v) {
		if err != nil {
			return 0, err
		}
		largest = max(largest, f.Raw+f.Compressed)
	}
	return int(max(2, min(int64(jobs)+3, streamMemory/largest))), nil
}

// run runs a pipeline: this goroutine's group has one reader of the file, which
// sends every frame both to the workers and, in order, to the one that hashes
// long blobs, which passes them on to the one that writes them; free buffers flow back.
func (s *stream) run(ctx context.Context, r io.Reader, jobs, slots int) error {
	g, ctx := errgroup.WithContext(ctx)
	free := make(chan *job, slots)
	work, order := make(chan *job, slots), make(chan *job, slots)
	for range slots {
		free <- &job{}
	}
	g.Go(func() error {
		defer close(order)
		defer close(work)
		return s.read(ctx, bufio.NewReaderSize(r, readSize), free, work, order)
	})
	for range min(jobs, slots) {
		g.Go(func() error {
			d := bundle.NewDecoder()
			defer d.Close()
			for j := range work {
				s.decode(ctx, d, j)
				close(j.done)
			}
			return nil
		})
	}
	deliveries := make(chan delivery, slots)
	g.Go(func() error {
		defer close(deliveries)
		for j := range order {
			<-j.done
			if err := s.join(ctx, j, deliveries); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error { return s.deliver(deliveries, free) })
	if err := g.Wait(); err != nil {
		return err
	}
	if s.whole != s.v.Digest {
		return fmt.Errorf("%s: its frames are right and the whole is not: the volume table says %s, it is %s: %w", s.v.Name, s.v.Digest, s.whole, bundle.ErrMalformed)
	}
	return nil
}

// read fills jobs with frames and what is in them, until the end of the
// file. A frame that cannot be read takes its place in the order, so that
// what is wrong before it is told first.
func (s *stream) read(ctx context.Context, file io.Reader, free <-chan *job, work, order chan<- *job) error {
	blobs, stop := iter.Pull2(s.b.catalog.Blobs(s.v))
	defer stop()
	// The digest of the whole is in the volume table and in SHA256SUMS, by which people
	// check: it has to be right as well as those of the frames.
	whole := bundle.NewHash()
	r := io.TeeReader(file, whole)
	next := &tableCursor{next: blobs}
	if err := next.advance(); err != nil {
		return err
	}
	var number, offset, start int64
	for f, err := range s.b.catalog.Frames(s.v) {
		if err != nil {
			return err
		}
		var j *job
		select {
		case j = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		number++
		*j = job{frame: f, number: number, offset: offset, start: start, coded: j.coded, raw: j.raw, pieces: j.pieces[:0], done: make(chan struct{})}
		if j.pieces, err = next.pieces(j.pieces, start, start+f.Raw); err != nil {
			return err
		}
		readFrame(r, j)
		order <- j // has room: as much as there are jobs
		if j.err != nil {
			close(j.done)
			return nil
		}
		work <- j
		offset, start = offset+f.Compressed, start+f.Raw
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 {
		return &DamageError{Volume: s.v.Name, Offset: offset, Err: fmt.Errorf("goes on after its last frame, want %s: %w", bundle.Count(s.v.Size, "byte"), bundle.ErrCorrupt)}
	} else if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", s.v.Name, err)
	}
	s.whole = bundle.SumOf(whole)
	return nil
}

// readFrame leaves in the job what goes wrong.
func readFrame(r io.Reader, j *job) {
	if int64(cap(j.coded)) < j.frame.Compressed {
		j.coded = make([]byte, j.frame.Compressed)
	}
	j.coded = j.coded[:j.frame.Compressed]
	n, err := io.ReadFull(r, j.coded)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("file ends after %d of its bytes: %w", n, bundle.ErrCorrupt)
	}
	j.err, j.damaged = err, err != nil // what the operating system cannot read is damaged too
}

// tableCursor walks the blob table along with the frames.
type tableCursor struct {
	next func() (bundle.Blob, error, bool)
	blob bundle.Blob
	more bool
}

func (c *tableCursor) advance() (err error) {
	c.blob, err, c.more = c.next()
	return err
}

// pieces appends what is in the raw bytes from start to end.
func (c *tableCursor) pieces(dst []piece, start, end int64) ([]piece, error) {
	for c.more && (c.blob.Offset < end || c.blob.Length == 0 && c.blob.Offset == end) {
		b, stop := c.blob, c.blob.Offset+c.blob.Length
		dst = append(dst, piece{blob: b, from: max(b.Offset, start) - start, to: min(stop, end) - start,
			first: b.Offset >= start, last: stop <= end})
		if stop > end {
			return dst, nil
		}
		if err := c.advance(); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// decode authenticates and decompresses a frame and deals with the blobs that
// need nothing else. An error is left in the job.
func (s *stream) decode(ctx context.Context, d *bundle.Decoder, j *job) {
	if j.err = ctx.Err(); j.err != nil {
		return
	}
	raw, err := d.Decode(j.raw, j.frame, j.coded)
	if err != nil {
		j.damaged, j.err = true, err
		return
	}
	j.raw = raw
	for i := range j.pieces {
		p := &j.pieces[i]
		if !p.alone() {
			continue
		}
		content := j.raw[p.from:p.to]
		if got := bundle.DigestOf(content); got != p.blob.Digest {
			j.damaged, j.bad, j.err = true, &p.blob, mismatch(got)
			return
		}
		if j.err = s.store(p.blob, content); j.err != nil {
			return
		}
	}
}

func mismatch(got bundle.Digest) error {
	return fmt.Errorf("frames are right and the blob is not: it is %s: %w", got, bundle.ErrMalformed)
}

func (s *stream) store(b bundle.Blob, content []byte) error {
	if s.sink == nil {
		return nil
	}
	w, err := s.sink.Create(b)
	if err != nil || w == nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}
