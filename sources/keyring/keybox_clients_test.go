//go:build clients

package keyring

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// TestKeybox: what gpg keeps keys in is refused, and the command that the error has makes a
// keyring of it that is read.
func TestKeybox(t *testing.T) {
	dir := t.TempDir()
	env := plantest.NewEnv(t, dir, nil)
	signer := plantest.NewSigner(t, "a", 0)
	plantest.WriteKeys(t, filepath.Join(dir, "k.asc"), signer)
	run := func(line string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GNUPGHOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	run("gpg --batch --quiet --no-default-keyring --keyring ./keys.kbx --import k.asc")
	box := filepath.Join(dir, "keys.kbx")
	_, err := Load(t.Context(), env, &Ref{Option: "keyring", File: box})
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), box) {
		t.Fatalf("got %v", err)
	}
	if _, _, err := pubkeys.LoadOpenPGP(box); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "is a keybox") {
		t.Errorf("handed over: %v", err)
	}
	_, line, _ := strings.Cut(err.Error(), "reads: ")
	line, _, _ = strings.Cut(line, " makes a keyring")
	run(strings.ReplaceAll(line, "FILE", "keys.kbx"))
	keys, err := Load(t.Context(), env, &Ref{Option: "keyring", File: box + ".asc"})
	if err != nil || keys.String() != pgpkeys.Fingerprint(signer) {
		t.Errorf("after the command: %s, %v", keys, err)
	}
}
