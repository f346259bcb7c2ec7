//go:build unix

package access

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// maxAccounts bounds what is read of the lists of users and of groups.
const maxAccounts = 16 << 20 // bytes

func mode(fi fs.FileInfo) string { return fmt.Sprintf("%04o", fi.Mode().Perm()) }

func isOwn(fi fs.FileInfo) bool {
	s, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int64(s.Uid) == int64(os.Geteuid())
}

// Writers returns an *Error if anybody but the owner may write the file or folder at path; fi
// describes it.
func Writers(path string, fi fs.FileInfo) error {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || fi.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	switch perm := fi.Mode().Perm(); {
	case perm&otherWrites != 0:
		return &Error{path, "mode " + mode(fi) + ": others may write it", "chmod go-w " + path}
	case perm&groupWrites != 0 && !isPrivate(int(s.Gid), int(s.Uid)):
		return &Error{path, fmt.Sprintf("mode %s: everybody in group %s may write it", mode(fi), groupName(int(s.Gid))), "chmod g-w " + path}
	}
	return nil
}

// Owner returns an *Error if the file or folder at path belongs neither to this user nor to
// root; fi describes it.
func Owner(path string, fi fs.FileInfo) error {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || s.Uid == 0 || int64(s.Uid) == int64(os.Geteuid()) {
		return nil
	}
	who, me := userName(int(s.Uid)), userName(os.Geteuid())
	return &Error{path, fmt.Sprintf("belongs to user %s, and this is user %s", who, me),
		fmt.Sprintf("run it as that user (sudo -u %s gapbundle ...); if the folder came from a backup and is yours: chown -R %s %s", who, me, path)}
}

// Inode identifies a folder as long as it is not copied; 0: it cannot be determined.
func Inode(fi fs.FileInfo) uint64 {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// User returns the name of the owner.
func User(fi fs.FileInfo) string {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return userName(int(s.Uid))
	}
	return ""
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}

// isPrivate reports whether the user is known to be the only member of the group. A group that
// the lists of this machine do not have may have anybody.
func isPrivate(gid, uid int) bool {
	users, err := os.Open("/etc/passwd")
	if err != nil {
		return false
	}
	defer users.Close()
	groups, err := os.Open("/etc/group")
	if err != nil {
		return false
	}
	defer groups.Close()
	return onlyMember(users, groups, gid, uid)
}

// onlyMember reads the lists of users and of groups in the forms of passwd(5) and group(5).
func onlyMember(users, groups io.Reader, gid, uid int) bool {
	name, members := "", 0
	for f := range records(users) {
		if len(f) < 4 {
			continue
		}
		if f[2] == strconv.Itoa(uid) {
			name = f[0]
		}
		if f[3] != strconv.Itoa(gid) {
			continue
		}
		if f[2] != strconv.Itoa(uid) {
			return false
		}
		members++
	}
	for f := range records(groups) {
		if len(f) < 4 || f[2] != strconv.Itoa(gid) {
			continue
		}
		for _, member := range strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' }) {
			if member != name {
				return false
			}
			members++
		}
	}
	return name != "" && members > 0
}

// records yields the fields of each line.
func records(in io.Reader) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for s := bufio.NewScanner(io.LimitReader(in, maxAccounts)); s.Scan(); {
			if !yield(strings.Split(s.Text(), ":")) {
				return
			}
		}
	}
}
