//go:build faults

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDemoOnLoopback: the demo runs to its end where loopback is the only network, as README
// promises. Go's modules are on this machine already.
func TestDemoOnLoopback(t *testing.T) {
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--net", "sh", "-c",
		`ip link set lo up && exec "$0" -test.run '^TestDemo$' -test.v`, test)
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDemo ") {
		t.Errorf("%v\n%s", err, out)
	}
}
