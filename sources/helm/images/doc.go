// Package images finds the container images that the rendered documents of a
// Helm chart name.
//
// The rules, in this order; the first that finds an image is the one that is
// reported:
//
//  1. pod: image of the entries of containers, initContainers and
//     ephemeralContainers, and volumes[].image.reference next to them, in any
//     map that has such a list, whatever the kind of the document.
//  2. reference: a whole reference (registry host, name, and tag or digest)
//     anywhere in a string: in custom resources, arguments, ConfigMaps, text.
//  3. key: a reference without registry under a key "image" or "...Image", or
//     in an environment variable "..._IMAGE" or "RELATED_IMAGE_...".
//  4. fields: a map with repository and image or name, and version, tag or
//     digest; or registry, repository and tag; or a repository that begins
//     with a registry's host, and tag.
//  5. list: the annotations artifacthub.io/images and helm.sh/images, and
//     image lists in the package.
//  6. values: the same forms in the chart's values that none of the above
//     found. These are never certain: the values also configure components
//     that are switched off.
//
// An image is a "maybe" where the map that names it has enabled: false, where
// a tag is missing outside of a pod, where a template is left in the name, and
// by rule 6.
//
// Scalars are taken as they are written, not as YAML reads them: the tag 5.10
// is not 5.1. Everything that is read is hostile: the number of values that are
// visited is bounded, aliases included.
package images
