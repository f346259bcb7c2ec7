package webtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const aloneEnv = "GAPBUNDLE_ALONE"

// Alone has the test run itself again, with no network but a loopback of its own and with an
// /etc/hosts of its own. It reports whether this is that run; otherwise the test has run, and
// is to return. It needs root.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) != "" {
		runIn(t, "", "ip", "link", "set", "lo", "up")
		return true
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-nm", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=20m")
	cmd.Env = append(os.Environ(), aloneEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// Resolve maps names to the address 127.0.0.1 for every program of a test that is Alone.
func Resolve(t testing.TB, names []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hosts")
	text := "127.0.0.1 localhost " + OwnName + "\n"
	for _, name := range names {
		text += "127.0.0.1 " + name + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	Bind(t, file, "/etc/hosts")
}

// Bind has every program of a test that is Alone find a file or a folder where another one is.
func Bind(t testing.TB, from, at string) {
	t.Helper()
	if err := syscall.Mount(from, at, "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("%s in the place of %s: %v", from, at, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
