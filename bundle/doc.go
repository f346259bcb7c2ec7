// Package bundle is the format: what is on the media between the connected
// and the disconnected side, and how it is read. Package media writes it.
//
// A bundle is a directory of a signed root (bundle.json), a catalogue (lists
// and tables) and volumes of payload. docs/format.md is the normative text;
// the names here are its names. The package trusts nothing that it reads: a
// Reader hands out bytes as they lie on the medium, and package verify is the
// only place that turns them into something that may be used.
//
// It is not a network client, starts no program, keeps no clock (times are
// handed in) and logs nothing.
package bundle
