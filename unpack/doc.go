// Package unpack is the shelves: a mirror on disk, how verified bundles get
// into it, and how what it publishes changes.
//
// A mirror takes content from a verify.Bundle and from nowhere else. It places
// blobs in a store, builds a generation (the tree that a web server is pointed
// at) out of hard links, and switches to it by one rename. What a client can
// see is therefore always one whole generation, whatever fails and whenever
// the process is killed; the same command run again finishes the job.
//
// The layout of the directory, its times and its modes are described in
// docs/design.md, "The mirror on disk". It is not a contract: web paths are.
//
// The package parses no package metadata, reaches neither the network nor
// other programs, and writes below the mirror's own directory alone. Media are
// never written to. Commands that write take the lock of the mirror; readers
// take none and are never blocked.
package unpack
