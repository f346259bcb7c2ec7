// Package pty opens pseudo-terminals, for tests of what a person sees and types. It is
// for tests only.
package pty
