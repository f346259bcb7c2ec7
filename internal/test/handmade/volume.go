package handmade

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// archive is the raw bytes of a tar archive. Headers are for people: they have the name
// and nothing else, which is enough for a reader that must not use them.
type archive struct{ raw bytes.Buffer }

const block = 512

// add appends a member and returns where its content begins.
func (a *archive) add(name string, content []byte) (offset int) {
	header := make([]byte, block)
	copy(header, name)
	a.raw.Write(header)
	offset = a.raw.Len()
	a.raw.Write(content)
	a.raw.Write(make([]byte, (block-len(content)%block)%block))
	return offset
}

func (a *archive) end() []byte { return append(a.raw.Bytes(), make([]byte, 2*block)...) }

// Frame is a compressed piece of a file.
type Frame struct {
	// Bytes are in the file; Compressed, Digest and Raw are what is said of them.
	Bytes           []byte
	Compressed, Raw int64
	Digest          string
}

func (f Frame) object() Object {
	return Object{"compressed": f.Compressed, "digest": f.Digest, "raw": f.Raw}
}

// NewFrame describes the bytes of a frame that decompress to raw bytes.
func NewFrame(b []byte, raw int64) Frame {
	return Frame{Bytes: b, Compressed: int64(len(b)), Digest: Digest(b), Raw: raw}
}

// Compress makes one frame: no checksum, one segment, its content size in the header.
func Compress(raw []byte) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constants
	}
	defer e.Close()
	return e.EncodeAll(raw, nil)
}

// pack compresses a file piece by piece.
func (w *writing) pack(name string, raw []byte) (file []byte, frames []Frame) {
	if w.b.Tape != nil {
		raw = w.b.Tape(name, raw)
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		w.t.Fatal(err)
	}
	defer e.Close()
	for piece := range slices.Chunk(raw, w.b.Frame) {
		frames = append(frames, NewFrame(e.EncodeAll(piece, nil), int64(len(piece))))
	}
	if w.b.Packed != nil {
		frames = w.b.Packed(name, frames)
	}
	for _, f := range frames {
		file = append(file, f.Bytes...)
	}
	return file, frames
}

// volumes writes the volumes and returns the lines of their table, and for each its
// frame index and its blob table.
func (w *writing) volumes() (table []Object, members []namedMember) {
	number := 0
	var tape archive
	var blobs []Object
	finish := func() {
		number++
		t, m := w.volume(number, tape.end(), blobs)
		table, members = append(table, t), append(members, m...)
		tape, blobs = archive{}, nil
	}
	for _, c := range w.contents() {
		offset := tape.add("blobs/sha256/"+strings.TrimPrefix(Digest([]byte(c)), "sha256:"), []byte(c))
		blobs = append(blobs, Object{"digest": Digest([]byte(c)), "length": len(c), "offset": offset, "size": len(c)})
		if w.b.Volume > 0 && tape.raw.Len() >= w.b.Volume {
			finish()
		}
	}
	if len(blobs) > 0 {
		finish()
	}
	if w.b.Volumes != nil {
		table = w.b.Volumes(table)
	}
	return table, members
}

func (w *writing) volume(number int, raw []byte, blobs []Object) (line Object, members []namedMember) {
	name := fmt.Sprintf("volume-%05d.tar.zst", number)
	file, frames := w.pack(name, raw)
	w.listed(name, file)
	var lines []Object
	size := int64(0)
	for _, f := range frames {
		lines, size = append(lines, f.object()), size+f.Raw
	}
	index := namedMember{fmt.Sprintf("frames/%05d.jsonl", number), nil}
	index.content = w.member(index.name, lines)
	list := namedMember{fmt.Sprintf("blobs/%05d.jsonl", number), nil}
	list.content = w.member(list.name, blobs)
	return Object{
		"name": name, "role": "data", "digest": Digest(file), "size": len(file), "raw": size,
		"blobCount": len(blobs), "blobs": descriptor("blobs", list.content), "frames": descriptor("frames", index.content),
	}, []namedMember{index, list}
}

// contents returns what the volumes have, each once.
func (w *writing) contents() []string {
	seen := map[string]bool{}
	var out []string
	add := func(c string) {
		if d := Digest([]byte(c)); !seen[d] {
			seen[d] = true
			out = append(out, c)
		}
	}
	for _, c := range w.b.Leave {
		seen[Digest([]byte(c))] = true
	}
	for _, c := range w.b.Extra {
		add(c)
	}
	for _, r := range w.b.Repositories {
		for _, f := range r.Files {
			add(f.Content)
		}
	}
	return out
}
