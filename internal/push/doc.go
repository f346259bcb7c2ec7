// Package push copies the images that a mirror publishes into a registry that
// the site runs already: manifests byte for byte, so that no digest changes,
// and only what is missing there.
//
// It reads one generation through a Tree, whose lists state what there is, and
// writes through internal/registry. It decides nothing about trust: what a
// mirror publishes was checked on its way in. Still every byte is compared with
// its digest while it is sent. It deletes nothing, and moves a tag only to what
// the mirror has under it.
//
// A push that ended early is finished by the same command: what arrived is found
// there and not sent again.
package push
