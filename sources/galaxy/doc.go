// Package galaxy carries Ansible collections and roles from a Galaxy server, and publishes them as a
// static copy of the server's API.
//
// Requests are in requirements files or in the spec. All collections of a requirements file are resolved
// together, as "ansible-galaxy install -r" does; each collection of the spec is resolved by itself, in its
// newest versions. Dependencies are carried in any case.
//
// A collection's archive has the SHA-256 that the server states, and is opened: see package tarball. With
// a keyring it has to have signatures of MANIFEST.json. A collection that is not signed is pinned in gapbundle.lock
// on first sight, as archives of roles are, for which the server has no digest.
//
// Published below galaxy/<source>/, each page as index.html of a folder:
//
//	                                                        the root of the API
//	v3/collections/<namespace>/<name>/                      a collection
//	v3/collections/<namespace>/<name>/versions/             its versions
//	v3/collections/<namespace>/<name>/versions/<version>/   one of them
//	artifacts/<namespace>-<name>-<version>.tar.gz           its archive
//	v1/roles/                                               the answer for a role that is not there
//	v1/roles/by/<owner>/<name>/                             the answer for ?owner__username=<owner>&name=<name>
//	v1/roles/<owner>.<name>/versions/                       its versions
//	roles/<owner>.<name>/<version>.tar.gz                   the archive of one of them
//	requirements/<file>                                     a requirements file for use inside
//
// Clients need absolute addresses in pages, which only the importing side knows: those are filled.
package galaxy
