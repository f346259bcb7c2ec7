// Package promises holds the tests that hold the project to its promises from
// end to end: each runs the real program as a person would, on a medium, a
// mirror or a machine to which something is done that should not happen.
// docs/promises.md states which test holds which promise.
//
// It is for tests only. Tests that need strace or unshare have the
// build tag "faults", those that need other people's servers the tag "clients".
package promises
