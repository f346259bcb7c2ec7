package streams

import (
	"bytes"
	"crypto"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

func newKey(t testing.TB) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("test", "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func sign(t testing.TB, e *openpgp.Entity, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, e.PrivateKey, &packet.Config{DefaultHash: crypto.SHA512})
	if err == nil {
		if _, err = w.Write([]byte(text)); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

// What Unsign returns is what the signature is over, whatever the text.
func TestUnsign(t *testing.T) {
	key := newKey(t)
	long := strings.Repeat("x", 200_000)
	for name, text := range map[string]string{
		"plain": "{\n  \"a\": 1\n}\n", "no newline": "{}", "dashes": "-a\n- b\n-----BEGIN PGP SIGNATURE-----\n", "blanks": "a \t\n b\n\n\nc  ", "empty": "",
		"one long line": long + " " + long, "long blanks": "a" + strings.Repeat(" ", 60_000) + "b" + strings.Repeat(" ", 60_000) + "\nc", "ü": "ü\n",
	} {
		signed := sign(t, key, text)
		for _, form := range []string{signed, strings.ReplaceAll(signed, "\n", "\r\n")} {
			var out bytes.Buffer
			signature, err := Unsign(&out, strings.NewReader(form))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if _, err := pgpkeys.SignersOf(bytes.NewReader(out.Bytes()), signature, openpgp.EntityList{key}, time.Now().Add(time.Minute)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			block, _ := clearsign.Decode([]byte(form))
			if block == nil || !bytes.Equal(block.Plaintext, out.Bytes()) {
				t.Errorf("%s: got %.80q, want %.80q", name, &out, block.Plaintext)
			}
		}
	}
}

func TestRefusesSigned(t *testing.T) {
	signed := sign(t, newKey(t), "{\n}\n")
	for name, test := range map[string]struct{ text, want string }{
		"not signed":      {"{}", "too early"},
		"not signed, n":   {"{}\n", "as the first line"},
		"before":          {"x\n" + signed, "as the first line"},
		"blank before":    {"\n" + signed, "as the first line"},
		"after":           {signed + "x\n", "text after the signature"},
		"two messages":    {signed + signed, "text after the signature"},
		"message in text": {strings.Replace(signed, "{\n", "-----BEGIN PGP SIGNED MESSAGE-----\n", 1), "not escaped"},
		"bare dash":       {strings.Replace(signed, "{\n", "-{\n", 1), "not escaped"},
		"header":          {strings.Replace(signed, "Hash: SHA512\n", "Comment: x\n", 1), "want Hash alone"},
		"many headers":    {strings.Replace(signed, "Hash: SHA512\n", strings.Repeat("Hash: SHA512\n", 9), 1), "more than 8 headers"},
		"cut":             {signed[:len(signed)-10], "has no end"},
		"no signature":    {signed[:strings.Index(signed, "-----BEGIN PGP SIGNATURE")], "too early"},
		"armor":           {strings.Replace(signed, "SIGNATURE-----\n\n", "SIGNATURE-----\n\n!!!!", 1), "the signature"},
		"blanks":          {strings.Replace(signed, "{\n", "{"+strings.Repeat(" ", 200_000)+"x\n", 1), "blanks in a row"},
		"large signature": {signed[:len(signed)-30] + strings.Repeat("A", 2<<20), "a signature of more than"},
	} {
		if _, err := Unsign(new(bytes.Buffer), strings.NewReader(test.text)); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}

// FuzzUnsign: whatever is read, it is what the OpenPGP library reads too.
func FuzzUnsign(f *testing.F) {
	key := newKey(f)
	for _, text := range []string{"{}", "-a\n b \n", "", "\r\n\n", "a \r b"} {
		f.Add([]byte(sign(f, key, text)))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var out bytes.Buffer
		if _, err := Unsign(&out, bytes.NewReader(message)); err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("%v: not of the class", err)
			}
			return
		}
		block, rest := clearsign.Decode(message)
		if block == nil {
			return // what the library refuses is never said to be signed by it
		}
		same := func(b []byte) string { return strings.ReplaceAll(string(b), "\r", "") }
		if same(block.Plaintext) != same(out.Bytes()) || len(bytes.TrimSpace(rest)) > 0 {
			t.Fatalf("got %q, the library %q and %q", &out, block.Plaintext, rest)
		}
	})
}
