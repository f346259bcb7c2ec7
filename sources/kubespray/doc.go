// Package kubespray is the kind for everything that Kubespray's playbook downloads:
// the lists that Kubespray's own contrib/offline/generate_list.sh writes, as they are.
//
// It fetches nothing itself. Files become a derived source of kind files, pinned by
// the digests of the very checkout that is deployed, and images one of kind oci. They
// are published where Kubespray looks for them when a few variables are set:
// files/<host>/<path> and v2/<registry>/<name>. The variables are the client file
// offline.yml.
//
// No file of Kubespray is trusted on first sight: a URL that its checksums do not
// cover is refused, unless the spec names it.
//
// The repository of a source has the united lists and the pins that were used. Check
// and Clients work from these, because a kind sees only its own repositories.
package kubespray
