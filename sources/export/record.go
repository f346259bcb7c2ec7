package export

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// nothing ends an export whose result is the state of its base.
func (j *job) nothing() (*Result, error) {
	m := j.plan.base.manifest
	j.result.Notes = j.plan.notes()
	j.result.Nothing, j.result.Set, j.result.Base, j.result.State = true, m.Set, m.Sequence, m.State
	j.result.Message = fmt.Sprintf("nothing new since %d", m.Sequence)
	if !j.plan.base.acknowledged {
		j.result.Message += " (never acknowledged"
		before, err := j.plan.to.before(m.Sequence)
		if err != nil {
			return nil, err
		}
		if before > 0 {
			j.result.Message += fmt.Sprintf("; if it was lost: --base %d", before)
		} else {
			j.result.Message += "; if it was lost: --full"
		}
		j.result.Message += ")"
	}
	if j.writer != nil {
		if err := j.writer.Abort(); err != nil {
			return nil, err
		}
		if err := j.plan.ledger.Settle(); err != nil {
			return nil, err
		}
	}
	if err := j.keepSeen(); err != nil {
		return nil, err
	}
	return &j.result, j.saveLock()
}

func (j *job) keepSeen() error {
	for repository, name := range j.seen {
		if err := j.plan.ledger.Upstream().Keep(repository, j.plan.env.Scratch, name, name+"-entries"); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) saveLock() error {
	j.result.Pinned, j.result.Changed = j.plan.env.Lock.Added(), j.plan.env.Lock.Changed()
	return j.plan.env.Lock.Save()
}

// settle notes the finished bundle as a state. Whatever a crash before its end leaves
// is noted by finished.
func (j *job) settle(collected []collect.Collected, f *media.Finished) (*Result, error) {
	m, err := readManifest(f.Dirs[len(f.Dirs)-1])
	if err != nil {
		return nil, err
	}
	fresh := make(map[bundle.Digest]string)
	for _, c := range collected {
		fresh[digestOf(c.Repository.Files.Digest.String())] = c.FilesName
		fresh[digestOf(c.Repository.Evidence.Digest.String())] = c.EvidenceName
		fresh[digestOf(c.Repository.Contents.Digest.String())] = c.ContentsName
	}
	if err := j.plan.ledger.Commit(m, j.plan.env.Scratch, fresh, j.kept); err != nil {
		return nil, err
	}
	r := &j.result
	r.Notes, r.Changes, r.Gone = j.plan.notes(), j.plan.losses.Changes, j.plan.losses.Gone
	r.Outdated = j.plan.to.outdated(m.Requires)
	r.of(m)
	if m.Base != nil && !j.plan.base.acknowledged {
		before, err := j.plan.to.before(m.Base.Sequence)
		if err != nil {
			return nil, err
		}
		r.Assumed, r.Before = true, before
	}
	r.Without = f.Without
	r.Dirs, r.Root, r.Carried, r.Volumes, r.Readback = f.Dirs, f.Root, f.Bytes, f.Volumes, f.Readback
	return r, nil
}

func (j *job) newSeen(repository string) (collect.SeenSink, error) {
	name := fmt.Sprintf("seen-%d", len(j.seen))
	f, err := j.plan.env.Scratch.Create(name)
	if err != nil {
		return nil, err
	}
	entries, err := j.plan.env.Scratch.Create(name + "-entries")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j.seen[repository] = name
	return newSeenFile(f, entries), nil
}

// seenFile is a SeenSink that the ledger reads later.
type seenFile struct {
	file, entriesFile     *os.File
	buffer, entriesBuffer *bufio.Writer
	list                  *ledger.SeenWriter
	entries               *bundle.ListWriter[bundle.Entry]
}

func newSeenFile(f, entries *os.File) *seenFile {
	s := &seenFile{file: f, entriesFile: entries, buffer: bufio.NewWriter(f), entriesBuffer: bufio.NewWriter(entries)}
	s.list, s.entries = ledger.NewSeenWriter(s.buffer), bundle.NewListWriter[bundle.Entry](s.entriesBuffer)
	return s
}

// Write appends r; paths ascend.
func (s *seenFile) Write(r sources.Recorded) error {
	for e := range r.Entries.All() {
		err := s.entries.Write(bundle.Entry{
			Name: e.Name, Type: e.Type, Version: e.Version, Arch: e.Arch, Group: e.Group, Size: e.Size, Path: r.File.Path,
			Summary: e.Summary, Licence: e.Licence, Source: e.Source, Revision: e.Revision, Fixes: e.Fixes,
		})
		if err != nil {
			return err
		}
	}
	return s.list.Write(ledger.Seen{File: r.File, Origin: r.Origin, Validator: r.Validator, Vouched: r.Vouched, Reason: r.Reason})
}

// Close flushes and closes the files.
func (s *seenFile) Close() error {
	return errors.Join(s.buffer.Flush(), s.entriesBuffer.Flush(), s.file.Close(), s.entriesFile.Close())
}
