package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// published is one git repository of a mirror as its documents describe it.
type published struct {
	dir    string
	refs   []gitfile.Ref
	record *gitfile.Record
	wanted map[gitfile.ID]string // objects that have to be in a pack, and for whom
	blind  bool                  // an index is not at hand: it was looked at before
}

// checker looks at all git repositories of a tree: a submodule is in another
// one than the commit that records it.
type checker struct {
	tree    sources.Tree
	all     map[string]*published
	packs   int64
	objects int64
	lfs     int64
	errs    []error
}

// check makes the checks of git: every file that a clone requests exists, both
// files of refs have the same refs, every pack and its index are intact and
// belong together, and every object that a ref or a submodule names is in a
// pack. It inflates no object; the connected side followed every link before
// it packed them.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	c := &checker{tree: t, all: map[string]*published{}}
	c.note(complete.Walk(ctx, t, c.documents))
	c.submodules()
	c.note(complete.Walk(ctx, t, c.contents))
	var refs, submodules int64
	for _, p := range c.all {
		refs += int64(len(p.refs))
		submodules += int64(len(p.record.Submodules))
	}
	return []bundle.CheckCount{
		{Name: "git repositories", Count: int64(len(c.all))}, {Name: "lfs objects", Count: c.lfs}, {Name: "objects", Count: c.objects},
		{Name: "packs", Count: c.packs}, {Name: "refs", Count: refs}, {Name: "submodules", Count: submodules},
	}, errors.Join(c.errs...)
}

func (c *checker) note(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

// dirs returns the folders of the git repositories in a repository of the mirror.
func (c *checker) dirs(repo string) ([]string, error) {
	all := map[string]bool{}
	for f, err := range c.tree.Files(repo) {
		if err != nil {
			return nil, err
		}
		if dir, _, ok := cutDir(f.Path); ok {
			all[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// documents reads the small files of every git repository.
func (c *checker) documents(ctx context.Context, r *complete.Repo) error {
	dirs, err := c.dirs(r.Name)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		p, err := c.document(ctx, r, dir)
		switch {
		case errors.Is(err, sources.ErrNotAtHand): // of a source that is held back
		case err != nil:
			errs = append(errs, err)
		default:
			c.all[dir] = p
		}
	}
	return errors.Join(errs...)
}

func (c *checker) document(ctx context.Context, r *complete.Repo, dir string) (*published, error) {
	content := map[string][]byte{}
	for _, name := range []string{nameHead, nameConfig, namePacked, nameInfoRefs, namePacks, nameRecord} {
		path := dir + "/" + name
		if !r.Has(path) {
			return nil, r.Missing(path, "git clone "+dir)
		}
		b, err := r.Read(ctx, path, maxDocument)
		if err != nil {
			return nil, err
		}
		content[name] = b
	}
	p := &published{dir: dir, wanted: map[gitfile.ID]string{}}
	var err error
	if p.refs, err = gitfile.ReadPackedRefs(bytes.NewReader(content[namePacked])); err != nil {
		return nil, r.Corrupt(dir+"/"+namePacked, err)
	}
	served, err := gitfile.ReadInfoRefs(bytes.NewReader(content[nameInfoRefs]))
	if err != nil {
		return nil, r.Corrupt(dir+"/"+nameInfoRefs, err)
	}
	if !slices.Equal(served, p.refs) {
		return nil, r.Corrupt(dir+"/"+nameInfoRefs, fmt.Errorf("not the refs of %s", namePacked))
	}
	if p.record, err = gitfile.ReadRecord(bytes.NewReader(content[nameRecord])); err != nil {
		return nil, r.Corrupt(dir+"/"+nameRecord, err)
	}
	var packs strings.Builder
	for _, pack := range p.record.Packs {
		fmt.Fprintf(&packs, "P pack-%s.pack\n", pack.Name)
	}
	if string(content[namePacks]) != packs.String()+"\n" {
		return nil, r.Corrupt(dir+"/"+namePacks, fmt.Errorf("not the packs of %s", nameRecord))
	}
	return p, p.want(r, string(content[nameHead]))
}

// want notes the objects that refs and HEAD name.
func (p *published) want(r *complete.Repo, head string) error {
	known := false
	branch, isBranch := strings.CutPrefix(strings.TrimSuffix(head, "\n"), "ref: ")
	for _, ref := range p.refs {
		p.wanted[ref.ID] = "the ref " + ref.Name
		p.wanted[ref.Commit()] = "the ref " + ref.Name
		known = known || isBranch && ref.Name == branch
	}
	if !isBranch {
		id, err := gitfile.ParseID(branch)
		if err != nil {
			return r.Corrupt(p.dir+"/"+nameHead, err)
		}
		p.wanted[id], known = nameHead, true
	}
	if !known {
		return r.Corrupt(p.dir+"/"+nameHead, fmt.Errorf("names %.80q, which is no ref", branch))
	}
	return nil
}

// submodules notes what each repository has to have because another one
// records it.
func (c *checker) submodules() {
	for _, dir := range slices.Sorted(maps.Keys(c.all)) {
		p := c.all[dir]
		for _, s := range p.record.Submodules {
			who := fmt.Sprintf("the submodule %s of %s at commit %s", s.Path, dir, s.Commit)
			url, err := resolve("https://"+dir, s.URL)
			var a address
			if err == nil {
				a, err = parseAddress(url, func(string) bool { return true })
			}
			target := c.all[a.dir]
			switch {
			case err != nil:
				c.note(fmt.Errorf("%s: %w: %w", who, err, bundle.ErrCorrupt))
			case target != nil:
				target.wanted[s.Pin] = who
			case !c.listed(a.dir):
				c.note(fmt.Errorf("%s/%s: is not there: %s would miss it: %w", mount, a.dir, who, bundle.ErrIncomplete))
			}
		}
	}
}

// listed reports whether a git repository is there although its documents were
// not read.
func (c *checker) listed(dir string) bool {
	for _, r := range c.tree.Repositories() {
		for f, err := range c.tree.Files(r.Name) {
			if err == nil && f.Path == dir+"/"+nameHead {
				return true
			}
		}
	}
	return false
}

// contents reads packs and indexes, and looks for what is wanted.
func (c *checker) contents(ctx context.Context, r *complete.Repo) error {
	dirs, err := c.dirs(r.Name)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		if p := c.all[dir]; p != nil {
			errs = append(errs, c.repository(ctx, r, p))
		}
	}
	return errors.Join(errs...)
}

func (c *checker) repository(ctx context.Context, r *complete.Repo, p *published) error {
	var errs []error
	for _, pack := range p.record.Packs {
		errs = append(errs, c.pack(ctx, r, p, pack))
		c.packs++
		c.objects += pack.Count
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !p.blind {
		for _, id := range slices.SortedFunc(maps.Keys(p.wanted), func(a, b gitfile.ID) int { return bytes.Compare(a[:], b[:]) }) {
			errs = append(errs, fmt.Errorf("%s/%s: object %s is in no pack: %s would miss it: %w", mount, p.dir, id, p.wanted[id], bundle.ErrIncomplete))
		}
	}
	for _, o := range p.record.Objects {
		errs = append(errs, r.Want(p.dir+"/"+o.ObjectPath(), o.Size, o.OID, "git lfs pull: "+o.Path))
		c.lfs++
	}
	return errors.Join(errs...)
}

// pack compares a pack, its index and their entry in the record, and removes
// the objects of the index from the list of wanted ones.
func (c *checker) pack(ctx context.Context, r *complete.Repo, p *published, pack gitfile.Pack) error {
	base := p.dir + "/"
	for _, end := range packEnds() {
		if path := base + packName(pack.Name, end); !r.Has(path) {
			return r.Missing(path, "git clone "+p.dir)
		}
	}
	index, pathIndex := gitfile.Index{}, base+packName(pack.Name, endIndex)
	err := c.open(ctx, r, pathIndex, func(in io.Reader) (err error) {
		index, err = gitfile.ReadIndex(in, func(id gitfile.ID) error { delete(p.wanted, id); return nil })
		if err == nil && (index.Pack != pack.Name || index.Count != pack.Count || index.Names != pack.Names) {
			err = fmt.Errorf("%s of pack %s, want the %d of pack %s that the record names", bundle.Count(index.Count, "object"), index.Pack, pack.Count, pack.Name)
		}
		return err
	})
	if errors.Is(err, sources.ErrNotAtHand) {
		p.blind = true
	} else if err != nil {
		return r.Corrupt(pathIndex, err)
	}
	path := base + packName(pack.Name, endPack)
	err = c.open(ctx, r, path, func(in io.Reader) error {
		trailer, count, err := gitfile.ReadPack(in)
		if err == nil && (trailer != pack.Name || count != pack.Count) {
			err = fmt.Errorf("%s and checksum %s, want %d and %s", bundle.Count(count, "object"), trailer, pack.Count, pack.Name)
		}
		return err
	})
	if errors.Is(err, sources.ErrNotAtHand) {
		return nil
	}
	return r.Corrupt(path, err)
}

func (c *checker) open(ctx context.Context, r *complete.Repo, path string, do func(io.Reader) error) error {
	in, err := r.Open(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(do(in), in.Close())
}
