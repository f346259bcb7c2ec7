// Package deb reads and writes what a Debian-style archive is described by:
// paragraphs of fields (deb822), Packages, Sources, Release and dpkg's status
// file, relations between packages and the order of versions.
//
// It is pure: bytes in, values out, no network, no clock, no signatures. Its
// input was made by others and may be hostile, so every reader is bounded,
// and nothing is repaired: two readers that repair differently would see two
// different archives. Errors match bundle.ErrMalformed and name the line.
//
// The specifications are Debian policy chapters 5 (control files) and 7
// (relations), deb-version(7), and the repository format
// (wiki.debian.org/DebianRepository/Format). Where apt reads more narrowly
// than these, apt is followed, because apt is the client.
package deb
