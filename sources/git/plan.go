package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Bounds of what submodules lead to.
const (
	maxDepth   = 5
	maxMirrors = 200 // git repositories of a set
	atOnce     = 3   // git programs at a time: each can use a core and much memory
)

// want is what somebody wants of one git repository: an entry of the spec, or
// a commit that records it as a submodule.
type want struct {
	entry   *entry
	pos     strictyaml.Pos
	by      string // the URL
	why     string // what wants it, of a submodule
	depth   int    // 0: the spec names it
	refs    []string
	exclude []string
	every   bool // all branches and tags
	// alone means that the entry names one repository, and signedRefs which of its refs have to be
	// signed: each pattern then has to match.
	alone      bool
	signedRefs []string
	pin        gitfile.ID // zero: none
}

// planner is one plan of all sources of the kind.
type planner struct {
	env     *sources.Env
	git     *gitrun.Git
	entries []*entry
	scratch string // folder of this attempt
	// interval is the time between two lines about a step that goes on.
	interval time.Duration
	past     map[string]*past
	held     map[string]string // folder of a git repository to the source that has it
	mirrors  map[string]*mirror
}

// Plan reads the refs of every repository, fetches what changed, and makes
// packs of it. Where upstream changes meanwhile, all of it is done once more.
func (s *source) Plan(ctx context.Context, env *sources.Env) (plan *sources.Plan, err error) {
	git, err := gitrun.Find(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.loadKeys(env); err != nil {
		return nil, err
	}
	err = upstream.Steady(ctx, env, Name, func() error {
		p, err := newPlanner(env, git, s.entries)
		if err != nil {
			return err
		}
		defer p.close()
		if err := p.read(ctx); err != nil {
			return err
		}
		if err := p.finish(ctx); err != nil {
			return err
		}
		plan, err = p.lay()
		return err
	})
	return plan, err
}

func newPlanner(env *sources.Env, git *gitrun.Git, entries []*entry) (*planner, error) {
	p := &planner{env: env, git: git, entries: entries, held: map[string]string{}, mirrors: map[string]*mirror{}, interval: progressInterval}
	folder, err := filepath.Abs(env.Scratch.Name())
	if err != nil {
		return nil, err
	}
	if p.scratch, err = os.MkdirTemp(folder, "git-"); err != nil {
		return nil, err
	}
	if p.past, err = pasts(env, entries); err != nil {
		return nil, err
	}
	for _, h := range env.Held {
		if h.Repository.Kind != Name {
			continue
		}
		for f, err := range h.Files() {
			if err != nil {
				return nil, err
			}
			if dir, name, ok := cutDir(f.Path); ok && name == nameHead {
				p.held[dir] = h.Repository.Name
			}
		}
	}
	return p, nil
}

// close ends the relays. What was fetched stays in scratch until the export ends.
func (p *planner) close() {
	for _, m := range p.mirrors {
		m.close()
	}
}

// read reads all repositories: first those of the spec, then those that the
// chosen commits record as submodules, and so on.
func (p *planner) read(ctx context.Context) error {
	wants, err := p.named()
	if err != nil {
		return err
	}
	for len(wants) > 0 {
		changed, err := p.assign(wants)
		if err != nil {
			return err
		}
		found := make([][]want, len(changed))
		err = sources.EachOf(ctx, atOnce, len(changed), func(ctx context.Context, i int) error {
			var err error
			found[i], err = changed[i].read(ctx)
			return changed[i].blame(err)
		})
		if err != nil {
			return err
		}
		wants = slices.Concat(found...)
	}
	return nil
}

// named are the repositories that the spec names.
func (p *planner) named() ([]want, error) {
	var all []want
	var errs []error
	for _, e := range p.entries {
		for _, raw := range e.urls {
			if _, err := parseAddress(raw, p.env.Fetch.Configured); err != nil {
				errs = append(errs, e.pos.Errorf("%w", err))
				continue
			}
			all = append(all, want{entry: e, pos: e.pos, by: raw, refs: e.refs, exclude: e.exclude, alone: len(e.urls) == 1, signedRefs: e.signedRefs()})
		}
	}
	return all, strictyaml.Join(errs...)
}

// assign adds wants to their mirrors and returns the mirrors that want more
// than before.
func (p *planner) assign(wants []want) ([]*mirror, error) {
	changed := map[string]*mirror{}
	var errs []error
	for _, w := range wants {
		a, err := parseAddress(w.by, p.env.Fetch.Configured)
		if err != nil {
			errs = append(errs, w.pos.Wrap(upstream.Blame("submodule", err)))
			continue
		}
		if _, ok := p.held[a.dir]; ok {
			continue // it stays as it is, with the source that has it
		}
		m := p.mirrors[a.dir]
		if m == nil {
			if len(p.mirrors) == maxMirrors {
				return nil, w.pos.Errorf("more than %d repositories, submodules included", maxMirrors)
			}
			m = &mirror{planner: p, address: a, past: p.past[a.dir], sub: map[gitfile.ID][]gitfile.Pin{}}
			p.mirrors[a.dir] = m
		}
		if m.add(w) {
			changed[a.dir] = m
		}
	}
	sorted := slices.SortedFunc(maps.Values(changed), func(a, b *mirror) int { return strings.Compare(a.dir, b.dir) })
	return sorted, strictyaml.Join(errs...)
}

// finish makes the packs of all mirrors.
func (p *planner) finish(ctx context.Context) error {
	all := p.sorted()
	return sources.EachOf(ctx, atOnce, len(all), func(ctx context.Context, i int) error {
		return all[i].blame(all[i].finish(ctx))
	})
}

func (p *planner) sorted() []*mirror {
	return slices.SortedFunc(maps.Values(p.mirrors), func(a, b *mirror) int { return strings.Compare(a.dir, b.dir) })
}

// add adds a want and reports whether it was not among the mirror's yet.
func (m *mirror) add(w want) bool {
	for _, have := range m.wants {
		if have.entry == w.entry && have.every == w.every && have.pin == w.pin && slices.Equal(have.refs, w.refs) &&
			slices.Equal(have.exclude, w.exclude) && have.depth == 0 == (w.depth == 0) {
			return false
		}
	}
	m.wants = append(m.wants, w)
	// Whatever was found first, the same wants are in the same order.
	slices.SortStableFunc(m.wants, func(a, b want) int {
		return cmp.Or(cmp.Compare(a.entry.number, b.entry.number), cmp.Compare(a.depth, b.depth), bytes.Compare(a.pin[:], b.pin[:]), strings.Compare(a.by, b.by))
	})
	return true
}

// owner is the first source in the order of the spec that wants the mirror:
// its repository has the files.
func (m *mirror) owner() *entry { return m.wants[0].entry }

// blame adds the place in the spec, and whose fault an error is.
func (m *mirror) blame(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return m.wants[0].pos.Wrap(fmt.Errorf("source %s: %w", m.owner().name, upstream.Blame(m.url, err)))
}
