package fetch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
)

// Wanted is what is known of content before it comes.
type Wanted struct {
	// Size is in bytes; -1: not known.
	Size int64
	// Limit is the most bytes of content whose size is not known; 0: Options.MostBytes.
	Limit int64
	// Sum is the digest of the content by the hash that Hash returns; nil: not known.
	Sum  []byte
	Hash func() hash.Hash
}

// SHA256 describes content of which the digest is known, 32 bytes, and the size, -1 if it is not.
func SHA256(sum []byte, size int64) *Wanted {
	return &Wanted{Size: size, Sum: sum, Hash: sha256.New}
}

// decides reports whether there is a digest by which the form of content is chosen.
func (w *Wanted) decides() bool { return w != nil && w.Sum != nil && w.Hash != nil }

// size returns the size of the content, -1 if it is not known.
func (w *Wanted) size() int64 {
	if w == nil {
		return -1
	}
	return w.Size
}

// most returns how many bytes the content may have.
func (b *Body) most() int64 {
	most := b.c.options.MostBytes
	switch {
	case b.want.size() >= 0:
		return b.want.size()
	case b.want != nil && b.want.Limit > 0:
		return min(b.want.Limit, most)
	}
	return most
}

// codingOf returns the content coding of an answer in lower case (RFC 9110 section 8.4), ""
// if there is none. Several codings are one text with commas, which no decoder knows.
func codingOf(header http.Header) string {
	var all []string
	for _, line := range header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding != "" && coding != "identity" {
				all = append(all, coding)
			}
		}
	}
	return strings.Join(all, ", ")
}

// ownCoding reports whether a coding only repeats what the name of a file states, which
// is how some servers label files that are stored compressed.
func ownCoding(coding, name string) bool {
	switch coding {
	case "gzip", "x-gzip":
		return strings.HasSuffix(name, "gz") // .gz, .tgz, .svgz
	case "bzip2", "x-bzip2", "xz", "x-xz", "zstd", "br":
		ext := path.Ext(name)
		return ext == ".bz2" || ext == ".xz" || ext == ".zst" || ext == ".tzst" || ext == ".br"
	}
	return false
}

// ownCodingOf reports whether the bytes of an answer are those of the file by one of its
// names: the first one that was requested, and the last. A store that redirects lead to has
// names that state nothing.
func ownCodingOf(coding string, req *http.Request) bool {
	return ownCoding(coding, req.URL.Path) || ownCoding(coding, asked(req).Path)
}

// sentKey marks in a context a request whose content is wanted as it is sent.
type sentKey struct{}

// uncode returns the content of an answer to a caller that expects no digest: as it is sent
// if a name of the file shows it too, otherwise decoded. A Body and Stat have rules of their own.
func (c *Client) uncode(resp *http.Response) error {
	coding := codingOf(resp.Header)
	if sent, _ := resp.Request.Context().Value(sentKey{}).(bool); sent || coding == "" || ownCodingOf(coding, resp.Request) {
		return nil
	}
	where := Redact(resp.Request.URL.String())
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		return nil // its body is no content
	case !c.decodes(coding), resp.StatusCode == http.StatusPartialContent:
		return unreadable(where, coding)
	}
	resp.ContentLength, resp.Uncompressed = -1, true
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	if resp.Request.Method != http.MethodHead && resp.Body != http.NoBody {
		resp.Body = newDecoded(c.options.Decode, coding, resp.Body, c.options.MostBytes, where)
	}
	return nil
}

// unreadable returns the error of a coding that cannot be undone.
func unreadable(url, coding string) error {
	return fmt.Errorf("%s: content coding %.20q, want none: %w", url, coding, ErrUpstream)
}

// decodes reports whether a coding can be undone.
func (c *Client) decodes(coding string) bool {
	switch coding {
	case "gzip", "x-gzip", "zstd", "br":
		return c.options.Decode != nil
	}
	return false
}

// decodedAnswer undoes the coding of an answer. The decoder is made by the first Read,
// because it waits for the first bytes.
type decodedAnswer struct {
	body   io.Closer
	from   *tee // body, whose errors are kept
	decode Decoder
	coding string
	where  string // for errors
	left   int64  // how many bytes may come
	r      io.ReadCloser
	err    error
}

func newDecoded(decode Decoder, coding string, body io.ReadCloser, most int64, where string) *decodedAnswer {
	return &decodedAnswer{body: body, from: &tee{r: body, w: io.Discard}, decode: decode, coding: coding, left: most, where: where}
}

func (d *decodedAnswer) Read(p []byte) (int, error) {
	if d.r == nil && d.err == nil {
		d.r, d.err = d.decode(d.coding, d.from)
		d.err = d.named(d.err)
	}
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.r.Read(p[:min(int64(len(p)), d.left+1)])
	if d.left -= int64(n); d.left < 0 {
		d.err = d.named(errTooMuch)
		return 0, d.err
	}
	d.err = d.named(err)
	return n, d.err
}

var errTooMuch = errors.New("decodes to more than is wanted")

// named adds to an error of the decoder where it happened. An error of reading the
// answer has its place and its class already.
func (d *decodedAnswer) named(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case d.from.err != nil && d.from.err != io.EOF:
		return d.from.err
	}
	return fmt.Errorf("%s: content coding %s: %w: %w", d.where, d.coding, err, ErrUpstream)
}

func (d *decodedAnswer) Close() error {
	var err error
	if d.r != nil {
		err = d.r.Close()
	}
	return errors.Join(err, d.body.Close())
}

// sameLength is the length from which a packed form is not as long as its content, if the
// content is packed already: packing it once more adds to it.
const sameLength = 1 << 20 // bytes

// choose decides what a Body hands out of an answer with a content coding. Where a digest is
// expected it decides: content is as it is sent if that has the digest, otherwise it is
// decoded. Sizes spare most of the work: an answer of another length than the content has is
// decoded while it is read, and one of just that length is the content if that is large and
// packed by its name. All others are hashed in both forms before a byte is handed out, see
// weigh. Without a digest the content is as it is sent if a name of the file states that it is
// packed so, and decoded if none does.
func (b *Body) choose(resp *http.Response, coding string) error {
	length, size := b.Meta.Size, b.want.size()
	own, decodes := ownCodingOf(coding, resp.Request), b.c.decodes(coding)
	same := length >= 0 && length == size
	switch {
	case b.want.decides() && (!decodes || same && own && length >= sameLength), !b.want.decides() && own:
		return nil
	case !b.want.decides() && !decodes:
		return unreadable(b.Meta.URL, coding)
	}
	b.Meta.Size, b.Meta.decoded = size, true
	if !b.want.decides() || length >= 0 && size >= 0 && !same {
		b.form = b.undo(coding, sent{b})
		return nil
	}
	b.weighed = &weighed{b: b, coding: coding, own: own}
	b.form = b.weighed
	return nil
}

// settle chooses the form of content of which both have to be hashed. Its size is known then.
func (b *Body) settle() error {
	if b.weighed == nil {
		return nil
	}
	if err := b.weighed.weigh(); err != nil {
		return errors.Join(err, b.Close())
	}
	b.Meta.Size, b.Meta.decoded = b.weighed.size, b.weighed.decoded
	return nil
}

// sent is the content of a Body as it is sent. Closing it is left to the Body.
type sent struct{ b *Body }

func (s sent) Read(p []byte) (int, error) { return s.b.readSent(p) }
func (s sent) Close() error               { return nil }

// undo decodes content. One byte more than is wanted is let through, so that whoever checks
// the size sees that it is another.
func (b *Body) undo(coding string, from io.ReadCloser) *decodedAnswer {
	return newDecoded(b.c.options.Decode, coding, from, b.most()+1, b.Meta.URL)
}

// weighed is content of which both forms are hashed in one read before the right one is
// handed out. The answer is kept in a file meanwhile, and is decoded from there once more.
type weighed struct {
	b      *Body
	coding string
	own    bool // the name states that the content is packed so
	file   *os.File
	form   io.ReadCloser
	// About the form: its size in bytes, and whether it is the decoded one.
	size    int64
	decoded bool
}

func (w *weighed) Read(p []byte) (int, error) { return w.form.Read(p) }

// weigh reads what is sent and chooses the form.
func (w *weighed) weigh() (err error) {
	if w.file, err = w.b.c.spool(); err != nil {
		return err
	}
	want := w.b.want
	raw, plain := want.Hash(), want.Hash()
	in := &tee{r: io.LimitReader(sent{w.b}, packed(w.b.most())+1), w: io.MultiWriter(w.file, raw)}
	decoded := w.b.undo(w.coding, io.NopCloser(in))
	size, failed := io.Copy(plain, decoded)
	_ = decoded.Close() // the verdict is that of its content
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if in.n > packed(w.b.most()) {
		return fmt.Errorf("%s: bytes with content coding %s: more than %d, want at most %d without: %w", w.b.Meta.URL, w.coding, in.n-1, w.b.most(), ErrUpstream)
	}
	switch {
	case bytes.Equal(raw.Sum(nil), want.Sum):
	case failed == nil && bytes.Equal(plain.Sum(nil), want.Sum):
		w.decoded = true
	default: // neither: whoever checks the digest reports what is wrong
		w.decoded = !w.own && failed == nil
	}
	asSent := io.NopCloser(io.NewSectionReader(w.file, 0, in.n))
	if w.form, w.size = asSent, in.n; w.decoded {
		w.form, w.size = w.b.undo(w.coding, asSent), size
	}
	return nil
}

// packed returns how many bytes content of so many bytes has at most when it is packed: all
// formats add a few bytes to a block that cannot be made smaller.
func packed(size int64) int64 { return size + size/64 + 1<<16 }

func (w *weighed) Close() error {
	var err error
	if w.form != nil {
		err = w.form.Close()
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	return err
}

// tee reads r and writes what was read to w. It keeps its error, which a decoder may
// replace by its own.
type tee struct {
	r   io.Reader
	w   io.Writer
	n   int64
	err error
}

func (t *tee) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.r.Read(p)
	t.n += int64(n)
	if _, failed := t.w.Write(p[:n]); failed != nil {
		err = failed
	}
	t.err = err
	return n, err
}

// spool returns a file that has no name.
func (c *Client) spool() (*os.File, error) {
	if c.options.Spool != nil {
		return c.options.Spool()
	}
	f, err := os.CreateTemp("", "gapbundle-answer-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}
