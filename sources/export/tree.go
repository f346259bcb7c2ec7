package export

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// tree is what was collected of one kind, as sources.Tree, together with what
// is held back from the base.
type tree struct {
	s         *session
	collected []collect.Collected
	held      []bundle.Repository

	mu        sync.Mutex // of what follows
	files     seeker[bundle.File]
	artifacts seeker[sources.Artifact]
}

// close ends the use of the tree.
func (t *tree) close() {
	t.files.close()
	t.artifacts.close()
}

func (s *session) tree(kind string, collected []collect.Collected) *tree {
	t := &tree{s: s}
	for _, c := range collected {
		if c.Repository.Kind == kind {
			t.collected = append(t.collected, c)
		}
	}
	for _, r := range s.held {
		if r.Kind == kind {
			t.held = append(t.held, r)
		}
	}
	return t
}

// Repositories are those of the kind, sorted by name as in the root: what is made of
// them is the same whichever of them are held.
func (t *tree) Repositories() []bundle.Repository {
	out := make([]bundle.Repository, 0, len(t.collected)+len(t.held))
	for _, c := range t.collected {
		out = append(out, c.Repository)
	}
	out = append(out, t.held...)
	slices.SortFunc(out, func(a, b bundle.Repository) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Files streams the list of a repository.
func (t *tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		list, err := t.list(repo)
		if err != nil {
			yield(bundle.File{}, err)
			return
		}
		defer func() { _ = list.Close() }() // read-only
		for f, err := range bundle.ReadList[bundle.File](list, "source "+repo) {
			if !yield(f, err) {
				return
			}
		}
	}
}

func (t *tree) list(repo string) (io.ReadCloser, error) {
	for _, c := range t.collected {
		if c.Repository.Name == repo {
			return t.s.scratch.Open(c.FilesName)
		}
	}
	for _, r := range t.held {
		if r.Name == repo {
			return t.s.base.openList(digestOf(r.Files.Digest.String()))
		}
	}
	return nil, fmt.Errorf("source %s: not in this set: %w", repo, bundle.ErrUsage)
}

// Open opens a file of a repository again, from where the plan said. What is
// read is compared with what was collected at its end. Content of a source
// that is held back is not at hand on this side.
func (t *tree) Open(ctx context.Context, repo, path string) (io.ReadCloser, error) {
	if slices.ContainsFunc(t.held, func(r bundle.Repository) bool { return r.Name == repo }) {
		return nil, fmt.Errorf("source %s, %s: held back: %w", repo, path, sources.ErrNotAtHand)
	}
	want, a, found, err := t.find(repo, path)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("source %s, %s: not listed: %w", repo, path, bundle.ErrIncomplete)
	}
	if a.Checked && t.s.base != nil && t.s.base.manifest.Tool == t.s.o.Tool {
		return nil, fmt.Errorf("source %s, %s: %w", repo, path, sources.ErrNotAtHand)
	}
	content, err := a.Open(ctx, 0, "")
	if err != nil {
		return nil, fmt.Errorf("source %s, %s: %w", repo, path, err)
	}
	return &checked{body: content.Body, want: want, hash: bundle.NewHash()}, nil
}

// find looks up what was collected under a path, and where it comes from.
func (t *tree) find(repo, path string) (f bundle.File, a sources.Artifact, listed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f, listed, err = t.files.find(repo, path, t.Files, func(f bundle.File) string { return f.Path }); err != nil {
		return f, a, false, err
	}
	for _, c := range t.collected {
		if c.Repository.Name != repo {
			continue
		}
		for _, a := range c.Made {
			if a.File.Path == path {
				return f, a, listed, nil
			}
		}
	}
	a, ok, err := t.artifacts.find(repo, path, t.planned, func(a sources.Artifact) string { return a.File.Path })
	if err == nil && !ok {
		err = fmt.Errorf("source %s, %s: not at hand on this side: %w", repo, path, bundle.ErrIncomplete)
	}
	return f, a, listed, err
}

// planned are the artifacts of a repository, in order of paths.
func (t *tree) planned(repo string) iter.Seq2[sources.Artifact, error] {
	for _, p := range t.s.resolved.Repositories {
		if p.Name == repo {
			return p.Artifacts()
		}
	}
	return func(func(sources.Artifact, error) bool) {}
}

// checked reads content and compares it with its digest at the end.
type checked struct {
	body io.ReadCloser
	want bundle.File
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.body.Read(b)
	_, _ = c.hash.Write(b[:n])
	if err == io.EOF && !bytes.Equal(c.hash.Sum(nil), c.want.Digest[:]) {
		return n, fmt.Errorf("%s: differs from what was collected: %w", c.want.Path, bundle.ErrCorrupt)
	}
	return n, err
}

func (c *checked) Close() error { return c.body.Close() }

// check runs every kind's completeness check over what was collected and puts
// its counts into the repositories of the kind: a check looks at all
// repositories of its kind together.
func (s *session) check(ctx context.Context, collected []collect.Collected) error {
	var errs []error
	for _, k := range s.o.Kinds {
		t := s.tree(k.Name, collected)
		// What is held back was checked when it was made. Its lists are looked at
		// where files of others may lie among them.
		t.held = slices.DeleteFunc(t.held, func(r bundle.Repository) bool { return !bundle.IsSharedMount(r.Mount) })
		if k.Check == nil || len(t.collected) == 0 {
			continue
		}
		defer t.close()
		counts, known := s.checkedBefore(t.Repositories())
		if !known {
			var err error
			if counts, err = k.Check(ctx, t); err != nil {
				errs = append(errs, &bundle.AboutError{Thing: bundle.AboutCollected, Name: k.Name, Err: fmt.Errorf("kind %s: completeness: %w", k.Name, err)})
				continue
			}
		}
		for i := range collected {
			if collected[i].Repository.Kind == k.Name {
				collected[i].Repository.Checks = counts
			}
		}
	}
	return errors.Join(errs...)
}

// checkedBefore returns the counts of the base if all repositories of a kind have
// the very lists that it has: they were checked when it was made, and another
// look would ask upstream for indexes that did not change.
func (s *session) checkedBefore(repos []bundle.Repository) ([]bundle.CheckCount, bool) {
	if s.base == nil || s.base.manifest.Tool != s.o.Tool {
		return nil, false // another version may look closer
	}
	var counts []bundle.CheckCount
	same := 0
	for _, old := range s.base.manifest.Repositories {
		if old.Kind != repos[0].Kind {
			continue
		}
		if same == len(repos) {
			return nil, false
		}
		r := repos[same]
		if old.Name != r.Name || old.Mount != r.Mount || old.Mode != r.Mode || old.Files.Digest != r.Files.Digest || !maps.Equal(old.Annotations, r.Annotations) {
			return nil, false
		}
		counts = old.Checks
		same++
	}
	return counts, same == len(repos) && len(counts) > 0
}

// Names and mounts of the repositories that gapbundle adds.
const (
	clientsName  = "_clients"
	clientsMount = "_gapbundle/clients"
	keysName     = "_keys"
	keysMount    = "keys"
	ownKind      = "gapbundle"
)

// site makes the repositories of gapbundle's own: client configuration of
// every kind, and the keys that clients are told to trust.
func (j *job) site(ctx context.Context, done []collect.Collected) ([]collect.Planned, error) {
	var clients []sources.Artifact
	var errs []error
	for _, k := range j.o.Kinds {
		t := j.tree(k.Name, done)
		if k.Clients == nil || len(t.Repositories()) == 0 {
			continue
		}
		defer t.close()
		files, err := k.Clients(ctx, t.Repositories(), t)
		if err != nil {
			errs = append(errs, fmt.Errorf("kind %s: client files: %w", k.Name, err))
		}
		for _, f := range files {
			clients = append(clients, made(k.Name+"/"+f.Path, f.Content))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	published, err := j.keyFiles()
	if err != nil {
		return nil, err
	}
	var out []collect.Planned
	j.own = map[bundle.Digest]sources.Artifact{}
	for _, own := range []struct {
		name, mount string
		files       []sources.Artifact
	}{{clientsName, clientsMount, clients}, {keysName, keysMount, published}} {
		for _, a := range own.files {
			j.own[a.File.Digest] = a
		}
		if len(own.files) > 0 {
			slices.SortFunc(own.files, func(a, b sources.Artifact) int { return bundle.ComparePaths(a.File.Path, b.File.Path) })
			out = append(out, madeRepository(own.name, own.mount, own.files))
		}
	}
	return out, nil
}

// keyFiles are the files of all published keys: of planned repositories as they gave
// them, of those held back as the base has them. The root names one file for each key,
// whichever repositories have it, so that of a repository that is held back may be
// another: of the base, all files stay if all its keys do, or else those with the bytes
// of one that a held repository's key is in.
func (s *session) keyFiles() ([]sources.Artifact, error) {
	var out []sources.Artifact
	known := make(map[string]bool)
	entries := s.keyEntries()
	add := func(path string, content []byte) error {
		if known[path] {
			return nil
		}
		known[path] = true
		a, err := entries.file(path, content)
		out = append(out, a)
		return err
	}
	for _, p := range s.resolved.Repositories {
		for _, key := range p.Keys {
			if err := add(key.Path, key.Armored); err != nil {
				return nil, err
			}
			if key.Dearmored == nil {
				continue
			}
			if err := add(sources.DearmoredPath(key.Path), key.Dearmored); err != nil {
				return nil, err
			}
		}
	}
	if len(s.held) == 0 {
		return out, nil
	}
	held := make(map[string]bool)
	for _, k := range s.heldKeys() {
		name := strings.TrimPrefix(k.Path, keysMount+"/")
		held[name], held[sources.DearmoredPath(name)] = true, true
	}
	var files []bundle.File
	stay := make(map[bundle.Digest]bool)
	for _, r := range s.base.manifest.Repositories {
		if r.Name != keysName {
			continue
		}
		if err := s.base.files(r, func(f bundle.File) {
			files = append(files, f)
			stay[f.Digest] = stay[f.Digest] || held[f.Path]
		}); err != nil {
			return nil, err
		}
	}
	all := s.keysStay()
	for _, f := range files {
		if !known[f.Path] && (all || stay[f.Digest]) {
			out = append(out, sources.Artifact{File: f, Evidence: bundle.Evidence{Path: f.Path, Vouched: bundle.VouchedMade}})
		}
	}
	return out, nil
}

// keysStay reports whether every key that the base declares is declared again: then
// every file of its keys may stay.
func (s *session) keysStay() bool {
	declared := make(map[string]bool)
	for _, k := range s.publishedKeys() {
		declared[k.Fingerprint] = true
	}
	for _, k := range s.base.manifest.Keys {
		if !declared[k.Fingerprint] {
			return false
		}
	}
	return true
}

// heldKeys are the keys that the base publishes for repositories held back.
func (s *session) heldKeys() []bundle.PublishedKey {
	var out []bundle.PublishedKey
	for _, r := range s.held {
		for _, k := range s.base.manifest.Keys {
			if slices.Contains(k.Mounts, r.Mount) {
				k.Mounts = []string{r.Mount}
				out = append(out, k)
			}
		}
	}
	return out
}

func made(path string, content []byte) sources.Artifact {
	return sources.Artifact{
		File:     bundle.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Path: path, Vouched: bundle.VouchedMade},
		Open:     sources.InMemory(content, ""),
	}
}

func madeRepository(name, mount string, files []sources.Artifact) collect.Planned {
	return collect.Planned{Kind: ownKind, Repository: sources.Repository{
		Name: name, Mount: mount,
		Artifacts: func() iter.Seq2[sources.Artifact, error] {
			return func(yield func(sources.Artifact, error) bool) {
				for _, a := range files {
					if !yield(a, nil) {
						return
					}
				}
			}
		},
	}}
}

// publishedKeys are the keys of all repositories, once each, sorted.
func (s *session) publishedKeys() []bundle.PublishedKey {
	all := s.heldKeys()
	for _, p := range s.resolved.Repositories {
		for _, k := range p.Keys {
			all = append(all, bundle.PublishedKey{Fingerprint: k.Fingerprint, Role: k.Role, Path: keysMount + "/" + k.Path, Mounts: []string{p.Mount}})
		}
	}
	byFingerprint := make(map[string]bundle.PublishedKey)
	for _, k := range all {
		if known, ok := byFingerprint[k.Fingerprint]; ok {
			k.Mounts = append(k.Mounts, known.Mounts...)
		}
		byFingerprint[k.Fingerprint] = k
	}
	var out []bundle.PublishedKey
	for _, f := range slices.Sorted(maps.Keys(byFingerprint)) {
		k := byFingerprint[f]
		slices.Sort(k.Mounts)
		k.Mounts = slices.Compact(k.Mounts)
		out = append(out, k)
	}
	return out
}

// seenFile is a SeenSink that the ledger reads later.
type seenFile struct {
	file, entriesFile     *os.File
	buffer, entriesBuffer *bufio.Writer
	list                  *ledger.SeenWriter
	entries               *bundle.ListWriter[bundle.Entry]
}

func newSeenFile(f, entries *os.File) *seenFile {
	s := &seenFile{file: f, entriesFile: entries, buffer: bufio.NewWriter(f), entriesBuffer: bufio.NewWriter(entries)}
	s.list, s.entries = ledger.NewSeenWriter(s.buffer), bundle.NewListWriter[bundle.Entry](s.entriesBuffer)
	return s
}

// Write appends r; paths ascend.
func (s *seenFile) Write(r sources.Recorded) error {
	for e := range r.Entries.All() {
		err := s.entries.Write(bundle.Entry{
			Name: e.Name, Type: e.Type, Version: e.Version, Arch: e.Arch, Group: e.Group, Size: e.Size, Path: r.File.Path,
			Summary: e.Summary, Licence: e.Licence, Source: e.Source, Revision: e.Revision, Fixes: e.Fixes,
		})
		if err != nil {
			return err
		}
	}
	return s.list.Write(ledger.Seen{File: r.File, Origin: r.Origin, Validator: r.Validator, Vouched: r.Vouched, Reason: r.Reason})
}

// Close flushes and closes the files.
func (s *seenFile) Close() error {
	return errors.Join(s.buffer.Flush(), s.entriesBuffer.Flush(), s.file.Close(), s.entriesFile.Close())
}
