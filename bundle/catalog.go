package bundle

import (
	"context"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Catalog reads the lists and tables of a bundle. It computes the places of all of them
// from the root and the volume table. So it can be read in any order and by any number of
// goroutines, and the tar headers do not matter. Every frame is authenticated against the
// root before it is decompressed, and every list against its descriptor at its end: a
// caller may process lines before the end, but must not act on them.
type Catalog struct {
	files   []CatalogFile
	starts  [][]int64 // of each file: the raw offset of each frame, and of the end
	comp    [][]int64 // of each file: the offset of each frame in the file
	open    func(name string) (io.ReaderAt, int64, error)
	volumes []Volume
	tables  map[string]volumeTables
	lists   []repositoryLists
	last    lastFrames
}

type volumeTables struct {
	volume        Volume
	frames, blobs member
}

type repositoryLists struct {
	name                                     string
	files, evidence                          v1.Descriptor
	contents                                 *v1.Descriptor // nil: there is none
	filesPlace, evidencePlace, contentsPlace *member        // nil: not carried
}

// NewCatalog prepares to read the catalogue of the bundle that m, a checked
// root, describes. open returns a catalogue file and its length; it is called
// each time one of the file's lists is opened, and the caller of NewCatalog closes
// the files. The volume table is read and checked here.
// Errors match ErrMalformed, ErrCorrupt or ErrUnsupported, or are open's own.
func NewCatalog(m *Manifest, open func(name string) (io.ReaderAt, int64, error)) (*Catalog, error) {
	c := &Catalog{files: m.Catalog, open: open, tables: make(map[string]volumeTables)}
	for _, f := range m.Catalog {
		starts, comp := make([]int64, 1, len(f.Frames)+1), make([]int64, 1, len(f.Frames)+1)
		for i, frame := range f.Frames {
			starts = append(starts, starts[i]+frame.Raw)
			comp = append(comp, comp[i]+frame.Compressed)
		}
		c.starts, c.comp = append(c.starts, starts), append(c.comp, comp)
	}
	var p Placer
	place, _ := p.place(m.Volumes.Size)
	if err := c.readVolumes(place, m.Volumes); err != nil {
		return nil, err
	}
	for _, v := range c.volumes {
		t := volumeTables{volume: v}
		t.frames, _ = p.place(v.Frames.Size)
		t.blobs, _ = p.place(v.Blobs.Size)
		c.tables[v.Name] = t
	}
	c.placeLists(&p, m.Repositories)
	return c, c.checkEnd(p)
}

func (c *Catalog) placeLists(p *Placer, repos []Repository) {
	for _, r := range repos {
		l := repositoryLists{name: r.Name, files: r.Files, evidence: r.Evidence, contents: r.Contents}
		if slices.Contains(r.Carried, CarriedFiles) {
			at, _ := p.place(r.Files.Size)
			l.filesPlace = &at
		}
		c.lists = append(c.lists, l)
	}
	for i, r := range repos {
		if slices.Contains(r.Carried, CarriedEvidence) {
			at, _ := p.place(r.Evidence.Size)
			c.lists[i].evidencePlace = &at
		}
	}
	for i, r := range repos {
		if r.Contents != nil && slices.Contains(r.Carried, CarriedContents) {
			at, _ := p.place(r.Contents.Size)
			c.lists[i].contentsPlace = &at
		}
	}
}

// checkEnd requires that the frames of the root hold exactly the members that
// the sizes add up to: nothing may hide after them.
func (c *Catalog) checkEnd(p Placer) error {
	if len(c.files) != p.file+1 {
		return fmt.Errorf("catalogue: %s, the sizes of its lists ask for %d: %w", Count(len(c.files), "file"), p.file+1, ErrMalformed)
	}
	raw := c.starts[p.file]
	if got, want := raw[len(raw)-1], p.raw+TarTrailer; got != want {
		return fmt.Errorf("%s: %s, the sizes of its lists ask for %d: %w", c.files[p.file].Name, Count(got, "raw byte"), want, ErrMalformed)
	}
	return nil
}

func (c *Catalog) readVolumes(place member, d v1.Descriptor) error {
	digest, err := CheckDescriptor(d, MediaTypeVolumeTable)
	if err != nil {
		return fmt.Errorf("volume table: %w", err)
	}
	r, err := c.reader("volume table", place, digest, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	last := ""
	for v, err := range ReadList[Volume](r, "volume table") {
		if err != nil {
			return err
		}
		if len(c.volumes) == MaxVolumes {
			return fmt.Errorf("volume table: more than %d volumes: %w", MaxVolumes, ErrMalformed)
		}
		if err := checkVolume(&v); err != nil {
			return fmt.Errorf("volume table: %.80q: %w", v.Name, err)
		}
		if v.Name <= last {
			return fmt.Errorf("volume table: %s after %s: not in order: %w", v.Name, last, ErrMalformed)
		}
		last = v.Name
		v.Annotations = nil // checked, and of no use to a reader: not held
		c.volumes = append(c.volumes, v)
	}
	return nil
}

func checkVolume(v *Volume) error {
	if n, ok := VolumeNumber(v.Name); !ok || n > MaxVolumes {
		return fmt.Errorf("not a name of a volume: %w", ErrMalformed)
	}
	if v.Role != RoleData {
		return fmt.Errorf("role %.80q: %w", v.Role, ErrUnsupported)
	}
	if v.Size < 1 || v.Size >= MaxFileSize || v.Raw < TarTrailer || v.Raw > MaxInteger || v.BlobCount < 0 || v.BlobCount > v.Raw/TarBlock {
		return fmt.Errorf("size %d, raw %d, %s: out of range: %w", v.Size, v.Raw, Count(v.BlobCount, "blob"), ErrMalformed)
	}
	if v.Annotations != nil {
		if err := CheckAnnotations(v.Annotations); err != nil {
			return fmt.Errorf("annotations: %w", err)
		}
	}
	if _, err := CheckDescriptor(v.Frames, MediaTypeFrameIndex); err != nil {
		return fmt.Errorf("frame index: %w", err)
	}
	if _, err := CheckDescriptor(v.Blobs, MediaTypeBlobTable); err != nil {
		return fmt.Errorf("blob table: %w", err)
	}
	return nil
}

// Volumes returns the lines of the volume table, in order. They were checked
// when the Catalog was made.
func (c *Catalog) Volumes(ctx context.Context) iter.Seq2[Volume, error] {
	return func(yield func(Volume, error) bool) {
		for _, v := range c.volumes {
			if err := ctx.Err(); err != nil {
				yield(Volume{}, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (c *Catalog) tablesOf(v Volume) (volumeTables, error) {
	t, ok := c.tables[v.Name]
	if !ok {
		return t, fmt.Errorf("volume %.80q: not in the volume table: %w", v.Name, ErrUsage)
	}
	return t, nil
}

// Frames returns the frame index of v: checked one by one and, after the last,
// as a whole: their lengths add up to those of the volume.
func (c *Catalog) Frames(v Volume) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		t, err := c.tablesOf(v)
		if err != nil {
			yield(Frame{}, err)
			return
		}
		what := v.Name + ": frame index"
		var size, raw int64
		for f, err := range readMember[Frame](c, what, t.frames, t.volume.Frames.Digest.String()) {
			if err == nil && (f.Raw < 1 || f.Raw > MaxFrameRaw || f.Compressed < 1 || f.Compressed > min(t.volume.Size-size, MaxFrameCompressed)) {
				err = fmt.Errorf("%s: frame of %s, %d raw, at %d: out of range: %w", what, Count(f.Compressed, "byte"), f.Raw, size, ErrMalformed)
			}
			size, raw = size+f.Compressed, raw+f.Raw
			if !yield(f, err) || err != nil {
				return
			}
		}
		if size != t.volume.Size || raw != t.volume.Raw {
			yield(Frame{}, fmt.Errorf("%s: frames of %s, %d raw; the volume has %d, %d: %w", what, Count(size, "byte"), raw, t.volume.Size, t.volume.Raw, ErrMalformed))
		}
	}
}

// Blobs returns the blob table of v: each blob or segment within itself, within
// the volume and after the one before, and as many as the volume table states.
func (c *Catalog) Blobs(v Volume) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		t, err := c.tablesOf(v)
		if err != nil {
			yield(Blob{}, err)
			return
		}
		what := v.Name + ": blob table"
		var count, end int64
		for b, err := range readMember[Blob](c, what, t.blobs, t.volume.Blobs.Digest.String()) {
			if err == nil {
				err = checkBlob(&b, what, end, t.volume.Raw)
			}
			count, end = count+1, b.Offset+b.Length
			if !yield(b, err) || err != nil {
				return
			}
		}
		if count != t.volume.BlobCount {
			yield(Blob{}, fmt.Errorf("%s: %s, the volume table says %d: %w", what, Count(count, "blob"), t.volume.BlobCount, ErrMalformed))
		}
	}
}

func checkBlob(b *Blob, what string, end, raw int64) error {
	switch {
	case b.Length < 0 || b.At < 0 || b.Size < 0 || b.Length > b.Size || b.At > b.Size-b.Length,
		b.Length == 0 && b.Size != 0:
		return fmt.Errorf("%s: %s: %s at %d of %d: out of range: %w", what, b.Digest, Count(b.Length, "byte"), b.At, b.Size, ErrMalformed)
	case b.Offset < end || b.Length > raw || b.Offset > raw-b.Length:
		return fmt.Errorf("%s: %s: offset %d: overlaps the one before or leaves the volume: %w", what, b.Digest, b.Offset, ErrMalformed)
	}
	return nil
}

// Files returns the file list of the repo-th repository of the root, as it is;
// its end is io.EOF only if the digest was right. A list that the bundle does
// not carry matches ErrIncomplete.
func (c *Catalog) Files(repo int) (io.ReadCloser, error) {
	l := &c.lists[repo]
	return c.list(fmt.Sprintf("repository %s: file list", l.name), l.filesPlace, l.files, 0)
}

// FilesAmong works like Files, for a list that is read side by side with others: it holds at
// most hold bytes at a time, and decompresses a frame once more for each so many.
func (c *Catalog) FilesAmong(repo int, hold int64) (io.ReadCloser, error) {
	l := &c.lists[repo]
	return c.list(fmt.Sprintf("repository %s: file list", l.name), l.filesPlace, l.files, hold)
}

// Evidence works like Files, for the evidence list.
func (c *Catalog) Evidence(repo int) (io.ReadCloser, error) {
	l := &c.lists[repo]
	return c.list(fmt.Sprintf("repository %s: evidence list", l.name), l.evidencePlace, l.evidence, 0)
}

// Contents works like Files, for the contents list, which ReadContents reads. A repository
// without one matches ErrIncomplete too.
func (c *Catalog) Contents(repo int) (io.ReadCloser, error) {
	l := &c.lists[repo]
	what := fmt.Sprintf("repository %s: contents list", l.name)
	if l.contents == nil {
		return nil, fmt.Errorf("%s: the bundle has none: %w", what, ErrIncomplete)
	}
	return c.list(what, l.contentsPlace, *l.contents, 0)
}

func (c *Catalog) list(what string, place *member, d v1.Descriptor, hold int64) (io.ReadCloser, error) {
	if place == nil {
		return nil, fmt.Errorf("%s (%s): not carried: %w", what, d.Digest, ErrIncomplete)
	}
	digest, err := ParseDigest(string(d.Digest))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return c.reader(what, *place, digest, hold)
}

func readMember[T Line](c *Catalog, what string, place member, digest string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		d, err := ParseDigest(digest)
		if err != nil {
			yield(zero, fmt.Errorf("%s: %w", what, err))
			return
		}
		r, err := c.reader(what, place, d, 0)
		if err != nil {
			yield(zero, err)
			return
		}
		defer r.Close()
		for v, err := range ReadList[T](r, what) {
			if !yield(v, err) {
				return
			}
		}
	}
}

// reader opens a member. A small one, or one that may keep no more than hold bytes in memory
// (0: no limit), is read through the frame that was decompressed last, because one frame
// may hold thousands of small members.
func (c *Catalog) reader(what string, place member, digest Digest, hold int64) (io.ReadCloser, error) {
	if place.file >= len(c.files) || place.size > MaxTarSize || place.offset+place.size > c.starts[place.file][len(c.starts[place.file])-1] {
		return nil, fmt.Errorf("%s: %s not in the catalogue: %w", what, Count(place.size, "byte"), ErrMalformed)
	}
	f := c.files[place.file]
	r, size, err := c.open(f.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if size != f.Size {
		return nil, fmt.Errorf("%s: %s, want %d: %w", f.Name, Count(size, "byte"), f.Size, ErrCorrupt)
	}
	// The frame that has the first byte.
	next, ok := slices.BinarySearch(c.starts[place.file], place.offset)
	if !ok {
		next--
	}
	m := memberReader{catalog: c, what: what, place: place, want: digest, hash: NewHash(), file: r,
		next: next, skip: place.offset - c.starts[place.file][next], left: place.size}
	if hold == 0 && place.size > smallMember {
		m.decoder = NewDecoder()
		return &m, nil
	}
	if hold == 0 {
		hold = smallMember
	}
	return &sharingReader{memberReader: m, hold: hold}, nil
}

// memberReader reads one member; one frame is in memory at a time.
type memberReader struct {
	catalog    *Catalog
	what       string
	place      member
	want       Digest
	hash       hash.Hash
	file       io.ReaderAt
	decoder    *Decoder
	next       int   // frame
	skip       int64 // raw bytes in front of the member in that frame
	left       int64 // bytes of the member that are not in data yet
	data       []byte
	raw, coded []byte // buffers
	err        error
}

// Read returns bytes whose frame is authenticated.
func (r *memberReader) Read(b []byte) (int, error) { return r.read(b, r.fill) }

func (r *memberReader) read(b []byte, fill func() error) (int, error) {
	for len(r.data) == 0 && r.err == nil {
		r.err = fill()
	}
	if r.err != nil {
		return 0, r.err
	}
	n := copy(b, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *memberReader) fill() error {
	if r.left == 0 {
		return r.end()
	}
	var err error
	if r.raw, r.coded, err = r.catalog.decode(r.decoder, r.file, r.place.file, r.next, r.raw, r.coded); err != nil {
		return err
	}
	r.data = r.raw[r.skip:]
	r.data = r.data[:min(int64(len(r.data)), r.left)]
	r.next, r.skip, r.left = r.next+1, 0, r.left-int64(len(r.data))
	_, _ = r.hash.Write(r.data)
	return nil
}

// end returns io.EOF only if the member had the right digest.
func (r *memberReader) end() error {
	if got := SumOf(r.hash); got != r.want {
		return fmt.Errorf("%s: digest mismatch: want %s, got %s: %w", r.what, r.want, got, ErrCorrupt)
	}
	return io.EOF
}

// Close releases the reader's memory.
func (r *memberReader) Close() error {
	if r.decoder != nil {
		r.decoder.Close()
	}
	r.raw, r.coded, r.data = nil, nil, nil
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}
