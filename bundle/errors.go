package bundle

import "errors"

// The classes of what can be wrong with a bundle. Every error of packages
// bundle, verify and unpack that is not the operating system's wraps exactly
// one of them, so that a caller chooses an exit status by errors.Is alone.
var (
	// ErrUsage: the caller asked for something that cannot be asked for:
	// a bad name, a volume size out of range, a key in two roles.
	ErrUsage = errors.New("not a valid request")
	// ErrMalformed: bytes that are not what the format states, whoever made them.
	ErrMalformed = errors.New("malformed")
	// ErrCorrupt: bytes whose digest or length is not the one that was promised.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported: a format version or a required feature that this
	// program does not read.
	ErrUnsupported = errors.New("needs a newer gapbundle")
	// ErrUntrusted: signature, key, role, replay, expiry: well formed and
	// refused by the policy of the importing side.
	ErrUntrusted = errors.New("not trusted")
	// ErrIncomplete: something that is needed is missing: a volume, a medium,
	// the base of a delta. Repeating helps once it has been brought.
	ErrIncomplete = errors.New("incomplete")
	// ErrBusy: another process holds the lock.
	ErrBusy = errors.New("busy")
)
