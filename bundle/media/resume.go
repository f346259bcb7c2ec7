package media

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// open reads what an interrupted export left of the run: the record, and with
// it every frame it names from the media. Everything after the last sync line
// up to which all frames are there and equal is cut off. It returns what is
// needed to go on in the middle of a large blob, or nil.
func (t *tape) open(r Run) (*blobPart, error) {
	want := recordRun{Name: t.w.name, VolumeSize: t.w.o.VolumeSize, Run: r}
	info, err := t.record.file.Stat()
	if err != nil {
		return nil, err
	}
	s := scanRecord(t.record.file, 0, info.Size())
	if first, err := s.next(); err != nil || first.Run == nil || *first.Run != want {
		if err := t.record.truncate(0); err != nil {
			return nil, err
		}
		if err := t.record.add(recordLine{Run: &want}); err != nil {
			return nil, err
		}
		return nil, errors.Join(t.record.sync(), syncDir(t.w.o.Records))
	}
	c := checker{tape: t, good: snapshot{Record: s.at}, decoded: make([]byte, 0, 64<<10)}
	defer c.closeVolume()
	for {
		line, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.check(line, s.at); errors.Is(err, errRecordEnds) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	c.closeVolume()
	if c.part != nil {
		t.mark = c.mark
	}
	return c.part, t.rewind(c.good)
}

// errRecordEnds means that record and media part here: not an error to anybody.
var errRecordEnds = errors.New("what is on the media ends here")

// checker compares a record with the media.
type checker struct {
	tape    *tape
	good    snapshot // the last sync line
	part    *blobPart
	mark    snapshot
	file    io.ReadCloser
	decoded []byte
}

func (c *checker) closeVolume() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

func (c *checker) check(l recordLine, behind int64) error {
	t := c.tape
	switch {
	case l.Volume != 0:
		return c.openVolume(l.Volume)
	case l.Frame != nil:
		return c.readFrame(l.Frame)
	case l.End != nil:
		return c.endVolume(l.End)
	case l.Sync != nil:
		c.part = l.Sync.Part
		if l.Sync.Mark != nil {
			c.mark = *l.Sync.Mark
		}
		c.good = snapshot{Record: behind}
		if len(t.begun) == 0 {
			return nil
		}
		last := t.begun[len(t.begun)-1]
		state, err := last.hash.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return fmt.Errorf("state of a hash: %w: %w", bundle.ErrUsage, err)
		}
		sum := last.sum
		c.good = snapshot{Record: behind, Volume: last.number, Size: last.size, Raw: last.raw, Hash: state, Sum: &sum, Ended: c.file == nil}
	}
	return nil
}

func (c *checker) openVolume(number int) error {
	c.closeVolume()
	t := c.tape
	m, f, err := t.w.find(bundle.VolumeName(number))
	if errors.Is(err, fs.ErrNotExist) {
		return errRecordEnds
	}
	if err != nil {
		return err
	}
	f.Close()
	root, err := m.open(t.w.partial)
	if err != nil {
		return err
	}
	defer root.Close()
	t.w.o.Progress.Item("reading again " + bundle.VolumeName(number))
	var method string
	if c.file, method, err = openCold(root, bundle.VolumeName(number)); err != nil {
		return err
	}
	t.w.noteReadback(method)
	t.w.adopt(m, number)
	t.begun = append(t.begun, &volumeFile{number: number, medium: m, hash: bundle.NewHash()})
	return nil
}

func (c *checker) readFrame(f *bundle.Frame) error {
	if len(c.tape.begun) == 0 || c.file == nil || f.Compressed < 0 || f.Compressed > 2*bundle.MaxFrameRaw {
		return errRecordEnds
	}
	v := c.tape.begun[len(c.tape.begun)-1]
	b, err := readN(c.file, c.decoded, f.Compressed)
	c.decoded = b
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errRecordEnds
	}
	if err != nil {
		return err
	}
	if bundle.DigestOf(b) != f.Digest {
		return errRecordEnds
	}
	c.tape.w.count(v, b, f.Raw)
	return nil
}

func readN(r io.Reader, buf []byte, n int64) ([]byte, error) {
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

func (c *checker) endVolume(e *recordEnd) error {
	if len(c.tape.begun) == 0 || c.file == nil {
		return errRecordEnds
	}
	v := c.tape.begun[len(c.tape.begun)-1]
	if n, err := c.file.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return errRecordEnds // longer than it was
	}
	if v.size != e.Size || v.raw != e.Raw || bundle.SumOf(v.hash) != e.Digest {
		return errRecordEnds
	}
	c.closeVolume()
	return nil
}

// replay returns the items of a record once more, in order, and remembers how
// to go on after the one that was taken last.
type replay struct {
	scan *recordScanner
	now  snapshot    // after the frame read last
	next *recordItem // read, and not taken
	line []byte      // of next
	at   int64       // in the record, after the line that was taken last

	// The frame in which the last carried item that was taken ends; nil: none was.
	frame         *bundle.Frame
	before, after snapshot // around it
	itemEnd       int64    // where the item ends in the tar stream
	// lines are those taken since. From the place structural in the record
	// (-1: not reached), and from cut in lines, they come after frames and
	// volumes that begin after the item.
	lines      []byte
	structural int64
	cut        int

	seen     *bundle.Frame // read last
	seenFrom snapshot
	seenCut  int // in lines
}

func newReplay(f *os.File, to int64) (*replay, error) {
	r := &replay{scan: scanRecord(f, 0, to), structural: -1}
	if _, err := r.scan.next(); err != nil && err != io.EOF { // the line that names the run
		return nil, err
	}
	r.at = r.scan.at
	return r, nil
}

// peek reads on to the next item; nil after the last.
func (r *replay) peek() (*recordItem, error) {
	for r.next == nil {
		from := r.scan.at
		l, err := r.scan.next()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if l.Item != nil {
			r.next, r.line = l.Item, append(r.line[:0], r.scan.line...)
			break
		}
		if l.Sync == nil && r.structural < 0 {
			r.structural, r.cut = from, len(r.lines)
		}
		switch {
		case l.Volume != 0:
			r.now = snapshot{Volume: l.Volume}
		case l.Frame != nil:
			r.seen, r.seenFrom, r.seenCut = l.Frame, r.now, len(r.lines)
			r.seenFrom.Record = from
			r.now.Size, r.now.Raw = r.now.Size+l.Frame.Compressed, r.now.Raw+l.Frame.Raw
		}
	}
	return r.next, nil
}

// take makes the item that peek gave the last one taken.
func (r *replay) take() {
	if n := len(r.next.Segments); n > 0 {
		last := r.next.Segments[n-1]
		r.itemEnd = last.Offset + bundle.Padded(last.Length)
		if r.frame != r.seen {
			r.frame, r.before, r.after = r.seen, r.seenFrom, r.now
			r.lines = append(r.lines[:0], r.lines[r.seenCut:]...)
		}
		r.structural = -1
	}
	r.lines = append(r.lines, r.line...)
	r.at = r.scan.at
	r.next = nil
}

// cutBehind goes back to directly after the item that was taken last. If
// that is not where a frame ends, the frame is cut off and what of it is still
// wanted given, raw. lines are of items that were taken and whose lines were
// cut off with what was before them.
func (t *tape) cutBehind(r *replay) (raw, lines []byte, err error) {
	to := r.after
	to.Record = r.at
	if r.structural >= 0 {
		to.Record, lines = r.structural, r.lines[r.cut:]
	}
	if r.frame == nil || r.after.Raw == r.itemEnd {
		return nil, lines, t.rewind(to)
	}
	_, file, err := t.w.find(bundle.VolumeName(r.before.Volume))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	coded := make([]byte, r.frame.Compressed)
	if _, err := file.ReadAt(coded, r.before.Size); err != nil {
		return nil, nil, err
	}
	d := bundle.NewDecoder()
	defer d.Close()
	if raw, err = d.Decode(nil, *r.frame, coded); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", bundle.VolumeName(r.before.Volume), err)
	}
	return raw[:r.itemEnd-r.before.Raw], r.lines, t.rewind(r.before)
}

// lineOf returns the record line of an item.
func lineOf(it *recordItem) ([]byte, error) {
	b, err := json.Marshal(recordLine{Item: it})
	if err != nil {
		return nil, fmt.Errorf("item %.80q: %w: %w", it.Key, bundle.ErrUsage, err)
	}
	return append(b, '\n'), nil
}
