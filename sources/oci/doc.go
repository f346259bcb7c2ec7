// Package oci is the kind of container images and everything else that a
// registry holds: Helm charts, SBOMs, signatures.
//
// It speaks to registries by the OCI distribution specification 1.1 and reads
// what the OCI image specification 1.1 and Docker's manifest version 2, schema 2
// describe. Manifests and indexes are carried byte for byte, so that every digest
// inside is the one that upstream has. A tag is resolved once, by HEAD where the
// registry reports the digest, and everything below a digest is found by digest.
//
// These can be chosen: references, lists of references, and tags of a repository by
// version range, pattern or age; then platforms. If some platforms of an index
// are left out, the annotations of the index's line in the list name them.
//
// Paths are those of the distribution specification below the mount v2, with the
// registry's host in front of the name: <host>[_<port>]/<name>/manifests/<tag>,
// .../manifests/sha256:<hex>, .../blobs/sha256:<hex>, .../referrers/sha256:<hex>.
// The content of the last is made here; all other content is upstream's.
package oci
