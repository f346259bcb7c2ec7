package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// Body is the content of a URL from byte At on, all of it from one version:
// what it hands out before io.EOF is as much as the upstream announced. A
// failure that another attempt cures is not seen, any other error is final.
//
// The caller closes it; until its end it holds one of the host's parallel
// requests. It is not safe for concurrent use.
type Body struct {
	Meta Meta
	At   int64 // bytes

	c        *Client
	ctx      context.Context // of Open: further requests belong to it
	url      string
	header   http.Header // of OpenWanted
	want     *Wanted     // nil: nothing is known of the content
	attempts attempts
	sent     Meta          // of the content as it is sent
	form     io.ReadCloser // what is handed out instead of what is sent; nil: nothing else
	weighed  *weighed      // form, if both have to be hashed; nil: another one

	r    io.ReadCloser // nil: no answer is open
	pos  int64         // of the next byte to hand out
	size int64         // of the whole; -1: not known
	read hash.Hash     // of the bytes handed out, where no validator names the version
	err  error         // what ended it, io.EOF included
	cut  error         // what the last answer ended with too early
}

// begin takes the first answer.
func (b *Body) begin(resp *http.Response, meta Meta, at int64) error {
	b.Meta, b.sent, b.At, b.pos, b.size, b.r = meta, meta, at, at, meta.Size, resp.Body
	if meta.Validator() == "" {
		b.read = sha256.New()
	}
	if meta.Coding == "" || at > 0 {
		return nil
	}
	if err := b.choose(resp, meta.Coding); err != nil {
		resp.Body.Close()
		return err
	}
	return nil
}

// Read reads on, and asks again where an answer ended too early.
func (b *Body) Read(p []byte) (int, error) {
	if b.form != nil {
		return b.form.Read(p)
	}
	return b.readSent(p)
}

// readSent reads content as it is sent.
func (b *Body) readSent(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for b.err == nil {
		if b.cut != nil || b.r == nil {
			b.resume()
			continue
		}
		n, err := b.r.Read(p)
		b.account(p[:n], err)
		if n > 0 && (b.err == nil || b.err == io.EOF) {
			return n, nil
		}
	}
	return 0, b.err
}

// account takes note of bytes that are about to be handed out, and of how the
// answer ended after them.
func (b *Body) account(p []byte, err error) {
	b.pos += int64(len(p))
	if len(p) > 0 {
		b.attempts.progress()
		if b.read != nil {
			b.read.Write(p)
		}
	}
	switch {
	case b.size >= 0 && b.pos > b.size:
		b.err = fmt.Errorf("%s: more than the announced %s: %w", b.Meta.URL, spelling.Count(b.size, "byte"), ErrUpstream)
	case b.size < 0 && b.pos > b.c.options.MostBytes:
		b.err = fmt.Errorf("%s: no length was announced, and more than %s came: %w", b.Meta.URL, spelling.Count(b.c.options.MostBytes, "byte"), ErrUpstream)
	case err == nil:
	case b.ctx.Err() != nil:
		b.err = failure(b.ctx, b.url, err)
	case b.pos == b.size, err == io.EOF && b.size < 0:
		b.err = io.EOF
	default:
		b.cut = b.broken(err)
	}
}

// broken reports how far an answer got.
func (b *Body) broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &brokenError{url: b.Meta.URL, err: fmt.Errorf("ended after %d of %s bytes: %w", b.pos, b.whole(), err)}
}

// whole returns the size for people.
func (b *Body) whole() string {
	if b.size < 0 {
		return "an unknown number of"
	}
	return strconv.FormatInt(b.size, 10)
}

// resume waits for the time of another attempt and makes it.
func (b *Body) resume() {
	if b.r != nil {
		b.r.Close()
		b.r = nil
	}
	if b.cut != nil {
		if b.err = b.attempts.again(b.ctx, b.cut); b.err != nil {
			return
		}
	}
	b.cut = nil
	err := b.reopen()
	if errors.As(err, new(*brokenError)) || errors.As(err, new(*StatusError)) {
		b.cut = err // again decides
		return
	}
	b.err = err
}

// reopen makes one attempt to go on at byte pos of the same version.
func (b *Body) reopen() error {
	validator := b.sent.Validator()
	from := b.pos
	if validator == "" {
		from = 0 // nothing but the bytes themselves can show that they are the same
	}
	resp, err := b.get(from, validator)
	if err != nil {
		return err
	}
	meta := metaOf(resp)
	if meta.Coding != b.sent.Coding && resp.StatusCode < http.StatusMultipleChoices {
		resp.Body.Close()
		return &ChangedError{URL: b.Meta.URL, Want: describeCoding(b.sent.Coding), Have: describeCoding(meta.Coding)}
	}
	switch resp.StatusCode {
	case http.StatusOK:
		from = 0
		if validator != meta.Validator() || meta.Size >= 0 && b.size >= 0 && meta.Size != b.size {
			err = b.changed(meta)
		}
	case http.StatusPartialContent:
		if meta.Size, err = checkRange(resp, from); err == nil {
			err = b.sameWhole(meta, validator)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		err = &ChangedError{URL: b.Meta.URL, Want: b.whole() + " bytes", Have: fmt.Sprintf("none from %d on", b.pos)}
	default:
		return b.c.statusError(resp)
	}
	if err != nil {
		resp.Body.Close()
		return err
	}
	b.r = resp.Body
	return b.skip(b.pos - from)
}

// sameWhole compares a partial answer with the first one.
func (b *Body) sameWhole(meta Meta, validator string) error {
	switch {
	case meta.denies(validator):
		return b.changed(meta)
	case b.size >= 0 && meta.Size != b.size:
		return fmt.Errorf("%s: a part of %s in all, want of %d: %w", b.Meta.URL, spelling.Count(meta.Size, "byte"), b.size, ErrUpstream)
	}
	b.size = meta.Size
	return nil
}

// skip reads n bytes that were handed out before, and compares them where
// nothing else shows that the version is the same.
func (b *Body) skip(n int64) error {
	seen, w := sha256.New(), io.Discard
	if b.read != nil {
		w = seen
	}
	if _, err := io.CopyN(w, b.r, n); err != nil {
		if b.ctx.Err() != nil {
			return failure(b.ctx, b.url, err)
		}
		return b.broken(err)
	}
	if b.read != nil && [sha256.Size]byte(seen.Sum(nil)) != [sha256.Size]byte(b.read.Sum(nil)) {
		return b.changed(Meta{Size: b.size})
	}
	return nil
}

func (b *Body) changed(now Meta) error {
	version := func(m Meta) string {
		if v := m.Validator(); v != "" {
			return fmt.Sprintf("version %.80q", v)
		}
		return fmt.Sprintf("the same first %s", spelling.Count(b.pos, "byte"))
	}
	have := version(now)
	if now.Validator() == "" {
		have = "other content"
	}
	return &ChangedError{URL: b.Meta.URL, Want: version(b.sent), Have: have}
}

// describeCoding returns a content coding for people.
func describeCoding(coding string) string {
	if coding == "" {
		return "no content coding"
	}
	return fmt.Sprintf("content coding %.20q", coding)
}

// Close releases the request. Reading further is an error.
func (b *Body) Close() error {
	if b.err == nil {
		b.err = fmt.Errorf("%s: read after close: %w", b.Meta.URL, ErrConfig)
	}
	var err error
	if b.form != nil {
		err = b.form.Close()
	}
	if b.r != nil {
		err = errors.Join(err, b.r.Close())
		b.r = nil
	}
	return err
}
