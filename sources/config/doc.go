// Package config reads the spec file: the envelope that is the same for every
// kind. What an entry of sources has besides name and kind is handed on,
// undecoded, to the kind; errors of both have file, line and column.
// docs/spec.schema.json describes the file for editors.
//
// It does not read environment variables, keys or credentials: the file only
// names them.
package config
