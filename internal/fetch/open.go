package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/gapbundle/gapbundle/internal/spelling"
)

// Open opens url at byte at if the content is still the version that validator
// names (see Meta.Validator), otherwise from its first byte; Body.At states
// which. The Body asks again by itself, as long as ctx lives, when its
// connection breaks.
func (c *Client) Open(ctx context.Context, url string, at int64, validator string) (*Body, error) {
	return c.OpenWanted(ctx, url, nil, at, validator, nil)
}

// OpenWanted works like Open, for content of which something is known (nil: nothing), with more
// fields in the header of each request, as a service sets them that sends its clients on
// to a store (Git LFS). Redirects to another origin are asked without their Authorization.
// If an answer has a content coding, though none was requested, the digest that is wanted
// decides what its content is, see Body.choose.
func (c *Client) OpenWanted(ctx context.Context, url string, header http.Header, at int64, validator string, want *Wanted) (*Body, error) {
	if _, err := parseURL(url); err != nil {
		return nil, err
	}
	if at < 0 || !isValidator(validator) {
		at = 0
	}
	b := &Body{c: c, ctx: ctx, url: url, header: header, want: want, attempts: attempts{c: c}}
	for {
		err := b.open(at, validator)
		if err == nil {
			if err := b.settle(); err != nil {
				return nil, err
			}
			return b, nil
		}
		if err = b.attempts.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// open makes one attempt at the first answer.
func (b *Body) open(at int64, validator string) error {
	resp, err := b.get(at, validator)
	if err != nil {
		return err
	}
	meta := metaOf(resp)
	switch resp.StatusCode {
	case http.StatusOK:
		return b.begin(resp, meta, 0)
	case http.StatusPartialContent:
		meta.Size, err = checkRange(resp, at)
		if err != nil {
			resp.Body.Close()
			return err
		}
		// A part of a coded form goes on with what was kept only if that was kept as it is sent.
		asSent := meta.Coding == "" || b.want.decides() && meta.Size == b.want.Size
		if asSent && !meta.denies(validator) {
			meta.adopt(validator)
			return b.begin(resp, meta, at)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if at == 0 {
			return b.c.statusError(resp)
		}
	default:
		return b.c.statusError(resp)
	}
	// Another version, or nothing after at: from the beginning.
	resp.Body.Close()
	return b.open(0, "")
}

// get makes one request, from byte at on if the validator still holds.
func (b *Body) get(at int64, validator string) (*http.Response, error) {
	header := http.Header{}
	maps.Copy(header, b.header)
	if at > 0 {
		header.Set("Range", "bytes="+strconv.FormatInt(at, 10)+"-")
		header.Set("If-Range", ifRange(validator))
	}
	return b.c.do(b.ctx, http.MethodGet, b.url, header)
}

// do makes one request; whatever the status, an answer is an answer, as it is sent.
func (c *Client) do(ctx context.Context, method, url string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, sentKey{}, true), method, url, nil)
	if err != nil {
		return nil, fmt.Errorf("URL %.200q: not usable: %w", Redact(url), ErrConfig)
	}
	req.Header = header
	resp, err := c.once.Do(req)
	if err != nil {
		return nil, failure(ctx, url, err)
	}
	return resp, nil
}

// checkRange checks that a partial answer is what was requested, all from byte
// at to the end, and returns the size of the whole.
func checkRange(resp *http.Response, at int64) (size int64, err error) {
	url := Redact(resp.Request.URL.String())
	if at == 0 {
		return 0, fmt.Errorf("%s: a part, want the whole: %w", url, ErrUpstream)
	}
	first, last, total, err := contentRange(resp.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", url, err)
	case total < 0:
		return 0, fmt.Errorf("%s: range %d-%d of an unknown size, want from byte %d to the end: %w", url, first, last, at, ErrUpstream)
	case first != at || last != total-1:
		return 0, fmt.Errorf("%s: range %d-%d of %d, want from byte %d to the end: %w", url, first, last, total, at, ErrUpstream)
	case resp.ContentLength >= 0 && resp.ContentLength != total-at:
		return 0, fmt.Errorf("%s: %s for range %d-%d: %w", url, spelling.Count(resp.ContentLength, "byte"), first, last, ErrUpstream)
	}
	return total, nil
}

// Stat asks for what is known about url without its content: by HEAD, or by a GET of its
// first byte if HEAD fails in any way or announces no content. HEAD is a shortcut: what a
// server answers to GET decides, because that is what clients send.
func (c *Client) Stat(ctx context.Context, url string) (*Meta, error) {
	if _, err := parseURL(url); err != nil {
		return nil, err
	}
	a, method := attempts{c: c}, http.MethodHead
	for {
		meta, status, err := c.stat(ctx, method, url)
		if err == nil && (method == http.MethodGet || meta.Size != 0) {
			return meta, nil
		}
		if method == http.MethodHead {
			method = http.MethodGet
			if err == nil || decidesByGet(status) {
				continue
			}
		}
		if err = a.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// decidesByGet reports whether GET is sent at once after HEAD was answered with a status
// that is an error. Servers that know no HEAD answer in many ways, 500 included, and signed
// URLs are often signed for GET alone. 429 wants a pause, whatever the next request is, and
// so does a connection that broke (0).
func decidesByGet(status int) bool {
	return status != 0 && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable
}

func (c *Client) stat(ctx context.Context, method, url string) (meta *Meta, status int, err error) {
	header := http.Header{}
	if method == http.MethodGet {
		header.Set("Range", "bytes=0-0")
	}
	resp, err := c.do(ctx, method, url, header)
	if err != nil {
		return nil, 0, err
	}
	m := metaOf(resp)
	switch {
	case resp.StatusCode == http.StatusOK:
		defer resp.Body.Close()
		m.uncode(resp)
		return &m, resp.StatusCode, nil
	case method == http.MethodGet && resp.StatusCode == http.StatusPartialContent,
		method == http.MethodGet && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		// Not satisfiable: the content is empty, or the server does not state it.
		defer resp.Body.Close()
		if _, _, m.Size, err = contentRange(resp.Header.Get("Content-Range")); err != nil {
			return nil, resp.StatusCode, fmt.Errorf("%s: %w", m.URL, err)
		}
		m.uncode(resp)
		return &m, resp.StatusCode, nil
	}
	return nil, resp.StatusCode, c.statusError(resp)
}

// ReadAll reads the whole content of url, at most limit bytes: a metadata file
// is held in memory and must not fill it. If it changes meanwhile it is read
// once more.
func (c *Client) ReadAll(ctx context.Context, url string, limit int64) ([]byte, *Meta, error) {
	return c.ReadWanted(ctx, url, limit, nil)
}

// ReadWanted works like ReadAll, for content of which something is known, see OpenWanted.
func (c *Client) ReadWanted(ctx context.Context, url string, limit int64, want *Wanted) ([]byte, *Meta, error) {
	if want != nil && want.Size < 0 && (want.Limit <= 0 || want.Limit > limit) {
		bounded := *want
		bounded.Limit, want = limit, &bounded
	}
	content, meta, err := c.readAll(ctx, url, limit, want)
	if errors.As(err, new(*ChangedError)) {
		content, meta, err = c.readAll(ctx, url, limit, want)
	}
	return content, meta, err
}

func (c *Client) readAll(ctx context.Context, url string, limit int64, want *Wanted) ([]byte, *Meta, error) {
	body, err := c.OpenWanted(ctx, url, nil, 0, "", want)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	if body.Meta.Size > limit {
		return nil, nil, fmt.Errorf("%s: %s, want at most %d: %w", body.Meta.URL, spelling.Count(body.Meta.Size, "byte"), limit, ErrUpstream)
	}
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(content)) > limit {
		return nil, nil, fmt.Errorf("%s: more than %s: %w", body.Meta.URL, spelling.Count(limit, "byte"), ErrUpstream)
	}
	return content, &body.Meta, nil
}
