package collect

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// MaxArtifact is the largest artifact: 16 TiB, the largest file of ext4 with blocks
// of 4 KiB. An upstream's announcement is no promise, and volumes are laid out by it.
const MaxArtifact = 16 << 40 // bytes

// door is what every artifact of every kind passes before anything is laid out by
// it: the rules of paths, their order, no path twice, sizes within bounds. Kinds
// have no such rules of their own.
type door struct {
	room       int64 // bytes of the targets' file systems together; 0: not known
	mounts     []string
	repository int // whose artifacts pass
	order      bundle.PathOrder
	folders    bundle.Folders // of all repositories
	files      int64
	findings   []error
	unnamed    int // findings beyond maxFindings
}

// pass checks one artifact, in the order of the plan, and reports whether it may go
// on. A fault becomes a finding that names source, URL and path.
func (d *door) pass(p *placed) bool {
	if p.repository != d.repository {
		d.repository, d.order = p.repository, bundle.PathOrder{}
		d.folders.Begin()
	}
	f := &p.artifact.File
	err := d.order.Next(f.Path)
	if err == nil {
		err = bundle.CheckReserved(f.Path)
	}
	d.folders.Add(f.Path)
	d.files++
	if err == nil {
		err = bundle.CheckFilled(d.mounts[p.repository], f)
	}
	if err == nil {
		err = checkTexts(&p.artifact)
	}
	switch {
	case err != nil:
	case f.Size < -1 || f.Size > MaxArtifact:
		err = fmt.Errorf("size %d: want at most %d (16 TiB)", f.Size, int64(MaxArtifact))
	case d.room > 0 && f.Size > d.room:
		d.add(fmt.Errorf("%s: size %d, and the targets' file systems have %d together: name further ones with --to: %w", p.where(), f.Size, d.room, bundle.ErrUsage))
		return false
	}
	if err != nil {
		d.add(fmt.Errorf("%s: %s: %w", p.where(), err.Error(), p.fault()))
	}
	return err == nil
}

// checkTexts refuses texts that would draw on the terminal of whoever reads the lists:
// reasons and entries have names of upstream's in them.
func checkTexts(a *sources.Artifact) error {
	for _, text := range []string{a.Evidence.Origin, a.Evidence.Reason} {
		if err := bundle.CheckText(text); err != nil {
			return err
		}
	}
	for _, annotations := range []map[string]string{a.File.Annotations, a.Evidence.Annotations} {
		if annotations != nil {
			if err := bundle.CheckAnnotations(annotations); err != nil {
				return err
			}
		}
	}
	return checkEntries(a)
}

func (d *door) add(err error) {
	if len(d.findings) == maxFindings {
		d.unnamed++
		return
	}
	d.findings = append(d.findings, err)
}

// verdict returns everything that was found.
func (d *door) verdict() error {
	all := d.findings
	if err := bundle.CheckFolders(d.folders.Count(), d.files); err != nil {
		all = append(slices.Clip(all), fmt.Errorf("the paths of all sources: %w", err))
	}
	if d.unnamed > 0 {
		all = append(slices.Clip(all), fmt.Errorf("sources: %s like these: %w", bundle.Count(d.unnamed, "more artifact"), fetch.ErrUpstream))
	}
	return errors.Join(all...)
}

// where names an artifact: its source, its URL if it has one, and its path.
func (p *placed) where() string {
	parts := []string{"source " + p.source}
	if origin := p.artifact.Evidence.Origin; origin != "" {
		parts = append(parts, fetch.Redact(origin))
	}
	return strings.Join(append(parts, fmt.Sprintf("%.200q", p.artifact.File.Path)), ": ")
}

// fault returns the class of what is wrong with an artifact: upstream's, or where none is
// asked, that of the spec.
func (p *placed) fault() error {
	if p.artifact.Evidence.Origin == "" || p.artifact.Evidence.Vouched == bundle.VouchedLocal {
		return bundle.ErrUsage
	}
	return fetch.ErrUpstream
}

// checkShared refuses a path that two repositories of one mount have, or that is a
// file in one and a folder in another. held are repositories that stay as they are.
func (r *Resolved) checkShared(held []sources.Held) error {
	var errs []error
	var done []string
	for _, p := range r.Repositories {
		if !bundle.IsSharedMount(p.Mount) || slices.Contains(done, p.Mount) {
			continue
		}
		done = append(done, p.Mount)
		errs = append(errs, r.checkMount(p.Mount, held))
	}
	return errors.Join(errs...)
}

// sharer is a repository of a shared mount and its next path.
type sharer struct {
	source, path string
	next         func() (string, error, bool)
}

func (r *Resolved) checkMount(mount string, held []sources.Held) error {
	var all []*sharer
	add := func(source string, paths iter.Seq2[string, error]) (stop func()) {
		s := &sharer{source: source}
		s.next, stop = iter.Pull2(paths)
		all = append(all, s)
		return stop
	}
	for _, p := range r.Repositories {
		if p.Mount == mount {
			defer add(p.Name, pathsOf(p.Artifacts(), func(a sources.Artifact) string { return a.File.Path }))()
		}
	}
	for _, h := range held {
		if h.Repository.Mount == mount {
			defer add(h.Repository.Name, pathsOf(h.Files(), func(f bundle.File) string { return f.Path }))()
		}
	}
	if len(all) < 2 {
		return nil
	}
	return merge(mount, all)
}

func pathsOf[T any](all iter.Seq2[T, error], path func(T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for v, err := range all {
			if !yield(path(v), err) {
				return
			}
		}
	}
}

// merge walks the paths of all sharers in order.
func merge(mount string, all []*sharer) error {
	var due []*sharer
	advance := func(s *sharer) error {
		path, err, more := s.next()
		if err != nil {
			return fmt.Errorf("source %s: %w", s.source, err)
		}
		if s.path = path; !more {
			return nil
		}
		i, _ := slices.BinarySearchFunc(due, s, func(a, b *sharer) int { return bundle.ComparePaths(a.path, b.path) })
		due = slices.Insert(due, i, s)
		return nil
	}
	for _, s := range all {
		if err := advance(s); err != nil {
			return err
		}
	}
	d := door{}
	var last sharer
	for len(due) > 0 {
		s := due[0]
		due = due[1:]
		if last.path != "" && last.source != s.source && (s.path == last.path || strings.HasPrefix(s.path, last.path+"/")) {
			d.add(fmt.Errorf("source %s and source %s: both have %s/%s: %w", last.source, s.source, mount, last.path, bundle.ErrUsage))
		}
		last = sharer{source: s.source, path: s.path}
		if err := advance(s); err != nil {
			return err
		}
	}
	return d.verdict()
}
