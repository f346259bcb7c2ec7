// Package tidy lists the bundles on media and removes those that somebody proves are not
// needed any more.
//
// A medium's statements about itself prove nothing: a bundle is known by the digest of its
// bundle.json, and the caller compares that with what a mirror accepted or an exporter
// signed. Only files of the format are removed, volumes only with the sizes that the
// catalogue has them; everything else on the medium stays. bundle.json goes last, so that
// a removal that was interrupted can be repeated.
package tidy
