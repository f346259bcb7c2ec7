package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// look fills in what the kernel knows of dir. Anything that it does not report
// stays unknown: these are facts for a person, nothing depends on them.
func (t *target) look(dir string) {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil {
		t.Free = int64(fs.Bavail) * fs.Frsize
	}
	var here, root unix.Stat_t
	if unix.Stat(dir, &here) != nil || unix.Stat("/", &root) != nil {
		return
	}
	t.SameAsRoot = here.Dev == root.Dev
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	device := fmt.Sprintf("%d:%d", unix.Major(here.Dev), unix.Minor(here.Dev))
	for _, line := range strings.Split(string(mounts), "\n") { // proc_pid_mountinfo(5)
		fields := strings.Fields(line)
		for i := 6; i+2 < len(fields) && fields[2] == device; i++ {
			if fields[i] == "-" {
				t.FileSystem, t.Device = fields[i+1], fields[i+2]
				break
			}
		}
	}
}
