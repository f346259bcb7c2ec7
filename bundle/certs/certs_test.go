package certs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func entity(t testing.TB, c *packet.Config) *openpgp.Entity {
	t.Helper()
	c.Algorithm = packet.PubKeyAlgoEd25519
	e, err := openpgp.NewEntity("Example", "", "a@example.org", c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func v4(t testing.TB) *openpgp.Entity { return entity(t, &packet.Config{}) }

// public returns the certificate of one or several keys, without armor.
func public(t testing.TB, all ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range all {
		if err := e.Serialize(&b); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func secret(t testing.TB, e *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.SerializePrivate(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func armored(t testing.TB, kind string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, map[string]string{"Comment": "example.org"})
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

// all returns the fingerprints of a file.
func all(file []byte) ([]string, error) {
	var out []string
	err := Each(file, func(f string) error {
		out = append(out, f)
		return nil
	})
	return out, err
}

// TestFingerprints: every certificate of a file is found, with the fingerprint
// that an OpenPGP library computes.
func TestFingerprints(t *testing.T) {
	one, two := v4(t), v4(t)
	six := entity(t, &packet.Config{V6Keys: true})
	old, err := openpgp.NewEntity("RSA", "", "", &packet.Config{RSABits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	block := func(e ...*openpgp.Entity) []byte { return armored(t, openpgp.PublicKeyType, public(t, e...)) }
	for name, c := range map[string]struct {
		file []byte
		want []*openpgp.Entity
	}{
		"version 4":             {public(t, one), []*openpgp.Entity{one}},
		"version 4, armored":    {block(one), []*openpgp.Entity{one}},
		"version 6":             {public(t, six), []*openpgp.Entity{six}},
		"version 6, armored":    {block(six), []*openpgp.Entity{six}},
		"RSA":                   {block(old), []*openpgp.Entity{old}},
		"several":               {public(t, one, six, two), []*openpgp.Entity{one, six, two}},
		"several in a block":    {block(two, one), []*openpgp.Entity{two, one}},
		"several blocks":        {slices.Concat([]byte("\n\n"), block(two), block(one), []byte(" \n")), []*openpgp.Entity{two, one}},
		"lines that end in two": {bytes.ReplaceAll(block(one), []byte("\n"), []byte("\r\n")), []*openpgp.Entity{one}},
	} {
		var want []string
		for _, e := range c.want {
			want = append(want, fmt.Sprintf("%X", e.PrimaryKey.Fingerprint))
		}
		if got, err := all(c.file); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	if n := len(fmt.Sprintf("%X", six.PrimaryKey.Fingerprint)); n != 64 {
		t.Errorf("the key of version 6 has a fingerprint of %d digits", n)
	}
}

// TestRefused: what is not plainly a file of public keys is none, also after a
// key that is good.
func TestRefused(t *testing.T) {
	e := v4(t)
	good := public(t, e)
	key := armored(t, openpgp.PublicKeyType, good)
	longer := slices.Concat([]byte{0xc6, good[1] + 1}, good[2:2+good[1]], []byte{0}, good[2+good[1]:])
	literal := []byte{0xcb, 0x02, 'b', 0}
	for name, c := range map[string]struct {
		file []byte
		why  string
	}{
		"empty":                       {nil, "no key"},
		"text":                        {[]byte("a text\n"), "want -----BEGIN"},
		"blank":                       {[]byte("\n \n"), "no key"},
		"a byte":                      {[]byte{0x99}, "no packet"},
		"secret":                      {secret(t, e), "secret key"},
		"secret, armored":             {armored(t, openpgp.PrivateKeyType, secret(t, e)), "secret key"},
		"secret under another name":   {armored(t, openpgp.PublicKeyType, secret(t, e)), "secret key"},
		"secret behind a key":         {slices.Concat(good, secret(t, v4(t))), "secret key"},
		"secret block behind a key":   {slices.Concat(key, armored(t, openpgp.PrivateKeyType, secret(t, e))), "secret key"},
		"a signature":                 {[]byte{0xc2, 0x01, 4}, "want a public key"},
		"data behind a key":           {slices.Concat(good, literal), "of type 11"},
		"text before the armor":       {slices.Concat([]byte("a text\n"), key), "want -----BEGIN"},
		"text behind the armor":       {slices.Concat(key, []byte("a text\n")), "want -----BEGIN"},
		"a key behind the armor":      {slices.Concat(key, good), "want -----BEGIN"},
		"armor behind a key":          {slices.Concat(good, key), "no packet"},
		"an empty block":              {armored(t, openpgp.PublicKeyType, nil), "no packet"},
		"cut off":                     {good[:len(good)-1], "cut off"},
		"armor cut off":               {key[:len(key)/2], "no -----END"},
		"a length in parts":           {[]byte{0xc6, 0xe1, 4, 0}, "in parts"},
		"a length left open":          {[]byte{0x9b, 4, 0}, "without a length"},
		"a length past all":           {[]byte{0xc6, 0xff, 0xff, 0xff, 0xff, 0xff}, "at most"},
		"version 3":                   {[]byte{0xc6, 0x06, 3, 0, 0, 0, 0, 1}, "version 3"},
		"version 5":                   {[]byte{0xc6, 0x06, 5, 0, 0, 0, 0, 1}, "version 5"},
		"a short key":                 {[]byte{0xc6, 0x02, 4, 0}, "2 bytes"},
		"version 4 past its length":   {slices.Concat([]byte{0xc6, 0xff, 0, 1, 0, 0, 4}, make([]byte, 1<<16-1)), "65536 bytes"},
		"a number too many":           {longer, "read as another"},
		"an unknown algorithm":        {[]byte{0xc6, 0x06, 4, 0, 0, 0, 0, 99}, "unsupported"},
		"too large":                   {make([]byte, MaxFile+1), "at most"},
		"lines that are no base64":    {bytes.Replace(key, []byte("\n\n"), []byte("\n\n-\n"), 1), "base64"},
		"text between header and key": {bytes.Replace(key, []byte("\n\n"), []byte("\nx\n\n"), 1), "want an empty line"},
		"a checksum amid the key":     {bytes.Replace(key, []byte("\n\n"), []byte("\n\n=AAAA\n"), 1), "want -----END"},
	} {
		if got, err := all(c.file); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, %v; want an error with %q", name, got, err, c.why)
		}
	}
	stop := errors.New("stop")
	if err := Each(public(t, e, e), func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want what found returned", err)
	}
}

// FuzzEach: no file makes it panic, and a library that reads keys finds no key in
// a file but those that Each names.
func FuzzEach(f *testing.F) {
	one, six := v4(f), entity(f, &packet.Config{V6Keys: true})
	f.Add(public(f, one))
	f.Add(public(f, one, six))
	f.Add(secret(f, one))
	f.Add(armored(f, openpgp.PublicKeyType, public(f, six)))
	f.Add(slices.Concat(armored(f, openpgp.PublicKeyType, public(f, one)), armored(f, openpgp.PublicKeyType, public(f, six))))
	f.Add([]byte{0xc6, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := all(file)
		if err != nil {
			return
		}
		if len(got) == 0 {
			t.Fatal("no key, and no error")
		}
		described, _ := Describe(file)
		for _, c := range described {
			if !slices.Contains(got, c.Fingerprint) {
				t.Fatalf("described %s, which Each does not report", c.Fingerprint)
			}
			_ = c.Text(time.Now())
		}
		read := openpgp.ReadArmoredKeyRing
		if file[0] >= firstBit {
			read = openpgp.ReadKeyRing
		}
		keys, err := read(bytes.NewReader(file))
		if err != nil {
			return // what it does not understand
		}
		for _, k := range keys {
			if fingerprint := fmt.Sprintf("%X", k.PrimaryKey.Fingerprint); !slices.Contains(got, fingerprint) {
				t.Errorf("found %v, the library %s", got, fingerprint)
			}
			if k.PrivateKey != nil {
				t.Error("a secret key")
			}
		}
	})
}
