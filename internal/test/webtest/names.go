package webtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// IssueNames types the lines of the mirror's certificate.txt in dir, with a passphrase: ca.pem,
// and the certificate of a server with the public names.
func IssueNames(t testing.TB, mirror, dir string) Pair {
	t.Helper()
	published := filepath.Join(mirror, "current", filepath.FromSlash(site.HostClientsDir))
	for _, name := range []string{"names.cnf", "certificate.txt"} {
		b, err := os.ReadFile(filepath.Join(published, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile(filepath.Join(dir, "certificate.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("-aes256", "-aes256 -pass pass:test", "-key ca.key", "-key ca.key -passin pass:test", "-CAkey ca.key", "-CAkey ca.key -passin pass:test").Replace(string(script))
	runIn(t, dir, "sh", "-euc", text)
	return Pair{Cert: filepath.Join(dir, "names.pem"), Key: filepath.Join(dir, "names.key")}
}

func runIn(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
