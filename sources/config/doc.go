// Package config reads the spec file, as far as it is the same for every kind.
// The other keys of a source are left undecoded for its kind. Errors of both
// have file, line and column.
// docs/spec.schema.json describes the file for editors.
//
// It does not read environment variables, keys or credentials: the file only
// names them.
package config
