// Package pages is what a mirror serves of a Python source: which paths it has, its
// pages, locks and record, and whether all that a client asks for is there.
//
//	simple/index.html, simple/<name>/index.html   pages of the chosen files
//	simple/.../index.v1_json                      the same pages as JSON
//	files/<aa>/<sha256>/<file>                    wheels and source archives
//	files/<aa>/<sha256>/<file>.metadata           METADATA of a wheel (PEP 658)
//	locks/<target>.txt                            everything for a target, with hashes
//	sources.json                                  which index has which name
package pages
