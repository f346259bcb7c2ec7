// Package rpm is the kind of rpm repositories with repodata/repomd.xml, as dnf
// and yum use them.
//
// These are verified:
//
//   - repomd.xml: by repomd.xml.asc if there is one, and by the metalink's digest if
//     there is a metalink.
//   - Metadata files: by the checksums of repomd.xml, before they are unpacked.
//   - Packages: by the checksums of primary, and each by its own signature over header
//     and payload, before it is carried.
//
// Keys are those of the spec and no others, at the judging time Env.Now.
//
// A source is verbatim when it takes repositories whole: upstream's repodata byte for
// byte. It is rebuilt when it chooses packages: new metadata of what was chosen, signed
// by the site key, with upstream's own next to it below _upstream/. Dependencies are
// chosen over all rpm sources of the set together.
//
// Paths are upstream's own below rpm/<source>/. A source with several repositories has a
// folder for each. If locations of packages climb with "../", as many folders of the
// repository's address are part of the path.
//
// A plan has three steps: read reads repomd.xml and the metadata, choose chooses packages,
// lay lays out a repository for each source.
//
// The specification is what createrepo_c writes and dnf reads: docs/sources/rpm.md
// states what was measured.
package rpm
