// Package files is the kind of single files: a URL, a list of URLs, or a
// folder of the exporter's own disk.
//
// A file's digest comes from the spec, from a SHA256SUMS file (coreutils and
// BSD forms, signed or not), or is pinned in gapbundle.lock when the file is
// first seen. Where a file is in the mirror follows from its URL alone, so
// that a client rewrites one prefix per host: /files/<host>[_<port>]/<path>.
// A folder is at /files/<source>/.
//
// The kind looks into no file, with one exception: a PEM private key is
// refused, because a mirror publishes what it holds.
package files
