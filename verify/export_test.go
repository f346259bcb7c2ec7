package verify

import (
	"context"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

// CheckEvidenceLine calls checkEvidenceLine.
func CheckEvidenceLine(e *bundle.Evidence) error { return checkEvidenceLine(e) }

// StreamFrom works like Stream, over a file that is somewhere else, or fails.
func (b *Bundle) StreamFrom(ctx context.Context, volume int, r io.Reader, sink Sink) error {
	s := &stream{b: b, v: b.volumes[volume].Volume, sink: sink, progress: bundle.NoProgress}
	slots, err := s.slots(2)
	if err != nil {
		return err
	}
	return s.run(ctx, r, 2, slots)
}
