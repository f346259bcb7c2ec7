// Package push copies the images that a mirror publishes into a registry that
// the site runs already: manifests byte for byte, so that no digest changes,
// and only what is missing there.
//
// It reads the lists and files of one generation through a Tree and writes
// through internal/registry. It decides nothing about trust, because published
// content was verified when it was imported. Still it compares every byte with
// its digest while it sends it. It deletes nothing, and moves a tag only to the
// mirror's image of that name.
//
// The same command finishes a push that ended early: content that arrived is
// found there and not sent again.
package push
