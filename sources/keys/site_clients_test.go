//go:build clients

package keys_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gapbundle/gapbundle/sources/keys"
)

func gpg(t *testing.T, home string, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestGnuPGAcceptsSiteKey: clients check with GnuPG, and a site may want to
// move its key there.
func TestGnuPGAcceptsSiteKey(t *testing.T) {
	private, public, fpr, err := keys.GenerateSite("plant mirror", []byte("secret"), made)
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "gpg") // short: gpg-agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	secret, cert := write(t, "site.key", private), write(t, "site.asc", public)
	if out := gpg(t, home, "gpg", "--batch", "--import", cert); !strings.Contains(out, "imported: 1") {
		t.Errorf("gpg --import: %s", out)
	}
	if out := gpg(t, home, "gpg", "--batch", "--with-colons", "--list-keys"); !strings.Contains(out, "fpr:::::::::"+fpr+":") {
		t.Errorf("want fingerprint %s in %s", fpr, out)
	}
	if out := gpg(t, home, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "secret", "--import", secret); !strings.Contains(out, "secret keys imported: 1") {
		t.Errorf("gpg --import of the private key: %s", out)
	}

	e, err := keys.LoadSite(secret, given("secret"))
	if err != nil {
		t.Fatal(err)
	}
	var sig, clear bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&sig, e, strings.NewReader("Release"), keys.SigningConfig(made.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	w, err := clearsign.Encode(&clear, e.PrivateKey, keys.SigningConfig(made.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("Release\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ring := filepath.Join(t.TempDir(), "ring.gpg")
	gpg(t, home, "gpg", "--batch", "--output", ring, "--dearmor", cert)
	data, detached, inline := write(t, "Release", []byte("Release")), write(t, "Release.gpg", sig.Bytes()), write(t, "InRelease", clear.Bytes())
	gpg(t, home, "gpgv", "--keyring", ring, detached, data)
	gpg(t, home, "gpgv", "--keyring", ring, inline)
	// And the other way: what GnuPG signs with the key is by the same key.
	gpg(t, home, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "secret", "--detach-sign", data)
	gpg(t, home, "gpgv", "--keyring", ring, data+".sig", data)
}
