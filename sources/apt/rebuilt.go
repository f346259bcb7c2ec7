package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/apt/reindex"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// upstreamFolder is where a rebuilt source carries upstream's own indexes.
const upstreamFolder = rebuild.UpstreamFolder

// reasonMade is why a file that was made here is in the mirror, and reasonSource why a
// part of a source package is.
const (
	reasonMade   = "index of the selection"
	reasonSource = "source of a chosen package"
)

// layRebuilt lays out a source with new indexes of the selection. mark is recorded
// with each Release. made is how many bytes of scratch the indexes take.
func layRebuilt(ctx context.Context, env *sources.Env, l *loaded, chosen *selection, mark string) (repo sources.Repository, made int64, err error) {
	signer, _, err := keyring.Site(env)
	if err != nil {
		return repo, 0, err
	}
	date := newestDate(l, env.Now)
	files, press := &stock.Stock{}, rebuild.NewPress(env, Name, l.name, reasonMade)
	for i, s := range l.suites {
		own, ownErr := s.own(upstreamFolder)
		files.Add(own...)
		if err := errors.Join(ctx.Err(), ownErr, addChosen(files, s, &chosen.suites[i])); err != nil {
			return repo, 0, err
		}
		indexes, err := suiteOf(ctx, env, s, &chosen.suites[i], date)
		if err == nil {
			err = addIndexes(files, press, s, indexes, signer, mark)
		}
		if err != nil {
			return repo, 0, err
		}
	}
	if err := files.Settle(); err != nil {
		return repo, 0, err
	}
	repo, err = l.repository(env)
	repo.Artifacts = files.Artifacts(env, l.name)
	repo.Notes = append(repo.Notes, chosen.notes...)
	return repo, press.Bytes, err
}

// newestDate returns the newest date that upstream signed: the date of what is made of it.
// Where upstream has none, it is the day of the export.
func newestDate(l *loaded, now time.Time) time.Time {
	var date time.Time
	for _, s := range l.suites {
		if s.release.Date.After(date) {
			date = s.release.Date.UTC()
		}
	}
	if date.IsZero() {
		return now.UTC().Truncate(24 * time.Hour)
	}
	return date
}

// validUntil counts from the day of the export: upstream's own date may be years
// old. The same day leads to the same bytes.
func (e *entry) validUntil(now time.Time) time.Time {
	if e.options.ValidFor == 0 {
		return time.Time{}
	}
	return now.UTC().Truncate(24 * time.Hour).Add(time.Duration(e.options.ValidFor))
}

// addChosen adds the packages and source packages that were chosen of a suite.
func addChosen(files *stock.Stock, s *loadedSuite, chosen *suiteChoice) error {
	for _, c := range chosen.components {
		for _, p := range c.packages {
			if err := p.CheckForClient(); err != nil {
				return fmt.Errorf("%s: %s; %s: %w", s.fetched(), err.Error(), rebuild.SkipHint, fetch.ErrUpstream)
			}
			file, err := s.packageFile(p, c.name, c.why[p])
			if err != nil {
				return err
			}
			files.Add(file)
		}
		for _, src := range c.sources {
			parts, err := s.sourceFiles(src, c.name, reasonSource)
			if err != nil {
				return err
			}
			files.Add(parts...)
		}
	}
	return nil
}

// suiteOf returns a suite that has what was chosen of an upstream's.
func suiteOf(ctx context.Context, env *sources.Env, s *loadedSuite, chosen *suiteChoice, date time.Time) (reindex.Suite, error) {
	r := s.release
	made := reindex.Suite{
		Flat: s.flat, Labels: s.want.Installer,
		Release: deb.Release{
			Origin: r.Origin, Label: r.Label, Suite: r.Suite, Version: r.Version, Codename: r.Codename, Description: r.Description,
			Date: date, ValidUntil: s.entry.validUntil(env.Now), Architectures: s.want.Architectures,
			NotAutomatic: r.NotAutomatic, ButAutomaticUpgrades: r.ButAutomaticUpgrades,
		},
		Contents: contents(env, s, chosen),
	}
	for _, c := range chosen.components {
		component := reindex.Component{Name: c.name, Packages: c.packages, Installer: isInstaller(c.name)}
		if s.want.Source {
			component.Sources = append([]*deb.Source{}, c.sources...)
		}
		var err error
		if component.Translations, err = translations(ctx, env, s, c); err != nil {
			return made, err
		}
		made.Components = append(made.Components, component)
	}
	return made, nil
}

// addIndexes makes the indexes of a suite, its Release, and the signatures; a plan that
// does not open the site's key leaves out what these turn out to be.
func addIndexes(files *stock.Stock, press *rebuild.Press, s *loadedSuite, made reindex.Suite, signer *pgpkeys.Signer, mark string) error {
	err := reindex.Build(made, signer, func(f reindex.File) error {
		file, err := press.PutBytes(s.at(f.Path), f.Content, f.Read)
		if err == nil && f.Path == nameRelease {
			file.More.Validator = mark
		}
		files.Add(file)
		return err
	})
	if err == nil && signer == nil {
		files.Add(press.Closed(s.at(nameInRelease)), press.Closed(s.at(nameDetached)))
	}
	return err
}

// translations returns the translated descriptions of what was chosen, by language. Debian has
// some thirty languages, most of them packed by bzip2 alone, and unpacking them takes longer
// than the rest of a plan: each processor has one.
func translations(ctx context.Context, env *sources.Env, s *loadedSuite, c *componentChoice) (map[string][]deb.Paragraph, error) {
	var forms []*form
	for _, f := range s.forms {
		if f.group.target == targetTranslations && f.group.component == c.name && f.local != "" && !s.flat {
			forms = append(forms, f)
		}
	}
	found := make([][]deb.Paragraph, len(forms))
	err := sources.EachOf(ctx, runtime.GOMAXPROCS(0), len(forms), func(_ context.Context, i int) error {
		r, err := s.open(env, forms[i])
		if err != nil {
			return err
		}
		found[i], err = reindex.Translations(r, c.packages)
		return errors.Join(upstream.Blame(s.where(forms[i].file.Path), err), r.Close())
	})
	if err != nil {
		return nil, err
	}
	all := make(map[string][]deb.Paragraph, len(forms))
	for i, f := range forms {
		all[strings.TrimPrefix(path.Base(f.group.name), "Translation-")] = found[i]
	}
	return all, nil
}

// contents filter the Contents indexes of a suite, under the names that upstream has.
// Files of packages for all architectures are listed with each of them, as in the Packages that
// are made here.
func contents(env *sources.Env, s *loadedSuite, chosen *suiteChoice) map[string]func(io.Writer) error {
	parts := map[string][]*form{}
	for _, f := range s.forms {
		if f.group.target != targetContents || f.local == "" {
			continue
		}
		base := strings.TrimSuffix(f.group.name, f.group.arch)
		for _, arch := range s.want.Architectures {
			if f.group.arch == arch || f.group.arch == "all" {
				parts[base+arch] = append(parts[base+arch], f)
			}
		}
	}
	made := map[string]func(io.Writer) error{}
	for name, forms := range parts {
		made[name] = func(w io.Writer) error {
			for _, f := range forms {
				r, err := s.open(env, f)
				if err != nil {
					return err
				}
				err = reindex.Contents(w, r, chosen.names(f.group.component))
				if err := errors.Join(upstream.Blame(s.where(f.file.Path), err), r.Close()); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return made
}

// names returns the names of the packages that were chosen of a component; "" is all.
func (c *suiteChoice) names(component string) map[string]bool {
	names := map[string]bool{}
	for _, one := range c.components {
		if component != "" && one.name != component {
			continue
		}
		for _, p := range one.packages {
			names[p.Name] = true
		}
	}
	return names
}

// architectures returns the architectures of all suites, in their order.
func (e *entry) architectures() []string {
	var all []string
	for _, s := range e.suites {
		all = union(all, s.want.Architectures)
	}
	return all
}

// union returns a with those of b that it lacks.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a[:len(a):len(a)], s)
		}
	}
	return a
}
