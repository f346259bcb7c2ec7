package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// proposal is what is to be published next.
type proposal struct {
	sets   []GenerationSet // by name; tree numbers are not looked at
	reason string
	// baseURL replaces the one of the settings; empty: it stays.
	baseURL string
	// at is the time that an interrupted run had begun to use; zero, or no
	// longer later than what is published: another is taken.
	at time.Time
	// then is what has to be on record before the publish counts.
	then outcome
}

// publishTime is T: whole seconds, later than any publish before, whatever the
// local clock says.
func publishTime(at, now time.Time, current *Generation) time.Time {
	if at.IsZero() {
		at = now
	}
	at = at.UTC().Truncate(time.Second)
	if current != nil && !at.After(current.Time) {
		at = now.UTC().Truncate(time.Second)
		if !at.After(current.Time) {
			at = current.Time.Add(time.Second)
		}
	}
	return at
}

// publish builds the next generation out of the store and the lists, durably,
// and then switches to it. Until the switch nothing that a client can see
// changes; an error before it leaves rubbish that the next run sweeps.
func (w *writer) publish(ctx context.Context, p proposal) (*Generation, error) {
	current, err := w.published()
	if err != nil {
		return nil, err
	}
	if err := w.sweepBuilds(current); err != nil {
		return nil, err
	}
	s, err := w.settings()
	if err != nil {
		return nil, err
	}
	if p.baseURL != "" && p.baseURL != s.BaseURL {
		s.BaseURL = p.baseURL
		p.then.Settings = &s
	}
	g := &Generation{Number: 1, NextTree: 1, Reason: p.reason, BaseURL: s.BaseURL, Sets: p.sets}
	if current != nil {
		g.Number, g.NextTree = current.Number+1, current.NextTree
	}
	g.Time = publishTime(p.at, w.now(), current)
	if err := w.copyRatchets(g.Sets, p.then.Ratchets); err != nil {
		return nil, err
	}
	if err := w.build(ctx, g, current); err != nil {
		return nil, fmt.Errorf("generation %d: %w", g.Number, err)
	}
	if err := writeState(w.root, recordFile(g.Number), g); err != nil {
		return nil, err
	}
	if err := untilPast(ctx, g.Time); err != nil {
		return nil, err
	}
	in, err := w.intend(g, p.then)
	if err != nil {
		return nil, err
	}
	return g, w.complete(in)
}

// untilPast waits until a T that had to be later than the one before lies no
// longer ahead, which takes a second at most. Servers follow RFC 9110 section
// 8.8.2.1 and send a Last-Modified that is ahead as "now": two versions that
// are published within one second would share it, and Apache was seen to
// answer 304 to a client that held the first. It is the machine's clock that
// servers go by. A clock that is wrong by more is not waited for.
func untilPast(ctx context.Context, t time.Time) error {
	ahead := time.Until(t)
	if ahead <= 0 || ahead > time.Second {
		return nil
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// copyRatchets notes in each set what is accepted of it now: next, or what is
// on record.
func (w *writer) copyRatchets(sets []GenerationSet, next []ratchet) error {
	for i := range sets {
		t, err := w.ratchet(sets[i].Set)
		if err != nil {
			return err
		}
		for _, n := range next {
			if n.Set == t.Set {
				t = n
			}
		}
		sets[i].Accepted = t.Sequence
	}
	return nil
}

// sweepBuilds removes what was built and never published.
func (w *writer) sweepBuilds(current *Generation) error {
	last, nextTree := 0, 1
	if current != nil {
		last, nextTree = current.Number, current.NextTree
	}
	if err := w.sweepAbove(generationsDir, last+1); err != nil {
		return err
	}
	if err := w.sweepAbove(treesDir, nextTree); err != nil {
		return err
	}
	return w.sweepAbove(recordsDir, last+1)
}

// sweepAbove removes what is in dir under a number from first on, and what
// never got its final name.
func (w *writer) sweepAbove(dir string, first int) error {
	entries, err := fs.ReadDir(w.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digits, rest, _ := strings.Cut(e.Name(), ".")
		n, err := strconv.Atoi(digits)
		if err == nil && n < first && !strings.HasSuffix(rest, strings.TrimPrefix(tempSuffix, ".")) {
			continue
		}
		if err := w.root.RemoveAll(dir + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// build makes trees and folder of g under a temporary name, makes them
// durable, and gives the folder its name.
func (w *writer) build(ctx context.Context, g, current *Generation) (err error) {
	p := &placer{writer: w, ctx: ctx, at: g.Time, base: g.BaseURL, spares: map[spare]string{}}
	if current != nil {
		p.baseBefore = current.BaseURL
	}
	defer func() { err = errors.Join(err, p.close()) }()
	dir := generationDir(g.Number) + tempSuffix
	if err := store.MakeDir(w.root, dir, publicDirMode); err != nil {
		return err
	}
	if err := p.generate(g, current, dir); err != nil {
		return err
	}
	built := []string{dir}
	for i := range g.Sets {
		trees, err := p.plantSet(&g.Sets[i], current.set(g.Sets[i].Set), &g.NextTree, dir)
		if err != nil {
			return fmt.Errorf("set %s: %w", g.Sets[i].Set, err)
		}
		built = append(built, trees...)
	}
	if err := p.fillShared(g, current, dir); err != nil {
		return err
	}
	if p.linkless {
		g.Notes = append(g.Notes, fmt.Sprintf("no hard links on this file system: %d files were copied, and the mirror needs twice the space", p.copies))
	}
	if err := w.sync.Trees(built...); err != nil {
		return err
	}
	if err := w.root.Rename(dir, generationDir(g.Number)); err != nil {
		return err
	}
	return durable.SyncDir(w.root, generationsDir)
}

// plantSet makes the trees of one set and links them into the generation; it
// gives the new ones.
func (p *placer) plantSet(s, now *GenerationSet, nextTree *int, dir string) (made []string, err error) {
	for i := range s.Repositories {
		r := &s.Repositories[i]
		r.Tree, r.Filled = 0, 0
		if bundle.IsSharedMount(r.Mount) {
			continue
		}
		if err = p.plant(r, now.owner(r.Mount), *nextTree); err != nil {
			return nil, fmt.Errorf("repository %s: %w", r.Name, err)
		}
		if r.Tree == *nextTree {
			made = append(made, treeDir(r.Tree))
			*nextTree++
		}
		link := dir + "/" + r.Mount
		if err := p.makeParents(link); err != nil {
			return nil, err
		}
		up := strings.Repeat("../", strings.Count(link, "/"))
		if err := p.root.Symlink(up+treeDir(r.Tree), link); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// owner is the repository that has the mount to itself, nil: none.
func (s *GenerationSet) owner(mount string) *GenerationRepository {
	if s == nil {
		return nil
	}
	for i := range s.Repositories {
		if s.Repositories[i].Mount == mount && s.Repositories[i].Tree != 0 {
			return &s.Repositories[i]
		}
	}
	return nil
}

// fillShared links the files of the shared areas into the generation.
func (p *placer) fillShared(g, current *Generation, dir string) error {
	before, beforeDir := iter.Seq2[bundle.File, error](none), ""
	if current != nil {
		before, beforeDir = union(p.parts(current.Sets)), generationDir(current.Number)
	}
	for c, err := range compare(union(p.parts(g.Sets)), before) {
		if err != nil {
			return err
		}
		same := ""
		if c.same {
			same = beforeDir + "/" + c.file.Path
		}
		if err := p.put(c.file, dir+"/"+c.file.Path, same); err != nil {
			return err
		}
	}
	return nil
}

// generate lets package site write its files into the still empty generation,
// and records what they are.
func (p *placer) generate(g, current *Generation, dir string) error {
	dst, err := p.root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer dst.Close()
	in := site.Input{
		Dir: p.dir, Base: g.BaseURL, Generation: g.Number, Time: g.Time, Tool: p.o.Tool,
		Sets: p.siteSets(g.Sets),
		Open: func(d bundle.Digest) (io.ReadCloser, error) { return p.store.Open(d) },
	}
	if current != nil {
		if in.Previous, err = p.root.OpenRoot(generationDir(current.Number)); err != nil {
			return err
		}
		defer in.Previous.Close()
		in.Link = func(name string) error {
			return p.root.Link(generationDir(current.Number)+"/"+name, dir+"/"+name)
		}
	}
	report, err := site.Write(dst, in)
	if err != nil {
		return err
	}
	g.Ambiguous = report.Ambiguous
	return durable.WriteFrom(p.root, generatedFile(g.Number), stateFileMode, func(out io.Writer) error {
		return listGenerated(dst, out)
	})
}

// linkType marks the line of a generated link; its digest is that of its target.
const linkType = "inode/symlink"

// listGenerated writes a list of what is in root, in the order of a file list.
func listGenerated(root *os.Root, out io.Writer) error {
	list := bundle.NewListWriter[bundle.File](out)
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := describe(root, name, e.Type())
		if err != nil {
			return err
		}
		return list.Write(f)
	})
}

// describe gives the line for one generated file or link.
func describe(root *os.Root, name string, mode fs.FileMode) (bundle.File, error) {
	if mode&fs.ModeSymlink != 0 {
		target, err := root.Readlink(name)
		if err != nil {
			return bundle.File{}, err
		}
		return bundle.File{Path: name, Digest: bundle.DigestOf([]byte(target)), Size: int64(len(target)), MediaType: linkType}, nil
	}
	f, err := root.Open(name)
	if err != nil {
		return bundle.File{}, err
	}
	defer f.Close()
	h := bundle.NewHash()
	size, err := io.Copy(h, f)
	return bundle.File{Path: name, Digest: bundle.SumOf(h), Size: size}, err
}

// siteSets is what package site has to know of the sets.
func (m *Mirror) siteSets(sets []GenerationSet) []site.Set {
	var out []site.Set
	for _, s := range sets {
		t := site.Set{
			Name: s.Set, Stream: s.Stream, Sequence: s.Sequence, Root: s.Root, State: s.State,
			Created: s.Created, Imported: s.Imported, Overrides: s.Overrides,
		}
		for _, k := range s.Signers {
			t.Signers = append(t.Signers, site.Signer{Role: string(k.Role), ID: k.ID})
		}
		for _, r := range s.Repositories {
			t.Repositories = append(t.Repositories, site.Repository{
				Repository: r.Repository,
				Files:      func() iter.Seq2[bundle.File, error] { return m.files(r.Repository) },
				Evidence:   func() iter.Seq2[bundle.Evidence, error] { return m.evidence(r.Repository) },
			})
		}
		out = append(out, t)
	}
	return out
}

// point makes a link to generation n, by one rename.
func (w *writer) point(link string, n int) error {
	temp := link + tempSuffix
	if err := w.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := w.root.Symlink(generationDir(n), temp); err != nil {
		return err
	}
	if err := w.root.Rename(temp, link); err != nil {
		return err
	}
	return durable.SyncDir(w.root, path.Dir(link))
}
