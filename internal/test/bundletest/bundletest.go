// Package bundletest is a small exporter for tests: it makes real, signed
// bundles, full ones and deltas, from paths and contents held in memory.
//
// It is for tests only. It writes through bundle.Writer; what no honest
// exporter would make, package verify's own tests forge.
package bundletest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/verify"
)

// Repository is a repository with all its content.
type Repository struct {
	Name string
	// Mount is where it is in the mirror; Kind is "files" when empty.
	Mount, Kind string
	// Files are contents by path.
	Files map[string]string
	// MediaTypes are those of paths that have one.
	MediaTypes map[string]string
	// Filled are paths in which import fills in the mirror's address.
	Filled map[string]bool
	// Annotations are those of the repository, Marks those of files, by path.
	Annotations map[string]string
	Marks       map[string]map[string]string
	// Entries are the lines of the contents list, in any order: Path names one of Files,
	// and what is left out of Digest, Size and Vouched is that of the file. nil: the
	// repository has no contents list, as in bundles of programs that knew none.
	Entries []bundle.Entry
	// Lapses is when upstream's own signatures do; nil: never.
	Lapses *time.Time
}

// Exporter makes the bundles of one set.
type Exporter struct {
	Set, Stream string
	Signer      *bundle.Signer
	// Created is the time of the next bundle; each is an hour later.
	Created time.Time
	// Sequence is the number of the last bundle.
	Sequence int64
	states   map[int64]state
}

// state is what a delta may build on.
type state struct {
	digest bundle.Digest
	blobs  map[bundle.Digest]bool
	lists  map[string]bool // digests of descriptors
}

// New makes an exporter with a key and a stream of its own.
func New(t testing.TB, set string) *Exporter {
	t.Helper()
	key, _, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := bundle.ParseSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return &Exporter{
		Set: set, Stream: bundle.DigestOf([]byte(set)).Hex()[:32], Signer: signer,
		Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), states: map[int64]state{},
	}
}

// Trust makes p trust the exporter for its set.
func (e *Exporter) Trust(p *verify.Policy) error {
	return p.Add(verify.Key{Role: verify.RoleExporter, Set: e.Set, PEM: string(e.Signer.PublicPEM())})
}

// Options define how one bundle is made. The zero value: a delta against the
// bundle before, or a full one if there is none, in one place.
type Options struct {
	Full bool
	// Base is the sequence that a delta builds on; 0: the last.
	Base int64
	// Targets are directories of media; none: a temporary one.
	Targets []string
	// VolumeSize is the least, one MiB, when 0.
	VolumeSize  int64
	Expires     *time.Time
	Destination string
	Keys        []bundle.PublishedKey
	// Change is applied to the root before it is signed.
	Change func(*bundle.Manifest)
}

// Made is a bundle that was made.
type Made struct {
	Dirs     []string // one for each medium
	Root     bundle.Digest
	Manifest bundle.Manifest
}

// Export makes the next bundle of the set.
func (e *Exporter) Export(t testing.TB, repos []Repository, o Options) Made {
	t.Helper()
	made, err := e.export(t, repos, o)
	if err != nil {
		t.Fatalf("export %s-%06d: %v", e.Set, e.Sequence, err)
	}
	return made
}

func (e *Exporter) export(t testing.TB, repos []Repository, o Options) (Made, error) {
	e.Sequence++
	if o.Base == 0 {
		o.Base = e.Sequence - 1
	}
	base, hasBase := e.states[o.Base]
	m := bundle.Manifest{
		Format: bundle.Format, Set: e.Set, Stream: e.Stream, Sequence: e.Sequence, Created: e.Created, Expires: o.Expires,
		Destination: o.Destination, Keys: o.Keys, Full: o.Full || !hasBase, Tool: "bundletest",
	}
	e.Created = e.Created.Add(time.Hour)
	if m.Full {
		base = state{}
	} else {
		m.Base = &bundle.State{Sequence: o.Base, State: base.digest}
	}
	now := state{blobs: map[bundle.Digest]bool{}, lists: map[string]bool{}}
	var lists []media.Lists
	var carried []string
	repos = slices.SortedFunc(slices.Values(repos), func(a, b Repository) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range repos {
		described, l, err := describe(r, base, now)
		if err != nil {
			return Made{}, err
		}
		for _, p := range paths(r) {
			d := bundle.DigestOf([]byte(r.Files[p]))
			if !now.blobs[d] && !base.blobs[d] {
				carried = append(carried, r.Files[p])
			}
			now.blobs[d] = true
		}
		m.Repositories, lists = append(m.Repositories, described), append(lists, l)
		if r.Entries != nil {
			m.Requires = append(m.Requires, bundle.FeatureContents)
		}
		if len(r.Filled) > 0 {
			m.Requires = append(m.Requires, bundle.FeatureFilled)
		}
	}
	slices.Sort(m.Requires)
	m.Requires = slices.Compact(m.Requires)
	m.State = bundle.StateDigest(m.Repositories)
	now.digest = m.State
	e.states[e.Sequence] = now
	if o.Change != nil {
		o.Change(&m)
	}
	return e.write(t, m, lists, carried, o)
}

func paths(r Repository) []string {
	return slices.SortedFunc(maps.Keys(r.Files), bundle.ComparePaths)
}

// describe makes the lists of a repository.
func describe(r Repository, base, now state) (bundle.Repository, media.Lists, error) {
	out := bundle.Repository{Name: r.Name, Kind: r.Kind, Mount: r.Mount, Annotations: r.Annotations, UpstreamExpires: r.Lapses}
	if r.Kind == "" {
		out.Kind = "files"
	}
	var files, evidence bytes.Buffer
	fw, ew := bundle.NewListWriter[bundle.File](&files), bundle.NewListWriter[bundle.Evidence](&evidence)
	for _, p := range paths(r) {
		content := r.Files[p]
		err := fw.Write(bundle.File{Path: p, Size: int64(len(content)), Digest: bundle.DigestOf([]byte(content)), Filled: r.Filled[p], MediaType: r.MediaTypes[p], Annotations: r.Marks[p]})
		if err == nil {
			err = ew.Write(bundle.Evidence{Path: p, Vouched: bundle.VouchedLocal})
		}
		if err != nil {
			return out, media.Lists{}, err
		}
		out.Count++
		out.Bytes += int64(len(content))
	}
	out.Files, out.Evidence = fw.Descriptor(bundle.MediaTypeFileList), ew.Descriptor(bundle.MediaTypeEvidence)
	var l media.Lists
	carry := func(name string, d v1.Descriptor, content []byte) func() (io.ReadCloser, error) {
		now.lists[string(d.Digest)] = true
		if base.lists[string(d.Digest)] {
			return nil
		}
		out.Carried = append(out.Carried, name)
		return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	}
	if r.Entries != nil {
		contents, d, err := describeEntries(r)
		if err != nil {
			return out, media.Lists{}, err
		}
		out.Contents, out.Entries = &d, int64(len(r.Entries))
		l.Contents = carry(bundle.CarriedContents, d, contents)
	}
	l.Evidence = carry(bundle.CarriedEvidence, out.Evidence, evidence.Bytes())
	l.Files = carry(bundle.CarriedFiles, out.Files, files.Bytes())
	return out, l, nil
}

func describeEntries(r Repository) ([]byte, v1.Descriptor, error) {
	var content bytes.Buffer
	w := bundle.NewListWriter[bundle.Entry](&content)
	for _, e := range slices.SortedFunc(slices.Values(r.Entries), func(a, b bundle.Entry) int { return bundle.CompareEntries(&a, &b) }) {
		file := r.Files[e.Path]
		if e.Digest.IsZero() {
			e.Digest = bundle.DigestOf([]byte(file))
		}
		if e.Size == 0 {
			e.Size = int64(len(file))
		}
		if e.Vouched == "" {
			e.Vouched = bundle.VouchedLocal
		}
		if err := w.Write(e); err != nil {
			return nil, v1.Descriptor{}, err
		}
	}
	return content.Bytes(), w.Descriptor(bundle.MediaTypeContents), nil
}

func (e *Exporter) write(t testing.TB, m bundle.Manifest, lists []media.Lists, contents []string, o Options) (Made, error) {
	if len(o.Targets) == 0 {
		o.Targets = []string{t.TempDir()}
	}
	if o.VolumeSize == 0 {
		o.VolumeSize = bundle.MinVolumeSize
	}
	records, err := os.OpenRoot(t.TempDir())
	if err != nil {
		return Made{}, err
	}
	defer records.Close()
	w, err := media.NewWriter(media.WriterOptions{
		Set: m.Set, Sequence: m.Sequence, Targets: o.Targets, VolumeSize: o.VolumeSize, Records: records, NoReadback: true,
	})
	if err != nil {
		return Made{}, err
	}
	defer w.Close()
	runs, err := media.PlanRuns(o.VolumeSize, sizes(contents))
	if err != nil {
		return Made{}, err
	}
	ctx := context.Background()
	for _, r := range runs {
		if err := writeRun(ctx, w, r, contents[:r.Count]); err != nil {
			return Made{}, err
		}
		contents = contents[r.Count:]
	}
	done, err := w.Finish(ctx, m, lists, []bundle.Signer{*e.Signer})
	if err != nil {
		return Made{}, err
	}
	root, err := os.ReadFile(filepath.Join(done.Dirs[len(done.Dirs)-1], bundle.RootName))
	if err != nil {
		return Made{}, err
	}
	signed, err := bundle.ParseManifest(root)
	if err != nil {
		return Made{}, err
	}
	return Made{Dirs: done.Dirs, Root: done.Root, Manifest: *signed}, nil
}

func sizes(contents []string) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for _, c := range contents {
			if !yield(int64(len(c)), nil) {
				return
			}
		}
	}
}

func writeRun(ctx context.Context, w *media.Writer, r media.Run, contents []string) (err error) {
	rw, err := w.Run(ctx, r)
	if err != nil {
		return err
	}
	for i, c := range contents {
		_, err := rw.Append(ctx, media.Item{
			Key: fmt.Sprintf("%d/%d", r.First, i), Digest: bundle.DigestOf([]byte(c)), Size: int64(len(c)),
			Open: func(_ context.Context, at int64, _ string) (*bundle.Content, error) {
				return &bundle.Content{Body: io.NopCloser(strings.NewReader(c[at:])), At: at}, nil
			},
		})
		if err != nil {
			return err
		}
	}
	return rw.Close(ctx)
}
