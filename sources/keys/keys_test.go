package keys_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/sources/keys"
)

func given(passphrase string) keys.PassphraseFunc {
	return func(string) ([]byte, error) { return []byte(passphrase), nil }
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type generate func(passphrase []byte) (private, public []byte, id bundle.Digest, err error)

func TestExporterKeys(t *testing.T) {
	for name, make := range map[string]generate{"p256": keys.GenerateExporter, "ed25519": keys.GenerateExporterEd25519} {
		t.Run(name, func(t *testing.T) {
			private, public, id, err := make([]byte("correct horse"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(private), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n") {
				t.Errorf("private key begins %.60q", private)
			}
			path := write(t, "exporter.key", private)
			s, err := keys.LoadSigner(path, given("correct horse"))
			if err != nil {
				t.Fatal(err)
			}
			text, pubID, err := pubkeys.Load(write(t, "exporter.pub", public))
			if err != nil {
				t.Fatal(err)
			}
			pub, _, err := bundle.ParsePublicKey(text)
			if err != nil {
				t.Fatal(err)
			}
			if s.KeyID() != id || pubID != id {
				t.Errorf("identities: made %s, private %s, public %s", id, s.KeyID(), pubID)
			}
			file, err := s.Sign(bundle.PredicateBundle, bundle.RootName, bundle.DigestOf(nil), nil)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := bundle.ParseSignature(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sig.Verify(pub); err != nil {
				t.Error(err)
			}
			for _, wrong := range []string{"", "correct hors", "correct horse "} {
				if _, err := keys.LoadSigner(path, given(wrong)); !errors.Is(err, bundle.ErrUsage) || strings.Contains(err.Error(), "horse") {
					t.Errorf("passphrase %q: want ErrUsage without the passphrase, got %v", wrong, err)
				}
			}
		})
	}
}

func TestEmptyPassphraseStillEncrypts(t *testing.T) {
	for _, empty := range [][]byte{nil, {}} {
		private, _, _, err := keys.GenerateExporter(empty)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(private), "ENCRYPTED SIGSTORE") {
			t.Errorf("private key begins %.60q", private)
		}
		if _, err := keys.LoadSigner(write(t, "k", private), given("")); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	private, public, _, err := keys.GenerateExporter([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	bare, _, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) ([]byte, error) { t.Error("asked for a passphrase"); return nil, nil }
	for name, c := range map[string]struct {
		content []byte
		pass    keys.PassphraseFunc
		text    string
	}{
		"empty file":     {nil, never, "not a PEM file"},
		"public key":     {public, never, "is a public key"},
		"not encrypted":  {bare, never, "not encrypted"},
		"cut":            {private[:len(private)/2], never, "not a PEM file"},
		"certificate":    {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), given("x"), "unknown private key"},
		"file too large": {make([]byte, 2<<20), never, "more than"},
	} {
		_, err := keys.LoadSigner(write(t, "exporter.key", c.content), c.pass)
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: want %q, got %v", name, c.text, err)
		}
	}
	if _, err := keys.LoadSigner(filepath.Join(t.TempDir(), "none"), never); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, _, err := pubkeys.Load(write(t, "exporter.pub", private)); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("private for public: want ErrUsage, got %v", err)
	}
	why := errors.New("no passphrase today")
	_, err = keys.LoadSigner(write(t, "exporter.key", private), func(string) ([]byte, error) { return nil, why })
	if !errors.Is(err, why) {
		t.Errorf("want the passphrase's own error, got %v", err)
	}
}

func TestWritePairNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	pair := keys.Pair{PrivateName: "exporter.key", PublicName: "exporter.pub", Private: []byte("private"), Public: []byte("public")}
	if err := keys.WritePair(dir, pair); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"exporter.key": 0o600, "exporter.pub": 0o644} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != want {
			t.Errorf("%s: mode %o, want %o", name, st.Mode().Perm(), want)
		}
	}
	pair.Private, pair.Public = []byte("other"), []byte("other")
	for _, gone := range []string{"", "exporter.key", "exporter.pub"} {
		if gone != "" {
			if err := os.Remove(filepath.Join(dir, gone)); err != nil {
				t.Fatal(err)
			}
		}
		if gone == "exporter.pub" { // the last round: both were removed
			break
		}
		if err := keys.WritePair(dir, pair); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("without %q: want ErrUsage, got %v", gone, err)
		}
	}
	if err := keys.WritePair(filepath.Join(dir, "none"), pair); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
