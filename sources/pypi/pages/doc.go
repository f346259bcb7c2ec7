// Package pages has the published form of a Python source: its paths, its pages, locks and
// record, and the check that everything a client requests exists.
//
//	simple/index.html, simple/<name>/index.html   pages of the chosen files
//	simple/.../index.v1_json                      the same pages as JSON
//	files/<aa>/<sha256>/<file>                    wheels and source archives
//	files/<aa>/<sha256>/<file>.metadata           METADATA of a wheel (PEP 658)
//	locks/<target>.txt                            everything for a target, with hashes
//	sources.json                                  which index has which name
package pages
