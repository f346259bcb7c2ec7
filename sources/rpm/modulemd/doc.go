// Package modulemd reads modules.yaml, which lists the packages of the streams
// of modules. It decides as dnf does which packages a client sees, and writes
// the part of the file for a selection.
//
// A client sees one stream of each module: the enabled one, otherwise the
// module's default, otherwise none. It also sees the streams that these need.
// libdnf lets libsolv find them. Here a search finds them, with the same result
// in all but a few worlds full of conflicts (a test has 300 made-up ones, and 4
// differ). Packages of other streams are hidden. So are packages outside of
// modules that have the name of a visible one, or provide it.
//
// The specifications are libmodulemd's documents of version 1 and 2 and, for
// what is visible, libdnf 0.69.
package modulemd
