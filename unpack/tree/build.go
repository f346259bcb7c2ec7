package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/verify"
)

// SweepBuilds removes what was built and never published.
func (b *Builder) SweepBuilds(current *Generation) error {
	last, nextTree := 0, 1
	if current != nil {
		last, nextTree = current.Number, current.NextTree
	}
	if err := b.sweepAbove(generationsDir, last+1); err != nil {
		return err
	}
	if err := b.sweepAbove(treesDir, nextTree); err != nil {
		return err
	}
	return b.sweepAbove(state.GenerationsDir, last+1)
}

// sweepAbove removes everything in dir whose number is first or higher, and files that
// were never renamed to their final name.
func (b *Builder) sweepAbove(dir string, first int) error {
	entries, err := fs.ReadDir(b.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digits, rest, _ := strings.Cut(e.Name(), ".")
		n, err := strconv.Atoi(digits)
		if err == nil && n < first && !strings.HasSuffix(rest, strings.TrimPrefix(tempSuffix, ".")) {
			continue
		}
		if err := b.root.RemoveAll(dir + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Build makes the generation g out of the stores, durably: its trees, its folder under a
// temporary name that becomes the final one, and its record. current is the published
// generation; nil: none. policy decides which public names the sets may answer for, and rank
// is the order in which the sets came. An error leaves rubbish that SweepBuilds removes.
func (b *Builder) Build(ctx context.Context, g, current *Generation, policy *verify.Policy, rank func(set string) int) (err error) {
	moved, err := b.StepAside(g.Sets, current, NoLists, rank)
	if err != nil {
		return err
	}
	g.Notes = append(g.Notes, asideNotes(moved)...)
	p := &placer{b: b, policy: policy, ctx: ctx, at: g.Time, base: g.BaseURL, spares: map[spare]string{}}
	if current != nil {
		p.baseBefore = current.BaseURL
	}
	defer func() { err = errors.Join(err, p.close()) }()
	dir := generationDir(g.Number) + tempSuffix
	if err := durable.MakeDir(b.root, dir, DirMode); err != nil {
		return err
	}
	if err := p.generate(g, current, dir); err != nil {
		return err
	}
	built := []string{dir}
	for i := range g.Sets {
		trees, err := p.plantSet(&g.Sets[i], current.Set(g.Sets[i].Set), &g.NextTree, dir)
		if err != nil {
			return fmt.Errorf("set %s: %w", g.Sets[i].Set, err)
		}
		built = append(built, trees...)
	}
	if err := p.fillShared(g, current, dir); err != nil {
		return err
	}
	if p.linkless {
		g.Notes = append(g.Notes, fmt.Sprintf("no hard links on this file system: %s were copied, and the mirror needs twice the space", bundle.Count(p.copies, "file")))
	}
	if err := b.sync.Trees(built...); err != nil {
		return err
	}
	if err := b.root.Rename(dir, generationDir(g.Number)); err != nil {
		return err
	}
	if err := durable.SyncDir(b.root, generationsDir); err != nil {
		return err
	}
	return b.writeRecord(g)
}

// plantSet makes the trees of one set and links them into the generation; it
// returns the new ones.
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
		if err := p.b.root.Symlink(up+treeDir(r.Tree), link); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// owner returns the repository that has the mount to itself, nil: none.
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
		before, beforeDir = Union(p.b.Parts(current.Sets)), generationDir(current.Number)
	}
	for c, err := range compare(Union(p.b.Parts(g.Sets)), before) {
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
	dst, err := p.b.root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer dst.Close()
	in := site.Input{
		Dir: p.b.dir, Base: g.BaseURL, Generation: g.Number, Time: g.Time, Tool: p.b.tool,
		Sets: p.b.siteSets(g.Sets, p.policy),
		Open: func(d bundle.Digest) (io.ReadCloser, error) { return p.b.blobs.Open(d) },
	}
	if current != nil && !p.b.Fresh {
		if in.Previous, err = p.b.root.OpenRoot(generationDir(current.Number)); err != nil {
			return err
		}
		defer in.Previous.Close()
		in.Link = func(name string) error {
			return p.b.root.Link(generationDir(current.Number)+"/"+name, dir+"/"+name)
		}
	}
	report, err := site.Write(dst, in)
	if err != nil {
		return err
	}
	g.Ambiguous, g.Dropped = report.Ambiguous, report.Dropped
	g.Unanswered = report.Public.Unanswered[:min(len(report.Public.Unanswered), maxUnanswered)]
	g.PublicChanged = report.PublicChanged
	if n := report.Public.LeftOut; n > 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("the mirror does not answer for %s beyond what one set may have", bundle.Count(n, "public address")))
	}
	g.Notes = append(g.Notes, report.Notes...)
	return state.WriteFrom(p.b.root, generatedFile(g.Number), func(out io.Writer) error {
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

// describe returns the line for one generated file or link.
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

// siteSets returns what package site has to know of the sets.
func (t *Trees) siteSets(sets []GenerationSet, policy *verify.Policy) []site.Set {
	var out []site.Set
	for _, s := range sets {
		part := site.Set{
			Name: s.Set, Stream: s.Stream, Sequence: s.Sequence, Root: s.Root, State: s.State,
			Created: s.Created, Imported: s.Imported, Overrides: s.Overrides,
			Answers: func(host string) site.Answer { return answerOf(policy, &s, host) },
		}
		for _, k := range s.Signers {
			part.Signers = append(part.Signers, site.Signer{Role: string(k.Role), ID: k.ID})
		}
		for _, r := range s.Repositories {
			part.Repositories = append(part.Repositories, site.Repository{
				Repository: r.Repository,
				Files:      func() iter.Seq2[bundle.File, error] { return t.Served(s.Set, &r) },
				Evidence:   func() iter.Seq2[bundle.Evidence, error] { return t.evidence(r.Repository) },
				Contents:   func() iter.Seq2[bundle.Entry, error] { return t.Contents(r.Repository) },
			})
		}
		out = append(out, part)
	}
	return out
}

// answerOf returns what the keys that signed a set let it do with a public name.
func answerOf(policy *verify.Policy, s *GenerationSet, host string) site.Answer {
	switch {
	case policy.Named(s.Set, s.Signers, host):
		return site.AnswerNamed
	case policy.MayAnswer(s.Set, s.Signers, host):
		return site.AnswerAlone
	}
	return site.AnswerNo
}
