package peak

import (
	"bytes"
	"os/exec"
	"syscall"
	"testing"
)

// TestForget: a child's peak does not have what this process needed before.
func TestForget(t *testing.T) {
	const size = 300 << 20
	child := func() int64 {
		cmd := exec.CommandContext(t.Context(), "true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	}
	large := bytes.Repeat([]byte{1}, size)
	if peak := child(); peak < size {
		t.Fatalf("%d bytes: the kernel does not count a parent's peak any more, so nothing here is needed", peak)
	}
	clear(large)
	large = nil
	if err := Forget(); err != nil {
		t.Fatal(err)
	}
	if peak := child(); peak > size/2 {
		t.Errorf("%d bytes of %d are left", peak, size)
	}
}
