package apt

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Why a file is in a verbatim mirror.
const (
	reasonSigned = "signed by upstream"
	reasonIndex  = "index of a chosen suite"
	reasonWhole  = "in an index of a chosen suite"
)

// layVerbatim lays out a source as upstream has it.
func layVerbatim(env *sources.Env, l *loaded) (sources.Repository, error) {
	files := &stock.Stock{}
	for _, s := range l.suites {
		own, err := s.own("")
		if err != nil {
			return sources.Repository{}, err
		}
		files.Add(own...)
		for _, f := range s.forms {
			if f.local == "" {
				continue
			}
			if err := s.addPayload(env, f, files); err != nil {
				return sources.Repository{}, err
			}
		}
	}
	if err := files.Settle(); err != nil {
		return sources.Repository{}, err
	}
	repo, err := l.repository(env)
	repo.Artifacts = files.Artifacts(env, l.name)
	return repo, err
}

// signedFiles returns what upstream signed, below the folder under, without annotations.
func (s *loadedSuite) signedFiles(under string) []stock.File {
	all := make([]stock.File, len(s.files))
	for i := range s.files {
		f := &s.files[i]
		all[i] = stock.File{
			Path: under + s.at(f.name), Place: s.root.place, From: path.Join(s.dir, f.name),
			Size: int64(len(f.content)), Digest: f.digest(), Reason: reasonSigned, More: stock.InMemory(f.content, s.signers.Vouched()),
		}
	}
	return all
}

// own returns what upstream signed, and the indexes, below the folder under.
func (s *loadedSuite) own(under string) ([]stock.File, error) {
	all := s.signedFiles(under)
	if under == "" {
		annotations, err := s.annotations()
		if err != nil {
			return nil, err
		}
		all[0].More.Annotations = annotations // the file that lists the indexes
	}
	for _, form := range s.forms {
		more := &stock.More{Local: form.local, Also: s.byHash(form.file)}
		if form.digest.IsZero() {
			var err error
			if more.Sum, err = sumOf(form.file); err != nil {
				return nil, err
			}
		}
		names := []string{form.file.Path}
		if s.release.AcquireByHash && under == "" {
			names = append(names, form.file.ByHash()...)
		}
		for _, name := range names {
			all = append(all, stock.File{
				Path: under + s.at(name), Place: s.root.place, From: path.Join(s.dir, form.file.Path),
				Size: form.file.Size, Digest: form.digest, Reason: reasonIndex, More: more,
			})
		}
	}
	return all, nil
}

// addPayload adds the files that an index in scratch names.
func (s *loadedSuite) addPayload(env *sources.Env, f *form, files *stock.Stock) error {
	switch f.group.target {
	case targetPackages:
		return stanzas(env, s, f, clientsPackages, func(p *deb.Package) error {
			file, err := s.packageFile(p, f.group.component, reasonWhole)
			files.Add(file)
			return err
		})
	case targetSources:
		return stanzas(env, s, f, deb.Sources, func(src *deb.Source) error {
			parts, err := s.sourceFiles(src, f.group.component, reasonWhole)
			files.Add(parts...)
			return err
		})
	}
	return nil
}

// clientsPackages returns the packages of an index that apt will read: one that it gives up
// is no mirror of anything.
func clientsPackages(r io.Reader, l deb.Limits) iter.Seq2[*deb.Package, error] {
	l.Client = true
	return deb.Packages(r, l)
}

// pool returns a file that an index names, by its SHA-256, or by its SHA-512 where the index has
// that alone. It holds a copy of the name: the whole stanza is not to be held by it.
func (s *loadedSuite) pool(name string, size int64, digest bundle.Digest, sha512, reason string) (stock.File, error) {
	path := s.root.prefix + strings.Clone(name)
	file := stock.File{Path: path, Place: s.root.place, From: path[len(s.root.prefix):], Size: size, Digest: digest, Reason: reason}
	switch {
	case !digest.IsZero():
	case sha512 == "":
		return stock.File{}, fmt.Errorf("%s: neither SHA256 nor SHA512: apt refuses it: %w", s.root.place.Where(name), fetch.ErrUpstream)
	default:
		file.More = &stock.More{Sum: upstream.Sum{Algorithm: "sha512", Hex: strings.Clone(sha512)}}
		return file, file.More.Sum.Check(s.root.place.Where(name))
	}
	return file, nil
}

// absentKey is the annotation of a suite's signed file that has the paths of what
// upstream lists and lacks, as a JSON array.
const absentKey = "absent"

func (s *loadedSuite) annotations() (map[string]string, error) {
	all := map[string]string{replay.MarkKey: s.configuration()}
	if len(s.absent) > 0 {
		text, err := json.Marshal(s.absent)
		if err != nil {
			return nil, err
		}
		if len(text) > bundle.MaxAnnotationSize {
			return nil, fmt.Errorf("%s: lists %s that upstream does not have: %w", s.fetched(), bundle.Count(len(s.absent), "index"), fetch.ErrUpstream)
		}
		all[absentKey] = string(text)
	}
	return all, nil
}
