// Package simplestreams is the kind of mirrors of images in the format of
// simplestreams: MAAS's images and bootloaders, and images of LXD and Incus.
//
// Verified: the clear-signature of the index and of each products file by the
// keys of the spec, before a name is taken from it; what is signed is what is
// read. Items by the sha256 of their products file; one without is refused.
// "unsigned: true" takes an index that nobody signed, and all that it leads to
// counts as what nothing but the connection vouches for.
//
// A source is verbatim when nothing is chosen: upstream's streams byte for byte,
// and every item that has a path. It is rebuilt when something is: MAAS refuses
// a whole source whose products files name what is not there, so new ones are
// made and signed by the site's key, with upstream's own below _upstream/.
// Bootloaders are chosen for the architectures of the images, whatever the
// filters state: without them no machine boots.
//
// Paths are upstream's own below simplestreams/<source>/. Each signed file
// (.sjson) has an unsigned form (.json) next to it, which lxc and incus read.
//
// The specification is what python-simplestreams, MAAS's current service layer
// and lxc read: package streams, docs/sources/simplestreams.md.
package simplestreams
