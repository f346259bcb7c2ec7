// Package render renders Helm charts by helm's own engine, and finds the images
// that they name. It is the child's side of package child, the only package that
// links helm, and for the program's main package alone: the kind helm starts it
// as a process of its own.
//
// Loading, values, dependencies, conditions and templates are helm's, in the
// order of "helm template" (action.Install). Two things are not:
//
//   - values.schema.json is checked here. Helm's own check follows a $ref to
//     http:, https: and file:, so that a chart can ask the network and read the
//     exporter's files. Here no reference leaves the schema.
//   - There is no cluster and no name server: lookup returns an empty map and
//     getHostByName an empty string, as with "helm template".
package render
