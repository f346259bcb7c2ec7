package collect

import (
	"context"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// maxProbes bounds how many artifacts are looked at after a refusal, in each run.
const maxProbes = 4096

// suspect checks an artifact that is not written because another one of its run was
// refused, so that the report lists all bad artifacts and not only the first. It reads a
// small artifact and compares its size and digest; of a large one it only requests the
// headers. The error is errLeft if nothing is wrong with it, or if the allowed number of
// probes is used up.
func (c *collection) suspect(ctx context.Context, l *loading, probes *int) error {
	defer l.release()
	if l.recorded != nil || l.artifact.File.Size < 0 || *probes == 0 {
		return errLeft
	}
	*probes--
	var err error
	if l.loaded != nil {
		<-l.loaded
		if err = unlike(l.artifact, l.bytes, l.failed); err != nil { // as append does, one more look
			_, bytes, failed := load(ctx, l.artifact, l.artifact.File.Size)
			err = unlike(l.artifact, bytes, failed)
		}
	} else {
		err = probe(ctx, l.artifact)
	}
	if err == nil || ctx.Err() != nil {
		return errLeft
	}
	if err = asUpstream(err, l.artifact); !Moved(err) {
		*probes = 0
		return errLeft
	}
	return l.named(err)
}

// unlike states why small content is not what the artifact is; nil: it is.
func unlike(a sources.Artifact, content []byte, failed error) error {
	switch f := a.File; {
	case failed != nil:
		return failed
	case int64(len(content)) > f.Size:
		return fmt.Errorf("more than %s: %w", bundle.Count(f.Size, "byte"), bundle.ErrCorrupt)
	case int64(len(content)) < f.Size:
		return fmt.Errorf("%s, want %d: %w", bundle.Count(len(content), "byte"), f.Size, bundle.ErrCorrupt)
	case !f.Digest.IsZero() && bundle.DigestOf(content) != f.Digest:
		return fmt.Errorf("got %s, want %s: %w", bundle.DigestOf(content), f.Digest, bundle.ErrCorrupt)
	}
	return nil
}

// probe asks whether there is content at all.
func probe(ctx context.Context, a sources.Artifact) error {
	content, err := opened(a)(ctx, 0, "")
	if err != nil {
		return err
	}
	_ = content.Body.Close() // nothing was read
	return nil
}
