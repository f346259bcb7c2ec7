package fetch

import (
	"context"
	"io"
)

// Body is the content of a URL from byte At on. The caller closes it; until
// then it holds one of its host's parallel requests.
type Body struct {
	Meta Meta
	At   int64

	r io.ReadCloser
}

// Read reads on.
func (b *Body) Read(p []byte) (int, error) { return b.r.Read(p) }

// Close gives the request back.
func (b *Body) Close() error { return b.r.Close() }

// Open opens url at byte at if the content is still the version that validator
// names (see Meta.Validator), otherwise from its first byte; Body.At says which.
func (c *Client) Open(ctx context.Context, url string, at int64, validator string) (*Body, error) {
	return nil, ErrUpstream
}

// Stat asks about url without its content.
func (c *Client) Stat(ctx context.Context, url string) (*Meta, error) { return nil, ErrUpstream }

// ReadAll reads the whole content of url, at most limit bytes.
func (c *Client) ReadAll(ctx context.Context, url string, limit int64) ([]byte, *Meta, error) {
	return nil, nil, ErrUpstream
}
