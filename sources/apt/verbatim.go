package apt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// Why a file is in a verbatim mirror.
const (
	reasonSigned = "signed by upstream"
	reasonIndex  = "index of a chosen suite"
	reasonWhole  = "in an index of a chosen suite"
)

// verbatim plans a source as upstream has it.
func (p *planner) verbatim(l *loaded) (sources.Repository, error) {
	v := &inventory{}
	for _, s := range l.suites {
		if err := p.own(v, s, ""); err != nil {
			return sources.Repository{}, err
		}
		for _, f := range s.forms {
			if f.local == "" {
				continue
			}
			if err := p.payload(v, s, f); err != nil {
				return sources.Repository{}, err
			}
		}
	}
	if err := v.settle(); err != nil {
		return sources.Repository{}, err
	}
	repo, err := l.repository(modeVerbatim, keyPath(l.name))
	repo.Artifacts = v.artifacts(p.env)
	repo.Expires, repo.Notes = l.expires(), l.notes(p.env.Now)
	if err == nil {
		repo.Keys, err = l.keyFiles()
	}
	return repo, err
}

// repository is what is told about a source besides its files.
func (l *loaded) repository(mode, keys string) (sources.Repository, error) {
	repo := sources.Repository{Name: l.name, Mode: mode, Mount: l.mount, Annotations: map[string]string{keysKey: keys}}
	for i, s := range l.suites {
		text, err := s.layout(mode == modeRebuilt).marshal()
		if err != nil {
			return repo, s.pos.Errorf("suite %s: %w", s.name, err)
		}
		repo.Annotations[fmt.Sprintf("%s%02d", layoutKey, i)] = text
		public, err := bundle.ParsePublic(s.root.url, s.root.prefix)
		if err != nil {
			return repo, s.pos.Errorf("suite %s: %w", s.name, err)
		}
		repo.Public = append(repo.Public, public)
	}
	return repo, nil
}

// own adds what upstream signed, and the indexes, below the folder under.
func (p *planner) own(v *inventory, s *loadedSuite, under string) error {
	annotations, err := s.annotations()
	if err != nil {
		return err
	}
	for _, f := range s.files {
		file := file{
			path: under + s.at(f.name), from: path.Join(s.dir, f.name), root: s.root,
			size: int64(len(f.content)), digest: bundle.DigestOf(f.content), reason: reasonSigned,
			more: &extra{vouched: s.vouched(), content: f.content},
		}
		if f.name != nameDetached && under == "" {
			file.more.annotations = annotations
		}
		v.add(file)
	}
	for _, form := range s.forms {
		digest, err := digestOf(form.file)
		if err != nil {
			return err
		}
		names := []string{form.file.Path}
		if s.release.AcquireByHash && under == "" {
			names = append(names, form.file.ByHash()...)
		}
		for _, name := range names {
			file := file{
				path: under + s.at(name), from: path.Join(s.dir, form.file.Path), root: s.root,
				size: form.file.Size, digest: digest, reason: reasonIndex,
				more: &extra{local: form.local},
			}
			if s.release.AcquireByHash {
				file.more.byHash = path.Join(s.dir, path.Dir(form.file.Path), "by-hash/SHA256", form.file.SHA256)
			}
			v.add(file)
		}
	}
	return nil
}

// payload adds the files that an index in scratch names.
func (p *planner) payload(v *inventory, s *loadedSuite, f *form) error {
	r, err := p.open(s, f)
	if err != nil {
		return err
	}
	what := s.describe(f)
	add := func(name string, size int64, digest bundle.Digest) error {
		if digest.IsZero() {
			return fmt.Errorf("%s: %s: without SHA256: apt refuses it: %w", what, name, fetch.ErrUpstream)
		}
		v.add(file{path: s.root.prefix + name, root: s.root, size: size, digest: digest, reason: reasonWhole})
		return nil
	}
	switch f.group.target {
	case targetPackages:
		for pkg, perr := range deb.Packages(r, deb.Limits{}) {
			if perr != nil {
				err = upstreamError(what, perr)
				break
			}
			// The stanza is not to be held by its file's name.
			if err = add(strings.Clone(pkg.Filename), pkg.Size, pkg.SHA256); err != nil {
				break
			}
		}
	case targetSources:
		for src, serr := range deb.Sources(r, deb.Limits{}) {
			if serr != nil {
				err = upstreamError(what, serr)
				break
			}
			for _, part := range src.Files {
				err = errors.Join(err, add(strings.Clone(part.Path), part.Size, part.SHA256))
			}
			if err != nil {
				break
			}
		}
	}
	return errors.Join(err, r.Close())
}

func upstreamError(what string, err error) error {
	if errors.Is(err, fetch.ErrUpstream) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", what, err, fetch.ErrUpstream)
}

// describe names an index for errors.
func (s *loadedSuite) describe(f *form) string {
	return fetch.Redact(s.root.url + escape(s.dir+f.file.Path))
}

// open reads an index in scratch, unpacked.
func (p *planner) open(s *loadedSuite, f *form) (io.ReadCloser, error) {
	limit, err := f.group.unpackLimit(fetch.Redact(s.root.url+escape(s.dir)) + s.files[0].name)
	if err != nil {
		return nil, err
	}
	in, err := p.env.Scratch.Open(f.local)
	if err != nil {
		return nil, err
	}
	r, err := unpacked(in, f.file.Path, s.describe(f), limit)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &both{Reader: r, closers: []io.Closer{r, in}}, nil
}

// both is a reader over another one, and closes all of them.
type both struct {
	io.Reader
	closers []io.Closer
}

func (b *both) Close() error {
	var errs []error
	for _, c := range b.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Keys of annotations of a suite's signed file: what it was planned for, and
// what upstream lists and lacks.
const (
	configurationKey = "configuration"
	absentKey        = "absent"
)

func (s *loadedSuite) annotations() (map[string]string, error) {
	all := map[string]string{configurationKey: s.configuration()}
	if len(s.absent) > 0 {
		text, err := json.Marshal(s.absent)
		if err != nil {
			return nil, err
		}
		if len(text) > bundle.MaxAnnotationSize {
			return nil, fmt.Errorf("%s: Release lists %d indexes that are not there: %w", fetch.Redact(s.root.url+s.dir), len(s.absent), fetch.ErrUpstream)
		}
		all[absentKey] = string(text)
	}
	return all, nil
}

// planVersion changes when the same Release and configuration give another
// list of files than before.
const planVersion = 2

// configuration identifies what a suite was planned for.
func (s *suite) configuration() string {
	text, err := json.Marshal(struct {
		Version          int
		URL, Prefix, Dir string
		Want             configuration
	}{planVersion, s.root.url, s.root.prefix, s.dir, s.want})
	if err != nil {
		return "" // strings and booleans always marshal
	}
	return bundle.DigestOf(text).Hex()[:32]
}
