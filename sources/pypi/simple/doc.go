// Package simple reads and writes what a Python package index serves: the page
// of a project, as HTML or as JSON ("Simple repository API", PEP 503, 629, 691,
// 700, 592, 658, 714, 708, 792), and the metadata of a file ("Core metadata"),
// from a .metadata file, a wheel or a source archive.
//
// A page is a stranger's. Accepted are API versions 1.x; a link counts only
// with http or https; names of files are checked by the caller, with package
// tags. Bounds: MaxPage bytes, MaxFiles files, MaxMetadata bytes.
package simple
