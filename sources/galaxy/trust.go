package galaxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/requirements"
	"github.com/gapbundle/gapbundle/sources/galaxy/tarball"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// trust is what the collections of a source are held against.
type trust struct {
	keys keyring.Keys
	need int // signatures that have to hold; -1: all, and one at least
	now  time.Time
}

// fetchSignatures adds the signatures that requirements name to the versions they ask for.
func (c *chosen) fetchSignatures(ctx context.Context, env *sources.Env, e *entry) error {
	for _, key := range slices.Sorted(maps.Keys(c.collections)) {
		p := c.collections[key]
		for _, address := range slices.Sorted(maps.Keys(c.signed[p.Name])) {
			var b []byte
			var err error
			if path, ok := strings.CutPrefix(address, "file://"); ok || !strings.Contains(address, "://") {
				if b, err = bundle.ReadNamed(sources.Within(e.spec.Dir, path), requirements.MaxFile); err != nil {
					err = asUsage(err)
				}
			} else {
				b, _, err = env.Fetch.ReadAll(ctx, address, pgpkeys.MaxSignature)
			}
			if err != nil {
				return fmt.Errorf("collection %s: signature %s: %w", p.Name, fetch.Redact(address), err)
			}
			p.signatures = append(slices.Clip(p.signatures), string(b))
		}
	}
	return nil
}

// mark returns what an archive was checked by, which is recorded with it. One that was collected under another mark
// is checked again.
func (t *trust) mark(p *pick) string {
	var lapsed strings.Builder
	for _, k := range t.keys {
		self, _ := k.PrimarySelfSignature()
		fmt.Fprint(&lapsed, len(k.Revocations) > 0 || self == nil || k.PrimaryKey.KeyExpired(self, t.now), " ")
	}
	text := fmt.Sprintf("%s\n%s\n%d\n%s %s\n%q", t.keys, &lapsed, t.need, p.Name, p.Release.Version, p.signatures)
	return "galaxy:" + bundle.DigestOf([]byte(text)).Hex()[:32]
}

// vouched returns how an archive is vouched for. Which of several keys signed it is not known before it is read.
func (t *trust) vouched(p *pick, pinned bool) string {
	switch {
	case len(t.keys) > 0 && len(p.signatures) > 0 && t.need != 0 && len(t.keys) == 1:
		return t.keys.Vouched()
	case len(t.keys) > 0 && len(p.signatures) > 0 && t.need != 0:
		return bundle.VouchedIndex
	case pinned:
		return bundle.VouchedPinned
	case p.secure:
		return bundle.VouchedTLS
	}
	return bundle.VouchedNone
}

// opened checks an archive while it is read.
type opened struct {
	*tarball.Verifier
	trust *trust
	pick  *pick
	where string
}

// Verdict compares the archive with who it should be, and checks its signatures.
func (o *opened) Verdict() error {
	found, err := o.Verifier.Verdict()
	if err != nil {
		return upstream.Blame(o.where, err)
	}
	if found.FullName() != o.pick.Name || found.Version != o.pick.Release.Version.String() {
		return fmt.Errorf("%s: is %s %s by its own metadata, the server says %s %s: %w",
			o.where, found.FullName(), found.Version, o.pick.Name, o.pick.Release.Version, fetch.ErrRefused)
	}
	for _, name := range slices.Sorted(maps.Keys(found.Dependencies)) {
		if _, ok := o.pick.Release.Dependencies[name]; !ok {
			return fmt.Errorf("%s: depends on %s, which the server does not say: %w", o.where, name, fetch.ErrRefused)
		}
	}
	return o.trust.signed(o.where, found.Manifest, o.pick.signatures)
}

// signed counts the signatures of a manifest that hold.
func (t *trust) signed(where string, manifest []byte, signatures []string) error {
	if len(t.keys) == 0 {
		return nil
	}
	valid := 0
	var wrong []error
	for i, s := range slices.Compact(slices.Sorted(slices.Values(signatures))) {
		if _, err := t.keys.Detached(fmt.Sprintf("%s: signature %d", where, i+1), manifest, []byte(s), t.now); err != nil {
			wrong = append(wrong, err)
			continue
		}
		valid++
	}
	switch {
	case t.need < 0 && (len(wrong) > 0 || valid == 0), valid < t.need:
		text := fmt.Sprintf("%s: %s of MANIFEST.json, want %s by %s", where, bundle.Count(valid, "valid signature"), t.wanted(), t.keys)
		for _, err := range wrong {
			text += "; " + err.Error()
		}
		return fmt.Errorf("%s: %w", text, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
	}
	return nil
}

func (t *trust) wanted() string {
	if t.need < 0 {
		return "all, and one at least,"
	}
	return fmt.Sprint(t.need)
}

// readThrough reads an archive that the base has to its end, for the sake of its checks.
func readThrough(open bundle.Open) func(context.Context) error {
	return func(ctx context.Context) error {
		content, err := open(ctx, 0, "")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, content.Body)
		return upstream.Blame("", errors.Join(err, content.Body.Close()))
	}
}
