//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what the kernel counted for a command, or for all of a pipeline.
type usage struct {
	wall    time.Duration
	cpu     time.Duration // user and system
	rss     int64         // bytes, the largest process's peak
	written int64         // bytes sent towards storage
}

// measure runs the commands as a pipeline and counts until the last has ended
// and, where sync names a path, until that file system is synced.
func measure(sync string, pipeline ...*exec.Cmd) (usage, error) {
	unix.Sync() // what others left dirty is not to be paid for by this one
	var inherited []*os.File
	for i, cmd := range pipeline[:len(pipeline)-1] {
		r, w, err := os.Pipe()
		if err != nil {
			return usage{}, err
		}
		cmd.Stdout, pipeline[i+1].Stdin = w, r
		inherited = append(inherited, r, w)
	}
	start := time.Now()
	for i, cmd := range pipeline {
		if err := cmd.Start(); err != nil {
			return usage{}, errors.Join(fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err), reap(pipeline[:i]))
		}
	}
	for _, f := range inherited {
		f.Close()
	}
	var u usage
	var errs []error
	for _, cmd := range pipeline {
		if err := u.wait(cmd); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err))
		}
	}
	if sync != "" {
		errs = append(errs, syncAt(sync))
	}
	u.wall = time.Since(start)
	return u, errors.Join(errs...)
}

// add adds what ran afterwards.
func (u *usage) add(v usage) {
	u.wall, u.cpu, u.rss, u.written = u.wall+v.wall, u.cpu+v.cpu, max(u.rss, v.rss), u.written+v.written
}

// wait adds what a command used. Its I/O is read after its end and before it is
// reaped, when the counts are whole and still there.
func (u *usage) wait(cmd *exec.Cmd) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	io, ioErr := written(cmd.Process.Pid)
	err := cmd.Wait()
	u.written += io
	u.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = max(u.rss, r.Maxrss<<10)
	}
	return errors.Join(err, ioErr)
}

// written returns the write_bytes of a process: what it made the file system write.
func written(pid int) (int64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "write_bytes: "); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/%d/io: no write_bytes", pid)
}

func syncAt(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// reap ends commands that were started together with one that was not.
func reap(started []*exec.Cmd) error {
	var errs []error
	for _, cmd := range started {
		errs = append(errs, cmd.Process.Kill(), cmd.Wait())
	}
	return errors.Join(errs...)
}

// remove also removes folders that cannot be written.
func remove(path string) error {
	err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o755)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(path))
}
