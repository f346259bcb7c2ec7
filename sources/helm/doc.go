// Package helm carries Helm charts, and makes sure that the images that they name
// are carried with them.
//
// Charts come from chart repositories (index.yaml over HTTP,
// helm.sh/docs/topics/chart_repository), from registries (helm.sh/docs/topics/registries)
// and from files. All of a source are published in one repository, at
// helm/<source>/: index.yaml, <name>-<version>.tgz, and .tgz.prov where there is
// one. The index is made here: it is a function of what was chosen, with relative
// addresses and the digests of the very bytes. Upstream's own indexes are next to it
// as evidence.
//
// These are verified: with a keyring every chart needs a provenance file that one of
// its keys signed, and the sum in it. Without one, the digest in upstream's index is
// enforced, and the connection is what vouches for a chart that has none. Each
// package is read to its end (package pack): its name and version have to be those
// that were requested, and its dependencies have to be inside.
//
// Images: each chart is rendered as "helm template" would render it with the options
// of the spec, in a child process with limits (packages child and render), and the
// documents are searched (package images). Certain images go to a derived source
// of the kind oci; what is not is listed, and carried if the spec accepts it.
// images.json, next to the index, has each image with the rule and the place by
// which it was found.
//
// A plan is read (what do the upstreams have), choose (which versions), gather
// (packages, provenance, images), lay (artifacts).
package helm
