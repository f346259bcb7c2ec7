// Package reindex writes the metadata of a repository that holds a selection
// of an archive's packages: Packages, Sources and Translation indexes, and a
// Release signed by the site.
//
// The result is a function of the selection, the Release's own members and the
// key alone: stanzas are as upstream wrote them, in an order of ours, and the
// signature is made at the Release's date, without salt. An unchanged
// selection has unchanged bytes, and costs a delta nothing.
//
// Each index is written as it is and compressed by gzip, the one compression
// that every apt reads, and both are listed and carried: apt 2.6 takes an index
// whose plain form is not listed for one without packages, and reports success.
//
// The specification is wiki.debian.org/DebianRepository/Format.
package reindex
