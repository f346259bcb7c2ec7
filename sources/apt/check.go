package apt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/keyring"
)

// check asks for everything that apt would ask for: the signed Release of each suite,
// each index that a client of the configuration is pointed at, under its name and by
// hash, and each file that Packages and Sources name.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var n counts
	err := complete.Walk(ctx, t, func(ctx context.Context, r *complete.Repo) error {
		suites, err := layouts(r.Repository)
		errs := []error{err}
		for i := range suites {
			errs = append(errs, checkSuite(ctx, r, &suites[i], &n))
			if r.Mode == modeRebuilt {
				errs = append(errs, checkEvidence(ctx, r, &suites[i]))
			}
			n.suites++
		}
		return errors.Join(errs...)
	})
	return []bundle.CheckCount{{Name: "indexes", Count: n.indexes}, {Name: "packages", Count: n.packages}, {Name: "suites", Count: n.suites}}, err
}

// counts are what was looked at.
type counts struct{ suites, indexes, packages int64 }

// listed is a suite of the mirror whose Release was read.
type listed struct {
	*layout
	repo    *complete.Repo
	release *deb.Release
	at      string // folder of the Release, in the mount
	absent  []string
}

// checkSuite checks the suite that clients are pointed at.
func checkSuite(ctx context.Context, r *complete.Repo, l *layout, n *counts) error {
	s, err := readListed(ctx, r, l, l.Prefix+l.Dir, "apt-get update of "+l.Suite)
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range l.configuration().wanted(s.release, l.Flat) {
		carried := g.candidates()
		if r.Mode == modeRebuilt && g.plain != nil && g.target != targetContents {
			carried = append([]*deb.ReleaseFile{g.plain}, g.packed...)
		}
		errs = append(errs, s.checkIndex(ctx, g, s.present(carried), n))
	}
	return errors.Join(errs...)
}

// checkEvidence checks that what upstream signed, and the selection was made from, is
// there: one form of each index.
func checkEvidence(ctx context.Context, r *complete.Repo, l *layout) error {
	s, err := readListed(ctx, r, l, upstreamFolder+l.Prefix+l.Dir, "whoever looks at upstream's signature")
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range l.configuration().wanted(s.release, l.Flat) {
		switch g.target {
		case targetPackages, targetSources, targetTranslations:
		case targetContents: // by choice
			if !r.Has(l.Prefix + l.Dir + g.name + ".gz") {
				continue
			}
		default:
			continue
		}
		forms := append(s.present(g.candidates()), g.plain)
		i := slices.IndexFunc(forms, func(f *deb.ReleaseFile) bool { return f != nil && r.Has(s.at+f.Path) })
		if i < 0 {
			errs = append(errs, r.Missing(s.at+g.name, "whoever looks at what was signed for "+l.Suite))
			continue
		}
		errs = append(errs, s.want(s.at+forms[i].Path, forms[i], l.Suite))
	}
	return errors.Join(errs...)
}

// readListed reads what a suite's signature is over. who would miss it.
func readListed(ctx context.Context, r *complete.Repo, l *layout, at, who string) (*listed, error) {
	names := []string{nameInRelease}
	made := r.Mode == modeRebuilt && !strings.HasPrefix(at, upstreamFolder)
	switch detached := r.Has(at+nameRelease) || r.Has(at+nameDetached); {
	case detached && made:
		names = []string{nameRelease, nameDetached, nameInRelease}
	case l.Installer && !l.Detached && !strings.HasPrefix(at, upstreamFolder):
		names = []string{nameInRelease, nameRelease, nameDetached}
	case detached:
		names = []string{nameRelease, nameDetached}
	}
	var errs []error
	for _, name := range names {
		if !r.Has(at + name) {
			errs = append(errs, r.Missing(at+name, who))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	path := at + names[0]
	text, err := r.Read(ctx, path, maxRelease)
	if err != nil {
		return nil, err
	}
	s := &listed{layout: l, repo: r, at: at}
	if s.release, err = deb.ParseRelease(keyring.Plain(text)); err != nil {
		return nil, r.Corrupt(path, err)
	}
	f, _ := r.File(path)
	if text := f.Annotations[absentKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &s.absent); err != nil {
			return nil, fmt.Errorf("%s: annotation %s: %w: %w", r.Where(path), absentKey, err, bundle.ErrMalformed)
		}
	}
	return s, nil
}

// present returns the forms that upstream had.
func (s *listed) present(forms []*deb.ReleaseFile) []*deb.ReleaseFile {
	return slices.DeleteFunc(slices.Clone(forms), func(f *deb.ReleaseFile) bool { return slices.Contains(s.absent, f.Path) })
}

// want checks that the list has an index as Release has it.
func (s *listed) want(path string, f *deb.ReleaseFile, who string) error {
	sum, err := sumOf(f)
	if err != nil {
		return s.repo.Corrupt(path, err)
	}
	digest, _ := sum.Digest() // content was compared with another sum when it was collected
	return s.repo.Want(path, f.Size, digest, who)
}

// checkIndex checks an index in every form that is carried, and what it names.
func (s *listed) checkIndex(ctx context.Context, g *group, carried []*deb.ReleaseFile, n *counts) error {
	who := fmt.Sprintf("apt-get update of %s (%s)", s.Suite, g.target)
	var errs []error
	if len(carried) == 0 && g.target != targetLegacy {
		errs = append(errs, s.repo.Missing(s.at+g.name, who))
	}
	whole := len(carried) > 0
	for _, f := range carried {
		names := []string{f.Path}
		if s.release.AcquireByHash {
			names = append(names, f.ByHash()...)
		}
		for _, name := range names {
			if err := s.want(s.at+name, f, who); err != nil {
				errs = append(errs, err)
				whole = false
			}
		}
		n.indexes++
	}
	lists := g.target == targetPackages || g.target == targetSources
	if lists && g.plain == nil {
		errs = append(errs, fmt.Errorf("%s: Release lists it only compressed: apt would find no package: %w", s.repo.Where(s.at+g.name), bundle.ErrIncomplete))
	}
	if lists && whole && g.plain != nil {
		errs = append(errs, s.checkPayload(ctx, g, byEase(carried)[0], n))
	}
	return errors.Join(errs...)
}

// checkPayload checks that every file that an index names is there.
func (s *listed) checkPayload(ctx context.Context, g *group, f *deb.ReleaseFile, n *counts) error {
	path := s.at + f.Path
	r, err := s.repo.Unpacked(ctx, path, g.plain.Size)
	if err != nil {
		return err
	}
	where := " (" + strings.TrimSuffix(s.Suite+" "+g.component, " ") + ")"
	var errs []error
	want := func(name string, size int64, digest bundle.Digest, who string) {
		n.packages++
		errs = append(errs, s.repo.Want(s.Prefix+name, size, digest, who+where))
	}
	if g.target == targetSources {
		err = visit(deb.Sources(r, deb.Limits{}), func(src *deb.Source) {
			for _, part := range src.Files {
				want(part.Path, part.Size, part.SHA256, "apt-get source "+src.Name+"="+src.Version)
			}
		})
	} else {
		err = visit(deb.Packages(r, deb.Limits{}), func(p *deb.Package) {
			want(p.Filename, p.Size, p.SHA256, "apt-get install "+p.Name+"="+p.Version)
		})
	}
	return errors.Join(append(errs, s.repo.Corrupt(path, err), r.Close())...)
}

// visit calls f for each value up to the first error.
func visit[T any](all iter.Seq2[T, error], f func(T)) error {
	for v, err := range all {
		if err != nil {
			return err
		}
		f(v)
	}
	return nil
}
