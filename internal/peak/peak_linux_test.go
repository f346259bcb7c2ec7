package peak

import (
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
	// The memory is the kernel's and not Go's, so that the race detector keeps no record of it.
	large, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	if peak := child(); peak < size {
		t.Fatalf("%d bytes: the kernel does not count a parent's peak any more, so nothing here is needed", peak)
	}
	if err := syscall.Munmap(large); err != nil {
		t.Fatal(err)
	}
	if err := Forget(); err != nil {
		t.Fatal(err)
	}
	if peak := child(); peak > size/2 {
		t.Errorf("%d bytes of %d are left", peak, size)
	}
}
