package apt

import (
	"context"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

const (
	// maxRelease bounds a Release file, which is held in memory; Debian's have
	// 150 KB.
	maxRelease = 16 << 20 // bytes

	nameInRelease = "InRelease"
	nameRelease   = "Release"
	nameDetached  = "Release.gpg"
)

// signed is a Release whose signature holds.
type signed struct {
	release *deb.Release
	// files are what was fetched: InRelease, or Release and Release.gpg.
	files []signedFile
	// signers are the keys that signed, one or more.
	signers keyring.Keys
}

type signedFile struct {
	name    string
	content []byte
}

func (f *signedFile) digest() bundle.Digest { return bundle.DigestOf(f.content) }

// readRelease reads the Release of a suite that is not older than the one that was
// exported before.
func readRelease(ctx context.Context, env *sources.Env, s *suite, keys keyring.Keys) (found *signed, err error) {
	err = upstream.Forward(ctx, env, s.entry.name, func() int { return len(s.root.place.Bases()) }, func(mirror int) (sources.Dated, error) {
		if found, err = readReleaseOf(ctx, env, s, s.root.place.Prefer(mirror), keys); err != nil {
			return nil, err
		}
		return sources.Dated{s.at(nameRelease): found.release.Date}, nil
	})
	return found, err
}

// readReleaseOf reads the Release of a suite and judges it. InRelease comes before
// Release.gpg, as in apt, and one that exists and does not hold is refused: only its
// absence leads to the other.
func readReleaseOf(ctx context.Context, env *sources.Env, s *suite, place *upstream.Place, keys keyring.Keys) (*signed, error) {
	page, err := place.First(ctx, env, s.dir+nameInRelease, maxRelease)
	if err != nil {
		return nil, err
	}
	where, found, text := s.where(nameInRelease), &signed{}, []byte(nil)
	if page != nil {
		found.files = []signedFile{{nameInRelease, page.Content}}
		text, found.signers, err = keys.ClearSigned(where, page.Content, env.Now)
		if err == nil && s.want.Installer && !s.entry.rebuilt {
			err = found.addDetached(ctx, env, s, place, text, keys)
		}
	} else {
		where = s.where(nameRelease)
		text, found, err = readDetached(ctx, env, s, place, keys)
	}
	if err != nil {
		return nil, err
	}
	if found.release, err = deb.ParseRelease(text); err != nil {
		return nil, upstream.Blame(where, err)
	}
	if !s.flat && len(s.want.Components) == 0 {
		found.release.Components = s.want.impliedComponents(found.release)
	}
	return found, s.judge(found.release, where, env.Now)
}

// readDetached reads Release and Release.gpg.
func readDetached(ctx context.Context, env *sources.Env, s *suite, place *upstream.Place, keys keyring.Keys) ([]byte, *signed, error) {
	release, err := place.Read(ctx, env, s.dir+nameRelease, maxRelease)
	if err != nil {
		return nil, nil, err
	}
	signature, err := place.Optional(ctx, env, s.dir+nameDetached, pgpkeys.MaxSignature)
	if err != nil {
		return nil, nil, err
	}
	if signature == nil {
		return nil, nil, keys.Unsigned(s.where(nameRelease), nameInRelease, nameDetached)
	}
	by, err := keys.Detached(s.where(nameDetached), release.Content, signature.Content, env.Now)
	files := []signedFile{{nameRelease, release.Content}, {nameDetached, signature.Content}}
	return release.Content, &signed{files: files, signers: by}, err
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
