//go:build clients

package media

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestOtherToolsReadABundle(t *testing.T) {
	j := mixed(t)
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	checkWithTools(t, j.finish(w).Dirs[0])
}

// checkWithTools has tar, zstd and sha256sum look at the bundle.
func checkWithTools(t *testing.T, dir string) {
	t.Helper()
	for _, tool := range []string{"tar", "zstd", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs %s: %v", tool, err)
		}
	}
	command(t, dir, "sha256sum", "--strict", "--quiet", "-c", bundle.SumsName)
	files, err := filepath.Glob(filepath.Join(dir, "*.tar.zst"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	out := t.TempDir()
	for _, f := range files {
		command(t, out, "tar", "--zstd", "-xf", f)
	}
	parts, _ := filepath.Glob(filepath.Join(out, "blobs/*/*.part-0001"))
	for _, p := range parts {
		stem := strings.TrimSuffix(p, ".part-0001")
		command(t, out, "sh", "-c", "cat '"+stem+"'.part-* > '"+stem+"' && rm '"+stem+"'.part-*")
	}
	blobs, _ := filepath.Glob(filepath.Join(out, "blobs/sha256/*"))
	if len(blobs) == 0 || len(parts) == 0 {
		t.Fatalf("%d blobs, %d in parts", len(blobs), len(parts))
	}
	for _, b := range blobs {
		data, err := os.ReadFile(b)
		if err != nil {
			t.Fatal(err)
		}
		if bundle.DigestOf(data).Hex() != filepath.Base(b) {
			t.Errorf("%s unpacked by tar has other content", b)
		}
	}
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}
