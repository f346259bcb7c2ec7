package export

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// recollection is the ledger as sources see it: what upstream had at the newest export,
// and the documents of the state that this one builds on.
type recollection struct {
	ledger    *ledger.Ledger
	documents map[place]bundle.Digest
}

type place struct{ repository, path string }

// recollect returns the kept content that sources may look up. A base that was read from a
// bundle, and is not in the ledger, has no documents.
func recollect(l *ledger.Ledger, b *base) (*recollection, error) {
	m := &recollection{ledger: l, documents: map[place]bundle.Digest{}}
	known, err := b.documents(l)
	for _, d := range known {
		m.documents[place{d.Repository, d.Path}] = d.Digest
	}
	return m, err
}

// documents returns the documents that a ledger has of the base.
func (b *base) documents(l *ledger.Ledger) ([]ledger.Document, error) {
	if b == nil || !slices.Contains(l.States(), b.manifest.Sequence) {
		return nil, nil
	}
	return l.Documents().Of(b.manifest.Sequence)
}

// Files streams what the newest export saw of a repository.
func (m *recollection) Files(repo string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for r, err := range m.ledger.Upstream().Seen(repo) {
			if !yield(sources.Recorded{File: r.File, Origin: r.Origin, Validator: r.Validator, Vouched: r.Vouched, Reason: r.Reason}, err) {
				return
			}
		}
	}
}

// Entries streams the entries of what the newest export saw of a repository.
func (m *recollection) Entries(repo string) (iter.Seq2[sources.NamedPath, error], bool) {
	lines, ok := m.ledger.Upstream().Entries(repo)
	if !ok {
		return nil, false
	}
	return func(yield func(sources.NamedPath, error) bool) {
		var at sources.NamedPath
		var entries []sources.Entry
		for line, err := range lines {
			if err != nil {
				yield(at, err)
				return
			}
			if line.Path != at.Path && len(entries) > 0 {
				at.Entries = sources.NewEntries(entries...)
				if !yield(at, nil) {
					return
				}
				entries = entries[:0]
			}
			at.Path = line.Path
			entries = append(entries, sources.Entry{
				Name: line.Name, Type: line.Type, Version: line.Version, Arch: line.Arch, Group: line.Group, Size: line.Size,
				Summary: line.Summary, Licence: line.Licence, Source: line.Source, Revision: line.Revision, Fixes: line.Fixes,
			})
		}
		if len(entries) > 0 {
			at.Entries = sources.NewEntries(entries...)
			yield(at, nil)
		}
	}, true
}

// Document returns the content of a kept file of the state that is built on.
func (m *recollection) Document(repo, path string) ([]byte, error) {
	d, ok := m.documents[place{repo, path}]
	if !ok {
		return nil, fmt.Errorf("document %s of %s: %w", path, repo, fs.ErrNotExist)
	}
	return m.ledger.Documents().Open(d)
}

// Content returns the content of a document by its digest.
func (m *recollection) Content(d bundle.Digest) ([]byte, error) { return m.ledger.Documents().Open(d) }

// documents returns the documents of the state that was collected: those of the sources that
// are held back are the base's.
func (in *opened) documents(kept []collect.Kept) ([]ledger.Document, error) {
	known, err := in.base.documents(in.ledger)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(known, func(d ledger.Document) bool {
		return !slices.ContainsFunc(in.held, func(r bundle.Repository) bool { return r.Name == d.Repository })
	})
	for _, k := range kept {
		all = append(all, ledger.Document{Digest: k.File.Digest, Path: k.File.Path, Repository: k.Repository, Size: k.File.Size})
	}
	return all, ledger.CheckDocuments(all)
}

// keptOf returns the documents that were collected.
func keptOf(collected []collect.Collected) (kept []collect.Kept) {
	for _, c := range collected {
		kept = append(kept, c.Kept...)
	}
	return kept
}

// listedDocuments returns the documents that the lists of a state name.
func listedDocuments(m *bundle.Manifest, open func(d bundle.Digest) (io.ReadCloser, error)) ([]ledger.Document, error) {
	var all []ledger.Document
	for _, r := range m.Repositories {
		paths, err := keptPaths(r, open)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			continue
		}
		files, err := open(digestOf(r.Files.Digest.String()))
		if err != nil {
			return nil, err
		}
		for f, err := range bundle.ReadList[bundle.File](files, "file list of "+r.Name) {
			if err != nil {
				_ = files.Close() // read-only
				return nil, err
			}
			if paths[f.Path] {
				all = append(all, ledger.Document{Digest: f.Digest, Path: f.Path, Repository: r.Name, Size: f.Size})
			}
		}
		if err := files.Close(); err != nil {
			return nil, err
		}
	}
	return all, ledger.CheckDocuments(all)
}

// keptPaths returns the paths that an evidence list marks.
func keptPaths(r bundle.Repository, open func(d bundle.Digest) (io.ReadCloser, error)) (map[string]bool, error) {
	evidence, err := open(digestOf(r.Evidence.Digest.String()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = evidence.Close() }() // read-only
	paths := map[string]bool{}
	for e, err := range bundle.ReadList[bundle.Evidence](evidence, "evidence list of "+r.Name) {
		if err != nil {
			return nil, err
		}
		if e.Annotations[bundle.KeptKey] == bundle.KeptValue {
			paths[e.Path] = true
		}
		if len(paths) > collect.MaxKept {
			return nil, fmt.Errorf("evidence list of %s: more than %d documents: %w", r.Name, collect.MaxKept, bundle.ErrMalformed)
		}
	}
	return paths, nil
}
