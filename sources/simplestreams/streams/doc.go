// Package streams reads and writes the files of a simplestreams mirror, format
// "index:1.0" and "products:1.0" as python-simplestreams reads them.
//
//	index     = {format, updated, index: {content id: {datatype, format, path, products[], updated}}}
//	products  = {content_id, datatype, format, updated, products: {name: product}}
//	product   = {fields, versions: {name: {fields, items: {name: item}}}}
//	item      = {ftype, path, size, sha256, fields}
//
// A field of the file, of a product and of a version is inherited by the items
// below it. A table "_aliases" replaces a field by the fields that the table
// has for its value. Fields that this package does not know are kept.
//
// Everything is hostile: a file is one JSON value in UTF-8 without duplicate
// keys, at most MaxDepth levels deep. A products file is read token by token:
// one product is in memory at a time, never the file.
//
// The demands of a mirror's readers (MAAS; LXD and Incus) are in models.go,
// the filters of sstream-mirror are in filter.go, clear-signed text in signed.go.
package streams
