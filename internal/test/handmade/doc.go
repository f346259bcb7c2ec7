// Package handmade writes bundles for tests by the text of docs/format.md alone. It
// imports nothing of this module, so it shares no mistake with the packages that write
// and read bundles, and it can make and rightly sign what they never would.
//
// Everything that is JSON is an Object until the moment it is written, and every piece
// has a hook: a test changes one thing, and all digests, sizes and signatures that
// follow from it are made again. It is for tests only.
package handmade

// Test is what a testing.TB has of use here; a program that makes bundles for a test
// can be one too.
type Test interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
