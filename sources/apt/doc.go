// Package apt is the kind of Debian-style repositories: suites below dists/,
// and flat ones.
//
// Verified: InRelease, or Release with Release.gpg, by the keys of the spec and
// by no others, at the judging time that is handed in; Date, Valid-Until, suite
// and codename; indexes by the digests of Release before they are decompressed,
// packages by those of the indexes.
//
// A source is verbatim when it chooses suites, components, architectures and
// languages alone: upstream's indexes byte for byte, and what a client of that
// configuration may ask for. It is rebuilt when it chooses packages: new
// indexes, signed by the site key, and upstream's own next to them below
// _upstream/. Dependencies are chosen over all apt sources of the set
// together that clients of one release use, for each release (release.go), and
// once over all for clients that mix them.
//
// Paths are upstream's own below apt/<source>/, in a folder for each address
// where a source has several.
//
// The specification is wiki.debian.org/DebianRepository/Format, sources.list(5)
// and, where these are silent or apt is stricter, apt's behaviour: docs/sources/apt.md
// has what was measured.
package apt
