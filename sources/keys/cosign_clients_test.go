//go:build clients

package keys_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/sources/keys"
)

func cosign(t *testing.T, dir string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("cosign")
	if err != nil {
		home, _ := os.UserHomeDir()
		path = filepath.Join(home, "go", "bin", "cosign")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=secret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cosign %s: %v: %s", args[0], err, out)
	}
}

// TestKeysOfCosignOpen, and ours open there: what one signs the other verifies.
func TestKeysOfCosignOpen(t *testing.T) {
	dir := t.TempDir()
	cosign(t, dir, "generate-key-pair")
	s, err := keys.LoadSigner(filepath.Join(dir, "cosign.key"), given("secret"))
	if err != nil {
		t.Fatal(err)
	}
	_, id, err := pubkeys.Load(filepath.Join(dir, "cosign.pub"))
	if err != nil || s.KeyID() != id {
		t.Errorf("private %s, public %s, %v", s.KeyID(), id, err)
	}
}

// TestOurKeysOpenInCosign: cosign 3 signs with Ed25519 keys in a way that it
// does not verify itself (it verifies what we sign with them), so that for
// these only its opening of the key is looked at.
func TestOurKeysOpenInCosign(t *testing.T) {
	for name, make := range map[string]generate{"p256": keys.GenerateExporter, "ed25519": keys.GenerateExporterEd25519} {
		private, public, _, err := make([]byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := keys.WritePair(dir, keys.Pair{PrivateName: "exporter.key", PublicName: "exporter.pub", Private: private, Public: public}); err != nil {
			t.Fatal(err)
		}
		cosign(t, dir, "public-key", "--key", "exporter.key", "--outfile", "again.pub")
		if again, err := os.ReadFile(filepath.Join(dir, "again.pub")); err != nil || !bytes.Equal(bytes.TrimSpace(again), bytes.TrimSpace(public)) {
			t.Errorf("%s: cosign's public key:\n%s\nours:\n%s%v", name, again, public, err)
		}
		if name != "p256" {
			continue
		}
		for file, content := range map[string]string{bundle.RootName: name, "predicate.json": "{}"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cosign(t, dir, "attest-blob", "--key", "exporter.key", "--predicate", "predicate.json", "--type", bundle.PredicateBundle,
			"--tlog-upload=false", "--use-signing-config=false", "--bundle", "out.json", "--yes", bundle.RootName)
		cosign(t, dir, "verify-blob-attestation", "--key", "exporter.pub", "--bundle", "out.json",
			"--insecure-ignore-tlog", "--type", bundle.PredicateBundle, bundle.RootName)
	}
}
