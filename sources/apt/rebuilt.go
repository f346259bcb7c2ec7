package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/apt/reindex"
)

// upstreamFolder is where a rebuilt source carries upstream's own indexes and
// signatures, as evidence: no client asks for them.
const upstreamFolder = "_upstream/"

// reasonMade is why a file that was made here is in the mirror.
const reasonMade = "index of the selection"

// reasonSource is why a part of a source package is in the mirror.
const reasonSource = "source of a chosen package"

// rebuilding is a source whose indexes are made anew.
type rebuilding struct {
	*planner
	*loaded
	chosen *selection
	signer *reindex.Signer // nil: the key is not open, as in a plan
	date   time.Time
	v      inventory
	made   int
}

// rebuilt plans a source of what was chosen.
func (p *planner) rebuilt(ctx context.Context, l *loaded, chosen *selection) (sources.Repository, error) {
	b := &rebuilding{planner: p, loaded: l, chosen: chosen}
	if key := p.env.Site.PrivateKey; key != nil && !key.Encrypted {
		var err error
		if b.signer, err = reindex.NewSigner(p.env.Site); err != nil {
			return sources.Repository{}, err
		}
	}
	for _, s := range l.suites {
		if s.release.Date.After(b.date) {
			b.date = s.release.Date.UTC()
		}
	}
	for i, s := range l.suites {
		if err := errors.Join(ctx.Err(), p.own(&b.v, s, upstreamFolder), b.payload(s, i), b.suite(s, i)); err != nil {
			return sources.Repository{}, err
		}
	}
	if err := b.v.settle(); err != nil {
		return sources.Repository{}, err
	}
	repo, err := p.rebuiltRepository(l)
	repo.Artifacts = b.v.artifacts(b.env)
	repo.Notes = append(repo.Notes, b.chosen.notes...)
	return repo, err
}

// rebuiltRepository is what is told about a rebuilt source besides its files.
func (p *planner) rebuiltRepository(l *loaded) (sources.Repository, error) {
	name := p.env.Set + "-site.asc"
	repo, err := l.repository(modeRebuilt, name)
	if err != nil {
		return repo, err
	}
	repo.Notes = l.notes(p.env.Now)
	if until := l.validUntil(p.env.Now); !until.IsZero() {
		repo.Expires = &until
	}
	if repo.Keys, err = publish(openpgp.EntityList{p.env.Site}, "site", name); err != nil {
		return repo, err
	}
	// Upstream's keys are evidence, and the root names what they signed.
	upstream, err := l.keyFiles()
	repo.Keys = append(repo.Keys, upstream...)
	return repo, err
}

// validUntil is counted from the day of the export: upstream's own date may
// lie years back. The same day gives the same bytes.
func (e *entry) validUntil(now time.Time) time.Time {
	if e.options.ValidFor == 0 {
		return time.Time{}
	}
	return now.UTC().Truncate(24 * time.Hour).Add(time.Duration(e.options.ValidFor))
}

// payload adds the packages and source packages that were chosen.
func (b *rebuilding) payload(s *loadedSuite, i int) error {
	for _, c := range b.chosen.suites[i].components {
		for _, pkg := range c.packages {
			if pkg.SHA256.IsZero() {
				return fmt.Errorf("%s: %s: without SHA256: apt refuses it: %w", fetch.Redact(s.root.url), pkg.Filename, fetch.ErrUpstream)
			}
			b.v.add(file{path: s.root.prefix + pkg.Filename, root: s.root, size: pkg.Size, digest: pkg.SHA256, reason: c.why[pkg]})
		}
		for _, src := range c.sources {
			for _, part := range src.Files {
				if part.SHA256.IsZero() {
					return fmt.Errorf("%s: %s: without SHA256: apt refuses it: %w", fetch.Redact(s.root.url), part.Path, fetch.ErrUpstream)
				}
				b.v.add(file{path: s.root.prefix + part.Path, root: s.root, size: part.Size, digest: part.SHA256, reason: reasonSource})
			}
		}
	}
	return nil
}

// suite makes the indexes of a suite, and its Release.
func (b *rebuilding) suite(s *loadedSuite, i int) error {
	r := s.release
	made := reindex.Suite{
		Flat: s.flat,
		Release: deb.Release{
			Origin: r.Origin, Label: r.Label, Suite: r.Suite, Version: r.Version, Codename: r.Codename, Description: r.Description,
			Date: b.date, ValidUntil: b.validUntil(b.env.Now), Architectures: s.want.Architectures,
			NotAutomatic: r.NotAutomatic, ButAutomaticUpgrades: r.ButAutomaticUpgrades,
		},
	}
	for _, c := range b.chosen.suites[i].components {
		component := reindex.Component{Name: c.name, Packages: c.packages}
		if s.want.Source {
			component.Sources = append([]*deb.Source{}, c.sources...)
		}
		var err error
		if component.Translations, err = b.translations(s, c); err != nil {
			return err
		}
		made.Components = append(made.Components, component)
	}
	made.Contents = b.contents(s, i)
	locals := map[bundle.Digest]string{}
	err := reindex.Build(made, b.signer, func(f reindex.File) error { return b.put(s, f, locals) })
	if err == nil && b.signer == nil {
		for _, name := range []string{nameInRelease, nameDetached} {
			b.v.add(file{path: s.at(name), size: -1, reason: reasonMade, more: &extra{vouched: bundle.VouchedMade, open: closedKey}})
		}
	}
	return err
}

// closedKey stands for what only an export signs.
func closedKey(context.Context, int64, string) (*bundle.Content, error) {
	return nil, fmt.Errorf("site key: not open: %w", bundle.ErrUsage)
}

// put adds a file that was made. Indexes lie in scratch, once for all their names.
func (b *rebuilding) put(s *loadedSuite, f reindex.File, locals map[bundle.Digest]string) error {
	digest := bundle.DigestOf(f.Content)
	name, known := locals[digest]
	if !known {
		name = fmt.Sprintf("%s-%s-made-%d", Name, strings.ReplaceAll(b.name, "/", "-"), b.made)
		locals[digest] = name
		b.made++
		b.scratch += int64(len(f.Content))
		if err := b.env.Scratch.WriteFile(name, f.Content, 0o600); err != nil {
			return err
		}
	}
	made := file{
		path: s.at(f.Path), size: int64(len(f.Content)), digest: digest, reason: reasonMade,
		more: &extra{vouched: bundle.VouchedMade, local: name},
	}
	if f.Path == nameRelease {
		made.more.mark = b.mark
	}
	b.v.add(made)
	return nil
}

// translations are the translated descriptions of what was chosen.
func (b *rebuilding) translations(s *loadedSuite, c *componentChoice) (map[string][]deb.Paragraph, error) {
	all := map[string][]deb.Paragraph{}
	for _, f := range s.forms {
		if f.group.target != targetTranslations || f.group.component != c.name || f.local == "" || s.flat {
			continue
		}
		r, err := b.open(s, f)
		if err != nil {
			return nil, err
		}
		language := strings.TrimPrefix(path.Base(f.group.name), "Translation-")
		found, err := reindex.Translations(r, c.packages)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, upstreamError(s.describe(f), err)
		}
		all[language] = found
	}
	return all, nil
}

// contents filter the Contents indexes of a suite, under the names that
// upstream has. What is for all architectures stands with each of them, as it
// does in the Packages that are made here.
func (b *rebuilding) contents(s *loadedSuite, i int) map[string]func(io.Writer) error {
	made := map[string]func(io.Writer) error{}
	for _, f := range s.forms {
		if f.group.target != targetContents || f.local == "" {
			continue
		}
		base := strings.TrimSuffix(f.group.name, f.group.arch)
		names := b.chosen.suites[i].names(f.group.component)
		for _, arch := range s.want.Architectures {
			if f.group.arch != arch && f.group.arch != "all" {
				continue
			}
			before := made[base+arch]
			made[base+arch] = func(w io.Writer) error {
				if before != nil {
					if err := before(w); err != nil {
						return err
					}
				}
				r, err := b.open(s, f)
				if err != nil {
					return err
				}
				if err := errors.Join(reindex.Contents(w, r, names), r.Close()); err != nil {
					return upstreamError(s.describe(f), err)
				}
				return nil
			}
		}
	}
	return made
}

// names are those of the packages that were chosen of a component; "" is all.
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
