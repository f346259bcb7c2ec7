// Package rpmmd holds what an rpm repository's metadata state about packages:
// names, versions, relations, and how rpm compares them.
//
// A repository has up to some 60,000 packages with nearly two million
// relations, most of which are the same few ten thousand. An Interner keeps
// one copy of each, so that a whole repository fits into memory.
package rpmmd
