//go:build unix

package access

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// A group is a user's own if nobody else is in it, by either list.
func TestOnlyMember(t *testing.T) {
	users := "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1000::/:\ncat:x:1002:1002::/:\ndan:x:1003:1002\n+::::::\n"
	groups := "root:x:0:\nann:x:1000:\ncat:x:1002:cat\ndisk:x:6:\nstaff:x:50:cat\nteam:x:60:cat,dan\nshort:x\n"
	for _, c := range []struct {
		gid, uid int
		want     bool
	}{
		{0, 0, true}, {1000, 1000, false}, {1002, 1002, false}, {6, 1002, false}, {50, 1002, true}, {60, 1002, false}, {50, 1000, false}, {77, 1002, false}, {50, 4444, false},
	} {
		if got := onlyMember(strings.NewReader(users), strings.NewReader(groups), c.gid, c.uid); got != c.want {
			t.Errorf("group %d of user %d: %v", c.gid, c.uid, got)
		}
	}
}

// TestWriters: who else may write is refused, with the command that ends it.
func TestWriters(t *testing.T) {
	for perm, mend := range map[os.FileMode]string{0o700: "", 0o755: "", 0o750: "", 0o777: "chmod go-w ", 0o757: "chmod go-w ", 0o702: "chmod go-w "} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, perm)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Lstat(dir)
		if err != nil {
			t.Fatal(err)
		}
		var refused *Error
		err = Writers(dir, fi)
		if mend == "" && err != nil || mend != "" && (!errors.As(err, &refused) || !errors.Is(err, bundle.ErrUntrusted) || refused.Hint() != mend+dir) {
			t.Errorf("%04o: %v", perm, err)
		}
	}
}

// foreign is a file of another user.
type foreign struct {
	os.FileInfo
	uid, gid uint32
}

func (f foreign) Sys() any { return &syscall.Stat_t{Uid: f.uid, Gid: f.gid} }

// What belongs to this user or to root will do; a group that has other members may not write.
func TestOwner(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	const nobodys = 3_999_999_999
	me := uint32(os.Geteuid())
	for uid, fine := range map[uint32]bool{me: true, 0: true, nobodys: false} {
		if err := Owner(dir, foreign{fi, uid, 0}); (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "belongs to user 3999999999, and this is user ") {
			t.Errorf("of user %d: %v", uid, err)
		}
	}
	var refused *Error
	if err := Writers(dir, foreign{fi, me, nobodys}); !errors.As(err, &refused) || refused.Mend != "chmod g-w "+dir {
		t.Errorf("a group that nobody knows may write: %v", err)
	}
}

// TestKey: a private key that others may read is refused; a pipe and a key of another owner are
// not looked at.
func TestKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.key")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for perm, fine := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o644: false, 0o660: false, 0o602: false} {
		if err := os.Chmod(name, perm); err != nil {
			t.Fatal(err)
		}
		if err := Key(name); (err == nil) != fine || err != nil && !errors.Is(err, bundle.ErrUntrusted) {
			t.Errorf("%04o: %v", perm, err)
		}
	}
	if err := Key("/dev/null"); err != nil {
		t.Errorf("what is no file: %v", err)
	}
}
