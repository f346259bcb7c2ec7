//go:build unix

package gitrun

import (
	"context"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// shell sets the limits before git starts, so that no child is without them;
// a shell counts memory in KiB and files in blocks of 512 bytes.
const shell = `ulimit -v "$1" && ulimit -f "$2" && ulimit -c 0 || exit 125; shift 2; exec "$@"`

// command starts git in a process group of its own, and kills the group.
func (g *Git) command(ctx context.Context, args []string) *exec.Cmd {
	argv := append([]string{g.path}, args...)
	if runtime.GOOS == "linux" { // elsewhere address space cannot be limited
		argv = append([]string{"/bin/sh", "-c", shell, "sh", strconv.Itoa(MaxMemory >> 10), strconv.Itoa(MaxFile / 512)}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
