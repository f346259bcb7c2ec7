package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// finish checks what was fetched, makes packs of it, and looks for objects of
// Git LFS. A mirror of which nothing changed is what the last export has.
func (m *mirror) finish(ctx context.Context) error {
	m.record = gitfile.Record{Git: m.git.Version, Mark: m.mark()}
	m.packs = map[gitfile.ID]*gitrepo.Packed{}
	m.commits = nil
	if m.past != nil {
		m.record.Git, m.record.Packs, m.record.Objects = m.past.record.Git, slices.Clone(m.past.record.Packs), slices.Clone(m.past.record.Objects)
		m.commits = m.past.commits
	}
	for _, r := range m.chosen {
		m.record.Submodules = append(m.record.Submodules, m.sub[r.Commit()]...)
	}
	if m.repo != nil {
		pack := func(ctx context.Context) error {
			return m.during("making packs", func() error { return m.pack(ctx) })
		}
		for _, step := range []func(context.Context) error{m.examine, m.steady, m.verify, m.date, pack, m.pointers} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		m.note("%s fetched", size(m.relay.Received()))
		if err := m.repo.Remove(); err != nil {
			return err
		}
	}
	m.record.Sort()
	m.record.Submodules = slices.Compact(m.record.Submodules)
	m.noteGone()
	return nil
}

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// examine reads every object and follows every link.
func (m *mirror) examine(ctx context.Context) error {
	var faults gitrun.Faults
	err := m.during("checking objects", func() (err error) {
		faults, err = m.repo.Examine(ctx)
		return err
	})
	for _, n := range faults.Notes() {
		m.note("%s", n)
	}
	return err
}

// date finds out how old the refs are that were fetched.
func (m *mirror) date(ctx context.Context) (err error) {
	m.dates, err = m.repo.Dates(ctx)
	return err
}

// steady asks for the refs once more: those that are published have to be
// upstream's at one moment.
func (m *mirror) steady(ctx context.Context) error {
	refs, symref, head, err := gitrepo.Advertised(ctx, m.git, m.relay)
	if err != nil {
		return err
	}
	if head == m.head && symref == m.symref && slices.Equal(refs, m.refs) {
		return nil
	}
	return &upstream.MovedError{File: m.url, Want: fmt.Sprintf("the same %d refs before and after the fetch", len(m.refs)), Have: fmt.Sprintf("%d refs, some of them changed", len(refs))}
}

// peel finds out what the chosen refs lead to: what was fetched is asked, and
// not upstream, and what was not is as it was published.
func (m *mirror) peel(ctx context.Context) error {
	known := map[gitfile.ID]gitfile.ID{}
	if m.past != nil {
		for _, r := range m.past.refs {
			known[r.ID] = r.Peeled
		}
	}
	var expressions []string
	var fresh []gitfile.ID
	for _, r := range m.chosen {
		if m.fresh[r.ID] {
			expressions, fresh = append(expressions, r.ID.String()+"^{}"), append(fresh, r.ID)
		}
	}
	m.commit = map[gitfile.ID]gitfile.ID{}
	if len(fresh) > 0 {
		objects, err := m.repo.Look(ctx, expressions)
		if err != nil {
			return err
		}
		for i, o := range objects {
			if o.Type == "" {
				return fmt.Errorf("object %s was fetched and is not there", fresh[i])
			}
			known[fresh[i]] = gitfile.ID{}
			if o.ID != fresh[i] {
				known[fresh[i]] = o.ID
			}
			if o.Type == "commit" {
				m.commit[fresh[i]] = o.ID
			}
		}
	}
	for i := range m.chosen {
		m.chosen[i].Peeled = known[m.chosen[i].ID]
	}
	return nil
}

// pack makes the packs: one of everything, those of the last export once more,
// or one for what is new.
func (m *mirror) pack(ctx context.Context) error {
	if m.past != nil && !m.repackDue() && !m.past.have {
		if err := m.again(ctx); err != nil {
			if ctx.Err() != nil || upstream.IsLocal(err) {
				return err
			}
			m.note("the packs of the last export cannot be made again: one new pack of everything (%s)", err)
			m.past = nil
		}
	}
	var tips []gitfile.Tip
	before := 0 // packs that become one
	if m.past == nil || m.repackDue() {
		if m.past != nil {
			before = len(m.past.record.Packs)
		}
		m.record.Packs, m.record.Objects, m.record.Git, m.commits = nil, nil, m.git.Version, nil
		for _, r := range m.chosen {
			tips = append(tips, gitfile.Tip{ID: r.ID, Commit: m.commit[r.ID]})
		}
	} else {
		for _, r := range m.chosen {
			if !m.past.ids[r.ID] {
				tips = append(tips, gitfile.Tip{ID: r.ID, Commit: m.commit[r.ID]})
			}
		}
	}
	if len(tips) == 0 {
		return nil
	}
	tips = slices.CompactFunc(sortedTips(tips), func(a, b gitfile.Tip) bool { return a.ID == b.ID })
	made, err := m.repo.Pack(ctx, tips, boundary(m.record.Packs, m.commits), m.folder)
	if err != nil || made == nil {
		return err
	}
	if err := m.noteWhole(made, before); err != nil {
		return err
	}
	if len(m.record.Packs) == gitfile.MaxPacks {
		return m.owner().pos.Errorf("source %s: %s: more than %d packs: let repack be auto", m.owner().name, m.url, gitfile.MaxPacks)
	}
	m.packs[made.Name] = made
	m.record.Packs, m.commits = append(m.record.Packs, made.Pack), append(slices.Clone(m.commits), made.Commits)
	if !slices.Contains(strings.Split(m.record.Git, ","), m.git.Version) {
		m.record.Git += "," + m.git.Version
	}
	return nil
}

// noteWhole says how large a pack is that takes the place of others: the next
// bundle carries all of it.
func (m *mirror) noteWhole(made *gitrepo.Packed, before int) error {
	if before == 0 {
		return nil
	}
	info, err := os.Stat(made.Prefix + ".pack")
	if err != nil {
		return err
	}
	m.note("its %d packs become one of %s", before, size(info.Size()))
	return nil
}

func sortedTips(tips []gitfile.Tip) []gitfile.Tip {
	r := gitfile.Record{Packs: []gitfile.Pack{{Tips: tips}}}
	r.Sort()
	return tips
}

// again makes the packs of the last export once more: a full bundle carries
// them, and so does one for a destination that lacks some. Its error is why
// they are not there.
func (m *mirror) again(ctx context.Context) error {
	var expressions []string
	for _, t := range m.past.record.Tips() {
		expressions = append(expressions, t.ID.String())
	}
	there, err := m.repo.Look(ctx, expressions)
	if err != nil {
		return err
	}
	for i, o := range there {
		if o.Type == "" {
			return fmt.Errorf("upstream no longer has %s", expressions[i])
		}
	}
	var commits [][]gitfile.ID
	made := map[gitfile.ID]*gitrepo.Packed{}
	for i, p := range m.past.record.Packs {
		again, err := m.repo.Pack(ctx, p.Tips, boundary(m.past.record.Packs[:i], commits), m.folder)
		if err != nil {
			return err
		}
		if again == nil || again.Name != p.Name {
			if m.past.record.Git != m.git.Version {
				return fmt.Errorf("git %s makes other bytes than git %s did", m.git.Version, m.past.record.Git)
			}
			return errors.New("the same git makes other bytes: another zlib")
		}
		made[p.Name], commits = again, append(commits, again.Commits)
	}
	maps.Copy(m.packs, made)
	return nil
}

// noteGone says which refs of the last export are not there any more.
func (m *mirror) noteGone() {
	if m.past == nil || len(m.past.record.Packs) == 0 || m.packsAreNew() {
		return
	}
	now := map[string]bool{}
	for _, r := range m.chosen {
		now[r.Name] = true
	}
	gone := 0
	for _, r := range m.past.refs {
		if !now[r.Name] {
			gone++
		}
	}
	if gone > 0 {
		m.note("%d refs of the last export are gone; what they led to stays in the packs until these become one", gone)
	}
}

// packsAreNew reports whether nothing of the last export's packs is left.
func (m *mirror) packsAreNew() bool {
	return len(m.record.Packs) > 0 && m.record.Packs[0].Name != m.past.record.Packs[0].Name
}

// scratchSize is how many bytes the files below a folder have.
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
