package files

import "github.com/gapbundle/gapbundle/sources"

// Name is the kind's name in a spec file, and its part of client paths.
const Name = "files"

// Kind is the kind of single files by URL, and of local folders.
func Kind() sources.Kind { return sources.Kind{Name: Name} }
