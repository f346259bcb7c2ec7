package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/git/relay"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Bounds of what submodules lead to.
const (
	maxDepth        = 5
	maxRepositories = 200 // git repositories of a set
	atOnce          = 3   // git programs at a time: each can use a core and much memory
)

// reading is all git repositories of a set as they were read.
type reading struct {
	entries []*entry
	past    map[string]*past         // by folders of git repositories
	taken   map[string]sources.Owner // paths of sources that are held back
	all     map[string]*repository   // by folders
}

// repository is one git repository as it was read. The upper half is known
// before anything is fetched.
type repository struct {
	address
	wants  wants
	past   *past // what the last export published of it; nil: nothing
	relay  *relay.Relay
	up     *gitfile.Advertised // nil: upstream was not asked yet
	chosen choice

	fetched    *fetched                     // nil: nothing had to be
	submodules map[gitfile.ID][]gitfile.Pin // of commits that refs lead to
	notes      []string
}

// read reads all repositories: first those of the spec, then those that the
// chosen commits record as submodules, and so on.
func read(ctx context.Context, t *tools, entries []*entry) (_ *reading, err error) {
	r := &reading{entries: entries, all: map[string]*repository{}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.past, err = pasts(t.env, entries); err != nil {
		return nil, err
	}
	if r.taken, err = t.env.Taken(mount, nil); err != nil {
		return nil, err
	}
	for wants := ofSpec(entries); len(wants) > 0; {
		changed, err := r.assign(t, wants)
		if err != nil {
			return nil, err
		}
		found := make([][]want, len(changed))
		err = sources.EachOf(ctx, atOnce, len(changed), func(ctx context.Context, i int) error {
			var err error
			found[i], err = changed[i].read(ctx, t)
			return changed[i].blame(err)
		})
		if err != nil {
			return nil, err
		}
		wants = slices.Concat(found...)
	}
	return r, nil
}

// close ends the relays. Fetched objects stay in scratch until the export ends.
func (r *reading) close() {
	for _, one := range r.all {
		if one.relay != nil {
			_ = one.relay.Close() // of loopback
		}
	}
}

// assign adds wants to their repositories and returns those of which more is
// wanted than before.
func (r *reading) assign(t *tools, all wants) ([]*repository, error) {
	changed := map[string]*repository{}
	var errs []error
	for _, w := range all {
		a, err := t.address(w.by)
		if err != nil && w.depth == 0 {
			errs = append(errs, w.pos.Errorf("%w", err))
			continue
		} else if err != nil {
			errs = append(errs, w.pos.Wrap(upstream.Blame("submodule", err)))
			continue
		}
		if r.held(a.dir) != "" {
			continue // it stays as it is, with the source that has it
		}
		one := r.all[a.dir]
		if one == nil {
			if len(r.all) == maxRepositories {
				return nil, w.pos.Errorf("more than %d repositories, submodules included", maxRepositories)
			}
			one = &repository{address: a, past: r.past[a.dir], submodules: map[gitfile.ID][]gitfile.Pin{}}
			r.all[a.dir] = one
		}
		var more bool
		if one.wants, more = one.wants.with(w); more {
			changed[a.dir] = one
		}
	}
	return inOrder(changed), strictyaml.Join(errs...)
}

// held returns the source that is held back and has a git repository; empty: none.
func (r *reading) held(dir string) string { return r.taken[dir+"/"+nameHead].Source }

// inOrder returns repositories in the order of their folders.
func inOrder(all map[string]*repository) []*repository {
	return slices.SortedFunc(maps.Values(all), func(a, b *repository) int { return strings.Compare(a.dir, b.dir) })
}

func (r *repository) note(format string, args ...any) {
	r.notes = append(r.notes, r.dir+": "+fmt.Sprintf(format, args...))
}

// blame adds the place in the spec, and whose fault an error is.
func (r *repository) blame(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return sources.InSource(r.wants[0].pos, r.wants.owner().name, upstream.Blame(r.url, err))
}

// read reads upstream's refs, chooses, fetches what is new, and returns the
// submodules that the chosen commits record. It is called again when more is
// wanted of the repository.
func (r *repository) read(ctx context.Context, t *tools) (_ []want, err error) {
	if r.up == nil {
		if err := r.begin(ctx, t); err != nil {
			return nil, err
		}
	}
	if r.chosen, err = choose(r.url, r.wants, r.up); err != nil {
		return nil, err
	}
	if r.fetched, err = fetchNew(ctx, t, r); err != nil {
		return nil, err
	}
	if err := peel(ctx, r.chosen.refs, r.fetched, r.past); err != nil {
		return nil, err
	}
	if !r.wants.submodules() {
		return nil, nil
	}
	if err := r.findSubmodules(ctx); err != nil {
		return nil, err
	}
	return children(r)
}

// begin asks for the refs, and reads what the last export kept.
func (r *repository) begin(ctx context.Context, t *tools) (err error) {
	if r.relay, err = relay.New(ctx, t.env.Fetch, r.url); err != nil {
		return err
	}
	if r.up, err = gitrepo.Advertised(ctx, t.git, r.relay); err != nil || r.past == nil {
		return err
	}
	ok, err := r.past.load(t.env)
	if err == nil && !ok {
		r.note("what the last export kept about it is gone: one new pack of everything")
		r.past = nil
	}
	return err
}

// peel finds out what chosen refs lead to: what was fetched is asked, and not
// upstream, and what was not is as it was published.
func peel(ctx context.Context, refs []gitfile.Ref, got *fetched, past *past) error {
	known := map[gitfile.ID]gitfile.ID{}
	if past != nil {
		for _, r := range past.refs {
			known[r.ID] = r.Peeled
		}
	}
	var expressions []string
	var fresh []gitfile.ID
	for _, r := range refs {
		if got.has(r.ID) {
			expressions, fresh = append(expressions, r.ID.String()+"^{}"), append(fresh, r.ID)
		}
	}
	if len(fresh) > 0 {
		objects, err := got.repo.Look(ctx, expressions)
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
				got.commits[fresh[i]] = o.ID
			}
		}
	}
	for i := range refs {
		refs[i].Peeled = known[refs[i].ID]
	}
	return nil
}
