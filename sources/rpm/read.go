package rpm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// reading is what was read for all sources: the first of the three steps of a plan.
type reading struct {
	all []*loaded
	// mark identifies what the choice is a function of; "": nothing is chosen.
	mark string
	// limit bounds what is held of packages, in bytes; 0: rpmmd.MaxHeld.
	limit int64
}

// chooses reports whether packages are chosen in any source: then every primary takes
// part in the choice.
func (r *reading) chooses() bool { return r.mark != "" }

// loaded is a source whose repomd.xml hold.
type loaded struct {
	*entry
	trust *trust
	repos []*loadedRepo
	// unchanged: the base has this very state, and its list is the plan. Nothing but
	// repomd.xml was read.
	unchanged bool
	scratch   int64 // bytes that are used of it
	remarks   []string
}

// loadedRepo is a repository with its metadata.
type loadedRepo struct {
	*head
	metadata []*metadata
	// absent are types that repomd.xml lists, upstream lacks, and dnf does without.
	absent []string
	// faults are remarks on what of the metadata was mended.
	faults []string
	// dir is the folder in the mount that the base has the repository in, of a source
	// that is unchanged. Otherwise it is known when primary is read, because locations
	// may climb.
	dir string
}

// find returns the metadata file of a type; nil: there is none.
func (l *loadedRepo) find(kind string) *metadata {
	for _, m := range l.metadata {
		if m.Type == kind {
			return m
		}
	}
	return nil
}

// read reads repomd.xml of all sources, and the metadata of those that the base does not
// stand for.
func read(ctx context.Context, env *sources.Env, entries []*entry, limit int64) (*reading, error) {
	r := &reading{all: make([]*loaded, len(entries)), limit: limit}
	err := sources.Each(ctx, len(entries), func(ctx context.Context, i int) (err error) {
		r.all[i], err = readSource(ctx, env, entries[i])
		return sources.InSource(entries[i].pos, entries[i].name, err)
	})
	if err != nil {
		return nil, err
	}
	if err := recall(env, r); err != nil {
		return nil, err
	}
	if r, err = readMetadata(ctx, env, r); err != nil {
		return nil, err
	}
	r.mark, err = markOf(env, r.all) // of what was read last
	return r, err
}

// readSource reads the keys of a source and its repomd.xml.
func readSource(ctx context.Context, env *sources.Env, e *entry) (*loaded, error) {
	keys, err := keyring.Load(ctx, env, e.keys...)
	if err != nil {
		return nil, err
	}
	trust := newTrust(keys, e.options.AllowUnsigned, env.Now)
	if err := trust.usable(); err != nil {
		return nil, err
	}
	return readHeads(ctx, env, e, trust)
}

// readHeads reads repomd.xml of a source's repositories.
func readHeads(ctx context.Context, env *sources.Env, e *entry, trust *trust) (*loaded, error) {
	l := &loaded{entry: e, trust: trust, repos: make([]*loadedRepo, len(e.repos))}
	err := sources.Each(ctx, len(e.repos), func(ctx context.Context, i int) error {
		h, err := readForward(ctx, env, e.name, e.repos[i], trust.keys)
		l.repos[i] = &loadedRepo{head: h}
		return err
	})
	if err == nil {
		err = stillSigned(env, l)
	}
	return l, err
}

// stillSigned refuses a repository that had a signature in the last export and has none
// any more: whoever removes it can change what it was over.
func stillSigned(env *sources.Env, l *loaded) error {
	if env.Base == nil {
		return nil
	}
	signed := make([]bool, len(l.repos))
	for r, err := range env.Base.Files(l.name) {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(r.File.Path, upstreamFolder)
		if !strings.HasSuffix(path, nameSignature) || r.Origin == "" { // made here
			continue
		}
		for i, repo := range l.repos {
			// One of several mirrors has another address each time.
			listed := (repo.mirrorlist+repo.metalink != "" || len(repo.bases) > 1) && strings.HasPrefix(path, repo.folder)
			signed[i] = signed[i] || listed || r.Origin == repo.where(nameSignature)
		}
	}
	var errs []error
	for i, repo := range l.repos {
		if repo.signature == nil && signed[i] && !repo.unchecked {
			errs = append(errs, fmt.Errorf("%s: is not there any more: the last export had it, and a repository that was signed stays so: %w", repo.where(nameSignature), bundle.About(bundle.AboutSigner, fetch.ErrRefused)))
		}
	}
	return errors.Join(errs...)
}

// readMetadata returns the reading with the metadata of all sources that changed. If
// upstream moved in between, a source is read once more from its repomd.xml on.
func readMetadata(ctx context.Context, env *sources.Env, r *reading) (*reading, error) {
	with := &reading{all: make([]*loaded, len(r.all)), mark: r.mark, limit: r.limit}
	err := sources.Each(ctx, len(r.all), func(ctx context.Context, i int) error {
		heads := r.all[i]
		with.all[i] = heads
		if heads.unchanged {
			return nil
		}
		var err error
		with.all[i], err = upstream.SteadyFrom(ctx, env, heads.name, heads, func() (*loaded, error) {
			return readHeads(ctx, env, heads.entry, heads.trust)
		}, func(l *loaded) (*loaded, error) { return withMetadata(ctx, env, l, r.chooses()) })
		return sources.InSource(heads.pos, heads.name, err)
	})
	return with, err
}

// withMetadata returns a source with its metadata.
func withMetadata(ctx context.Context, env *sources.Env, heads *loaded, chooses bool) (*loaded, error) {
	l := &loaded{entry: heads.entry, trust: heads.trust, repos: make([]*loadedRepo, len(heads.repos))}
	err := sources.Each(ctx, len(l.repos), func(ctx context.Context, i int) (err error) {
		l.repos[i], err = readRepo(ctx, env, heads.repos[i].head, l.rebuilt, chooses, localName(l.entry, i))
		return err
	})
	for _, repo := range l.repos {
		if repo == nil {
			continue
		}
		for _, m := range repo.metadata {
			if m.local != "" {
				l.scratch += max(m.Size, 0)
			}
		}
	}
	return l, err
}

// localName begins the names in scratch of a repository's metadata.
func localName(e *entry, repo int) string {
	return fmt.Sprintf("%s-%d", sources.ScratchName(Name, e.name), repo)
}

// readRepo finds the files of repomd.xml that upstream has, and reads those that are
// needed into scratch, under names that begin with prefix.
func readRepo(ctx context.Context, env *sources.Env, h *head, rebuilt, chooses bool, prefix string) (*loadedRepo, error) {
	switch {
	case h.index.Find(typePrimary) != nil:
	case h.index.Find(typePrimaryZck) != nil:
		return nil, fmt.Errorf("%s: lists primary as zchunk alone, which is not read here; createrepo_c writes both by default: %w", h.where(nameRepomd), fetch.ErrUpstream)
	default:
		return nil, fmt.Errorf("%s: lists no primary: %w", h.where(nameRepomd), fetch.ErrUpstream)
	}
	found := make([]*metadata, len(h.index.Data))
	err := sources.Each(ctx, len(found), func(ctx context.Context, i int) (err error) {
		d := &h.index.Data[i]
		if !isCarried(d.Type, rebuilt) {
			return nil
		}
		local := ""
		if isRead(d.Type, rebuilt, chooses) {
			local = fmt.Sprintf("%s-%d", prefix, i)
		}
		found[i], err = h.readFile(ctx, env, d, local)
		return err
	})
	l := &loadedRepo{head: h}
	for i, m := range found {
		switch kind := h.index.Data[i].Type; {
		case m != nil:
			l.metadata = append(l.metadata, m)
		case isCarried(kind, rebuilt):
			l.absent = append(l.absent, kind)
		}
	}
	return l, err
}

// notes returns remarks that hold whatever is done with the source.
func (l *loaded) notes() []string {
	var notes []string
	for _, repo := range l.repos {
		name := repo.where("")
		if len(repo.ignored) > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s of [%s] are not followed: it is carried whole", name, strings.Join(repo.ignored, ", "), repo.id))
		}
		if len(repo.unread) > 0 {
			notes = append(notes, fmt.Sprintf("%s: of [%s] these are not read, set them under hosts: %s", name, repo.id, strings.Join(repo.unread, ", ")))
		}
		switch {
		case repo.unchecked:
			notes = append(notes, name+": the signature of repomd.xml is not used (repo-gpgcheck: false)")
		case repo.noSignature:
			notes = append(notes, fmt.Sprintf("%s: %s is no signature, and counts as none", name, nameSignature))
		}
		if repo.signature == nil && !repo.unchecked {
			how := "packages' own signatures are what is trusted"
			if l.trust.unsigned {
				how = "nothing but the connection speaks for it"
			}
			notes = append(notes, fmt.Sprintf("%s: repomd.xml is not signed, %s", name, how))
		}
		if len(repo.absent) > 0 {
			notes = append(notes, fmt.Sprintf("%s: repomd.xml lists %s, which upstream lacks; dnf does without", name, strings.Join(repo.absent, ", ")))
		}
	}
	if l.trust.unsigned {
		notes = append(notes, "packages without a signature are accepted (allow-unsigned)")
	}
	return notes
}

// upstreamFolder is where a rebuilt source carries upstream's own metadata and
// signatures.
const upstreamFolder = rebuild.UpstreamFolder
