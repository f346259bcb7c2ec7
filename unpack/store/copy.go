package store

import (
	"context"
	"io"
)

// copyChunk is how much is copied between two looks at the context.
const copyChunk = 4 << 20 // bytes

func copyContext(ctx context.Context, dst io.Writer, src io.Reader) (int64, error) {
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := io.CopyN(dst, src, copyChunk)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
