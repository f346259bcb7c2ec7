package collect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// listBuffer is what is collected of a list before it is written to scratch.
const listBuffer = 256 << 10 // bytes

// maxFindings is how many refused artifacts are reported; a mirror that is
// gone would otherwise be reported once a file.
const maxFindings = 50

// listing writes the lists of all repositories from results that come in
// plan order. Only one repository's lists are open at a time.
type listing struct {
	o        Options
	lists    []*lists
	findings []error
	unnamed  int // findings beyond maxFindings
}

// lists are the lists of one repository.
type lists struct {
	collected Collected
	order     bundle.PathOrder
	closers   []func() error
	files     *bundle.ListWriter[bundle.File]
	evidence  *bundle.ListWriter[bundle.Evidence]
	seen      SeenSink
	names     *namer
	// made means that the files are made here, so there is nothing seen upstream.
	made bool
}

func newListing(r *Resolved, o Options) *listing {
	ls := &listing{o: o}
	for _, p := range r.Repositories {
		ls.add(p)
	}
	return ls
}

// add makes room for the lists of a repository and returns its index.
func (ls *listing) add(p Planned) int {
	i := len(ls.lists)
	contents := fmt.Sprintf("contents-%d", i)
	ls.lists = append(ls.lists, &lists{names: &namer{scratch: ls.o.Scratch, source: p.Name, list: contents, compare: p.Compare}, collected: Collected{
		Repository: bundle.Repository{
			Name: p.Name, Kind: p.Kind, Mode: p.Mode, Mount: p.Mount, Annotations: p.Annotations, UpstreamExpires: p.Expires,
		},
		FilesName: fmt.Sprintf("files-%d", i), EvidenceName: fmt.Sprintf("evidence-%d", i), ContentsName: contents,
	}})
	return i
}

// follow lists results as they settle, in the order they come.
func (ls *listing) follow(ctx context.Context, ordered <-chan []*result) error {
	at := 0
	for batch := range ordered {
		for _, u := range batch {
			select {
			case <-u.settled:
			case <-ctx.Done():
				return ctx.Err()
			}
			for ; at < u.repository; at++ {
				if err := ls.close(at); err != nil {
					return err
				}
			}
			if err := ls.list(u); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for ; at < len(ls.lists); at++ {
		if err := ls.close(at); err != nil {
			return err
		}
	}
	return ls.refusals()
}

func (ls *listing) refusals() error {
	if ls.unnamed > 0 {
		ls.findings = append(ls.findings, fmt.Errorf("sources: %s: %w", bundle.Count(ls.unnamed, "more artifact"), fetch.ErrUpstream))
	}
	return errors.Join(ls.findings...)
}

// list writes one settled result, or keeps its refusal.
func (ls *listing) list(u *result) error {
	if u.err != nil {
		switch {
		case errors.Is(u.err, errLeft):
		case len(ls.findings) < maxFindings:
			ls.findings = append(ls.findings, u.err)
		default:
			ls.unnamed++
		}
		return nil
	}
	l, err := ls.use(u.repository)
	if err != nil {
		return err
	}
	return l.settled(u)
}

// write writes the lines of a file. entries are empty where they were added before.
func (l *lists) write(f bundle.File, e bundle.Evidence, validator string, entries sources.EntryList) error {
	r := &l.collected.Repository
	if err := l.order.Next(f.Path); err != nil {
		return fmt.Errorf("source %s: %w", r.Name, err)
	}
	e.Path = f.Path
	if err := errors.Join(l.files.Write(f), l.evidence.Write(e)); err != nil {
		return fmt.Errorf("source %s, %s: %w", r.Name, f.Path, err)
	}
	if err := l.names.add(&f, &e, entries, l.files); err != nil {
		return err
	}
	if f.Filled {
		if err := bundle.CheckFilled(r.Mount, &f); err != nil {
			return fmt.Errorf("source %s: %w", r.Name, err)
		}
		l.collected.Filled++
	}
	r.Count++
	r.Bytes += f.Size
	if e.Unpinned() {
		r.Unpinned++
	}
	if l.seen == nil {
		return nil
	}
	return l.seen.Write(sources.Recorded{File: f, Origin: e.Origin, Validator: validator, Vouched: e.Vouched, Reason: e.Reason, Entries: entries})
}

// use returns the lists of repository i, opened.
func (ls *listing) use(i int) (*lists, error) {
	l := ls.lists[i]
	if l.files != nil {
		return l, nil
	}
	files, err := l.create(ls.o.Scratch, l.collected.FilesName)
	if err != nil {
		return nil, err
	}
	evidence, err := l.create(ls.o.Scratch, l.collected.EvidenceName)
	if err != nil {
		return nil, err
	}
	l.files, l.evidence = bundle.NewListWriter[bundle.File](files), bundle.NewListWriter[bundle.Evidence](evidence)
	if ls.o.Seen != nil && !l.made {
		if l.seen, err = ls.o.Seen(l.collected.Repository.Name); err != nil {
			return nil, err
		}
		l.closers = append(l.closers, l.seen.Close)
	}
	return l, nil
}

func (l *lists) create(scratch *os.Root, name string) (*bufio.Writer, error) {
	f, err := scratch.Create(name)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, listBuffer)
	l.closers = append(l.closers, func() error { return errors.Join(w.Flush(), f.Close()) })
	return w, nil
}

// close ends the lists of repository i and fills in their descriptors.
func (ls *listing) close(i int) error {
	l, err := ls.use(i)
	if err != nil {
		return err
	}
	l.collected.Repository.Files = l.files.Descriptor(bundle.MediaTypeFileList)
	l.collected.Repository.Evidence = l.evidence.Descriptor(bundle.MediaTypeEvidence)
	return errors.Join(l.names.spill(), l.end())
}

func (l *lists) end() error {
	var errs []error
	for _, c := range l.closers {
		errs = append(errs, c())
	}
	l.closers, l.files, l.evidence, l.seen = nil, nil, nil, nil
	return errors.Join(errs...)
}

// done returns the repositories whose lists are closed.
func (ls *listing) done() []Collected {
	out := make([]Collected, len(ls.lists))
	for i, l := range ls.lists {
		out[i] = l.collected
	}
	return out
}

// finish closes what an error left open and returns the result.
func (ls *listing) finish(err error) ([]Collected, error) {
	for _, l := range ls.lists {
		err = errors.Join(err, l.end())
	}
	if err == nil {
		err = ls.name()
	}
	if err != nil {
		return nil, err
	}
	return ls.done(), nil
}
