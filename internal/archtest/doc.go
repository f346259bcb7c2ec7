// Package archtest holds the architecture as data and proves it by reading the
// source: which package imports which, what can be reached through
// dependencies, and how large things may grow. docs/design.md explains why.
//
// It has nothing but tests. They read imports in process, with go/parser and
// go/build: a test that asked the go command would be served stale from the
// test cache, which only sees the files that a test opens itself.
package archtest
