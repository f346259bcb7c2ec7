package bundle

import (
	"context"
	"io"
)

// Content is an opened source of a blob.
type Content struct {
	// Body begins at byte At of the content. Whoever opened it closes it.
	Body io.ReadCloser
	At   int64
	// Size is that of the whole content, in bytes, if opening it showed it; 0: not known.
	// Body has so many or ends with an error.
	Size int64
	// Validator identifies the version that Body belongs to (a strong ETag, a
	// modification time and size); empty: not known, never asked to go on.
	Validator string
}

// Open opens content at byte at, if it still is the version that validator
// names; otherwise from byte 0, which Content.At states. It may be called again.
type Open func(ctx context.Context, at int64, validator string) (*Content, error)
