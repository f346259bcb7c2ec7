// Package promises has the tests that check the project's promises from end to
// end. Each runs the real program as a person would, on a medium, a mirror or a
// machine to which something bad happens. docs/promises.md lists the tests of
// each promise.
//
// It is for tests only. Tests that need strace or unshare have the
// build tag "faults", those that need other people's servers the tag "clients".
package promises
