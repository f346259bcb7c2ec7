package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// The refusals below carry what a program needs to state what to do next. Each
// matches one class of package bundle by errors.Is.

// UnsignedError: no file of the bundle is a signature.
type UnsignedError struct{ Name string }

func (e *UnsignedError) Error() string {
	return fmt.Sprintf("%s: no signature (%s...)", e.Name, "bundle.<key>.sigstore.json")
}

// Is makes it bundle.ErrUntrusted.
func (e *UnsignedError) Is(target error) bool { return target == bundle.ErrUntrusted }

// UnknownKeyError: signatures are there, none is by a key of the policy.
type UnknownKeyError struct {
	Name string
	// Set is the set that the directory's name claims: nothing signed was
	// read yet.
	Set string
	// Claimed are the key ids that the signature files claim, unverified.
	Claimed []bundle.Digest
	// Trusted is how many keys the policy holds.
	Trusted int
	// Details has for each signature file what is wrong with it.
	Details []string
}

func (e *UnknownKeyError) Error() string {
	var ids []string
	for _, id := range e.Claimed {
		ids = append(ids, id.String())
	}
	return fmt.Sprintf("%s: signed by no key of the policy (%d known); claims to be signed by %s; %s",
		e.Name, e.Trusted, orNone(strings.Join(ids, ", ")), strings.Join(e.Details, "; "))
}

// Is makes it bundle.ErrUntrusted.
func (e *UnknownKeyError) Is(target error) bool { return target == bundle.ErrUntrusted }

// QuorumError: fewer distinct keys of a role signed than the policy asks for.
type QuorumError struct {
	Name, Set  string
	Role       Role
	Want, Have int
	// OtherSet are keys that did sign, and are trusted for other sets only.
	OtherSet []bundle.Digest
	// Details has for each signature that did not count why.
	Details []string
}

func (e *QuorumError) Error() string {
	s := fmt.Sprintf("%s: signed by %s of role %s for set %s, the policy asks for %d", e.Name, bundle.Count(e.Have, "key"), e.Role, e.Set, e.Want)
	for _, id := range e.OtherSet {
		s += fmt.Sprintf("; key %s is trusted for other sets only", id)
	}
	for _, d := range e.Details {
		s += "; " + d
	}
	return s
}

// Is makes it bundle.ErrUntrusted.
func (e *QuorumError) Is(target error) bool { return target == bundle.ErrUntrusted }

// StreamError: the set is bound to another stream.
type StreamError struct{ Set, Have, Got string }

func (e *StreamError) Error() string {
	return fmt.Sprintf("set %s: bound to stream %s, the bundle is of stream %s: the exporter lost its state, or it is another exporter", e.Set, e.Have, e.Got)
}

// Is makes it bundle.ErrUntrusted.
func (e *StreamError) Is(target error) bool { return target == bundle.ErrUntrusted }

// ReplayError: a bundle that was never accepted, and is not newer than the
// last that was.
type ReplayError struct {
	Set       string
	Have, Got int64 // sequences
}

func (e *ReplayError) Error() string {
	return fmt.Sprintf("set %s: sequence %d is older than the last accepted %d and was never accepted itself", e.Set, e.Got, e.Have)
}

// Is makes it bundle.ErrUntrusted.
func (e *ReplayError) Is(target error) bool { return target == bundle.ErrUntrusted }

// MaxJump is how far ahead of the last accepted sequence a bundle may be. A
// stolen key could otherwise sign the last number there is, after which the
// set could never be updated again.
const MaxJump = 1_000_000

// JumpError: a sequence further ahead than MaxJump.
type JumpError struct {
	Set       string
	Have, Got int64
}

func (e *JumpError) Error() string {
	return fmt.Sprintf("set %s: sequence %d, last accepted %d: a jump of more than %d", e.Set, e.Got, e.Have, int64(MaxJump))
}

// Is makes it bundle.ErrUntrusted.
func (e *JumpError) Is(target error) bool { return target == bundle.ErrUntrusted }

// EquivocationError: two different bundles have one number. Somebody signed
// both.
type EquivocationError struct {
	Set       string
	Sequence  int64
	Have, Got bundle.Digest // of bundle.json
	// AtHand means that neither was accepted: both are on the media at hand.
	AtHand bool
}

func (e *EquivocationError) Error() string {
	if e.AtHand {
		return fmt.Sprintf("set %s: two different bundles have sequence %d, both signed: one is %s, the other %s", e.Set, e.Sequence, e.Have, e.Got)
	}
	return fmt.Sprintf("set %s: two different bundles have sequence %d: accepted was %s, this is %s", e.Set, e.Sequence, e.Have, e.Got)
}

// Is makes it bundle.ErrUntrusted.
func (e *EquivocationError) Is(target error) bool { return target == bundle.ErrUntrusted }

// ExpiredError: the bundle is past its own expiry.
type ExpiredError struct {
	Set             string
	Sequence        int64
	Expires, Judged time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("set %s, sequence %d: expired %s, judged at %s", e.Set, e.Sequence, e.Expires.Format(time.RFC3339), e.Judged.Format(time.RFC3339))
}

// Is makes it bundle.ErrUntrusted.
func (e *ExpiredError) Is(target error) bool { return target == bundle.ErrUntrusted }

// KeysError: the bundle publishes OpenPGP keys that the policy does not hold.
type KeysError struct {
	Set  string
	Keys []OfferedKey
}

func (e *KeysError) Error() string {
	var keys []string
	for _, k := range e.Keys {
		keys = append(keys, k.Text)
	}
	return fmt.Sprintf("set %s: publishes OpenPGP keys that the policy does not hold: %s", e.Set, strings.Join(keys, "; "))
}

// Is makes it bundle.ErrUntrusted.
func (e *KeysError) Is(target error) bool { return target == bundle.ErrUntrusted }

// MissingBaseError: a delta leaves out what the receiver does not have.
type MissingBaseError struct {
	Set      string
	Sequence int64
	// Have is the last sequence of the set that the receiver accepted: what
	// a delta for it can be made against. 0: none.
	Have int64
	// Count and Bytes are of distinct blobs; Lists is the number of lists.
	// While lists are missing, what blobs they name is not known.
	Count, Bytes int64
	Lists        int
	// Repositories are those whose lists or blobs are missing.
	Repositories []string
	// Base is what the bundle was made against.
	Base *bundle.State
}

func (e *MissingBaseError) Error() string {
	var what []string
	if e.Lists > 0 {
		what = append(what, bundle.Count(e.Lists, "list"))
	}
	if e.Count > 0 {
		what = append(what, fmt.Sprintf("%s (%s)", bundle.Count(e.Count, "blob"), bundle.Count(e.Bytes, "byte")))
	}
	base := "none named"
	if e.Base != nil {
		base = fmt.Sprintf("sequence %d", e.Base.Sequence)
	}
	return fmt.Sprintf("set %s, sequence %d: leaves out %s of %s that are not here; made against %s",
		e.Set, e.Sequence, strings.Join(what, " and "), strings.Join(e.Repositories, ", "), base)
}

// Is makes it bundle.ErrIncomplete.
func (e *MissingBaseError) Is(target error) bool { return target == bundle.ErrIncomplete }

// DamageError: bytes of a volume are not what was promised. Unwrap returns the
// class: bundle.ErrCorrupt, or what the operating system said.
type DamageError struct {
	Volume string
	// Frame counts from 1; 0: not in a frame (the file is too long).
	Frame int64
	// Offset is where in the file the frame begins, Length its length there.
	Offset, Length int64
	// Blob is the first blob that is in it, zero if there is none.
	Blob bundle.Digest
	// Paths are files that need what is damaged, with their mounts; More
	// states how many others there are.
	Paths []string
	More  int64
	Err   error
}

func (e *DamageError) Error() string {
	s := e.Volume
	if e.Frame > 0 {
		s += fmt.Sprintf(", frame %d (%s at offset %d)", e.Frame, bundle.Count(e.Length, "byte"), e.Offset)
	}
	if !e.Blob.IsZero() {
		s += fmt.Sprintf(", blob %s", e.Blob)
	}
	s += ": " + e.Err.Error()
	if len(e.Paths) > 0 {
		s += "; damages " + strings.Join(e.Paths, ", ")
		if e.More > 0 {
			s += fmt.Sprintf(" and %d more", e.More)
		}
	}
	return s
}

// Unwrap returns what was found.
func (e *DamageError) Unwrap() error { return e.Err }

func orNone(s string) string {
	if s == "" {
		return "nobody"
	}
	return s
}
