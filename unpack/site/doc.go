// Package site writes the files that an import itself makes: the portal, pages of
// names, the inventory, the web servers' configuration, client files with the mirror's
// address filled in, and for images the tag lists and the names without a
// registry host. They are a closed list, they are in no file list, and they
// are a function of names and lists alone: the same Input produces the same
// bytes, and no package metadata is parsed.
//
// It writes into a generation that is not published yet, and leaves durability,
// the switch and the journal to package unpack.
//
// # Content types
//
// If a list has a media type for a file, the generation holds a symbolic link
// /_gapbundle/typed/<path>.<extension> to it, with one extension per media
// type. A server finds the type by looking whether that name exists, so its
// configuration holds the few media types and no paths. An import that adds or
// moves a tag needs no reload, and types switch and roll back with the
// generation. A bundle chooses many texts, but only media types, of a narrow
// alphabet, are ever read as configuration.
//
// Digests of tags are found in the same way; see DigestsDir.
package site
