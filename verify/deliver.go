package verify

import (
	"context"

	"github.com/gapbundle/gapbundle/bundle"
)

// delivery is one step for the writer of a long blob. Exactly one of its fields is set.
type delivery struct {
	begin   *bundle.Blob // a new writer
	content []byte       // bytes of a frame for the writer
	commit  bool         // the digest was right
	done    *job         // nothing needs the frame any more
}

func hand(ctx context.Context, out chan<- delivery, d delivery) error {
	select {
	case out <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver writes the blobs that are in several frames while join hashes them: on a machine
// with more than two cores one goroutine for both would be the limit. It takes all that
// join has handed over, also when join has found damage after it.
func (s *stream) deliver(in <-chan delivery, free chan<- *job) error {
	var w BlobWriter // nil: there is none, or the content is not needed
	defer func() {
		if w != nil {
			w.Abort()
		}
	}()
	for d := range in {
		switch {
		case d.begin != nil && s.sink != nil:
			var err error
			if w, err = s.sink.Create(*d.begin); err != nil {
				return err
			}
		case d.done != nil:
			s.progress.Add(d.done.frame.Compressed)
			free <- d.done
		case w == nil:
		case d.commit:
			ended := w
			w = nil
			if err := ended.Commit(); err != nil {
				return err
			}
		default:
			if _, err := w.Write(d.content); err != nil {
				return err
			}
		}
	}
	return nil
}
