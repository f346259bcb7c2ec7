package apt

import (
	"context"
	"errors"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// reading is what was read for all sources: the first of the three steps of a plan.
type reading struct {
	all  []*loaded
	keys map[string]keyring.Keys // by keyring.Ref.ID
	// mark identifies what the choice is a function of; "": nothing is chosen.
	mark string
}

// loaded is a source whose Releases hold.
type loaded struct {
	*entry
	suites []*loadedSuite
	// unchanged: the base has this very state, and its list is the plan. Nothing but
	// the signed Releases was read.
	unchanged bool
	scratch   int64  // bytes that are used of it
	moved     string // a remark, where its folders are others than those of the base
}

// loadedSuite is a suite whose Release holds, and its indexes.
type loadedSuite struct {
	*suite
	*signed
	forms []*form
	// system reports that it has the package that every system has, so it is a system's.
	system bool
	// absent are paths of forms that Release lists and upstream lacks, though it has
	// another form.
	absent []string
	// skipped are the faults of packages that were left out of the choice.
	skipped []string
}

// form is an index in one compression, which upstream has.
type form struct {
	group *group
	file  *deb.ReleaseFile
	local string // name in scratch, if it was read
	// digest is zero if it was not read and Release does not have it.
	digest bundle.Digest
}

// read reads the Releases of all sources, and the indexes of those that the base does
// not stand for.
func read(ctx context.Context, env *sources.Env, entries []*entry) (*reading, error) {
	keys, err := loadKeys(ctx, env, entries)
	if err != nil {
		return nil, err
	}
	r := &reading{all: make([]*loaded, len(entries)), keys: keys}
	err = sources.Each(ctx, len(entries), func(ctx context.Context, i int) (err error) {
		r.all[i], err = readReleases(ctx, env, entries[i], keys)
		return sources.InSource(entries[i].pos, entries[i].name, err)
	})
	if err != nil {
		return nil, err
	}
	if err := recall(env, r); err != nil {
		return nil, err
	}
	return readIndexes(ctx, env, r)
}

// readReleases reads the Releases of a source's suites and verifies them.
func readReleases(ctx context.Context, env *sources.Env, e *entry, keys map[string]keyring.Keys) (*loaded, error) {
	l := &loaded{entry: e, suites: make([]*loadedSuite, len(e.suites))}
	err := sources.Each(ctx, len(e.suites), func(ctx context.Context, i int) error {
		s := e.suites[i]
		signed, err := readRelease(ctx, env, s, keys[s.keys.ID()])
		l.suites[i] = &loadedSuite{suite: s, signed: signed}
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, errors.Join(l.checkLanguages(), l.checkInstaller())
}

// readIndexes returns the reading with the indexes of all sources that changed. Where
// upstream moved in between, a source is read once more from its Releases on.
func readIndexes(ctx context.Context, env *sources.Env, r *reading) (*reading, error) {
	with := &reading{all: make([]*loaded, len(r.all)), keys: r.keys, mark: r.mark}
	err := sources.Each(ctx, len(r.all), func(ctx context.Context, i int) error {
		head := r.all[i]
		with.all[i] = head
		if head.unchanged {
			return nil
		}
		var err error
		with.all[i], err = upstream.SteadyFrom(ctx, env, head.name, head, func() (*loaded, error) {
			again, err := readReleases(ctx, env, head.entry, r.keys)
			if err == nil {
				again.moved = head.moved
			}
			return again, err
		}, func(l *loaded) (*loaded, error) { return withIndexes(ctx, env, l) })
		return sources.InSource(head.pos, head.name, err)
	})
	return with, err
}

// withIndexes returns a source with its indexes.
func withIndexes(ctx context.Context, env *sources.Env, releases *loaded) (*loaded, error) {
	l := &loaded{entry: releases.entry, suites: make([]*loadedSuite, len(releases.suites)), moved: releases.moved}
	err := sources.Each(ctx, len(l.suites), func(ctx context.Context, i int) (err error) {
		prefix := fmt.Sprintf("%s-%d", sources.ScratchName(Name, l.name), i)
		l.suites[i], err = readSuite(ctx, env, releases.suites[i], prefix)
		return err
	})
	for _, s := range l.suites {
		if s == nil {
			continue
		}
		for _, f := range s.forms {
			if f.local != "" {
				l.scratch += f.file.Size
			}
		}
	}
	return l, err
}

// readSuite finds the indexes that a suite's clients may ask for, and reads those that
// name files into scratch, under names that begin with prefix.
func readSuite(ctx context.Context, env *sources.Env, release *loadedSuite, prefix string) (*loadedSuite, error) {
	s := &loadedSuite{suite: release.suite, signed: release.signed}
	groups := s.want.wanted(s.release, s.flat)
	if err := s.checkWanted(s.release, groups); err != nil {
		return nil, err
	}
	found := make([][]*form, len(groups))
	absent := make([][]string, len(groups))
	err := sources.Each(ctx, len(groups), func(ctx context.Context, i int) (err error) {
		found[i], absent[i], err = s.readForms(ctx, env, groups[i], fmt.Sprintf("%s-%d", prefix, i))
		return err
	})
	for i := range found {
		s.forms, s.absent = append(s.forms, found[i]...), append(s.absent, absent[i]...)
	}
	return s, err
}

// readForms finds the forms of an index that upstream has. One form of an index that
// names files is read.
func (s *loadedSuite) readForms(ctx context.Context, env *sources.Env, g *group, local string) (found []*form, absent []string, err error) {
	names := g.target == targetPackages || g.target == targetSources
	if s.entry.rebuilt && !names {
		names = g.target == targetTranslations || g.target == targetContents && s.entry.options.Contents && g.arch != "source"
		if !names {
			return nil, nil, nil // a client of the rebuilt suite does not get to know of it
		}
	}
	var read *form
	var cause error // of the first form that is not there
	if names {
		if read, cause, err = s.readEasiest(ctx, env, g, local); err != nil {
			return nil, nil, err
		}
		if read != nil {
			found = append(found, read)
		}
	}
	for _, f := range g.candidates() {
		sum, err := sumOf(f)
		if err != nil {
			return nil, nil, err
		}
		if read != nil && (read.file == f || s.entry.rebuilt) {
			continue
		}
		ok, err := s.root.place.Has(ctx, env, s.locations(f)...)
		switch {
		case err != nil:
			return nil, nil, err
		case ok:
			digest, _ := sum.Digest()
			found = append(found, &form{group: g, file: f, digest: digest})
		default:
			absent = append(absent, f.Path)
		}
	}
	if names && read == nil || len(found) == 0 && g.target != targetLegacy {
		return nil, nil, upstream.Gone(s.where(g.name), s.fetched(), cause)
	}
	return found, absent, nil
}

// readEasiest puts the form of an index that is cheapest to read into scratch, of those
// that upstream has; nil: it has none, as absent reports.
func (s *loadedSuite) readEasiest(ctx context.Context, env *sources.Env, g *group, local string) (read *form, absent, err error) {
	for _, f := range byEase(g.candidates()) {
		sum, err := sumOf(f)
		if err != nil {
			return nil, nil, err
		}
		want := upstream.Want{Sum: sum, Size: f.Size, Index: s.fetched()}
		digest, _, err := s.root.place.Download(ctx, env, local, want, s.locations(f)...)
		if err == nil {
			return &form{group: g, file: f, local: local, digest: digest}, nil, nil
		}
		if !upstream.IsAbsent(err) {
			return nil, nil, err
		}
		if absent == nil {
			absent = err
		}
	}
	if absent == nil {
		absent = fmt.Errorf("%s: in no compression that gapbundle reads: %w", s.where(g.name), fetch.ErrUpstream)
	}
	return nil, absent, nil
}
