package pubkeys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestKeysOfAnotherKind: a key file of another kind is named as what it is, and a damaged one of
// the wanted kind keeps the error that explains it.
func TestKeysOfAnotherKind(t *testing.T) {
	const (
		public  = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
		private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		pgp     = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"
	)
	for _, x := range []struct {
		text              string
		pem, openPGP      string // in the error of each
		notPEM, notOpenPG string // and not in it
	}{
		{public, "", "is a public key in PEM, such as exporter.pub, want an OpenPGP key", "want a public key", ""},
		{private, "is a private key in PEM, want a public key in PEM", "is a private key in PEM, want an OpenPGP key", "", ""},
		{pgp, "is an OpenPGP key, want a public key in PEM", "OpenPGP key: ", "", "is an OpenPGP key, want"},
	} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Load(file)
		if err == nil || !strings.Contains(err.Error(), x.pem) || x.notPEM != "" && strings.Contains(err.Error(), x.notPEM) {
			t.Errorf("Load: %v\n%s", err, x.text)
		}
		_, err = LoadKeyring(file)
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), x.openPGP) || x.notOpenPG != "" && strings.Contains(err.Error(), x.notOpenPG) {
			t.Errorf("LoadKeyring: %v\n%s", err, x.text)
		}
	}
}
