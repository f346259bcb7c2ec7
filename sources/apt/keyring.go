package apt

import (
	"context"
	"strings"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
)

// keyRef returns the spec's keyring, otherwise what the entry's Signed-By names.
func (e *entry) keyRef(s stanza) (*keyring.Ref, error) {
	if o := &e.options.Keyring; !o.IsZero() {
		return o.Ref("keyring", e.dir)
	}
	ref := &keyring.Ref{Pos: s.pos, Option: "Signed-By"}
	switch by := strings.TrimSpace(s.signedBy); {
	case strings.HasPrefix(by, pgpkeys.Armored):
		ref.Block = unfold(by)
	case strings.HasPrefix(by, "/") && !strings.ContainsAny(by, " \n"):
		ref.File = by
	case by != "":
		return nil, s.pos.Errorf("Signed-By: %.60q: want a path or the keys themselves; otherwise set keyring", by)
	default:
		return nil, s.pos.Errorf("source %s: keyring: name the keys that may sign it", e.name)
	}
	return ref, nil
}

// unfold undoes what deb822 does to the lines of a key.
func unfold(value string) string {
	var b strings.Builder
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if line == "." {
			line = ""
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// loadKeys loads the keys of all suites, once for all suites that name the same ones,
// and returns them by keyring.Ref.ID.
func loadKeys(ctx context.Context, env *sources.Env, entries []*entry) (map[string]keyring.Keys, error) {
	byID := map[string]*keyring.Ref{}
	var refs []*keyring.Ref
	for _, e := range entries {
		for _, s := range e.suites {
			if id := s.keys.ID(); byID[id] == nil {
				byID[id] = s.keys
				refs = append(refs, s.keys)
			}
			s.keys = byID[s.keys.ID()] // what is loaded knows the form of the keys
		}
	}
	loaded := make([]keyring.Keys, len(refs))
	err := sources.Each(ctx, len(refs), func(ctx context.Context, i int) (err error) {
		loaded[i], err = keyring.Load(ctx, env, refs[i])
		return err
	})
	keys := make(map[string]keyring.Keys, len(refs))
	for i, ref := range refs {
		keys[ref.ID()] = loaded[i]
	}
	return keys, err
}
