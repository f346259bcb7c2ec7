package gittest

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // git's own format
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Types of objects in a pack (gitformat-pack(5)).
const (
	TypeCommit = 1
	TypeTree   = 2
	TypeBlob   = 3
	typeOffset = 6 // a delta whose base is named by its distance
)

// Pack is a pack that is written by hand: it can have what git never writes.
type Pack struct {
	body  bytes.Buffer
	count uint32
}

const packHeader = 12 // bytes before the first object

// entry begins an object and returns its offset.
func (p *Pack) entry(kind byte, size int64) (offset int64) {
	offset = packHeader + int64(p.body.Len())
	p.count++
	first := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.body.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	p.body.WriteByte(first)
	return offset
}

// Object adds an object and returns its offset and its name.
func (p *Pack) Object(kind byte, content []byte) (offset int64, name string) {
	offset = p.Claim(kind, int64(len(content)), content)
	word := map[byte]string{TypeCommit: "commit", TypeTree: "tree", TypeBlob: "blob"}[kind]
	return offset, Name(word, content)
}

// Claim adds an object that is said to have size bytes and has content.
func (p *Pack) Claim(kind byte, size int64, content []byte) (offset int64) {
	offset = p.entry(kind, size)
	p.deflate(content)
	return offset
}

// Zeros adds a blob of size zeros, which takes a thousandth of that in the pack,
// and returns its name.
func (p *Pack) Zeros(size int64) (name string) {
	p.entry(TypeBlob, size)
	w, h := zlib.NewWriter(&p.body), sha1.New() //nolint:gosec // as above
	fmt.Fprintf(h, "blob %d\x00", size)
	part := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(part)) {
		part = part[:min(size, int64(len(part)))]
		_, _ = io.MultiWriter(w, h).Write(part) // to memory
	}
	_ = w.Close()
	return hex.EncodeToString(h.Sum(nil))
}

func (p *Pack) deflate(content []byte) {
	w := zlib.NewWriter(&p.body)
	_, _ = w.Write(content) // to memory
	_ = w.Close()
}

// Delta adds a delta against the object at base. It makes an object of
// result bytes out of one of size bytes by instructions.
func (p *Pack) Delta(base, size, result int64, instructions []byte) (offset int64) {
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(size)), uint64(result)), instructions...)
	offset = p.entry(typeOffset, int64(len(delta)))
	distance := offset - base
	var coded []byte
	for coded = append(coded, byte(distance&0x7f)); ; {
		if distance >>= 7; distance == 0 {
			break
		}
		distance--
		coded = append([]byte{byte(distance&0x7f) | 0x80}, coded...)
	}
	p.body.Write(coded)
	p.deflate(delta)
	return offset
}

// Bytes returns the pack, with its header and checksum.
func (p *Pack) Bytes() []byte {
	b := append([]byte("PACK\x00\x00\x00\x02"), binary.BigEndian.AppendUint32(nil, p.count)...)
	b = append(b, p.body.Bytes()...)
	sum := sha1.Sum(b) //nolint:gosec // as above
	return append(b, sum[:]...)
}

// Name returns the name of an object of a type, such as "blob".
func Name(kind string, content []byte) string {
	h := sha1.New() //nolint:gosec // as above
	fmt.Fprintf(h, "%s %d\x00", kind, len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// CommitText returns the content of a commit of a tree, without parents.
func CommitText(tree string) []byte {
	const who = "A U Thor <author@example.org> 1700000000 +0000"
	return fmt.Appendf(nil, "tree %s\nauthor %s\ncommitter %s\n\nmade by hand\n", tree, who, who)
}

// PublishPack makes the upstream send a pack to whoever asks for objects of the
// repository at path, whose branch main names commit. No program of git's looks
// at either.
func (h *Host) PublishPack(t testing.TB, path, commit string, pack []byte) {
	t.Helper()
	line := func(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
	before := h.handler
	h.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/"+path+".git") {
		case "/info/refs":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, line("# service=git-upload-pack\n")+"0000"+line(commit+" refs/heads/main\x00symref=HEAD:refs/heads/main\n")+"0000")
		case "/git-upload-pack":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = io.WriteString(w, line("NAK\n"))
			_, _ = w.Write(pack)
		default:
			before.ServeHTTP(w, r)
		}
	})
	h.Server.Handle(h.handler)
}
