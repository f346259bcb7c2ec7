// Package simplestreams is the kind of mirrors of images in the format of
// simplestreams: MAAS's images and bootloaders, and images of LXD and Incus.
//
// The clear-signatures of the index and of each products file are verified by
// the keys of the spec before any name in them is used, and only signed text is
// read. Items are verified by the sha256 in their products file; an item
// without one is refused. With "unsigned: true" an unsigned index is accepted,
// and everything that it leads to counts as unpinned.
//
// A source without a selection is verbatim: upstream's streams byte for byte,
// and every item that has a path. With a selection it is rebuilt: new products
// files are made and signed by the site's key, with upstream's own below
// _upstream/, because MAAS refuses a whole source whose products files name
// missing items. Bootloaders are chosen by the architectures of the images and
// not by the filters, because no machine boots without them.
//
// Paths are upstream's own below simplestreams/<source>/. Each signed file
// (.sjson) has an unsigned form (.json) next to it, which lxc and incus read.
//
// The specification is what python-simplestreams, MAAS's current service layer
// and lxc read: package streams, docs/sources/simplestreams.md.
package simplestreams
