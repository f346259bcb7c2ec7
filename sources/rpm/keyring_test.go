package rpm

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// A key that was revoked, or has expired, since the last export counts for
// nothing from then on, also for what the base has.
func TestKeyLapsesMeanwhile(t *testing.T) {
	lost, short := rpmtest.NewKey(t, "lost", 0), rpmtest.NewKey(t, "short", 370*24*time.Hour)
	a := newArchive(t, t.TempDir())
	a.Signer = nil
	for name, test := range map[string]struct {
		by    *openpgp.Entity
		lapse func(env *sources.Env)
		why   string
	}{
		"revoked": {lost, func(*sources.Env) {
			if err := lost.RevokeKey(packet.KeyCompromised, "lost", &packet.Config{Time: func() time.Time { return now.AddDate(0, -1, 0) }}); err != nil {
				t.Fatal(err)
			}
		}, "revoked"},
		"expired": {short, func(env *sources.Env) { env.Now = now.AddDate(0, 1, 0) }, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range a.Packages {
				p.Signer = test.by
			}
			a.publish()
			hello := a.find("Packages/hello")
			both := strings.Replace(a.spec("gpgkey: [archive.asc, other.asc]"), "  gpgkey: archive.asc\n", "", 1)
			alone := strings.Replace(a.spec(), "archive.asc", "other.asc", 1)
			writeKeys(t, filepath.Join(a.dir, "other.asc"), test.by)
			base := record(t, mustPlan(t, newEnv(t, a.dir, nil), both))
			env := newEnv(t, a.dir, base)
			test.lapse(env)
			writeKeys(t, filepath.Join(a.dir, "other.asc"), test.by)
			x := artifacts(t, mustPlan(t, env, both), "epel")[hello]
			if x.Known == nil {
				t.Fatal("what the base has counts as signed")
			}
			refused(t, x.Known(t.Context()), fetch.ErrRefused, hello, test.why)
			_, err := plan(t, env, alone)
			refused(t, err, fetch.ErrRefused, pgpkeys.Fingerprint(test.by), test.why, "gpgkey")
			if _, err := plan(t, env, strings.Replace(a.spec("allow-unsigned: true"), "archive.asc", "other.asc", 1)); err != nil {
				t.Errorf("where unsigned packages may come: %v", err)
			}
		})
	}
}

// Of two copies of a key the one that says more counts, in whichever order they
// stand: that it was revoked, and else the one that was renewed last.
func TestTwoCopiesOfAKey(t *testing.T) {
	a := newArchive(t, t.TempDir())
	lost := rpmtest.NewKey(t, "lost", 0)
	a.Signer = nil
	for _, p := range a.Packages {
		p.Signer = lost
	}
	a.publish()
	writeKeys(t, filepath.Join(a.dir, "old.asc"), lost)
	if err := lost.RevokeKey(packet.KeyCompromised, "lost", &packet.Config{Time: func() time.Time { return now.AddDate(0, -1, 0) }}); err != nil {
		t.Fatal(err)
	}
	writeKeys(t, filepath.Join(a.dir, "new.asc"), lost)
	for _, order := range []string{"[old.asc, new.asc]", "[new.asc, old.asc]"} {
		_, err := plan(t, newEnv(t, a.dir, nil), strings.Replace(a.spec("gpgkey: "+order), "  gpgkey: archive.asc\n", "", 1))
		refused(t, err, fetch.ErrRefused, "revoked")
	}
	short := rpmtest.NewKey(t, "short", 60*24*time.Hour)
	for _, p := range a.Packages {
		p.Signer = short
	}
	a.publish()
	writeKeys(t, filepath.Join(a.dir, "old.asc"), short)
	for _, id := range short.Identities {
		lifetime := uint32(0)
		id.SelfSignature.KeyLifetimeSecs, id.SelfSignature.CreationTime = &lifetime, now.AddDate(0, -2, 0)
		if err := id.SelfSignature.SignUserId(id.UserId.Id, short.PrimaryKey, short.PrivateKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	writeKeys(t, filepath.Join(a.dir, "new.asc"), short)
	for _, order := range []string{"[old.asc, new.asc]", "[new.asc, old.asc]"} {
		all := artifacts(t, mustPlan(t, newEnv(t, a.dir, nil), strings.Replace(a.spec("gpgkey: "+order), "  gpgkey: archive.asc\n", "", 1)), "epel")
		if _, err := readArtifact(t, all[a.find("Packages/hello")]); err != nil {
			t.Error(order, err)
		}
	}
}

// Keys may come from anywhere, as long as they are those that were named.
func TestKeysByFingerprint(t *testing.T) {
	a := newArchive(t, t.TempDir())
	_, eve := signers(t)
	a.publish()
	both, err := pgpkeys.Armor(openpgp.EntityList{a.key, eve})
	if err != nil {
		t.Fatal(err)
	}
	a.server.Put("/keys", both)
	a.server.Put("/nothing", []byte("<html>"))
	spec := func(path string, prints ...string) string {
		return strings.Replace(a.spec("gpgkey: {url: '"+a.server.URL(path)+"', fingerprint: ['"+strings.Join(prints, "', '")+"']}"), "  gpgkey: archive.asc\n", "", 1)
	}
	own, other := pgpkeys.Fingerprint(a.key), pgpkeys.Fingerprint(eve)
	if keys := mustPlan(t, newEnv(t, a.dir, nil), spec("/keys", strings.ToLower(own))).Repositories[0].Keys; len(keys) != 1 || keys[0].Fingerprint != own {
		t.Errorf("%v", keys)
	}
	_, err = plan(t, newEnv(t, a.dir, nil), spec("/keys", other))
	refused(t, err, fetch.ErrRefused, own, other)
	missing := strings.Repeat("0", 40)
	_, err = plan(t, newEnv(t, a.dir, nil), spec("/keys", own, missing))
	refused(t, err, fetch.ErrRefused, a.server.URL("/keys"), "want the key "+missing, own, other)
	_, err = plan(t, newEnv(t, a.dir, nil), spec("/nothing", own))
	refused(t, err, fetch.ErrUpstream, a.server.URL("/nothing"))
	_, err = plan(t, newEnv(t, a.dir, nil), spec("/gone", own))
	refused(t, err, fetch.ErrUpstream, a.server.URL("/gone"))
}
