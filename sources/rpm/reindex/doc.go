// Package reindex makes the repodata of a selection: metadata files named by
// their digests, repomd.xml, and its signature.
//
// The result is a function of what is put in: no clock, no names of its own.
// Everything is packed with gzip, which every dnf and yum reads (that of EL7
// knows no zstd).
package reindex
