package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/rpm/reindex"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// reasonMade is why a file that was made here is in the mirror.
const reasonMade = "metadata of the selection"

// layRebuilt lays out a source with new metadata of the selection. mark is recorded with
// each repomd.xml. made is how many bytes of scratch the metadata take.
func layRebuilt(ctx context.Context, env *sources.Env, l *loaded, chosen *choice, mark string) (repo sources.Repository, files *stock.Stock, made int64, err error) {
	signer, _, err := keyring.Site(env)
	if err != nil {
		return repo, nil, 0, err
	}
	files, press := &stock.Stock{}, rebuild.NewPress(env, Name, l.name, reasonMade)
	selection, dirs := chosen.selections[l.name], make([]string, len(l.repos))
	for i, r := range l.repos {
		c := &selection.repos[i]
		if dirs[i], err = r.dirOf(c.climb); err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return repo, nil, 0, err
		}
		more := &stock.More{Vouched: l.trust.vouched(r.head)}
		about, remarks, err := r.about(env, &rpmmd.Interner{}, c.has())
		l.remarks = append(l.remarks, remarks...)
		if err != nil {
			return repo, nil, 0, err
		}
		packages := make([]stock.File, 0, len(c.packages))
		for _, p := range c.packages {
			if err := r.mayBeAt(env, p.at); err != nil {
				return repo, nil, 0, fmt.Errorf("%s: %w", p.NEVRA(), err)
			}
			packages = append(packages, r.packageFile(p.Package, p.at, p.why, more, &about))
		}
		r.put(packages, dirs[i])
		files.Add(packages...)
		files.Add(l.own(r, upstreamFolder+dirs[i])...)
		press.Vouched = rebuild.Vouched(r.vouchedIndex())
		metadata, err := makeMetadata(env, press, r, dirs[i], c, &chosen.modules, signer)
		if err != nil {
			return repo, nil, 0, err
		}
		for j := range metadata {
			if metadata[j].Path == dirs[i]+nameRepomd {
				metadata[j].More.Validator = mark
			}
		}
		files.Add(metadata...)
		key, err := l.keyFile(env, r, dirs[i])
		if err != nil {
			return repo, nil, 0, err
		}
		files.Add(key...)
		selection.notes = append(selection.notes, r.faults...)
	}
	if err := files.Settle(); err != nil {
		return repo, nil, 0, err
	}
	repo, err = l.repository(env, dirs)
	repo.Notes = append(repo.Notes, selection.notes...)
	return repo, files, press.Bytes, err
}

// makeMetadata makes the metadata of what was chosen of a repository, its repomd.xml, and
// the signature. dir is its folder in the mount.
func makeMetadata(env *sources.Env, press *rebuild.Press, r *loadedRepo, dir string, c *repoChoice, carried *carriedModules, signer *pgpkeys.Signer) ([]stock.File, error) {
	date := time.Unix(r.index.Newest(), 0).UTC()
	if date.After(env.Now) {
		date = env.Now.UTC().Truncate(24 * time.Hour) // a signature of tomorrow holds nowhere
	}
	made := reindex.New(press, dir, r.index.Revision, r.index.Tags, date)
	if err := fill(env, made, r, dir, c, carried); err != nil {
		return nil, err
	}
	return made.Finish(signer)
}

// fill makes the metadata files of what was chosen of a repository.
func fill(env *sources.Env, made *reindex.Builder, l *loadedRepo, dir string, c *repoChoice, carried *carriedModules) error {
	hrefs := map[string]string{} // new by checksum and old
	names, nevras := map[string]bool{}, map[string]bool{}
	for _, pkg := range c.packages {
		names[pkg.Name], nevras[pkg.NEVRA()] = true, true
		href := pkg.Location
		if pkg.at.isForeign() {
			href = strings.Repeat("../", strings.Count(strings.TrimPrefix(dir, l.folder), "/")) + (&url.URL{Path: pkg.at.path}).EscapedPath()
		}
		hrefs[hrefKey(pkg.Checksum, pkg.Location, pkg.BaseURL)] = href
	}
	// Two entries of a list may be one: what was chosen counts once.
	left := map[string]bool{}
	for key := range hrefs {
		left[key] = true
	}
	err := filtered(env, made, l, typePrimary, "primary.xml", func(w io.Writer, r io.Reader) error {
		return rpmmd.FilterPrimary(w, r, len(hrefs), func(sum rpmmd.Checksum, href, base string) (string, bool) {
			key := hrefKey(sum, href, base)
			ok := left[key]
			delete(left, key)
			return hrefs[key], ok
		})
	}, readPrimary(hrefs, nevras))
	ids := map[string]bool{}
	for _, pkg := range c.packages {
		ids[pkg.Checksum.Hex] = true
	}
	for _, kind := range []string{typeFilelists, typeOther} {
		err = errors.Join(err, filtered(env, made, l, kind, kind+".xml", func(w io.Writer, r io.Reader) error {
			left := maps.Clone(ids)
			return rpmmd.FilterByID(w, r, len(ids), func(id string) bool {
				ok := left[id]
				delete(left, id)
				return ok
			})
		}, readIDs(ids)))
	}
	fixes := 0
	err = errors.Join(err, filtered(env, made, l, typeUpdates, "updateinfo.xml", func(w io.Writer, r io.Reader) error {
		_, err := rpmmd.FilterUpdates(w, r, func(name string, e rpmmd.EVR, arch string) bool {
			one := rpmmd.Package{Name: name, EVR: e, Arch: arch}
			if !nevras[one.NEVRA()] {
				return false
			}
			fixes++
			return true
		})
		return err
	}, readUpdates(&fixes, nevras)))
	return errors.Join(err, makeGroups(env, made, l, names), makeModules(made, c.modules, carried))
}

func hrefKey(sum rpmmd.Checksum, href, base string) string {
	return strings.Join([]string{sum.Hex, href, base}, "\x00")
}

// filtered makes a metadata file of upstream's, if it has one.
func filtered(env *sources.Env, made *reindex.Builder, l *loadedRepo, kind, name string, filter func(io.Writer, io.Reader) error, read rebuild.Read) error {
	m := l.find(kind)
	if m == nil {
		return nil
	}
	r, err := l.open(env, m)
	if err != nil {
		return err
	}
	text, mended := io.Reader(r), (*rpmmd.Mended)(nil)
	if kind != typePrimary {
		mended = rpmmd.Mend(r)
		text = mended
	}
	err = made.Put(kind, name, true, func(w io.Writer) error {
		if err := filter(w, text); err != nil {
			return upstream.Blame(l.where(m.path), err)
		}
		return upstream.Drain(l.where(m.path), r)
	}, read)
	if mended != nil && mended.Count > 0 {
		l.faults = append(l.faults, fmt.Sprintf("%s: what is made of it has blanks in place of %s that XML does not have", l.where(m.path), bundle.Count(mended.Count, "character")))
	}
	return errors.Join(err, r.Close())
}

// mendedFile is metadata that was opened, without the characters that XML does not have.
type mendedFile struct {
	*rpmmd.Mended
	io.Closer
}

func (l *loadedRepo) openMended(env *sources.Env, m *metadata) (io.ReadCloser, error) {
	r, err := l.open(env, m)
	if err != nil {
		return nil, err
	}
	return mendedFile{rpmmd.Mend(r), r}, nil
}

// makeGroups makes comps.xml, as it is for yum and packed for dnf.
func makeGroups(env *sources.Env, made *reindex.Builder, l *loadedRepo, names map[string]bool) error {
	m := l.comps()
	if m == nil {
		return nil
	}
	groups := 0
	for _, kind := range []string{typeGroup, typeGroupGz} {
		err := made.Put(kind, "comps.xml", kind == typeGroupGz, func(w io.Writer) (err error) {
			groups, err = rpmmd.FilterGroups(w, func() (io.ReadCloser, error) { return l.openMended(env, m) }, func(name string) bool { return names[name] })
			return upstream.Blame(l.where(m.path), err)
		}, readGroupsOf(&groups, names))
		if err != nil {
			return err
		}
	}
	return nil
}
