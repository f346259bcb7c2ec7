// Package pypi is the kind of Python package indexes: the files that pip, uv,
// Poetry and PDM install for the interpreters of a site, and an index of them.
//
// Wanted packages are named in requirements files, in the spec, or in lock files.
// For every target, an interpreter on a platform, versions are chosen as pip would
// choose there (package resolve); a lock is taken as it is. A name comes from one
// index, so that nobody can put a package of the same name into another one.
//
// Three steps: read asks indexes and reads metadata (PEP 503, 658, 691, 714),
// choose resolves, lay decides every path below pypi/<source>/:
//
//	simple/index.html, simple/<name>/index.html   pages of the chosen files
//	simple/.../index.v1_json                      the same pages as JSON
//	files/<aa>/<sha256>/<file>                    wheels and source archives
//	files/<aa>/<sha256>/<file>.metadata           METADATA of a wheel
//	locks/<target>.txt                            everything for a target, with hashes
//
// No index of Python packages is signed. Digests come from its pages, for which
// the connection vouches, or from hashes in requirements and locks.
package pypi
