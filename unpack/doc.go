// Package unpack is the mirror on disk: how verified bundles get into it, and
// how what it publishes changes.
//
// A mirror takes content from a verify.Bundle and from nowhere else. It places
// blobs in a store (package store), builds a generation (package tree) out of
// hard links, and switches to it by one rename; what it remembers is in package
// state. A client therefore always sees one whole generation,
// whatever fails and whenever the process is killed. The same command run again
// finishes the work.
//
// Mirror is the facade. Methods that only read need no lock. All others run
// inside write, which takes the lock, completes what an interrupted run had
// begun to publish, and passes on a writer.
//
// The layout of the directory, its times and its modes are described in
// docs/design.md, "The mirror on disk". It is not a contract: web paths are.
//
// The package parses no package metadata, reaches neither the network nor
// other programs, and writes below the mirror's own directory alone. Media are
// never written to.
package unpack
