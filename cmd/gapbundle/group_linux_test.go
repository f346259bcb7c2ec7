package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	readersGroup = 54321
	otherUser    = 54322
)

// people runs the real program, as root or as another user.
type people struct {
	t   *testing.T
	dir string // everybody may read it
}

// newPeople copies the program to where everybody may run it.
func newPeople(t *testing.T) *people {
	t.Helper()
	dir, err := os.MkdirTemp("", "gapbundle-group")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	err = errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "gapbundle"), program, 0o755), os.Chmod(filepath.Join(dir, "gapbundle"), 0o755),
		os.Mkdir(filepath.Join(dir, "stick"), 0o755), os.Mkdir(filepath.Join(dir, "data"), 0o755), os.WriteFile(filepath.Join(dir, "data", "one"), []byte("one"), 0o644),
		os.WriteFile(filepath.Join(dir, "gapbundle.yaml"), []byte("version: 1\nname: tools\nsigning: {exporter: keys/exporter.key}\nsources: [{name: data, kind: files, dir: data}]\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	return &people{t, dir}
}

// as runs the program as the user, with only the group given, and returns its exit code.
func (p *people) as(who *syscall.Credential, args ...string) (code int, output string) {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(p.dir, "gapbundle"), args...)
	cmd.Dir, cmd.Env = p.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "GAPBUNDLE_PASSPHRASE=open sesame"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (p *people) owner(args ...string) {
	p.t.Helper()
	if code, out := p.as(&syscall.Credential{}, args...); code != 0 {
		p.t.Fatalf("%v: exit %d\n%s", args, code, out)
	}
}

// modes compares the mode and the group of everything in a mirror's state.
func (p *people) modes(mirror string, group int) {
	p.t.Helper()
	err := filepath.WalkDir(filepath.Join(p.dir, mirror, "state"), func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o640)
		switch {
		case e.Name() == "receipt.key":
			want = 0o600
		case strings.Contains(name, "/state/lists/"): // a store of content, in a folder that others cannot enter
			return nil
		case e.IsDir():
			want = 0o750
		}
		if got := info.Mode().Perm(); got != want {
			p.t.Errorf("%s: mode %04o, want %04o", name, got, want)
		}
		if info.Mode()&(fs.ModeSetgid|fs.ModeSetuid) != 0 {
			p.t.Errorf("%s: mode %v", name, info.Mode())
		}
		if s, _ := info.Sys().(*syscall.Stat_t); want != 0o600 && int(s.Gid) != group {
			p.t.Errorf("%s: group %d, want %d", name, s.Gid, group)
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// readers runs what a reader of a mirror may do, and what not.
func (p *people) readers(mirror string, reader *syscall.Credential) {
	p.t.Helper()
	for _, args := range [][]string{
		{"status", mirror}, {"check", mirror, "--data"}, {"history", mirror}, {"clients", mirror}, {"clients", mirror, "--for", "files"},
		{"trust", "list", "--mirror", mirror}, {"list", mirror}, {"verify", "stick", "--mirror", mirror},
	} {
		if code, out := p.as(reader, args...); code != 0 {
			p.t.Errorf("%v as a reader: exit %d\n%s", args, code, out)
		}
	}
}

// Who is in the group of a mirror may look at it and change nothing.
func TestGroupReadsTheState(t *testing.T) {
	p := newPeople(t)
	group := readersGroup
	if os.Geteuid() != 0 {
		group = os.Getegid() // nobody else can be asked: what is proven then are the modes
	}
	name := strconv.Itoa(group)
	reader := &syscall.Credential{Uid: otherUser, Gid: uint32(group)}
	stranger := &syscall.Credential{Uid: otherUser, Gid: otherUser}
	old := syscall.Umask(0o077) // the strictest one that people have
	defer syscall.Umask(old)

	p.owner("keygen", "--out", "keys")
	p.owner("export", "--to", "stick")
	if err := errors.Join(os.Chmod(filepath.Join(p.dir, "stick/tools-000001"), 0o755), readable(filepath.Join(p.dir, "stick"))); err != nil {
		t.Fatal(err)
	}
	p.owner("trust", "add", "--mirror", "mirror", "--group", name, "--role", "exporter", "--set", "tools", "--yes", "keys/exporter.pub")
	p.modes("mirror", group)
	p.owner("import", "stick", "--to", "mirror", "--group", name, "--base-url", "http://mirror.lan")
	p.modes("mirror", group)
	p.readers("mirror", reader)
	p.owner("rollback", "mirror", "--to", "1")
	p.owner("gc", "mirror")
	p.modes("mirror", group)

	// An earlier mirror, without a group: as it was, until it is given to one.
	p.owner("trust", "add", "--mirror", "before", "--role", "exporter", "--set", "tools", "--yes", "keys/exporter.pub")
	p.owner("import", "stick", "--to", "before")
	if code, out := p.as(&syscall.Credential{}, "import", "stick", "--to", "before", "--group", name); code != 2 || !strings.Contains(out, "gapbundle config before --group "+name) {
		t.Errorf("import --group into a mirror that exists: exit %d\n%s", code, out)
	}
	if info, err := os.Stat(filepath.Join(p.dir, "before/state")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a mirror without a group: mode %v %v", info.Mode(), err)
	}
	if os.Geteuid() == 0 {
		for mirror, who := range map[string]*syscall.Credential{"before": reader, "mirror": stranger} {
			if code, out := p.as(who, "status", mirror); code != 6 {
				t.Errorf("status of %s as somebody who may not: exit %d\n%s", mirror, code, out)
			}
		}
		if code, out := p.as(reader, "trust", "require", "exporter=2", "--mirror", "mirror"); code != 6 {
			t.Errorf("a reader changed the policy: exit %d\n%s", code, out)
		}
		if code, _ := p.as(reader, "gc", "mirror"); code != 6 {
			t.Errorf("a reader ran gc: exit %d", code)
		}
	}
	if err := os.Remove(filepath.Join(p.dir, "before/state/receipt.pub")); err != nil { // earlier programs did not write it
		t.Fatal(err)
	}
	p.owner("config", "before", "--group", name, "--dry-run")
	p.owner("config", "before", "--group", name)
	p.modes("before", group)
	p.readers("before", reader)
	if code, out := p.as(reader, "status", "before"); code != 0 || !strings.Contains(out, "receipt key") {
		t.Errorf("status as a reader: %d\n%s", code, out)
	}
}

// readable lets everybody read what is below dir, as on a mounted stick.
func readable(dir string) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			return os.Chmod(name, 0o755)
		}
		return errors.Join(err, os.Chmod(name, 0o644))
	})
}
