package rpmsig_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmsig"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// Where a header's entry has its fields.
const (
	fieldKind   = 4
	fieldOffset = 8
	fieldCount  = 12
)

// headers returns where the signature header and the header begin.
func headers(t *testing.T, rpm []byte) [2]int {
	t.Helper()
	magic := []byte{0x8e, 0xad, 0xe8, 1}
	first := bytes.Index(rpm, magic)
	second := bytes.Index(rpm[first+1:], magic)
	if first < 0 || second < 0 {
		t.Fatal("no headers")
	}
	return [2]int{first, first + 1 + second}
}

// patch changes a field of an entry of the signature header (0) or the header (1).
func patch(t *testing.T, which int, tag, field, value uint32) func([]byte) []byte {
	return func(rpm []byte) []byte {
		t.Helper()
		at := headers(t, rpm)[which]
		for i, n := at+16, binary.BigEndian.Uint32(rpm[at+8:]); n > 0; i, n = i+16, n-1 {
			if binary.BigEndian.Uint32(rpm[i:]) == tag {
				binary.BigEndian.PutUint32(rpm[i+int(field):], value)
				return rpm
			}
		}
		t.Fatalf("no entry %d", tag)
		return nil
	}
}

// intro changes a number at the beginning of a header.
func intro(t *testing.T, which, at int, value uint32) func([]byte) []byte {
	return func(rpm []byte) []byte {
		binary.BigEndian.PutUint32(rpm[headers(t, rpm)[which]+at:], value)
		return rpm
	}
}

// TestHostileHeaders: headers that are not what they say are refused, and
// read nowhere beyond their end.
func TestHostileHeaders(t *testing.T) {
	key := edwards(t)
	for name, test := range map[string]struct {
		spoil func([]byte) []byte
		want  string
	}{
		"magic of the signature header": {intro(t, 0, 0, 0x8eade802), "no rpm header"},
		"magic of the header":           {intro(t, 1, 0, 0x8eade802), "no rpm header"},
		"many entries":                  {intro(t, 0, 8, 0x10000), "header of 65536 entries"},
		"much data":                     {intro(t, 1, 12, 64<<20+1), "67108865 bytes"},
		"more entries than bytes":       {intro(t, 1, 8, 0xffff), "not a whole"},
		"offset":                        {patch(t, 1, 1000, fieldOffset, 0xfffffff0), "is beyond its end"},
		"offset of a signature":         {patch(t, 0, 268, fieldOffset, 1<<30), "is beyond its end"},
		"signature of a string":         {patch(t, 0, 268, fieldKind, 6), "entry 268: not readable"},
		"signature without an end":      {patch(t, 0, 268, fieldCount, 0xffffffff), "entry 268: not readable"},
		"MD5 of a string":               {patch(t, 0, 1004, fieldKind, 6), "entry 1004: not readable"},
		"name of bytes":                 {patch(t, 1, 1000, fieldKind, 7), "entry 1000: not readable"},
		"no names":                      {func(b []byte) []byte { return patch(t, 1, 1000, fieldKind, 8)(patch(t, 1, 1000, fieldCount, 0)(b)) }, "entry 1000: not readable"},
		"many names":                    {func(b []byte) []byte { return patch(t, 1, 1000, fieldKind, 8)(patch(t, 1, 1000, fieldCount, 17)(b)) }, "entry 1000: not readable"},
		"epoch of a string":             {patch(t, 1, 1003, fieldKind, 6), "entry 1003: not readable"},
		"no epochs":                     {patch(t, 1, 1003, fieldCount, 0), "entry 1003: not readable"},
	} {
		t.Run(name, func(t *testing.T) {
			p := hello(key, rpmtest.Header)
			p.Spoil = test.spoil
			if v, err := verdict(openpgp.EntityList{key}, p.Build(t), rpmtest.Now); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v; want an error with %q", v, err, test.want)
			}
		})
	}
	// A header ends with 16, the count of its region.
	for name, tag := range map[string]uint32{"without an end": 1000, "not readable": 1003} {
		p := hello(key, rpmtest.Header)
		p.Spoil = func(rpm []byte) []byte {
			size := binary.BigEndian.Uint32(rpm[headers(t, rpm)[1]+12:])
			return patch(t, 1, tag, fieldOffset, size-1)(rpm)
		}
		if v, err := verdict(openpgp.EntityList{key}, p.Build(t), rpmtest.Now); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, %v; want an error with %q", v, err, name)
		}
	}
}

// TestDigestsAndTags: every digest has to fit, and every tag of a signature counts.
func TestDigestsAndTags(t *testing.T) {
	key, eve := edwards(t), edwards(t)
	payload := []byte("payload")
	text := func(tag uint32, s string) rpmtest.Entry {
		return rpmtest.Entry{Tag: tag, Kind: 6, Count: 1, Data: append([]byte(s), 0)}
	}
	off := func(tags ...uint32) (all []rpmtest.Entry) {
		for _, tag := range tags {
			all = append(all, rpmtest.Entry{Tag: tag})
		}
		return all
	}
	sign := func(e *openpgp.Entity, b []byte) []byte { return rpmtest.Sign(t, e, b, crypto.SHA256, time.Time{}) }
	listed := func(e *openpgp.Entity, b []byte) string { return base64.StdEncoding.EncodeToString(sign(e, b)) }
	sum384, sum512 := sha512.Sum384(payload), sha512.Sum512(payload)
	sum256 := sha256.Sum256(payload)
	digest := func(algo uint32, sum []byte) []rpmtest.Entry {
		return []rpmtest.Entry{rpmtest.Texts(5092, hex.EncodeToString(sum)), rpmtest.Number(5093, algo)}
	}
	for name, test := range map[string]struct {
		head []rpmtest.Entry
		sigs func(head, both []byte) []rpmtest.Entry
		want string
	}{
		"payload SHA-256":         {head: digest(8, sum256[:])},
		"payload SHA-384":         {head: digest(9, sum384[:])},
		"payload SHA-512":         {head: digest(10, sum512[:])},
		"payload SHA-1":           {head: digest(2, sum256[:20]), want: "payload digest of algorithm 2"},
		"payload, other":          {head: digest(10, sum384[:]), want: "payload digest: want"},
		"payload digest a number": {head: []rpmtest.Entry{rpmtest.Number(5092, 1)}, want: "not readable"},
		"SHA-1 of the header":     {sigs: func(_, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{text(269, strings.Repeat("0", 40))} }, want: "header SHA1 digest"},
		"SHA-256 of the header":   {sigs: func(_, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{text(273, strings.Repeat("0", 64))} }, want: "header SHA256 digest"},
		"SHA-3 of the header":     {sigs: func(_, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{text(279, strings.Repeat("0", 64))} }, want: "header SHA3-256 digest"},
		"SHA-3 that fits": {sigs: func(head, _ []byte) []rpmtest.Entry {
			sum := sha3.Sum256(head)
			return []rpmtest.Entry{text(279, hex.EncodeToString(sum[:]))}
		}},
		"GPG":            {sigs: func(_, both []byte) []rpmtest.Entry { return append(off(268), rpmtest.Bin(1005, sign(key, both))) }},
		"GPG of another": {sigs: func(_, both []byte) []rpmtest.Entry { return []rpmtest.Entry{rpmtest.Bin(1005, sign(eve, both))} }, want: "header and payload signature: by"},
		"DSA":            {sigs: func(head, _ []byte) []rpmtest.Entry { return append(off(268), rpmtest.Bin(267, sign(key, head))) }},
		"DSA of another": {sigs: func(head, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{rpmtest.Bin(267, sign(eve, head))} }, want: "header signature: by"},
		"list, one of two": {sigs: func(head, _ []byte) []rpmtest.Entry {
			return append(off(268), rpmtest.Texts(278, listed(eve, head), listed(key, head)))
		}},
		"list, another beside": {sigs: func(head, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{rpmtest.Texts(278, listed(eve, head))} }, want: "header signature: by"},
		"list, not base64": {sigs: func(head, _ []byte) []rpmtest.Entry {
			return append(off(268), rpmtest.Texts(278, listed(key, head), "?"))
		}, want: "not base64"},
		"list of nothing": {sigs: func(_, _ []byte) []rpmtest.Entry { return append(off(268), rpmtest.Texts(278, "")) }, want: "not readable"},
		"two in one": {sigs: func(head, _ []byte) []rpmtest.Entry {
			return []rpmtest.Entry{rpmtest.Bin(268, append(sign(key, head), sign(eve, head)...))}
		}, want: "not readable"},
		"of another package": {sigs: func(_, _ []byte) []rpmtest.Entry {
			return []rpmtest.Entry{rpmtest.Bin(268, sign(key, []byte("another header")))}
		}, want: "header signature: by"},
		"empty": {sigs: func(_, _ []byte) []rpmtest.Entry { return []rpmtest.Entry{rpmtest.Bin(268, []byte{})} }, want: "not readable"},
	} {
		t.Run(name, func(t *testing.T) {
			p := hello(key, rpmtest.Header)
			p.Payload, p.InHeader, p.InSignature = payload, test.head, test.sigs
			v, err := verdict(openpgp.EntityList{key}, p.Build(t), rpmtest.Now)
			switch {
			case test.want == "" && (err != nil || len(v.Signers) != 1 || v.Signers[0] != key):
				t.Errorf("got %v, %v; want signed by the key", v, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, %v; want an error with %q", v, err, test.want)
			}
		})
	}
}

// A package without SOURCERPM is a source package, whatever it is called, and of
// two entries of one tag the first counts.
func TestIdentity(t *testing.T) {
	key := edwards(t)
	p := hello(key, rpmtest.Header)
	p.InHeader = []rpmtest.Entry{{Tag: 1044}}
	if v, err := verdict(openpgp.EntityList{key}, p.Build(t), rpmtest.Now); err != nil || v.Identity.Arch != "src" {
		t.Errorf("%+v, %v", v, err)
	}
	p.InHeader = []rpmtest.Entry{{Tag: 1000, Kind: 6, Count: 1, Data: []byte("first\x00")}, {Tag: 1000, Kind: 6, Count: 1, Data: []byte("second\x00")}}
	if v, err := verdict(openpgp.EntityList{key}, p.Build(t), rpmtest.Now); err != nil || v.Identity.Name != "first" {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVersion3: signatures of version 3 are read here, not by the library.
func TestVersion3(t *testing.T) {
	key, eve := rpmtest.NewKey(t, "archive", 0), rpmtest.NewKey(t, "eve", 0)
	small := rpmtest.NewKey(t, "small", 0)
	keys := openpgp.EntityList{key, small}
	at := func(i int, to byte) func([]byte) []byte {
		return func(sig []byte) []byte { sig[i] = to; return sig }
	}
	for name, test := range map[string]struct {
		made   time.Time
		change func(sig []byte) []byte // three bytes of it are the packet's own
		want   string
	}{
		"whole":                   {},
		"forged":                  {change: func(sig []byte) []byte { sig[len(sig)-1] ^= 1; return sig }, want: "verification error"},
		"of another key":          {change: func(sig []byte) []byte { binary.BigEndian.PutUint64(sig[3+7:], eve.PrimaryKey.KeyId); return sig }, want: "not among those that are trusted"},
		"of a key that is not it": {change: func(sig []byte) []byte { binary.BigEndian.PutUint64(sig[3+7:], small.PrimaryKey.KeyId); return sig }, want: "verification error"},
		"something behind it":     {change: func(sig []byte) []byte { return append(sig, 0) }, want: "not readable"},
		"cut":                     {change: func(sig []byte) []byte { sig = sig[:3+15]; sig[1], sig[2] = 0, 15; return sig }, want: "not readable"},
		"hashes more":             {change: at(3+1, 6), want: "not readable"},
		"of a text":               {change: at(3+2, 1), want: "version 3, and not of the form"},
		"DSA":                     {change: at(3+15, 17), want: "version 3, and not of the form"},
		"MD5":                     {change: at(3+16, 1), want: "digest of algorithm 1 is not trusted"},
		"another digest":          {change: at(3+16, 10), want: "verification error"},
		"number of another size":  {change: at(3+19, 1), want: "version 3, and not of the form"},
		"number of a larger key": {change: func(sig []byte) []byte {
			sig = append(sig[:3+21], append([]byte{1}, sig[3+21:]...)...)
			binary.BigEndian.PutUint16(sig[1:], uint16(len(sig)-3))
			binary.BigEndian.PutUint16(sig[3+19:], uint16(8*(len(sig)-3-21)))
			return sig
		}, want: "not among those that are trusted"},
		"before the key": {made: rpmtest.Now.AddDate(-2, 0, 0), want: "before the key existed"},
		"of the future":  {made: rpmtest.Now.AddDate(0, 1, 0), want: "in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			p := hello(key, rpmtest.Header)
			p.Signature = func(b []byte) []byte {
				sig := rpmtest.Version3(t, key, b, test.made)
				if test.change != nil {
					sig = test.change(sig)
				}
				return sig
			}
			v, err := verdict(keys, p.Build(t), rpmtest.Now)
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, %v; want an error with %q", v, err, test.want)
			}
		})
	}
}

// TestSubkeys: a subkey that signs counts as long as it and the key as a whole do.
func TestSubkeys(t *testing.T) {
	then := &packet.Config{Time: func() time.Time { return rpmtest.Now.AddDate(0, -1, 0) }}
	whole := func() *openpgp.Entity {
		key := rpmtest.NewKey(t, "archive", 0)
		c := &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, Time: func() time.Time { return rpmtest.Now.AddDate(-1, 0, 0) }}
		if err := key.AddSigningSubkey(c); err != nil {
			t.Fatal(err)
		}
		return key
	}
	for name, test := range map[string]struct {
		lapse      func(*openpgp.Entity) error
		want       string
		some, none bool
	}{
		"whole": {lapse: func(*openpgp.Entity) error { return nil }},
		"revoked": {func(e *openpgp.Entity) error {
			return e.RevokeSubkey(&e.Subkeys[len(e.Subkeys)-1], packet.KeyCompromised, "lost", then)
		}, "revoked", true, false},
		"expired": {func(e *openpgp.Entity) error {
			seconds := uint32(60)
			e.Subkeys[len(e.Subkeys)-1].Sig.KeyLifetimeSecs = &seconds
			return nil
		}, "expired", true, false},
		"key revoked": {func(e *openpgp.Entity) error { return e.RevokeKey(packet.KeyCompromised, "lost", then) }, "revoked", true, true},
		"key expired": {func(e *openpgp.Entity) error {
			seconds := uint32(60)
			for _, id := range e.Identities {
				id.SelfSignature.KeyLifetimeSecs = &seconds
			}
			return nil
		}, "expired", true, true},
		"name revoked": {func(e *openpgp.Entity) error {
			for _, id := range e.Identities {
				sig := &packet.Signature{Version: 4, SigType: packet.SigTypeCertificationRevocation, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256, CreationTime: then.Time(), IssuerKeyId: &e.PrimaryKey.KeyId}
				if err := sig.SignUserId(id.UserId.Id, e.PrimaryKey, e.PrivateKey, then); err != nil {
					return err
				}
				id.Revocations = append(id.Revocations, sig)
			}
			return nil
		}, "revoked", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			key := whole()
			sub := key.Subkeys[len(key.Subkeys)-1]
			alone := &openpgp.Entity{PrimaryKey: sub.PublicKey, PrivateKey: sub.PrivateKey}
			old, today := hello(key, rpmtest.Header), hello(key, rpmtest.Header)
			old.Signature = func(b []byte) []byte { return rpmtest.Version3(t, alone, b, time.Time{}) }
			today.Signature = func(b []byte) []byte { return rpmtest.Raw(t, alone, b, packet.SigTypeBinary, 8, crypto.SHA256) }
			packages := map[string][]byte{"version 3": old.Build(t), "version 4": today.Build(t)}
			if err := test.lapse(key); err != nil {
				t.Fatal(err)
			}
			for version, rpm := range packages {
				v, err := verdict(openpgp.EntityList{key}, rpm, rpmtest.Now)
				switch {
				case test.want == "" && (err != nil || v.Signers[0] != key), test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
					t.Errorf("%s: got %v, %v; want an error with %q", version, v, err, test.want)
				}
			}
			some, cause := rpmsig.Lapsed(key, rpmtest.Now)
			if (len(some) > 0) != test.some || (cause != nil) != test.none {
				t.Errorf("lapsed: %v, %v", some, cause)
			}
		})
	}
	if _, cause := rpmsig.Lapsed(whole(), rpmtest.Now.AddDate(-2, 0, 0)); cause == nil || !strings.Contains(cause.Error(), "future") {
		t.Errorf("a key of the future: %v", cause)
	}
}
