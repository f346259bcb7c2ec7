// Package gitfile reads and writes the files of a git repository that a web
// server hands out to the "dumb" protocol: pack indexes (gitformat-pack,
// version 2), packs as far as their header and trailer go, packed-refs and
// info/refs (gitrepository-layout), and the two small files inside of commits
// that lead to more content: .gitmodules (gitmodules(5), git-config(1)) and
// pointers of Git LFS (its specification, "The Pointer").
//
// It also defines the record, a file of gapbundle's own that is published next
// to the packs and describes how they were made; see Record.
//
// All of these come from an upstream or a medium and are hostile until read:
// every reader is bounded, refuses what it does not know, and never looks up a
// path or a URL. Objects are named by SHA-1; repositories of SHA-256 objects
// are refused. The readers do not inflate objects: the git program does that
// on the connected side, and inside the gap nobody does.
package gitfile
