package apt

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// TestSignatures is the table of what may come as a signature.
func TestSignatures(t *testing.T) {
	eve := plantest.NewSigner(t, "eve", 0)
	const inRelease, release, detached = "InRelease", "Release", "Release.gpg"
	for name, test := range map[string]struct {
		do   func(a *archive)
		good bool
		want []string
	}{
		"right":     {func(*archive) {}, true, nil},
		"wrong key": {func(a *archive) { a.server.Put(a.base()+inRelease, plantest.ClearSign(t, a.indexes(), eve)) }, false, []string{inRelease, pgpkeys.Fingerprint(eve)}},
		"two, one of them ours": {func(a *archive) {
			a.server.Put(a.base()+inRelease, plantest.ClearSign(t, a.indexes(), eve, a.signer))
		}, true, nil},
		"expired key": {func(a *archive) {
			a.signer = plantest.NewSigner(t, "old", 90*24*time.Hour)
			plantest.WriteKeys(t, filepath.Join(a.dir, "archive.asc"), a.signer)
			a.publish()
		}, false, []string{inRelease, "expired"}},
		"revoked key": {func(a *archive) {
			if err := a.signer.RevokeKey(packet.KeyCompromised, "", plantest.SignedAt()); err != nil {
				t.Fatal(err)
			}
			plantest.WriteKeys(t, filepath.Join(a.dir, "archive.asc"), a.signer)
		}, false, []string{inRelease, "revoked"}},
		"unsigned": {func(a *archive) { a.server.Put(a.base()+release, a.indexes()); a.server.Remove(a.base() + inRelease) }, false, []string{release, "no signature"}},
		"stripped": {func(a *archive) { a.server.Put(a.base()+inRelease, a.indexes()) }, false, []string{inRelease, "not signed"}},
		"text before": {func(a *archive) {
			a.server.Put(a.base()+inRelease, append([]byte("Suite: evil\n"), plantest.ClearSign(t, a.indexes(), a.signer)...))
		}, false, []string{inRelease, "before"}},
		"text behind": {func(a *archive) {
			a.server.Put(a.base()+inRelease, append(plantest.ClearSign(t, a.indexes(), a.signer), "Suite: evil\n"...))
		}, false, []string{inRelease, "behind"}},
		"cut": {func(a *archive) {
			b := plantest.ClearSign(t, a.indexes(), a.signer)
			a.server.Put(a.base()+inRelease, b[:len(b)-60])
		}, false, []string{inRelease}},
		"empty": {func(a *archive) { a.server.Put(a.base()+inRelease, nil) }, false, []string{inRelease}},
		"altered": {func(a *archive) {
			a.server.Put(a.base()+inRelease, bytes.Replace(plantest.ClearSign(t, a.indexes(), a.signer), []byte("Origin: Test"), []byte("Origin: Evil"), 1))
		}, false, []string{inRelease}},
		"Release.gpg only": {func(a *archive) {
			r := a.indexes()
			a.server.Remove(a.base() + inRelease)
			a.server.Put(a.base()+release, r)
			a.server.Put(a.base()+detached, plantest.Detach(t, r, a.signer))
		}, true, nil},
		"Release.gpg of somebody else": {func(a *archive) {
			r := a.indexes()
			a.server.Remove(a.base() + inRelease)
			a.server.Put(a.base()+release, r)
			a.server.Put(a.base()+detached, plantest.Detach(t, r, eve))
		}, false, []string{detached, pgpkeys.Fingerprint(eve)}},
		"no way around a bad InRelease": {func(a *archive) {
			r := a.indexes()
			a.server.Put(a.base()+inRelease, plantest.ClearSign(t, r, eve))
			a.server.Put(a.base()+release, r)
			a.server.Put(a.base()+detached, plantest.Detach(t, r, a.signer))
		}, false, []string{inRelease}},
		"no way around InRelease that is refused": {func(a *archive) {
			r := a.indexes()
			a.server.FailAlways(a.base()+inRelease, upstreamtest.Status(403))
			a.server.Put(a.base()+release, r)
			a.server.Put(a.base()+detached, plantest.Detach(t, r, a.signer))
		}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.publish()
			test.do(a)
			_, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
			if test.good {
				if err != nil {
					t.Error(err)
				}
				return
			}
			class := fetch.ErrRefused
			if test.want == nil {
				class = fetch.ErrUpstream
			}
			if !errors.Is(err, class) {
				t.Fatalf("got %v, want %v", err, class)
			}
			for _, want := range test.want {
				if want == inRelease || want == release || want == detached {
					want = a.server.URL(a.base() + want)
				}
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not name %s", err, want)
				}
			}
			if test.want != nil && !strings.Contains(err.Error(), pgpkeys.Fingerprint(a.signer)) {
				t.Errorf("%v: does not name the key that was wanted", err)
			}
		})
	}
}

// Keys by URL count only by their fingerprint.
func TestKeyringByURL(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	eve := plantest.NewSigner(t, "eve", 0)
	text := plantest.Armor(t, a.signer, eve)
	a.server.Put("/key.asc", text)
	spec := func(fingerprint string) string {
		return strings.Replace(a.spec(), "keyring: archive.asc", "keyring: {url: "+a.server.URL("/key.asc")+", fingerprint: "+fingerprint+"}", 1)
	}
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), spec(pgpkeys.Fingerprint(a.signer))); err != nil {
		t.Error(err)
	}
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), spec(pgpkeys.Fingerprint(eve))); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("signed by a key of the file that was not named: got %v", err)
	}
	other := strings.Repeat("AB", 20)
	if _, err := plan(t, plantest.NewEnv(t, a.dir, nil), spec(other)); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), a.server.URL("/key.asc")) {
		t.Errorf("got %v, want ErrRefused that names the key and the URL", err)
	}
}
