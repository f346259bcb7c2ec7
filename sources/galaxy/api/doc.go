// Package api asks a Galaxy server what it has, as ansible-galaxy asks.
//
// The root of the API is the address in the spec, or that address and "api/": whichever answers with
// "available_versions", which names the folder of each version of the API. Collections are read by
// version 3, and by version 2 where a server has no other; roles by version 1.
//
//	<v3>collections/<namespace>/<name>/versions/            which versions there are, in pages
//	<v3>collections/<namespace>/<name>/versions/<version>/  address, SHA-256, size, dependencies, signatures
//	<v3>collections/?namespace=<namespace>                  the collections of a namespace, in pages
//	<v1>roles/?owner__username=<owner>&name=<name>          a role and its repository
//	<v1>roles/<id>/versions/                                its tags, in pages
//
// Answers are not trusted: names and versions have to be the requested ones, pages have to be on the same
// server, and sizes are bounded.
package api
