//go:build clients

package bundle_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func cosign(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath("cosign")
	if err != nil {
		home, _ := os.UserHomeDir()
		path = filepath.Join(home, "go", "bin", "cosign")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=secret")
	return cmd.CombinedOutput()
}

// TestCosignVerifiesOurs is the command that docs/trust.md gives.
func TestCosignVerifiesOurs(t *testing.T) {
	for _, kind := range []string{"p256", "ed25519"} {
		signer, _ := newKey(t, kind)
		dir := t.TempDir()
		root := []byte("bundle.json's bytes")
		name := bundle.SignatureName(signer.KeyID())
		write(t, dir, "exporter.pub", signer.PublicPEM())
		write(t, dir, "bundle.json", root)
		write(t, dir, name, sign(t, signer))
		args := []string{"verify-blob-attestation", "--key", "exporter.pub", "--bundle", name,
			"--insecure-ignore-tlog", "--type", bundle.PredicateBundle, "bundle.json"}
		if out, err := cosign(t, dir, args...); err != nil {
			t.Errorf("%s: %v: %s", kind, err, out)
		}
		write(t, dir, "bundle.json", append(root, ' '))
		if out, err := cosign(t, dir, args...); err == nil {
			t.Errorf("%s: cosign accepts a changed bundle.json: %s", kind, out)
		}
	}
}

// TestApprovalByCosign: somebody who has cosign alone can approve a bundle.
func TestApprovalByCosign(t *testing.T) {
	dir := t.TempDir()
	root := []byte("bundle.json's bytes")
	write(t, dir, "bundle.json", root)
	write(t, dir, "predicate.json", []byte("{}"))
	for _, args := range [][]string{
		{"generate-key-pair"},
		{"attest-blob", "--key", "cosign.key", "--predicate", "predicate.json", "--type", bundle.PredicateBundle,
			"--tlog-upload=false", "--use-signing-config=false", "--bundle", "out.json", "--yes", "bundle.json"},
	} {
		if out, err := cosign(t, dir, args...); err != nil {
			t.Fatalf("cosign %s: %v: %s", args[0], err, out)
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pub, id, err := bundle.ParsePublicKey(read("cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := bundle.ParseSignature(bytes.TrimSpace(read("out.json")))
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Verify(pub)
	if err != nil {
		t.Fatal(err)
	}
	if st.Subject != bundle.DigestOf(root) || st.SubjectName != bundle.RootName || st.PredicateType != bundle.PredicateBundle {
		t.Errorf("statement: %+v", st)
	}
	if s.Hint() != id {
		t.Errorf("cosign names the key %s, we %s", s.Hint(), id)
	}
}

// TestSignatureByOpenSSL is the check that docs/trust.md describes for people
// who have nothing but openssl.
func TestSignatureByOpenSSL(t *testing.T) {
	for _, kind := range []string{"p256", "ed25519"} {
		signer, _ := newKey(t, kind)
		payloadType, payload, sig := open(t, sign(t, signer))
		dir := t.TempDir()
		write(t, dir, "pub", signer.PublicPEM())
		write(t, dir, "sig", sig)
		write(t, dir, "pae", encodeForSigning(payloadType, payload))
		args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", "pub", "-sigfile", "sig", "-rawin", "-in", "pae"}
		if kind == "p256" {
			args = append(args, "-digest", "sha256")
		}
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: openssl %s: %v: %s", kind, strings.Join(args, " "), err, out)
		}
	}
}

func write(t testing.TB, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
