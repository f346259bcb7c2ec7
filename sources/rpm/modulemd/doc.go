// Package modulemd reads modules.yaml, which lists what packages belong to
// streams of modules, decides as dnf does which packages a client sees, and
// writes the part of the file that a selection is about.
//
// A client sees of each module one stream: the one that is enabled, otherwise
// the module's default, otherwise none, and the streams that these need.
// libdnf lets libsolv find them; here a search does, with the same result in
// all but a few worlds full of conflicts (a test has 300 made-up ones, and 4 differ).
// Packages of other streams are hidden, and so are packages outside of modules that
// have the name of one that is seen, or provide it.
//
// The specification is libmodulemd's, documents of version 1 and 2, and libdnf
// 0.69 where it states what is seen.
package modulemd
