package rpm

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/keyring"
)

// keyRefs returns the spec's gpgkey, otherwise what the .repo file names: files on this
// machine. An address there proves nothing about who is to be trusted.
func (e *entry) keyRefs(fromFile []string) ([]*keyring.Ref, error) {
	var refs []*keyring.Ref
	var errs []error
	for i := range e.options.GPGKey {
		ref, err := e.options.GPGKey[i].Ref("gpgkey", e.dir)
		refs, errs = append(refs, ref), append(errs, err)
	}
	if len(refs) == 0 {
		for _, name := range fromFile {
			file, ok := strings.CutPrefix(name, "file://")
			if !ok {
				errs = append(errs, e.pos.Errorf("gpgkey: %s, says %s: a URL alone proves nothing: set gpgkey here, to a file or {url: ..., fingerprint: ...}", name, e.options.RepoFile))
				continue
			}
			if !slices.ContainsFunc(refs, func(o *keyring.Ref) bool { return o.File == file }) {
				refs = append(refs, &keyring.Ref{Pos: e.pos, Option: "gpgkey", File: file})
			}
		}
	}
	if len(refs) == 0 && len(errs) == 0 && !e.options.AllowUnsigned {
		errs = append(errs, e.pos.Errorf("source %s: gpgkey: name the keys that may sign it", e.name))
	}
	return refs, strictyaml.Join(errs...)
}
