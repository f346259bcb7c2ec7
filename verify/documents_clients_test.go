//go:build clients

package verify_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/verify"
)

// TestTrustDocument runs what docs/trust.md tells people to run who do not
// have gapbundle, on a real bundle and on one that was changed.
func TestTrustDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	_, without, ok := strings.Cut(string(text), "## Without gapbundle")
	if !ok {
		t.Fatal("docs/trust.md has no such section")
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(without, -1)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks of commands, want 4", len(blocks))
	}
	e := bundletest.New(t, "demo")
	made := e.Export(t, []bundletest.Repository{{Name: "r", Mount: "files", Files: map[string]string{"a": "a"}}}, bundletest.Options{})
	dir := made.Dirs[0]
	if err := os.WriteFile(filepath.Join(dir, "exporter.pub"), e.Signer.PublicPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`bundle\.0123456789abcdef\.sigstore\.json`)
	run := func(i int) (string, error) {
		script := name.ReplaceAllString(blocks[i][1], "$(basename $(ls -t bundle.*.sigstore.json | grep -v approver | head -1))")
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		home, _ := os.UserHomeDir()
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+filepath.Join(home, "go", "bin"), "COSIGN_PASSWORD=secret")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const cosignVerify, sums, openssl, approve = 0, 1, 2, 3
	good := func(i int, want ...string) {
		t.Helper()
		out, err := run(i)
		if err != nil {
			t.Errorf("%s: %v: %s", blocks[i][1], err, out)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: want %q in: %s", blocks[i][1], w, out)
			}
		}
	}
	good(cosignVerify, "Verified OK")
	good(sums, strings.TrimPrefix(string(made.Manifest.Sums.Digest), "sha256:"), "volume-00001.tar.zst: OK", "catalog-01.tar.zst: OK", "README.txt: OK")
	good(openssl, "Signature Verified Successfully", "https://gapbundle.dev/predicate/bundle/v1\n"+made.Root.Hex()+"\n"+made.Root.Hex()+"  bundle.json")

	// An approver without gapbundle, and what the importing side makes of it.
	cmd := exec.Command("bash", "-c", "PATH=$PATH:$HOME/go/bin cosign generate-key-pair")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "COSIGN_PASSWORD=secret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	good(approve)
	pub, err := os.ReadFile(filepath.Join(dir, "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	var p verify.Policy
	if err := e.Trust(&p); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(verify.Key{Role: verify.RoleApprover, Set: "demo", PEM: string(pub)}); err != nil {
		t.Fatal(err)
	}
	if err := p.SetRequire(verify.RoleApprover, 1); err != nil {
		t.Fatal(err)
	}
	b, _, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: &p, Now: now})
	if err != nil || len(b.Signers()) != 2 {
		t.Errorf("with the approval: %v", err)
	}

	root, err := os.ReadFile(filepath.Join(dir, "bundle.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bundle.json"), append(root, ' '), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(cosignVerify); err == nil {
		t.Errorf("cosign takes a changed bundle.json: %s", out)
	}
}
