package rpm

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Why a file is in a verbatim mirror.
const (
	reasonRepomd   = "index of the repository"
	reasonMetadata = "metadata of the repository"
	reasonKey      = "key of the repository's signature"
	reasonWhole    = "in the metadata of the repository"
)

// layVerbatim lays out a source as upstream has it. held bounds what is known of packages.
func layVerbatim(env *sources.Env, l *loaded, held *rpmmd.Interner) (repo sources.Repository, files *stock.Stock, err error) {
	files = &stock.Stock{}
	dirs := make([]string, len(l.repos))
	for i, r := range l.repos {
		first := len(files.Files)
		err := l.addPayload(env, r, held, files)
		payload := files.Files[first:]
		if err == nil {
			climb := 0
			for j := range payload {
				climb = max(climb, climbs(payload[j].Path))
			}
			dirs[i], err = r.dirOf(climb)
		}
		if err != nil {
			return repo, nil, err
		}
		r.put(payload, dirs[i])
		files.Add(l.own(r, dirs[i])...)
		key, err := l.keyFile(env, r, dirs[i])
		if err != nil {
			return repo, nil, err
		}
		files.Add(key...)
	}
	if err := files.Settle(); err != nil {
		return repo, nil, err
	}
	repo, err = l.repository(env, dirs)
	return repo, files, err
}

// addPayload adds the packages of a repository and what its deltas need. Their paths are
// below the repository until put replaces them by those in the mount.
func (l *loaded) addPayload(env *sources.Env, r *loadedRepo, held *rpmmd.Interner, files *stock.Stock) error {
	more := &stock.More{Vouched: l.trust.vouched(r.head)}
	about, remarks, err := r.about(env, held, all)
	l.remarks = append(l.remarks, remarks...)
	if err != nil {
		return err
	}
	files.Files = slices.Grow(files.Files, expected(r.find(typePrimary)))
	err = r.packages(env, rpmmd.Files, held, func(p *rpmmd.Package, at location) error {
		if at.isForeign() {
			return fmt.Errorf("%s: is at %s, which clients inside cannot reach: mode: rebuilt carries it and writes metadata that leads here: %w",
				p.NEVRA(), fetch.Redact(at.url), bundle.ErrUsage)
		}
		files.Add(r.packageFile(p, at, reasonWhole, more, &about))
		return held.Hold(costEntry)
	}, nil)
	if err != nil {
		return err
	}
	deltas, err := r.deltas(env, held)
	files.Add(deltas...)
	return err
}

// Room is made for the packages that a list of such a size has, so that the list of files
// is seldom copied while it grows. Packages of Fedora have 2 to 3 kB in primary.xml.
const (
	textOfPackage = 4 << 10 // bytes
	maxExpected   = 100_000 // packages; the size is only upstream's word
)

// expected returns how many packages a primary.xml may be taken to have.
func expected(primary *metadata) int {
	return int(min(max(primary.OpenSize, 0)/textOfPackage, maxExpected))
}

// signedFiles returns repomd.xml and its signature, in a folder of the mount, without
// annotations.
func (h *head) signedFiles(dir string) []stock.File {
	file := func(name string, content []byte) stock.File {
		return stock.File{
			Path: dir + name, Place: h.place, From: name, Size: int64(len(content)), Digest: bundle.DigestOf(content),
			Reason: reasonRepomd, More: stock.InMemory(content, h.vouched()),
		}
	}
	all := []stock.File{file(nameRepomd, h.repomd)}
	if h.signature != nil {
		all = append(all, file(nameSignature, h.signature))
	}
	return all
}

// own returns repomd.xml, its signature, and metadata files, in a folder of the mount.
func (l *loaded) own(r *loadedRepo, dir string) []stock.File {
	all := r.signedFiles(dir)
	annotations := map[string]string{replay.MarkKey: l.configuration(r.head)}
	if len(r.absent) > 0 {
		annotations[absentKey] = strings.Join(r.absent, ",")
	}
	all[0].More.Annotations = annotations
	for _, m := range r.metadata {
		f := stock.File{
			Path: dir + m.path, Place: r.place, From: m.path, Size: m.Size, Digest: m.digest,
			Reason: reasonMetadata, More: &stock.More{Vouched: r.vouchedIndex(), Local: m.local},
		}
		all = append(all, summed(f, m.Checksum))
	}
	return all
}

// signingKeys returns the keys that clients check the signature of repomd.xml by: the very file
// that is published below keys/. nil: it has no signature.
func (l *loaded) signingKeys(env *sources.Env, r *loadedRepo) ([]byte, error) {
	switch {
	case l.rebuilt:
		_, site, err := keyring.Site(env)
		if err != nil || len(site) == 0 {
			return nil, err
		}
		return site[0].Armored, nil
	case r.signature == nil:
		return nil, nil
	}
	return l.trust.published, nil
}

// keyFile returns the file of those keys in the folder of a repository, whatever upstream has
// there; none if it has no signature.
func (l *loaded) keyFile(env *sources.Env, r *loadedRepo, dir string) ([]stock.File, error) {
	armored, err := l.signingKeys(env, r)
	if armored == nil || err != nil {
		return nil, err
	}
	return []stock.File{{
		Path: dir + nameKey, Size: int64(len(armored)), Digest: bundle.DigestOf(armored),
		Reason: reasonKey, More: stock.InMemory(armored, bundle.VouchedLocal),
	}}, nil
}

// summed returns a file with its checksum, unless its digest is known already.
func summed(f stock.File, c rpmmd.Checksum) stock.File {
	if !f.Digest.IsZero() {
		return f
	}
	if digest, ok := c.Digest(); ok {
		f.Digest = digest
		return f
	}
	more := *f.More
	more.Sum = sum(c)
	f.More = &more
	return f
}

// packageFile returns a package; its path is below the repository. more is shared by all
// packages whose checksum is SHA-256.
func (h *head) packageFile(p *rpmmd.Package, at location, reason string, more *stock.More, about *extra) stock.File {
	one := *p
	if one.IsSource() {
		one.Arch = "src" // headers do not distinguish nosrc
	}
	f := stock.File{Path: at.path, Place: h.place, From: at.path, Size: p.PackageSize, Reason: reason, Tag: string(identityOf(&one)), More: more, Entries: about.entry(p)}
	if at.isForeign() {
		f.Place, f.From = upstream.At(at.url), ""
	}
	return summed(f, p.Checksum)
}

// dirOf returns the repository's folder in the mount: "" or ends with a slash. climb is how
// many folders above the repository its files begin.
func (h *head) dirOf(climb int) (string, error) {
	dir, err := tail(h.place.Bases()[0], climb)
	return h.folder + dir, err
}

// put replaces the paths of files below the repository by those in the mount.
func (h *head) put(files []stock.File, dir string) {
	for i := range files {
		f := &files[i]
		switch {
		case f.From == "": // below foreignFolder
			f.Path = h.folder + f.Path
		case dir != "":
			f.Path = path.Join(dir, f.Path)
			if from, ok := strings.CutPrefix(f.Path, dir); ok && from == f.From {
				f.From = from // one string is held, not two
			}
		}
	}
}

// packages reads primary, and where its packages are. leave, unless it is nil, is told of
// each package that cannot be used: it is left out.
func (l *loadedRepo) packages(env *sources.Env, detail rpmmd.Detail, in *rpmmd.Interner, add func(*rpmmd.Package, location) error, leave func(error)) error {
	m := l.find(typePrimary)
	what := l.where(m.path)
	r, err := l.open(env, m)
	if err != nil {
		return err
	}
	known := newOwners()
	for p, perr := range rpmmd.Primary(r, detail, in) {
		unusable := errors.As(perr, new(*rpmmd.PackageError))
		if err = upstream.Blame(what, perr); err == nil {
			if err = checkedAdd(p, known, add); err != nil {
				err = fmt.Errorf("%s: %w", what, err)
				unusable = errors.Is(err, fetch.ErrUpstream)
			}
		}
		if err != nil && unusable && leave != nil {
			leave(err)
			err = nil
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = upstream.Drain(what, r)
	}
	return errors.Join(err, r.Close())
}

// checkedAdd passes a package on whose checksum and location can be trusted.
func checkedAdd(p *rpmmd.Package, known *owners, add func(*rpmmd.Package, location) error) error {
	err := sum(p.Checksum).Check(p.Name)
	var at location
	if err == nil {
		at, err = locate(p.Location, p.BaseURL)
	}
	if err == nil {
		err = known.add(at.path, p)
	}
	if err == nil {
		err = add(p, at)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.NEVRA(), err)
	}
	return nil
}

// costEntry is how many bytes the names of a package need in a plan, besides its summary.
const costEntry = 160

// costDelta is how many bytes of memory a delta package needs in a plan, at most,
// besides its location.
const costDelta = 1 << 10

// deltas returns the delta packages that prestodelta lists: dnf may ask for them.
func (l *loadedRepo) deltas(env *sources.Env, held *rpmmd.Interner) ([]stock.File, error) {
	var files []stock.File
	for _, kind := range []string{typeDeltas, typeDeltasOld} {
		m := l.find(kind)
		if m == nil {
			continue
		}
		r, err := l.open(env, m)
		if err != nil {
			return nil, err
		}
		for d, derr := range rpmmd.Deltas(r) {
			if err = derr; err == nil {
				var f stock.File
				f, err = l.deltaFile(&d)
				files = append(files, f)
			}
			if err == nil {
				err = held.Hold(costDelta + 3*int64(len(d.Location)))
			}
			if err != nil {
				err = upstream.Blame(l.where(m.path), err)
				break
			}
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (l *loadedRepo) deltaFile(d *rpmmd.Delta) (stock.File, error) {
	at, err := locate(d.Location, d.BaseURL)
	if err != nil {
		return stock.File{}, err
	}
	if at.isForeign() || sum(d.Checksum).Check("") != nil {
		return stock.File{}, fmt.Errorf("%.200s: elsewhere, or with a checksum that is not trusted: %w", d.Location, fetch.ErrUpstream)
	}
	f := stock.File{Path: at.path, Place: l.place, From: at.path, Size: d.Size, Reason: reasonWhole, More: &stock.More{Vouched: l.vouchedIndex()}}
	return summed(f, d.Checksum), nil
}
