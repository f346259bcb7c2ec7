// Package access checks whether somebody else could write the files that this program depends
// on: the mirror, its state and its policy, the exporter's state, and keys. sshd does the same
// with StrictModes, and ssh with private keys.
//
// The rules are those of Debian's OpenSSH: a file or folder belongs to the user or to root, and
// nobody else may write it. A group may write it if the user is its only member, because with a
// umask of 002 (user private groups of Debian and Fedora) every file that a user creates has such
// a group. Folders above are not checked. On systems without such owners and modes there is
// nothing to check.
package access

import (
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// Error means that somebody else may change or read what only this user should. It matches
// bundle.ErrUntrusted.
type Error struct {
	Path string
	// Problem is what is wrong with it, Mend a command that corrects it.
	Problem, Mend string
}

func (e *Error) Error() string { return e.Path + ": " + e.Problem }

// Unwrap returns bundle.ErrUntrusted.
func (e *Error) Unwrap() error { return bundle.ErrUntrusted }

// Hint returns the command that corrects it.
func (e *Error) Hint() string { return e.Mend }

const (
	groupWrites = 0o020
	otherWrites = 0o002
	othersRead  = 0o077
)

// Key returns an *Error if somebody else may read the private key at path, which belongs to this
// user. Anything other than a file, such as a pipe, is not looked at, and neither is a key of another
// owner: that this user can read it was decided by them, as ssh has it.
func Key(path string) error {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() || !isOwn(fi) || fi.Mode().Perm()&othersRead == 0 {
		return err
	}
	return &Error{path, "a private key of mode " + mode(fi) + ": others may read or write it", "chmod 600 " + path}
}
