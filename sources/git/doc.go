// Package git is the kind of git repositories: branches and tags with their
// history, the submodules that they record, and objects of Git LFS, published
// as files that git clones by its "dumb" protocol from any web server.
//
// A repository is at git/<host>/<path>.git/ of the mirror, so that relative
// submodule URLs resolve by themselves and absolute ones by one insteadOf line
// for each host. No commit changes and no submodule URL is rewritten.
//
// # What is verified
//
// git names every object by the SHA-1 of its content, with collision
// detection, so the objects that a ref leads to are those that upstream named.
// Every object is read and every link followed ("git fsck") before anything is
// packed; messages that attack a checkout stop the export, see gitrun. Only
// the connection (TLS) proves what a ref names, unless the spec demands
// signatures of tags or commits.
//
// # What is published
//
// Refs equal upstream's at one moment: they are read before and after the
// fetch. Objects are in packs that are made here, because the packs that a
// server sends depend on the server: see gitrepo.Repo.Pack. The first export
// makes one pack, each later one adds a pack for what is new. How the packs
// came about is published with them (objects/info/gapbundle, gitfile.Record);
// the next export reads it back, so the exporter keeps no objects: what the
// base has is a list of commits below which the server sends nothing.
//
// The kind needs the git program on the connected side. It reaches upstream
// through relay, hence through Env.Fetch, and has no other way to a network.
// Nothing inside the gap starts a program.
package git
