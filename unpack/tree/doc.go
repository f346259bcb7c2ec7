// Package tree is what a mirror publishes: generations, each a folder of hard
// links that a web server can be pointed at.
//
// Trees reads them, checks them and finds out what nothing needs any more.
// Builder makes a generation, switches to it by renaming one link, and removes
// what is not needed. Until the switch nothing that a client can see changes.
//
// A repository that owns its mount has a folder of its own below trees/, which
// is shared by every generation that publishes the same files; the generation
// links to it. Repositories with a shared mount are in the generation itself,
// as the union of their lists: different content at one path is a
// ConflictError.
//
// A path whose content changes gets a later modification time than any before,
// and one that does not change keeps its own, because web servers build
// validators from time and size.
package tree
