package rpmsig_test

import (
	"bytes"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmsig"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

func verdict(keys openpgp.EntityList, rpm []byte, at time.Time) (*rpmsig.Verdict, error) {
	v := rpmsig.New(keys, at)
	for len(rpm) > 0 { // in pieces of odd sizes
		n := min(len(rpm), 997)
		_, _ = v.Write(rpm[:n])
		rpm = rpm[n:]
	}
	return v.Verdict()
}

func hello(key *openpgp.Entity, form rpmtest.Form) *rpmtest.Package {
	return &rpmtest.Package{Name: "hello", Epoch: "1", Version: "2.10", Release: "1.el9", Arch: "x86_64", Signer: key, Form: form}
}

func TestVerdict(t *testing.T) {
	key, eve := rpmtest.NewKey(t, "archive", 0), rpmtest.NewKey(t, "eve", 0)
	short := rpmtest.NewKey(t, "short", 60*24*time.Hour)
	revoked := rpmtest.NewKey(t, "revoked", 0)
	keys := openpgp.EntityList{key, short, revoked}
	with := func(form rpmtest.Form, change func(*rpmtest.Package)) []byte {
		p := hello(key, form)
		if change != nil {
			change(p)
		}
		return p.Build(t)
	}
	by := func(e *openpgp.Entity) func(*rpmtest.Package) { return func(p *rpmtest.Package) { p.Signer = e } }
	old := func(e *openpgp.Entity) func(*rpmtest.Package) {
		return func(p *rpmtest.Package) {
			p.Signer, p.Signature = e, func(b []byte) []byte { return rpmtest.Version3(t, e, b, time.Time{}) }
		}
	}
	raw := func(kind packet.SignatureType, id byte, hash crypto.Hash) func(*rpmtest.Package) {
		return func(p *rpmtest.Package) {
			p.Signature = func(b []byte) []byte { return rpmtest.Raw(t, key, b, kind, id, hash) }
		}
	}
	last := func(p *rpmtest.Package) {
		p.Spoil = func(b []byte) []byte { b[len(b)-2] ^= 1; return b }
	}
	lost, lostBoth, lostOld := with(rpmtest.Header, by(revoked)), with(rpmtest.Both, by(revoked)), with(rpmtest.Both, old(revoked))
	if err := revoked.RevokeKey(packet.KeyCompromised, "lost", &packet.Config{Time: func() time.Time { return rpmtest.Now.AddDate(0, -1, 0) }}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		rpm  []byte
		want string // of the error; "": it holds
	}{
		"header":             {with(rpmtest.Header, nil), ""},
		"both":               {with(rpmtest.Both, nil), ""},
		"list":               {with(rpmtest.OpenPGP, nil), ""},
		"SHA-512":            {with(rpmtest.Header, func(p *rpmtest.Package) { p.Hash = crypto.SHA512 }), ""},
		"version 3":          {with(rpmtest.Both, old(key)), ""},
		"version 3, header":  {with(rpmtest.Header, old(key)), ""},
		"header alone":       {with(rpmtest.HeaderAlone, nil), "over the header alone"},
		"unknown":            {with(rpmtest.Header, by(eve)), "unknown entity"},
		"unknown, both":      {with(rpmtest.Both, by(eve)), "unknown entity"},
		"unknown, list":      {with(rpmtest.OpenPGP, by(eve)), "unknown entity"},
		"unknown, version 3": {with(rpmtest.Both, old(eve)), "not among those that are trusted"},
		"expired":            {with(rpmtest.Header, by(short)), "expired"},
		"expired, version 3": {with(rpmtest.Both, old(short)), "expired"},
		"revoked":            {lost, "revoked"},
		"revoked, both":      {lostBoth, "revoked"},
		"revoked, version 3": {lostOld, "revoked"},
		"raw":                {with(rpmtest.Header, raw(packet.SigTypeBinary, 8, crypto.SHA256)), ""},
		"SHA-1":              {with(rpmtest.Header, raw(packet.SigTypeBinary, 2, crypto.SHA1)), "not trusted: SHA-1"},
		"SHA-1, both":        {with(rpmtest.Both, raw(packet.SigTypeBinary, 2, crypto.SHA1)), "not trusted: SHA-1"},
		"SHA-1, list":        {with(rpmtest.OpenPGP, raw(packet.SigTypeBinary, 2, crypto.SHA1)), "not trusted: SHA-1"},
		"MD5":                {with(rpmtest.Header, raw(packet.SigTypeBinary, 1, crypto.MD5)), "not readable"},
		"of a text":          {with(rpmtest.Header, raw(packet.SigTypeText, 8, crypto.SHA256)), "a signature of text"},
		"SHA-1, version 3": {with(rpmtest.Both, func(p *rpmtest.Package) {
			p.Signature = func(b []byte) []byte { s := rpmtest.Version3(t, key, b, time.Time{}); s[3+16] = 2; return s }
		}), "not trusted"},
		"payload changed":         {with(rpmtest.Header, last), "digest"},
		"payload changed, both":   {with(rpmtest.Both, last), "digest"},
		"payload changed, no MD5": {with(rpmtest.Header, func(p *rpmtest.Package) { p.Spoil = func(b []byte) []byte { b[len(b)-2] ^= 1; return dropMD5(t, b) } }), "payload digest"},
		"not whole":               {with(rpmtest.Header, nil)[:500], "not a whole"},
		"no rpm":                  {[]byte(strings.Repeat("x", 200)), "not an rpm package"},
		"nothing":                 {nil, "not a whole"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := verdict(keys, test.rpm, rpmtest.Now)
			switch {
			case test.want == "" && (err != nil || len(v.Signers) != 1 || v.Signers[0] != key):
				t.Errorf("got %v, %v; want signed by the key", v, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, %v; want an error with %q", v, err, test.want)
			case test.want == "" && v.Identity != (rpmsig.Identity{Name: "hello", Epoch: 1, Version: "2.10", Release: "1.el9", Arch: "x86_64"}):
				t.Errorf("identity %+v", v.Identity)
			}
		})
	}
	t.Run("not signed", func(t *testing.T) {
		v, err := verdict(keys, with(rpmtest.Unsigned, nil), rpmtest.Now)
		if err != nil || len(v.Signers) != 0 {
			t.Errorf("got %v, %v; want nobody, and no error", v, err)
		}
	})
}

// dropMD5 gives the tag of the MD5 digest another number.
func dropMD5(t *testing.T, rpm []byte) []byte {
	t.Helper()
	at := bytes.Index(rpm, []byte{0, 0, 3, 0xec, 0, 0, 0, 7})
	if at < 0 {
		t.Fatal("no MD5")
	}
	rpm[at+3] = 0xed + 8
	return rpm
}

// FuzzVerdict: no bytes end the program, or are taken for signed.
func FuzzVerdict(f *testing.F) {
	key, other := edwards(f), edwards(f)
	for _, form := range []rpmtest.Form{rpmtest.Header, rpmtest.Both, rpmtest.OpenPGP, rpmtest.Unsigned} {
		f.Add(hello(key, form).Build(f))
	}
	f.Fuzz(func(t *testing.T, rpm []byte) {
		if v, err := verdict(openpgp.EntityList{other}, rpm, rpmtest.Now); err == nil && len(v.Signers) > 0 {
			t.Error("signed by a key that signed nothing")
		}
	})
}

// edwards returns a key that is made in no time.
func edwards(f testing.TB) *openpgp.Entity {
	e, err := openpgp.NewEntity("a", "", "a@a.example", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return rpmtest.Now.AddDate(-1, 0, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	return e
}
