package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// forgery makes bundles by the text of the format and not by bundle.Writer,
// so that it can make and truly sign what no honest exporter would.
type forgery struct {
	sequence int64
	repos    []repo
	// have are contents that the base has: they are in no volume.
	have []string
	// frame and volume are raw lengths at which to cut; 0: 4096, and one volume.
	frame, volume int
	extra         []string // contents that no list names
	signers       []*bundle.Signer
	// The hooks change what is made before it is digested and signed.
	files    func(repo string, l []bundle.File) []bundle.File
	evidence func(repo string, l []bundle.Evidence) []bundle.Evidence
	// contents makes the contents list of a repository out of the entries that an
	// honest exporter would write, one for each file; nil: there are no such lists.
	contents func(repo string, l []bundle.Entry) []bundle.Entry
	blobs    func(volume int, l []bundle.Blob) []bundle.Blob
	frames   func(volume int, l []bundle.Frame) []bundle.Frame
	table    func(l []bundle.Volume) []bundle.Volume
	sums     func(s string) string
	root     func(m *bundle.Manifest)
	bytes    func(root []byte) []byte
}

// repo is a repository: paths and contents. A list that is kept is not carried.
type repo struct {
	name, mount string
	files       map[string]string
	kept        bool
}

const stream = "000102030405060708090a0b0c0d0e0f"

var (
	created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now     = created.Add(24 * time.Hour)
)

func digest(content string) bundle.Digest { return bundle.DigestOf([]byte(content)) }

func newSigner(t testing.TB) *bundle.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := bundle.SignerOf(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tape is a raw tar stream: 512 bytes that nobody looks at, content, padding.
type tape struct{ raw []byte }

func (s *tape) add(content []byte) (offset int64) {
	s.raw = append(s.raw, bytes.Repeat([]byte("h"), 512)...)
	offset = int64(len(s.raw))
	s.raw = append(s.raw, content...)
	s.raw = append(s.raw, make([]byte, (512-len(content)%512)%512)...)
	return offset
}

func (s *tape) end() { s.raw = append(s.raw, make([]byte, 1024)...) }

func (s *tape) compress(t testing.TB, frame int) (file []byte, frames []bundle.Frame) {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for piece := range slices.Chunk(s.raw, frame) {
		c := e.EncodeAll(piece, nil)
		frames = append(frames, bundle.Frame{Compressed: int64(len(c)), Digest: bundle.DigestOf(c), Raw: int64(len(piece))})
		file = append(file, c...)
	}
	return file, frames
}

func list[T bundle.Line](t testing.TB, lines []T, mediaType string) ([]byte, v1.Descriptor) {
	t.Helper()
	var buf bytes.Buffer
	w := bundle.NewListWriter[T](&buf)
	for _, l := range lines {
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes(), w.Descriptor(mediaType)
}

// place cuts the contents into volumes. What does not fit the rest of one is
// split if it is longer than half a volume.
func (f *forgery) place() (tapes []*tape, tables [][]bundle.Blob) {
	seen := map[bundle.Digest]bool{}
	for _, c := range f.have {
		seen[digest(c)] = true
	}
	contents := slices.Clone(f.extra)
	for _, r := range f.repos {
		for _, path := range sortedPaths(r.files) {
			contents = append(contents, r.files[path])
		}
	}
	limit := f.volume
	if limit == 0 {
		limit = 1 << 30
	}
	next := func() { tapes, tables = append(tapes, &tape{}), append(tables, nil) }
	next()
	for _, c := range contents {
		d := digest(c)
		if seen[d] {
			continue
		}
		seen[d] = true
		for at := 0; ; {
			n := len(tapes) - 1
			rest := limit - len(tapes[n].raw) - 2048
			length := len(c) - at
			if length > rest && (rest < 512 || length < limit/2) {
				next()
				continue
			}
			length = min(length, rest)
			offset := tapes[n].add([]byte(c[at : at+length]))
			tables[n] = append(tables[n], bundle.Blob{At: int64(at), Digest: d, Length: int64(length), Offset: offset, Size: int64(len(c))})
			if at += length; at == len(c) {
				break
			}
			next()
		}
	}
	return tapes, tables
}

func sortedPaths(files map[string]string) []string {
	return slices.SortedFunc(maps.Keys(files), bundle.ComparePaths)
}

// make writes the bundle below dir and gives its directory.
func (f *forgery) make(t testing.TB, dir string) string {
	t.Helper()
	if f.frame == 0 {
		f.frame = 4096
	}
	if f.sequence == 0 {
		f.sequence = 1
	}
	name := bundle.DirName("demo", f.sequence)
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sums := fmt.Sprintf("%s  README.txt\n", digest("read me\n").Hex())
	put("README.txt", []byte("read me\n"))
	put("MEDIUM.txt", []byte("medium 1\n"))

	var catalog tape
	m := bundle.Manifest{Created: created, Format: 1, Full: len(f.have) == 0, Sequence: f.sequence, Set: "demo", Stream: stream, Tool: "forgery"}
	if !m.Full {
		m.Base = &bundle.State{Sequence: 1, State: digest("base")}
	}
	volumes, members, lines := f.volumes(t, put)
	table, d := list(t, volumes, bundle.MediaTypeVolumeTable)
	m.Volumes = d
	catalog.add(table)
	for _, b := range members {
		catalog.add(b)
	}
	f.lists(t, &m, &catalog)
	catalog.end()
	file, frames := catalog.compress(t, f.frame)
	put("catalog-01.tar.zst", file)
	m.Catalog = []bundle.CatalogFile{{Digest: bundle.DigestOf(file), Frames: frames, Name: "catalog-01.tar.zst", Size: int64(len(file))}}
	sums += fmt.Sprintf("%s  catalog-01.tar.zst\n%s", bundle.DigestOf(file).Hex(), lines)
	if f.sums != nil {
		sums = f.sums(sums)
	}
	put("SHA256SUMS", []byte(sums))
	m.Sums = bundle.Descriptor(bundle.MediaTypeSums, digest(sums), int64(len(sums)))
	m.State = bundle.StateDigest(m.Repositories)
	if f.root != nil {
		f.root(&m)
	}
	root, err := bundle.MarshalCanonical(&m)
	if err != nil {
		t.Fatal(err)
	}
	if f.bytes != nil {
		root = f.bytes(root)
	}
	put("bundle.json", root)
	for _, s := range f.signers {
		sig, err := s.Sign(bundle.PredicateBundle, bundle.RootName, bundle.DigestOf(root), nil)
		if err != nil {
			t.Fatal(err)
		}
		put(bundle.SignatureName(s.KeyID()), sig)
	}
	return dir
}

func (f *forgery) volumes(t testing.TB, put func(string, []byte)) (volumes []bundle.Volume, members [][]byte, sums string) {
	t.Helper()
	tapes, tables := f.place()
	for i, tape := range tapes {
		if len(tables[i]) == 0 {
			continue
		}
		tape.end()
		file, frames := tape.compress(t, f.frame)
		if f.frames != nil {
			frames = f.frames(i, frames)
		}
		if f.blobs != nil {
			tables[i] = f.blobs(i, tables[i])
		}
		name := fmt.Sprintf("volume-%05d.tar.zst", i+1)
		put(name, file)
		frameIndex, fd := list(t, frames, bundle.MediaTypeFrameIndex)
		blobTable, bd := list(t, tables[i], bundle.MediaTypeBlobTable)
		members = append(members, frameIndex, blobTable)
		volumes = append(volumes, bundle.Volume{BlobCount: int64(len(tables[i])), Blobs: bd, Digest: bundle.DigestOf(file), Frames: fd,
			Name: name, Raw: int64(len(tape.raw)), Role: bundle.RoleData, Size: int64(len(file))})
		sums += fmt.Sprintf("%s  %s\n", bundle.DigestOf(file).Hex(), name)
	}
	if f.table != nil {
		volumes = f.table(volumes)
	}
	return volumes, members, sums
}

func (f *forgery) lists(t testing.TB, m *bundle.Manifest, catalog *tape) {
	t.Helper()
	var evidence, contents [][]byte
	for _, r := range f.repos {
		files, ev := r.lines()
		out := bundle.Repository{Kind: "files", Mount: r.mount, Name: r.name, Count: int64(len(files))}
		for _, f := range files {
			out.Bytes += f.Size
		}
		if f.files != nil {
			files = f.files(r.name, files)
		}
		if f.evidence != nil {
			ev = f.evidence(r.name, ev)
		}
		var fl, el []byte
		fl, out.Files = list(t, files, bundle.MediaTypeFileList)
		el, out.Evidence = list(t, ev, bundle.MediaTypeEvidence)
		if !r.kept {
			out.Carried = []string{bundle.CarriedEvidence, bundle.CarriedFiles}
			catalog.add(fl)
			evidence = append(evidence, el)
		}
		if f.contents != nil {
			entries := f.contents(r.name, r.entries())
			cl, d := list(t, entries, bundle.MediaTypeContents)
			out.Contents, out.Entries = &d, int64(len(entries))
			m.Requires = []string{bundle.FeatureContents}
			if !r.kept {
				out.Carried = append([]string{bundle.CarriedContents}, out.Carried...)
				contents = append(contents, cl)
			}
		}
		m.Repositories = append(m.Repositories, out)
	}
	for _, l := range append(evidence, contents...) {
		catalog.add(l)
	}
}

func (r *repo) lines() (files []bundle.File, evidence []bundle.Evidence) {
	for _, p := range sortedPaths(r.files) {
		files = append(files, bundle.File{Digest: digest(r.files[p]), Path: p, Size: int64(len(r.files[p]))})
		evidence = append(evidence, bundle.Evidence{Path: p, Vouched: bundle.VouchedPinned})
	}
	return files, evidence
}

func (r *repo) entries() (all []bundle.Entry) {
	files, evidence := r.lines()
	for i, f := range files {
		all = append(all, bundle.Entry{Name: f.Path, Type: bundle.TypeFile, Path: f.Path, Digest: f.Digest, Size: f.Size, Vouched: evidence[i].Vouched})
	}
	slices.SortFunc(all, func(a, b bundle.Entry) int { return bundle.CompareEntries(&a, &b) })
	return all
}

// mirror is a receiver in memory.
type mirror struct {
	accepted verify.Accepted
	blobs    []string
	lists    map[bundle.Digest][]byte
	err      error
}

func (m *mirror) Accepted(string) (verify.Accepted, error) { return m.accepted, m.err }

func (m *mirror) HasBlob(d bundle.Digest, size int64) (bool, error) {
	return slices.ContainsFunc(m.blobs, func(c string) bool { return digest(c) == d && int64(len(c)) == size }), m.err
}

func (m *mirror) OpenList(d bundle.Digest) (io.ReadCloser, error) {
	b, ok := m.lists[d]
	if !ok {
		return nil, fmt.Errorf("list %s: %w", d, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// keep puts the lists of a repository at the receiver.
func (m *mirror) keep(t testing.TB, r repo) {
	t.Helper()
	if m.lists == nil {
		m.lists = map[bundle.Digest][]byte{}
	}
	files, ev := r.lines()
	fl, _ := list(t, files, bundle.MediaTypeFileList)
	el, _ := list(t, ev, bundle.MediaTypeEvidence)
	cl, _ := list(t, r.entries(), bundle.MediaTypeContents)
	for _, l := range [][]byte{fl, el, cl} {
		m.lists[bundle.DigestOf(l)] = l
	}
}

func policyOf(t testing.TB, role verify.Role, set string, signers ...*bundle.Signer) *verify.Policy {
	t.Helper()
	p := &verify.Policy{}
	for _, s := range signers {
		if err := p.Add(verify.Key{Role: role, Set: set, PEM: string(s.PublicPEM())}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// discover opens the one bundle in paths.
func discover(t testing.TB, paths ...string) *bundle.Reader {
	t.Helper()
	readers, err := bundle.Discover(paths)
	if err != nil {
		t.Fatal(err)
	}
	if len(readers) != 1 {
		t.Fatalf("%d bundles in %s", len(readers), strings.Join(paths, ", "))
	}
	t.Cleanup(func() { readers[0].Close() })
	return readers[0]
}

// text returns content of a length that compresses, and differs by seed.
func text(seed string, length int) string {
	var b strings.Builder
	for i := 0; b.Len() < length; i++ {
		fmt.Fprintf(&b, "%s %s line %d\n", seed, digest(fmt.Sprint(seed, i)).Short(), i)
	}
	return b.String()[:length]
}
