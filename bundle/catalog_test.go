package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// handmade makes a catalogue in memory, independent of the writer: any bytes
// as tables of one volume and as lists of one repository.
type handmade struct {
	m     Manifest
	files map[string][]byte
}

func newHandmade(t testing.TB, volume Volume, frames, blobs, files, evidence []byte) *handmade {
	t.Helper()
	describe := func(mediaType string, b []byte) v1.Descriptor {
		return Descriptor(mediaType, DigestOf(b), int64(len(b)))
	}
	volume.Frames, volume.Blobs = describe(MediaTypeFrameIndex, frames), describe(MediaTypeBlobTable, blobs)
	table, err := AppendLine(nil, volume)
	if err != nil {
		t.Fatal(err)
	}
	table = append(table, '\n')
	h := &handmade{m: *goodManifest(), files: make(map[string][]byte)}
	h.m.Volumes = describe(MediaTypeVolumeTable, table)
	h.m.Repositories[0].Files, h.m.Repositories[0].Evidence = describe(MediaTypeFileList, files), describe(MediaTypeEvidence, evidence)
	contents := contentsOf(t, Entry{Name: "p", Type: TypeFile, Path: "p", Digest: someDigest, Vouched: VouchedIndex})
	listed := describe(MediaTypeContents, contents)
	h.m.Repositories[0].Contents, h.m.Repositories[0].Entries = &listed, 1
	var raw []byte
	for _, member := range [][]byte{table, frames, blobs, files, evidence, contents} {
		raw = append(raw, make([]byte, TarBlock)...) // nobody reads the headers
		raw = append(raw, member...)
		raw = append(raw, make([]byte, Padded(int64(len(member)))-int64(len(member)))...)
	}
	raw = append(raw, make([]byte, TarTrailer)...)
	h.m.Catalog = []CatalogFile{h.file(t, CatalogName(1), raw, 1000)}
	h.m.State = StateDigest(h.m.Repositories)
	return h
}

// file cuts raw into frames of a length that fits nothing.
func (h *handmade) file(t testing.TB, name string, raw []byte, frame int) CatalogFile {
	t.Helper()
	c := CatalogFile{Name: name}
	for len(raw) > 0 {
		n := min(frame, len(raw))
		coded := encoder().EncodeAll(raw[:n], nil)
		c.Frames = append(c.Frames, Frame{Compressed: int64(len(coded)), Digest: DigestOf(coded), Raw: int64(n)})
		h.files[name] = append(h.files[name], coded...)
		raw = raw[n:]
	}
	c.Size, c.Digest = int64(len(h.files[name])), DigestOf(h.files[name])
	return c
}

// encoder is made once: it is large, and fuzzing wants thousands.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithWindowSize(MaxWindow))
	if err != nil {
		panic(err)
	}
	return e
})

// noise returns the same for the same seed, and does not compress.
func noise(seed, size int64) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

func encode(t testing.TB, raw []byte, o ...zstd.EOption) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, append(o, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(raw, nil)
}

func (h *handmade) open() (*Catalog, error) {
	return NewCatalog(&h.m, func(name string) (io.ReaderAt, int64, error) {
		return bytes.NewReader(h.files[name]), int64(len(h.files[name])), nil
	})
}

func goodVolume() Volume {
	return Volume{Name: VolumeName(1), Role: RoleData, Digest: someDigest, Size: 300, Raw: 4096, BlobCount: 2}
}

func lines[T Line](t testing.TB, all ...T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewListWriter[T](&b)
	for _, l := range all {
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func goodFrames() []Frame {
	return []Frame{{100, someDigest, 1024}, {200, someDigest, 3072}}
}

func goodBlobs() []Blob {
	return []Blob{{Digest: someDigest, Length: 100, Offset: 512, Size: 100}, {At: 50, Digest: someDigest, Length: 1000, Offset: 1536, Size: 2000}}
}

func goodHandmade(t testing.TB) *handmade {
	file := File{Digest: someDigest, Path: "p", Size: 1}
	return newHandmade(t, goodVolume(), lines(t, goodFrames()...), lines(t, goodBlobs()...), lines(t, file), lines(t, Evidence{Path: "p", Vouched: VouchedPinned}))
}

func drain[T any](seq iter.Seq2[T, error]) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestCatalog(t *testing.T) {
	h := goodHandmade(t)
	if err := CheckManifest(&h.m); err != nil {
		t.Fatal(err)
	}
	c, err := h.open()
	if err != nil {
		t.Fatal(err)
	}
	var v Volume
	for v, err = range c.Volumes(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := drain(c.Frames(v)); n != 2 || err != nil {
		t.Error(n, err)
	}
	if n, err := drain(c.Blobs(v)); n != 2 || err != nil {
		t.Error(n, err)
	}
	for _, open := range []func(int) (io.ReadCloser, error){c.Files, c.Evidence, c.Contents} {
		r, err := open(0)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || !bytes.Contains(b, []byte(`"path":"p"`)) {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := open(1); !errors.Is(err, ErrIncomplete) {
			t.Errorf("not carried: %v", err)
		}
	}
	if _, err := drain(c.Frames(Volume{Name: "volume-00002.tar.zst"})); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

// readEverything returns what a reader meets when something is wrong.
func readEverything(h *handmade) error {
	c, err := h.open()
	if err != nil {
		return err
	}
	for v, err := range c.Volumes(context.Background()) {
		if err != nil {
			return err
		}
		if _, err := drain(c.Frames(v)); err != nil {
			return err
		}
		if _, err := drain(c.Blobs(v)); err != nil {
			return err
		}
	}
	for _, open := range []func(int) (io.ReadCloser, error){c.Files, c.Evidence, c.Contents} {
		r, err := open(0)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// No byte of a catalogue file can change without being noticed.
func TestCatalogNoticesEveryByte(t *testing.T) {
	h := goodHandmade(t)
	name := CatalogName(1)
	// The last frames hold nothing but the archive's end and padding, which nobody reads.
	end, read := int64(0), int64(0)
	for _, f := range h.m.Catalog[0].Frames {
		end += f.Raw
	}
	end -= TarTrailer + Padded(h.m.Repositories[0].Contents.Size) - h.m.Repositories[0].Contents.Size
	raw := int64(0)
	for _, f := range h.m.Catalog[0].Frames {
		if raw < end {
			read += f.Compressed
		}
		raw += f.Raw
	}
	for i := range h.files[name] {
		h.files[name][i] ^= 0x10
		err := readEverything(h)
		h.files[name][i] ^= 0x10
		if err == nil && int64(i) < read {
			t.Errorf("byte %d of %d", i, len(h.files[name]))
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	whole := h.files[name]
	for what, b := range map[string][]byte{"longer": append(bytes.Clone(whole), 0), "shorter": whole[:len(whole)-1], "empty": nil} {
		h.files[name] = b
		if err := readEverything(h); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Signed and still wrong: every rule over tables and places.
func TestCatalogRefuses(t *testing.T) {
	frames, blobs := goodFrames(), goodBlobs()
	list := []byte("x\n")
	volume := func(spoil func(v *Volume)) *handmade {
		v := goodVolume()
		spoil(&v)
		return newHandmade(t, v, lines(t, frames...), lines(t, blobs...), list, list)
	}
	withFrames := func(f ...Frame) *handmade {
		return newHandmade(t, goodVolume(), lines(t, f...), lines(t, blobs...), list, list)
	}
	withBlobs := func(b ...Blob) *handmade {
		return newHandmade(t, goodVolume(), lines(t, frames...), lines(t, b...), list, list)
	}
	blob := func(spoil func(b *Blob)) *handmade {
		b := goodBlobs()
		spoil(&b[1])
		return withBlobs(b...)
	}
	root := func(spoil func(m *Manifest)) *handmade {
		h := goodHandmade(t)
		spoil(&h.m)
		return h
	}
	for what, h := range map[string]*handmade{
		"volume name":       volume(func(v *Volume) { v.Name = "../volume-00001.tar.zst" }),
		"volume number":     volume(func(v *Volume) { v.Name = "volume-00000.tar.zst" }),
		"volume digits":     volume(func(v *Volume) { v.Name = "volume-000001.tar.zst" }),
		"volume size":       volume(func(v *Volume) { v.Size = MaxFileSize }),
		"volume raw":        volume(func(v *Volume) { v.Raw = 512 }),
		"blob count":        volume(func(v *Volume) { v.BlobCount = 1 }),
		"annotations":       volume(func(v *Volume) { v.Annotations = map[string]string{"": ""} }),
		"frame missing":     withFrames(frames[0]),
		"frame more":        withFrames(frames[0], frames[1], frames[1]),
		"frame empty":       withFrames(frames[0], Frame{0, someDigest, 5}, frames[1]),
		"frame raw":         withFrames(frames[0], Frame{200, someDigest, MaxFrameRaw + 1}),
		"frame raw sum":     withFrames(frames[0], Frame{200, someDigest, 3073}),
		"blob missing":      withBlobs(blobs[0]),
		"blob overlaps":     blob(func(b *Blob) { b.Offset = 611 }),
		"blob outside":      blob(func(b *Blob) { b.Offset = 3097 }),
		"blob offset large": blob(func(b *Blob) { b.Offset = MaxInteger }),
		"blob length":       blob(func(b *Blob) { b.Length = MaxInteger }),
		"blob negative":     blob(func(b *Blob) { b.Length = -1 }),
		"segment outside":   blob(func(b *Blob) { b.At = 1001 }),
		"segment negative":  blob(func(b *Blob) { b.At = -1 }),
		"segment empty":     blob(func(b *Blob) { b.Length = 0 }),
		"table huge":        root(func(m *Manifest) { m.Volumes.Size = MaxInteger }),
		"list huge":         root(func(m *Manifest) { m.Repositories[0].Files.Size = MaxInteger }),
		"list longer":       root(func(m *Manifest) { m.Repositories[0].Evidence.Size += 512 }),
		"two files":         root(func(m *Manifest) { m.Catalog = append(m.Catalog, m.Catalog[0]) }),
		"frame behind end":  root(func(m *Manifest) { m.Catalog[0].Frames = append(m.Catalog[0].Frames, Frame{1, someDigest, 1}) }),
	} {
		if err := readEverything(h); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := readEverything(volume(func(v *Volume) { v.Role = "parity" })); !errors.Is(err, ErrUnsupported) {
		t.Errorf("role: %v", err)
	}
	for what, h := range map[string]*handmade{
		"table size":   root(func(m *Manifest) { m.Volumes.Size++ }),
		"table digest": root(func(m *Manifest) { m.Volumes.Digest = Descriptor("", someDigest, 0).Digest }),
		"list digest":  root(func(m *Manifest) { m.Repositories[0].Files.Digest = Descriptor("", someDigest, 0).Digest }),
		"list shorter": root(func(m *Manifest) { m.Repositories[0].Evidence.Size-- }),
	} {
		if err := readEverything(h); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPlacerCuts(t *testing.T) {
	var p Placer
	for i, c := range []struct {
		size int64
		want member
		cut  bool
	}{
		{100, member{0, 512, 100}, false},
		{catalogCut - 1024 - 512 - 512, member{0, 1536, catalogCut - 2048}, false},
		{0, member{0, catalogCut, 0}, false},
		{3 << 30, member{1, 512, 3 << 30}, true},
		{1, member{2, 512, 1}, true},
	} {
		if got, cut := p.place(c.size); got != c.want || cut != c.cut {
			t.Errorf("%d: %+v, %v; want %+v", i, got, cut, c.want)
		}
	}
}

// badFrames returns bytes that are authentic and still no frame of this format.
func badFrames(t testing.TB) map[string][]byte {
	raw := noise(1, 5000)
	good := encode(t, raw, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	e.Reset(&stream)
	_, _ = e.Write(raw)
	if err := errors.Join(e.Flush(), e.Close()); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"checksum":         encode(t, raw, zstd.WithEncoderCRC(true)),
		"two frames":       append(bytes.Clone(good), good...),
		"skippable behind": append(bytes.Clone(good), skippable...),
		"skippable only":   skippable,
		"no content size":  stream.Bytes(),
		"cut":              good[:len(good)-1],
		"one byte":         good[:1],
		"garbage":          noise(9, 100),
		"other length":     encode(t, raw[1:], zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)),
		"dictionary":       append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x61, 7, 0x88, 0x12}, good[7:]...),
	}
}

func TestDecoderRefuses(t *testing.T) {
	d := NewDecoder()
	defer d.Close()
	for what, b := range badFrames(t) {
		f := Frame{Compressed: int64(len(b)), Digest: DigestOf(b), Raw: 5000}
		if out, err := d.Decode(nil, f, b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d bytes, %v", what, len(out), err)
		}
	}
	raw := noise(1, 5000)
	good := encode(t, raw, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	f := Frame{Compressed: int64(len(good)), Digest: DigestOf(good), Raw: 5000}
	buf := make([]byte, 0, 5000)
	if out, err := d.Decode(buf, f, good); err != nil || !bytes.Equal(out, raw) || &out[0] != &buf[:1][0] {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(f *Frame){
		"digest": func(f *Frame) { f.Digest[0] ^= 1 },
		"length": func(f *Frame) { f.Compressed++ },
	} {
		bad := f
		spoil(&bad)
		if _, err := d.Decode(nil, bad, good); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, n := range []int64{0, -1, MaxFrameRaw + 1, MaxInteger} {
		bad := f
		bad.Raw = n
		if _, err := d.Decode(nil, bad, good); !errors.Is(err, ErrMalformed) {
			t.Errorf("raw %d: %v", n, err)
		}
	}
	// A frame that expands without end is stopped at what its header says.
	bomb := encode(t, make([]byte, MaxFrameRaw+1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if _, err := d.Decode(nil, Frame{int64(len(bomb)), DigestOf(bomb), MaxFrameRaw}, bomb); !errors.Is(err, ErrMalformed) {
		t.Errorf("bomb: %v", err)
	}
}

func FuzzFrame(f *testing.F) {
	for _, b := range badFrames(f) {
		f.Add(b, int64(5000))
	}
	f.Add(encode(f, noise(1, 5000), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)), int64(5000))
	d := NewDecoder()
	f.Fuzz(func(t *testing.T, b []byte, raw int64) {
		out, err := d.Decode(nil, Frame{int64(len(b)), DigestOf(b), raw}, b)
		if err == nil && int64(len(out)) != raw || err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
	})
}

func FuzzFrameIndex(f *testing.F) {
	f.Add(lines(f, goodFrames()...), lines(f, goodBlobs()...))
	f.Add([]byte("{}\n"), []byte("\n"))
	f.Fuzz(func(t *testing.T, frames, blobs []byte) {
		h := newHandmade(t, goodVolume(), frames, blobs, nil, nil)
		c, err := h.open()
		if err != nil {
			t.Fatal(err)
		}
		size, raw := int64(0), int64(0)
		for fr, err := range c.Frames(c.volumes[0]) {
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				size, raw = 300, 4096
				break
			}
			size, raw = size+fr.Compressed, raw+fr.Raw
		}
		if size != 300 || raw != 4096 {
			t.Fatalf("frames of %d bytes, %d raw accepted", size, raw)
		}
		for b, err := range c.Blobs(c.volumes[0]) {
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				break
			}
			if b.Offset < 0 || b.Offset+b.Length > 4096 || b.At+b.Length > b.Size {
				t.Fatalf("%+v accepted", b)
			}
		}
	})
}
