// Package rpm is the kind of rpm repositories with repodata/repomd.xml, as dnf
// and yum use them.
//
// Verified: repomd.xml by repomd.xml.asc where there is one and by the metalink's
// digest where there is a metalink; metadata files by the checksums of
// repomd.xml before they are unpacked; packages by the checksums of primary, and
// each by its own signature, header and payload, before it is carried. Keys are
// those of the spec and no others, at the judging time that is handed in.
//
// A source is verbatim when it takes repositories whole: upstream's repodata
// byte for byte. It is rebuilt when it chooses packages: new metadata of what
// was chosen, signed by the site key, and upstream's own beside it below
// _upstream/. What packages depend on is chosen over all rpm sources of the set
// together.
//
// Paths are upstream's own below rpm/<source>/, in a folder for each repository
// where a source has several, and below as many folders of the repository's
// address as its packages' locations climb with "../".
//
// The specification is what createrepo_c writes and dnf reads: docs/sources/rpm.md
// says what was measured.
package rpm
