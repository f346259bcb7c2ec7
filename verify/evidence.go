package verify

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// pathHash is a digest over paths, by which two lists are known to speak of
// the same files without being read side by side.
type pathHash struct{ h hash.Hash }

func newPathHash() pathHash { return pathHash{bundle.NewHash()} }

func (p pathHash) add(path string) {
	_, _ = io.WriteString(p.h, path)
	_, _ = p.h.Write([]byte{0})
}

func (p pathHash) sum() bundle.Digest { return bundle.SumOf(p.h) }

// checkEvidence requires that the evidence list has one line for each file and
// as many that nothing vouches for as the root states. paths is the digest over
// the paths of the file list, zero if that is not known.
func (l *lists) checkEvidence(ctx context.Context, repo int, paths bundle.Digest) error {
	if !l.atHand(repo, bundle.CarriedEvidence) {
		return nil
	}
	r := &l.b.manifest.Repositories[repo]
	claims, err := l.claimEvidence(ctx, repo)
	if err != nil {
		return err
	}
	var order bundle.PathOrder
	var count, unpinned int64
	h := newPathHash()
	for e, err := range l.b.Evidence(repo) {
		if err == nil {
			if err = order.Next(e.Path); err == nil {
				err = checkEvidenceLine(&e)
			}
			if err != nil {
				err = fmt.Errorf("repository %s: evidence: %w", r.Name, err)
			}
		}
		if err != nil {
			return l.found.fault(err)
		}
		count++
		if e.Unpinned() {
			unpinned++
		}
		h.add(e.Path)
		claims.settleEvidence(&e)
		if count%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	switch {
	case unpinned != r.Unpinned:
		l.found.add(fmt.Errorf("repository %s: evidence of %s that nothing vouches for, the root says %d: %w", r.Name, bundle.Count(unpinned, "file"), r.Unpinned, bundle.ErrMalformed))
	case !paths.IsZero() && h.sum() != paths:
		l.found.add(fmt.Errorf("repository %s: evidence of %s, not those of the %s: %w", r.Name, bundle.Count(count, "path"), bundle.Count(r.Count, "file"), bundle.ErrMalformed))
	}
	if err := claims.unsettled(l.b, repo, evidenceClaim); err != nil {
		return l.found.fault(err)
	}
	l.b.report.count("evidence lines", count)
	return nil
}

func checkEvidenceLine(e *bundle.Evidence) error {
	switch e.Vouched {
	case bundle.VouchedPinned, bundle.VouchedIndex, bundle.VouchedLocal, bundle.VouchedTLS, bundle.VouchedNone, bundle.VouchedMade:
	default:
		if !isSignedBy(e.Vouched) {
			return fmt.Errorf("path %q: vouched %.80q: %w", e.Path, e.Vouched, bundle.ErrMalformed)
		}
	}
	for _, text := range []string{e.Origin, e.Reason} {
		if err := bundle.CheckText(text); err != nil {
			return fmt.Errorf("path %q: %w", e.Path, err)
		}
	}
	if e.Annotations != nil {
		if err := bundle.CheckAnnotations(e.Annotations); err != nil {
			return fmt.Errorf("path %q: annotations: %w", e.Path, err)
		}
	}
	return nil
}

// isSignedBy reports whether s names the key by which something is vouched for.
func isSignedBy(s string) bool {
	if fpr, ok := strings.CutPrefix(s, bundle.VouchedOpenPGP); ok {
		return isFingerprint(fpr)
	}
	if fpr, ok := strings.CutPrefix(s, bundle.VouchedSSH+"SHA256:"); ok {
		sum, err := base64.RawStdEncoding.Strict().DecodeString(fpr)
		return err == nil && len(sum) == len(bundle.Digest{})
	}
	id, ok := strings.CutPrefix(s, bundle.VouchedCosign)
	_, err := bundle.ParseHex(id)
	return ok && err == nil
}
