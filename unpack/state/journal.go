package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/verify"
)

// Outcome is what became of one bundle in an import.
type Outcome string

// The outcomes. Refused is an error of the whole import only if no newer bundle
// of the set was published instead. Failed means that the machine, not the
// bundle, was the reason: a full disk, an interrupt.
const (
	Imported        Outcome = "imported"
	AlreadyImported Outcome = "already imported"
	Pending         Outcome = "pending"
	Superseded      Outcome = "superseded"
	Refused         Outcome = "refused"
	Failed          Outcome = "failed"
)

// Entry is a line of the journal: something that was done to the mirror, or
// refused.
type Entry struct {
	// Previous is the SHA-256 of the line before, zero in the first: a line
	// that was changed or taken out shows in the next.
	Previous bundle.Digest `json:"previous"`
	Time     time.Time     `json:"time"`
	// The event: "import", "rollback", "gc", "forget", "config", "trust", "repair" or "state".
	What string `json:"what"`
	// Outcome is what became of an import.
	Outcome  Outcome       `json:"outcome,omitempty"`
	Set      string        `json:"set,omitempty"`
	Sequence int64         `json:"sequence,omitempty"`
	Root     bundle.Digest `json:"root,omitzero"`
	// Generation is the one that was published by it, if any was.
	Generation int             `json:"generation,omitempty"`
	Signers    []verify.Signer `json:"signers,omitempty"`
	Overrides  []string        `json:"overrides,omitempty"`
	Detail     string          `json:"detail,omitempty"`
	// Lost is the digest of the last line that the journal is known to have had. Only a line
	// which records that the end of the journal was cut off has it.
	Lost bundle.Digest `json:"lost,omitzero"`
}

// History returns the journal from its beginning. A line that does not continue the
// one before ends it with an error that matches bundle.ErrCorrupt; what is
// before is returned all the same.
func (s *State) History() ([]Entry, error) {
	b, err := s.root.ReadFile(JournalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []Entry
	var head bundle.Digest
	for n := 1; len(b) > 0; n++ {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if !whole {
			break // a line that was never finished: a crash
		}
		var e Entry
		if err := bundle.UnmarshalCanonical(line, &e); err != nil {
			return entries, fmt.Errorf("journal, line %d: %w: %w", n, errDamaged, err)
		}
		if e.Previous != head {
			return entries, fmt.Errorf("journal, line %d: does not continue line %d: says %s, that is %s: %w",
				n, n-1, e.Previous, head, errDamaged)
		}
		entries, head, b = append(entries, e), bundle.DigestOf(line), rest
	}
	return entries, nil
}

// maxJournalLine is how far from the end the beginning of the last line is
// looked for; append refuses longer lines.
const maxJournalLine = 1 << 20 // bytes

// journalHead returns the digest of the journal's last line and where the next one
// begins. A line that a crash cut off does not count.
func journalHead(f *os.File) (head bundle.Digest, end int64, err error) {
	fi, err := f.Stat()
	if err != nil {
		return head, 0, err
	}
	from := max(0, fi.Size()-2*maxJournalLine)
	b := make([]byte, fi.Size()-from)
	if _, err := f.ReadAt(b, from); err != nil && err != io.EOF {
		return head, 0, err
	}
	last := bytes.LastIndexByte(b, '\n')
	if last < 0 {
		return head, 0, nil
	}
	b = b[:last]
	line := b[bytes.LastIndexByte(b, '\n')+1:]
	return bundle.DigestOf(line), from + int64(last) + 1, nil
}

// Note appends entries to the journal, durably and all at once.
func (w *Writer) Note(entries ...Entry) error {
	f, err := openFile(w.root, JournalFile)
	if err != nil {
		return err
	}
	head, end, err := journalHead(f)
	if err == nil {
		err = appendEntries(f, end, head, entries)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if end > 0 {
		return nil
	}
	return durable.SyncDir(w.root, Dir) // the file is new
}

// maxDetail is how much of a long refusal the journal keeps.
const maxDetail = 8 << 10 // bytes

func appendEntries(f *os.File, at int64, head bundle.Digest, entries []Entry) error {
	var out []byte
	for _, e := range entries {
		line, err := e.line(head)
		if err != nil {
			return err
		}
		head = bundle.DigestOf(line)
		out = append(append(out, line...), '\n')
	}
	if err := f.Truncate(at); err != nil {
		return err
	}
	if _, err := f.WriteAt(out, at); err != nil {
		return err
	}
	return f.Sync()
}

// head returns the digest of the journal's last line, zero when there is none.
func (w *Writer) head() (bundle.Digest, error) {
	f, err := w.root.Open(JournalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return bundle.Digest{}, nil
	}
	if err != nil {
		return bundle.Digest{}, err
	}
	defer f.Close()
	d, _, err := journalHead(f)
	return d, err
}

// line returns the entry as it follows the line of this digest.
func (e Entry) line(previous bundle.Digest) ([]byte, error) {
	e.Previous = previous
	e.Detail = string(bundle.Plain([]byte(e.Detail), "\n")) // it quotes what others wrote
	if len(e.Detail) > maxDetail {
		e.Detail = strings.ToValidUTF8(e.Detail[:maxDetail], "") + " ..."
	}
	line, err := bundle.MarshalCanonical(e)
	if err == nil && len(line) > maxJournalLine {
		err = fmt.Errorf("line of %s, at most %d: %w", bundle.Count(len(line), "byte"), maxJournalLine, bundle.ErrMalformed)
	}
	return line, err
}

// unwritten returns the entries, to be appended after from, that a journal
// which ends with head does not have yet: a full disk may have taken the
// first of several lines.
func unwritten(entries []Entry, from, head bundle.Digest) ([]Entry, error) {
	for i, e := range entries {
		if from == head {
			return entries[i:], nil
		}
		line, err := e.line(from)
		if err != nil {
			return nil, err
		}
		from = bundle.DigestOf(line)
	}
	return nil, nil
}
