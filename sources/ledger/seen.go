package ledger

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Seen is what upstream had for one path at the newest export, so that the next
// export does not download an unchanged file again. It is a hint: a wrong one
// costs a download or is caught by the digest, and can make nothing trusted.
type Seen struct {
	File bundle.File
	// Origin is the URL it came from, Validator its ETag or the like, Vouched
	// and Reason as in bundle.Evidence.
	Origin, Validator, Vouched, Reason string
}

// Upstream is what upstreams had at the newest export: files, entries and dates. A read-only
// ledger that does not exist knows nothing.
type Upstream struct{ root *os.Root }

// Upstream returns what the ledger knows of upstreams.
func (l *Ledger) Upstream() Upstream { return Upstream{l.root} }

// A line of a seen file is a bundle.File whose annotations hold the rest, so
// that one codec serves every list of this project.
const (
	seenOrigin    = "origin"
	seenValidator = "validator"
	seenVouched   = "vouched"
	seenReason    = "reason"
	seenOwn       = "file:" // before the names of the file's own annotations
)

func seenName(repository string) string {
	return seenDir + "/" + strings.ReplaceAll(repository, "/", "~") + ".jsonl"
}

// Seen streams what is known of repository, sorted by path; nothing known is
// an empty sequence.
func (u Upstream) Seen(repository string) iter.Seq2[Seen, error] {
	return func(yield func(Seen, error) bool) {
		if u.root == nil {
			return
		}
		f, err := u.root.Open(seenName(repository))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(Seen{}, err)
			return
		}
		defer func() { _ = f.Close() }() // read-only
		for line, err := range bundle.ReadList[bundle.File](f, "ledger, "+seenName(repository)) {
			a := line.Annotations
			line.Annotations = ownAnnotations(a)
			if !yield(Seen{File: line, Origin: a[seenOrigin], Validator: a[seenValidator], Vouched: a[seenVouched], Reason: a[seenReason]}, err) {
				return
			}
		}
	}
}

// ownAnnotations returns the annotations that the file itself has; nil: none.
func ownAnnotations(line map[string]string) map[string]string {
	var own map[string]string
	for k, v := range line {
		if name, ok := strings.CutPrefix(k, seenOwn); ok {
			if own == nil {
				own = make(map[string]string)
			}
			own[name] = v
		}
	}
	return own
}

// SeenWriter writes what Seen reads.
type SeenWriter struct {
	list *bundle.ListWriter[bundle.File]
}

// NewSeenWriter writes lines to w, which it does not close.
func NewSeenWriter(w io.Writer) *SeenWriter {
	return &SeenWriter{list: bundle.NewListWriter[bundle.File](w)}
}

// Write appends s; paths ascend.
func (w *SeenWriter) Write(s Seen) error {
	f := s.File
	f.Annotations = make(map[string]string, 4+len(s.File.Annotations))
	for k, v := range s.File.Annotations {
		f.Annotations[seenOwn+k] = v
	}
	for k, v := range map[string]string{seenOrigin: s.Origin, seenValidator: s.Validator, seenVouched: s.Vouched, seenReason: s.Reason} {
		if v != "" && len(v) <= bundle.MaxAnnotationSize {
			f.Annotations[k] = v
		}
	}
	return w.list.Write(f)
}

// Keep replaces what is known of repository by two files below scratch: one that
// SeenWriter wrote, and a list of the entries of those paths.
func (u Upstream) Keep(repository string, scratch *os.Root, name, entries string) error {
	src, err := scratch.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // read-only
	if err := u.keepEntries(repository, scratch, src, entries); err != nil {
		return err
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return durable.WriteFrom(u.root, seenName(repository), 0o600, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
}

// A file of entries begins with a line that has nothing but the digest of the seen file
// it belongs to. The rest of a crash between the two, and what a program wrote that
// knew no entries, is told apart by it.

func entriesName(repository string) string {
	return strings.TrimSuffix(seenName(repository), ".jsonl") + ".entries.jsonl"
}

func (u Upstream) keepEntries(repository string, scratch *os.Root, seen io.Reader, name string) error {
	h := bundle.NewHash()
	if _, err := io.Copy(h, seen); err != nil {
		return err
	}
	src, err := scratch.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // read-only
	return durable.WriteFrom(u.root, entriesName(repository), 0o600, func(w io.Writer) error {
		if err := bundle.NewListWriter[bundle.Entry](w).Write(bundle.Entry{Digest: bundle.SumOf(h)}); err != nil {
			return err
		}
		_, err := io.Copy(w, src)
		return err
	})
}

// Entries streams the entries of what Seen streams, in order of paths. ok is false if
// they were not kept along with it.
func (u Upstream) Entries(repository string) (all iter.Seq2[bundle.Entry, error], ok bool) {
	if u.root == nil || !u.entriesOf(repository) {
		return nil, false
	}
	return func(yield func(bundle.Entry, error) bool) {
		first := true
		for e, err := range u.entries(repository) {
			if !first && !yield(e, err) {
				return
			}
			first = false
		}
	}, true
}

func (u Upstream) entries(repository string) iter.Seq2[bundle.Entry, error] {
	return func(yield func(bundle.Entry, error) bool) {
		f, err := u.root.Open(entriesName(repository))
		if err != nil {
			yield(bundle.Entry{}, err)
			return
		}
		defer func() { _ = f.Close() }() // read-only
		for e, err := range bundle.ReadList[bundle.Entry](f, "ledger, "+entriesName(repository)) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// entriesOf reports whether the kept entries belong to the seen file that is there.
func (u Upstream) entriesOf(repository string) bool {
	f, err := u.root.Open(seenName(repository))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // read-only
	for e, err := range u.entries(repository) {
		if err != nil {
			return false
		}
		h := bundle.NewHash()
		_, err = io.Copy(h, f)
		return err == nil && e.Digest == bundle.SumOf(h)
	}
	return false
}
