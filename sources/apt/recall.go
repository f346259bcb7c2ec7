package apt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/replay"
)

// planVersion changes when the same Release and configuration lead to another list of
// files than before.
const planVersion = 3

// recall finds the sources whose files the base has: then its list is the plan, and
// upstream is asked for nothing more. Where packages are chosen, the choice in one
// source depends on every other: all of them are recalled, or none. rpm has
// the same rule over other values: there an unchanged source is a new value, here a mark on the
// one that was read.
func recall(env *sources.Env, r *reading) (err error) {
	if r.mark, err = markOf(env, r.all); err != nil || env.Base == nil {
		return err
	}
	same := true
	for _, l := range r.all {
		if err := l.recall(env, r.mark); err != nil {
			return err
		}
		same = same && l.unchanged
	}
	for _, l := range r.all {
		if r.mark != "" && !same {
			l.unchanged, l.scratch = false, 0
		}
	}
	return nil
}

// recall finds out whether the base was made of the very Releases that were just
// verified, for the same configuration; or of the same choice, whose mark the ledger
// has with each Release that was made.
func (l *loaded) recall(env *sources.Env, mark string) error {
	decisive := map[string]bundle.Digest{}
	detached := map[string]bundle.Digest{}
	var paths []string
	for _, s := range l.suites {
		for i := range s.files {
			if f := &s.files[i]; i > 0 {
				detached[s.at(f.name)] = f.digest()
				paths = append(paths, s.at(f.name))
			} else {
				decisive[s.configuration()] = f.digest()
			}
		}
		paths = append(paths, s.oldPath(), s.at(s.files[0].name))
	}
	memory, err := replay.Recall(env, l.name, reasonIndex, paths...)
	if err != nil {
		return err
	}
	for _, s := range l.suites {
		if memory.Knows(s.oldPath()) && !memory.Knows(s.at(s.files[0].name)) {
			l.moved = fmt.Sprintf("its folders in the mirror are %s/%s, no longer %[1]s/%[3]s: clients need the client files of this bundle; at: %[3]s keeps them where they were", l.mount, s.root.pattern, archMark)
		}
	}
	if l.rebuilt {
		if l.unchanged = memory.Made(mark, len(l.suites)); l.unchanged {
			l.scratch = memory.Remake
		}
		return nil
	}
	l.unchanged = memory.Decided(decisive)
	for path, digest := range detached {
		l.unchanged = l.unchanged && memory.Has(path, digest)
	}
	return nil
}

// oldPath returns where a suite's signed file was when an address with $(ARCH) had a folder that
// was called as the architecture alone; "": that is no other folder, or it has no such address.
func (s *loadedSuite) oldPath() string {
	r := s.root
	if r.arch == "" || s.entry.options.At != "" || r.prefix == r.arch+"/" {
		return ""
	}
	return path.Join(r.arch, s.dir, s.files[0].name)
}

// configuration identifies what a suite was planned for.
func (s *suite) configuration() string {
	return replay.Configuration(struct {
		Version          int
		URL, Prefix, Dir string
		Want             configuration
	}{planVersion, s.root.url, s.root.prefix, s.dir, s.want})
}

// markOf identifies everything that the choice over all sources is a function of: the
// signed Releases, what the spec asks for, the status files, the site's key, the time
// until which the indexes are valid, and this program. It is empty if nothing is chosen.
func markOf(env *sources.Env, all []*loaded) (string, error) {
	type suiteMark struct {
		Configuration string
		Signed        []string
	}
	type sourceMark struct {
		Name                 string
		Rebuilt              bool
		Options              options
		Until                time.Time
		Installed, Reproduce string
		Suites               []suiteMark
	}
	var marks []sourceMark
	var errs []error
	chooses := false
	for _, l := range all {
		chooses = chooses || l.rebuilt
		m := sourceMark{Name: l.name, Rebuilt: l.rebuilt, Options: l.options, Until: l.validUntil(env.Now)}
		m.Options.Pos, m.Options.Keyring.Pos = strictyaml.Pos{}, strictyaml.Pos{}
		var installedErr, reproduceErr error
		m.Installed, installedErr = l.statusDigest("installed", l.options.Installed)
		m.Reproduce, reproduceErr = l.statusDigest("reproduce", l.options.Reproduce)
		errs = append(errs, installedErr, reproduceErr)
		for _, s := range l.suites {
			one := suiteMark{Configuration: s.configuration()}
			for i := range s.files {
				one.Signed = append(one.Signed, s.files[i].digest().Hex())
			}
			m.Suites = append(m.Suites, one)
		}
		marks = append(marks, m)
	}
	if err := errors.Join(errs...); err != nil || !chooses {
		return "", err
	}
	return replay.Mark(env, struct {
		Version int
		Sources []sourceMark
	}{planVersion, marks})
}

// statusDigest returns the digest of a status file that the spec names; "" is none.
func (l *loaded) statusDigest(key, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	f, err := os.Open(sources.Within(l.dir, name))
	if err != nil {
		return "", l.pos.Errorf("%s: %w", key, err)
	}
	hash := bundle.NewHash()
	_, err = io.Copy(hash, io.LimitReader(f, maxStatus))
	return bundle.SumOf(hash).Hex(), errors.Join(err, f.Close())
}
