package keys_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/sources/keys"
)

var made = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestSiteKey(t *testing.T) {
	private, public, fpr, err := keys.GenerateSite("plant mirror", []byte("secret"), made)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "site.key", private)
	e, err := keys.LoadSite(path, given("secret"))
	if err != nil {
		t.Fatal(err)
	}
	cert, certFpr, err := pubkeys.LoadOpenPGP(write(t, "site.asc", public))
	if err != nil {
		t.Fatal(err)
	}
	if len(fpr) != 40 || pubkeys.Fingerprint(e) != fpr || certFpr != fpr {
		t.Errorf("fingerprints: made %s, private %s, public %s", fpr, pubkeys.Fingerprint(e), certFpr)
	}
	if cert.PrivateKey != nil || len(cert.Subkeys) != 0 {
		t.Errorf("the certificate has a private key or subkeys: %+v", cert)
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := openpgp.DetachSign(w, e, strings.NewReader("Release"), keys.SigningConfig(made.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same content signed at the same time gives different bytes")
	}
	for _, wrong := range []string{"", "Secret"} {
		if _, err := keys.LoadSite(path, given(wrong)); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("passphrase %q: want ErrUsage, got %v", wrong, err)
		}
	}
	for name, bad := range map[string][]byte{"public": public, "two": append(bytes.Clone(public), public...), "none": nil, "noise": []byte("noise")} {
		if _, err := keys.LoadSite(write(t, name, bad), given("secret")); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: want ErrUsage, got %v", name, err)
		}
	}
}
