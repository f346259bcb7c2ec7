package media

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// The record of a run is what lets an interrupted export go on: on the
// exporter's own disk, append-only, one JSON object a line. It states what was
// written to the media, in the order in which it was. It is believed up to the
// last sync line before the first frame that is not on the medium: every frame
// is read again before it is gone on from, so nothing has to be durable when a
// line is added. The tables of the catalogue are made from it, so no table is
// ever held in memory.

// recordLine has exactly one of its fields.
type recordLine struct {
	Run *recordRun `json:"run,omitempty"`
	// Volume is the number of a volume that begins.
	Volume int           `json:"volume,omitempty"`
	Frame  *bundle.Frame `json:"frame,omitempty"`
	// Item comes after the frame in which it ends.
	Item *recordItem `json:"item,omitempty"`
	End  *recordEnd  `json:"end,omitempty"`
	Sync *recordSync `json:"sync,omitempty"`
}

// recordRun is the first line: a record of anything else is not gone on from.
type recordRun struct {
	Name       string `json:"name"`
	VolumeSize int64  `json:"volumeSize"`
	Run        Run    `json:"run"`
}

type recordItem struct {
	Key       string          `json:"key"`
	Digest    bundle.Digest   `json:"digest"`
	Size      int64           `json:"size"`
	Validator string          `json:"validator,omitempty"`
	Segments  []recordSegment `json:"segments,omitempty"` // none: not carried
}

type recordSegment struct {
	Volume int   `json:"volume"`
	At     int64 `json:"at"`
	Length int64 `json:"length"`
	Offset int64 `json:"offset"` // of the content in the volume's tar stream
}

// recordEnd is the end of a volume.
type recordEnd struct {
	Size   int64         `json:"size"`
	Raw    int64         `json:"raw"`
	Digest bundle.Digest `json:"digest"`
}

// recordSync is a place that can be gone on from, if everything above it is on the
// media. In the middle of a large blob it has what is needed to go on in there.
type recordSync struct {
	Part *blobPart `json:"part,omitempty"`
	Mark *snapshot `json:"mark,omitempty"` // where the blob began
}

// snapshot is a place on the tape that can be gone back to: a frame boundary.
type snapshot struct {
	Record int64  `json:"record"` // length of the record
	Volume int    `json:"volume"` // 0: before the first
	Size   int64  `json:"size"`   // of the volume's file
	Raw    int64  `json:"raw"`
	Hash   []byte `json:"hash,omitempty"` // state of the hash of the volume's file; nil: to be computed
	// Sum is that of the volume's file; nil in older records.
	Sum   *checksum `json:"crc32c,omitempty"`
	Ended bool      `json:"-"` // after the end of the volume
}

// blobPart is a large blob of which a part is on the medium.
type blobPart struct {
	Key       string          `json:"key"`
	Size      int64           `json:"size"`
	Digest    bundle.Digest   `json:"digest"` // zero: not known yet
	Validator string          `json:"validator,omitempty"`
	Name      string          `json:"name"` // of its members, without ".part-"
	At        int64           `json:"at"`   // bytes of content that are on the medium
	Hash      []byte          `json:"hash"` // its state over them
	Segments  []recordSegment `json:"segments"`
}

// record is the file, positioned at its end.
type record struct {
	file *os.File
	buf  []byte
	size int64 // what is in buf included
}

func (r *record) add(l recordLine) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("resume record: %w: %w", bundle.ErrUsage, err)
	}
	return r.addLines(append(b, '\n'))
}

func (r *record) addLines(b []byte) error {
	const enough = 256 << 10 // bytes
	r.buf = append(r.buf, b...)
	r.size += int64(len(b))
	if len(r.buf) < enough {
		return nil
	}
	return r.flush()
}

func (r *record) flush() error {
	_, err := r.file.Write(r.buf)
	r.buf = r.buf[:0]
	return err
}

// sync makes everything that was added durable.
func (r *record) sync() error {
	if err := r.flush(); err != nil {
		return err
	}
	return r.file.Sync()
}

// truncate forgets what is after size.
func (r *record) truncate(size int64) error {
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.file.Truncate(size); err != nil {
		return err
	}
	_, err := r.file.Seek(size, io.SeekStart)
	r.size = size
	return err
}

// recordScanner reads a record line by line.
type recordScanner struct {
	r    *bufio.Reader
	at   int64 // after the line that was read last
	line []byte
	// only, if not nil, reports whether a line needs decoding: most lines are items and do not.
	only func(line []byte) bool
	// item receives items without key and validator, each in place of the one before; nil:
	// items are read whole.
	item *recordItem
}

func scanRecord(f io.ReaderAt, from, to int64) *recordScanner {
	return &recordScanner{r: bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), 64<<10), at: from}
}

// next returns io.EOF at the end and at a line that was not written whole.
func (s *recordScanner) next() (recordLine, error) {
	var l recordLine
	for {
		if err := s.read(); err != nil {
			return l, err
		}
		if s.only == nil || s.only(s.line) {
			break
		}
		s.at += int64(len(s.line))
	}
	if s.item != nil && scanItem(s.line, s.item) {
		l.Item = s.item
	} else if json.Unmarshal(s.line, &l) != nil {
		return l, io.EOF
	}
	s.at += int64(len(s.line))
	return l, nil
}

func (s *recordScanner) read() error {
	s.line = s.line[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		s.line = append(s.line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// The words that a line begins with, as add writes it.
var (
	frameLine = []byte(`{"frame":`)
	itemLine  = []byte(`{"item":`)
)

func isFrame(line []byte) bool { return bytes.HasPrefix(line, frameLine) }

func isItem(line []byte) bool { return bytes.HasPrefix(line, itemLine) }

// isStructure leaves out the items of one segment or none.
func isStructure(line []byte) bool { return !isItem(line) || bytes.Contains(line, []byte("},{")) }
