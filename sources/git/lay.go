package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// config is the content of every repository's config: a bare repository, and
// nothing that a client would obey.
const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

// lay makes the plan: one repository of the mirror for each source, with all
// git repositories that it brings.
func lay(t *tools, r *reading, made []*packed) (*sources.Plan, error) {
	plan := &sources.Plan{}
	for _, e := range r.entries {
		repo := sources.Repository{Name: e.name, Mount: mount}
		var all []sources.Artifact
		for _, p := range made {
			if p.of.wants.owner() != e {
				continue
			}
			own, err := files(t, p)
			if err != nil {
				return nil, p.of.blame(err)
			}
			public, err := bundle.ParsePublic(strings.TrimSuffix(p.of.url, suffix)+suffix, p.of.dir)
			if err != nil {
				return nil, p.of.blame(err)
			}
			all = append(all, own...)
			repo.Public, repo.Notes = append(repo.Public, public), append(repo.Notes, p.notes...)
		}
		elsewhere, err := elsewhere(t, r, e)
		if err != nil {
			return nil, err
		}
		repo.Notes = append(repo.Notes, elsewhere...)
		repo.Artifacts = sources.List(all)
		plan.Repositories = append(plan.Repositories, repo)
	}
	var err error
	plan.Scratch, err = scratchSize(t.scratch)
	return plan, err
}

// elsewhere returns notes about git repositories that an entry names and another
// source publishes.
func elsewhere(t *tools, r *reading, e *entry) (notes []string, err error) {
	for _, url := range e.urls {
		a, err := t.address(url)
		if err != nil {
			return nil, err
		}
		if one := r.all[a.dir]; one != nil && one.wants.owner() != e {
			notes = append(notes, fmt.Sprintf("%s: published with source %s, with the refs of both", a.dir, one.wants.owner().name))
		} else if held := r.held(a.dir); held != "" {
			notes = append(notes, fmt.Sprintf("%s: stays as it is with source %s, which is held back", a.dir, held))
		}
	}
	return notes, nil
}

// vouched returns how what upstream sent is vouched for.
func (p *packed) vouched() string {
	switch {
	case p.signer != "":
		return p.signer
	case strings.HasPrefix(p.of.url, "http:"):
		return bundle.VouchedNone
	}
	return bundle.VouchedTLS
}

// madeVouched returns how what is made here of it is vouched for: no better than it.
func (p *packed) madeVouched() string {
	if p.signer == "" {
		return p.vouched()
	}
	return bundle.VouchedMade
}

// refsVouched returns how the refs are vouched for: by a signature only if all of
// them are.
func (p *packed) refsVouched() string {
	got := p.of.fetched
	if p.past == nil || got != nil && got.whole {
		return p.vouched()
	}
	before := p.past.files[nameInfoRefs].Vouched
	if got == nil || p.signer == "" || before == bundle.VouchedNone || before == bundle.VouchedTLS {
		return before
	}
	return p.signer
}

// recorded returns a file as the last export published it.
func (p *packed) recorded(name string) (r sources.Recorded, ok bool) {
	if p.past != nil {
		r, ok = p.past.files[name]
	}
	return r, ok
}

// files returns the artifacts of one git repository.
func files(t *tools, p *packed) ([]sources.Artifact, error) {
	all, err := documents(p)
	if err != nil {
		return nil, err
	}
	for _, one := range p.record.Packs {
		for _, end := range packEnds() {
			a, err := packFile(t, p, one.Name, end)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	for i := range all {
		a := &all[i]
		switch name := strings.TrimPrefix(a.File.Path, p.of.dir+"/"); {
		case name == namePacked:
			a.Entries = entries(p, all)
		case name != nameHead && name != nameRecord && !strings.HasSuffix(name, endCommits):
			continue
		}
		// The next export reads it; HEAD alone is kept for older programs, which need it.
		if a.Keep = a.File.Size <= maxKept; !a.Keep {
			p.note("%s has %s, which is too much to keep: the next change is fetched whole; choose fewer refs", a.File.Path, bundle.Count(a.File.Size, "byte"))
		}
	}
	return append(all, objects(p)...), nil
}

// documents returns the small files of a git repository, which are made here.
func documents(p *packed) ([]sources.Artifact, error) {
	var named, refs, packs, record bytes.Buffer
	for _, one := range p.record.Packs {
		fmt.Fprintf(&packs, "P pack-%s.pack\n", one.Name)
	}
	packs.WriteByte('\n')
	err := errors.Join(gitfile.WritePackedRefs(&named, p.of.chosen.refs), gitfile.WriteInfoRefs(&refs, p.of.chosen.refs), p.record.Write(&record))
	if err != nil {
		return nil, err
	}
	if owner := p.of.wants.owner(); record.Len() > gitfile.MaxRecord {
		return nil, owner.pos.Errorf("source %s: %s: %s to record its packs, submodules and LFS objects, at most %d: choose fewer refs", owner.name, p.of.url, bundle.Count(record.Len(), "byte"), gitfile.MaxRecord)
	}
	made := func(name string, content []byte, reason string) sources.Artifact {
		a := sources.Made(p.of.dir+"/"+name, content, reason)
		a.Evidence.Vouched = p.madeVouched()
		return a
	}
	said := func(name string, content []byte) sources.Artifact {
		a := made(name, content, reasonRefs)
		a.Evidence.Vouched, a.Evidence.Origin = p.refsVouched(), p.of.url+"/"+nameInfoRefs
		return a
	}
	err = readBack(p, map[string][]byte{
		nameHead: []byte(p.of.chosen.head), nameConfig: []byte(config), namePacked: named.Bytes(), nameInfoRefs: refs.Bytes(), namePacks: packs.Bytes(), nameRecord: record.Bytes(),
	})
	if err != nil {
		return nil, err
	}
	return []sources.Artifact{
		said(nameHead, []byte(p.of.chosen.head)), made(nameConfig, []byte(config), reasonRefs),
		said(namePacked, named.Bytes()), said(nameInfoRefs, refs.Bytes()),
		made(namePacks, packs.Bytes(), reasonPack), made(nameRecord, record.Bytes(), reasonRecord),
	}, nil
}

// packFile returns one file of a pack: made here, or as the last export published it.
func packFile(t *tools, p *packed, id gitfile.ID, end string) (a sources.Artifact, err error) {
	name := packName(id, end)
	a.File.Path = p.of.dir + "/" + name
	a.Evidence = bundle.Evidence{Path: a.File.Path, Reason: reasonPack, Vouched: p.madeVouched()}
	if end == endPack {
		a.Evidence.Vouched, a.Evidence.Origin = p.vouched(), p.of.url
	}
	recorded, ok := p.recorded(name)
	if ok {
		a.Evidence.Vouched, a.Evidence.Origin = recorded.Vouched, recorded.Origin
	}
	if made := p.packs[id]; made != nil {
		a.Open, a.File.Size, a.File.Digest, err = local(t, made.Prefix+end)
		return a, err
	}
	a.File, a.Checked = recorded.File, true
	if end == endCommits {
		a.Open = sources.InMemory(p.past.lists[id], "")
		return a, nil
	}
	a.Open = func(context.Context, int64, string) (*bundle.Content, error) {
		return nil, fmt.Errorf("%s: the base has it: %w", recorded.File.Path, sources.ErrNotAtHand)
	}
	return a, nil
}

// local returns a file that was made in scratch.
func local(t *tools, name string) (open bundle.Open, size int64, digest bundle.Digest, err error) {
	rel, err := filepath.Rel(t.folder, name)
	if err != nil {
		return nil, 0, digest, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, digest, err
	}
	h := bundle.NewHash()
	size, err = io.Copy(h, f)
	return t.env.InScratch(rel), size, bundle.SumOf(h), errors.Join(err, f.Close())
}

// scratchSize returns how many bytes the files below a folder have.
func scratchSize(folder string) (total int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
