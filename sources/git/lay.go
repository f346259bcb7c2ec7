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
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
)

// config is the content of every repository's config: a bare repository, and
// nothing that a client would obey.
const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

// lay makes the plan: one repository of the mirror for each source, with all
// git repositories that it brings.
func (p *planner) lay() (*sources.Plan, error) {
	plan := &sources.Plan{}
	of := map[*entry][]*mirror{}
	for _, m := range p.sorted() {
		of[m.owner()] = append(of[m.owner()], m)
	}
	for _, e := range p.entries {
		repo := sources.Repository{Name: e.name, Mount: mount}
		var files []sources.Artifact
		for _, m := range of[e] {
			own, err := m.files()
			if err != nil {
				return nil, m.blame(err)
			}
			files = append(files, own...)
			public, err := bundle.ParsePublic(strings.TrimSuffix(m.url, suffix)+suffix, m.dir)
			if err != nil {
				return nil, m.blame(err)
			}
			repo.Public = append(repo.Public, public)
			repo.Notes = append(repo.Notes, m.notes...)
		}
		for _, raw := range e.urls {
			a, err := parseAddress(raw, p.env.Fetch.Configured)
			if err != nil {
				return nil, err
			}
			if m := p.mirrors[a.dir]; m != nil && m.owner() != e {
				repo.Notes = append(repo.Notes, fmt.Sprintf("%s: published with source %s, with the refs of both", a.dir, m.owner().name))
			} else if held, ok := p.held[a.dir]; ok {
				repo.Notes = append(repo.Notes, fmt.Sprintf("%s: stays as it is with source %s, which is held back", a.dir, held))
			}
		}
		repo.Artifacts = sources.List(files)
		plan.Repositories = append(plan.Repositories, repo)
	}
	var err error
	plan.Scratch, err = scratchSize(p.scratch)
	return plan, err
}

// vouchedFor is how what upstream sent is vouched for.
func (m *mirror) vouchedFor() string {
	switch {
	case m.vouched != "":
		return m.vouched
	case strings.HasPrefix(m.url, "http:"):
		return bundle.VouchedNone
	}
	return bundle.VouchedTLS
}

// madeVouched is how what is made here of it is vouched for: no better than it.
func (m *mirror) madeVouched() string {
	if m.vouched == "" {
		return m.vouchedFor()
	}
	return bundle.VouchedMade
}

// refsVouched is how the refs are vouched for: by a signature only if all of
// them are.
func (m *mirror) refsVouched() string {
	if m.past == nil || m.whole {
		return m.vouchedFor()
	}
	before := m.past.files[nameInfoRefs].Vouched
	if m.repo == nil || m.vouched == "" || before == bundle.VouchedNone || before == bundle.VouchedTLS {
		return before
	}
	return m.vouched
}

// files are the artifacts of one git repository.
func (m *mirror) files() ([]sources.Artifact, error) {
	var packed, refs, packs, record bytes.Buffer
	for _, p := range m.record.Packs {
		fmt.Fprintf(&packs, "P pack-%s.pack\n", p.Name)
	}
	packs.WriteByte('\n')
	err := errors.Join(gitfile.WritePackedRefs(&packed, m.chosen), gitfile.WriteInfoRefs(&refs, m.chosen), m.record.Write(&record))
	if err != nil {
		return nil, err
	}
	if record.Len() > gitfile.MaxRecord {
		return nil, m.owner().pos.Errorf("source %s: %s: %d bytes to record its packs, submodules and LFS objects, at most %d: choose fewer refs", m.owner().name, m.url, record.Len(), gitfile.MaxRecord)
	}
	made := func(name string, content []byte, reason string) sources.Artifact {
		a := sources.Made(m.dir+"/"+name, content, reason)
		a.Evidence.Vouched = m.madeVouched()
		return a
	}
	said := func(name string, content []byte) sources.Artifact {
		a := made(name, content, reasonRefs)
		a.Evidence.Vouched, a.Evidence.Origin = m.refsVouched(), m.url+"/"+nameInfoRefs
		return a
	}
	files := []sources.Artifact{
		m.keep(said(nameHead, []byte(m.main))), made(nameConfig, []byte(config), reasonRefs),
		m.keep(said(namePacked, packed.Bytes())), said(nameInfoRefs, refs.Bytes()),
		made(namePacks, packs.Bytes(), reasonPack), m.keep(made(nameRecord, record.Bytes(), reasonRecord)),
	}
	for _, p := range m.record.Packs {
		for _, end := range packEnds() {
			a, err := m.packFile(p.Name, end)
			if err != nil {
				return nil, err
			}
			files = append(files, a)
		}
	}
	for i := range files {
		if files[i].File.Path == m.dir+"/"+namePacked {
			files[i].Entries = m.entries(files)
		}
	}
	return append(files, m.objects()...), nil
}

// packFile is one file of a pack: made here, or as the last export published it.
func (m *mirror) packFile(id gitfile.ID, end string) (sources.Artifact, error) {
	name := packName(id, end)
	a := sources.Artifact{File: bundle.File{Path: m.dir + "/" + name}, Evidence: bundle.Evidence{Path: m.dir + "/" + name, Reason: reasonPack, Vouched: m.madeVouched()}}
	if end == ".pack" {
		a.Evidence.Vouched, a.Evidence.Origin = m.vouchedFor(), m.url
	}
	var recorded sources.Recorded
	if m.past != nil {
		if r, ok := m.past.files[name]; ok {
			recorded = r
			a.Evidence.Vouched, a.Evidence.Origin = r.Vouched, r.Origin
		}
	}
	var err error
	if made := m.packs[id]; made != nil {
		a.Open, a.File.Size, a.File.Digest, err = m.local(made, end)
	} else {
		a.File, a.Checked = recorded.File, true
		if end == ".commits" {
			a.Open = sources.InMemory(m.past.lists[id], "")
			return m.keep(a), nil
		}
		a.Open = func(context.Context, int64, string) (*bundle.Content, error) {
			return nil, fmt.Errorf("%s: the base has it: %w", a.File.Path, sources.ErrNotAtHand)
		}
	}
	if end == ".commits" {
		a = m.keep(a)
	}
	return a, err
}

// local is a file of a pack that was made in scratch.
func (m *mirror) local(made *gitrepo.Packed, end string) (open bundle.Open, size int64, digest bundle.Digest, err error) {
	name := made.Prefix + end
	folder, err := filepath.Abs(m.env.Scratch.Name())
	if err != nil {
		return nil, 0, digest, err
	}
	rel, err := filepath.Rel(folder, name)
	if err != nil {
		return nil, 0, digest, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, digest, err
	}
	h := bundle.NewHash()
	size, err = io.Copy(h, f)
	return m.env.InScratch(rel), size, bundle.SumOf(h), errors.Join(err, f.Close())
}
