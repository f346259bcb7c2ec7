// Package local reads container images that are on the exporter's own disk.
//
// An image layout is a folder (OCI image specification, "Image Layout"): index.json
// lists manifests, and blobs/sha256/<hex> has their content. The name of an
// image in index.json is the annotation io.containerd.image.name, else
// org.opencontainers.image.ref.name, which may be a whole reference or a tag alone.
//
// An archive is a tar file, packed with gzip, bzip2, xz or zstd or not at all, with
// manifest.json as "docker save" and "podman save" write it (Docker image specification
// 1.2, "Combined Image JSON + Filesystem Changeset Format"), or else with an image
// layout, which skopeo calls oci-archive. manifest.json goes before index.json, as for
// skopeo's docker-archive. An archive of "docker save" has no manifest as registries
// have them: one of Docker's schema 2 is made of its configuration and its layers, which
// stay as they are, packed with gzip or not, so the same archive always has the same
// digests.
//
// Both are treated as hostile. Names are only looked up, never written. A link in an
// archive can lead to another member and nowhere else, and a link in a folder cannot leave
// it. Sizes and counts are bounded.
package local
