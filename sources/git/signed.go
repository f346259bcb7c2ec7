package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitsig"
	"github.com/gapbundle/gapbundle/sources/replay"
)

// planVersion changes when the same refs and options give other files.
const planVersion = 1

// markOf identifies what of the spec the content of a mirror depends on, apart
// from refs: where it changes, refs that did not are looked at again.
func markOf(lfs mode, submodules bool, rules []*rule) string {
	var signed []string
	for _, r := range rules {
		signed = append(signed, r.mark)
	}
	return replay.Configuration(struct {
		Version    int
		LFS        mode
		Submodules bool
		Signed     []string
	}{planVersion, lfs, submodules, signed})
}

// rules are those of the sources that name the mirror.
func (m *mirror) rules() []*rule {
	var all []*rule
	for _, w := range m.wants {
		if w.depth == 0 && w.entry.signed != nil && !slices.Contains(all, w.entry.signed) {
			all = append(all, w.entry.signed)
		}
	}
	return all
}

// loadKeys reads the files of keys that the spec names.
func (s *source) loadKeys(env *sources.Env) error {
	var errs []error
	for _, e := range s.entries {
		if e.signed == nil {
			continue
		}
		var mark strings.Builder
		e.signed.keys = gitsig.Keys{Weak: env.Weak.Allow}
		for _, file := range e.signed.files {
			name := file
			if !filepath.IsAbs(name) {
				name = filepath.Join(e.dir, name)
			}
			content, err := readKeys(name)
			if err == nil {
				err = e.signed.keys.Add(content)
			}
			if err != nil {
				errs = append(errs, e.signed.pos.Errorf("signed: keys: %s: %w", file, err))
			}
			mark.WriteString(bundle.DigestOf(content).Hex())
		}
		e.signed.mark = mark.String() + strings.Join(e.signed.refs, " ")
	}
	return strictyaml.Join(errs...)
}

func readKeys(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := bundle.ReadAllBounded(f, filepath.Base(name), pgpkeys.MaxKeyring)
	return content, errors.Join(err, f.Close())
}

// verify checks the signatures of the refs that have to be signed, of those
// that were fetched. The others were checked when they were.
func (m *mirror) verify(ctx context.Context) error {
	if len(m.rules()) == 0 {
		return nil
	}
	var errs []error
	by := map[string]bool{}
	all := true
	for _, r := range m.chosen {
		if !m.fresh[r.ID] {
			continue
		}
		signed := false
		for _, w := range m.wants {
			rule := w.entry.signed
			if rule == nil || w.depth > 0 || !takes(m.patterns(w), w.exclude, r.Name) || len(rule.refs) > 0 && !matchesAny(rule.refs, r.Name) {
				continue
			}
			who, err := m.signature(ctx, rule, r)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", m.url, r.Name, err))
				continue
			}
			by[who], signed = true, true
		}
		all = all && signed
	}
	if all && len(by) > 0 {
		m.vouched = slices.Min(keysOf(by))
	}
	return errors.Join(errs...)
}

func keysOf(set map[string]bool) []string {
	var all []string
	for k := range set {
		all = append(all, k)
	}
	return all
}

// signature checks the tag that a ref names, or the commit where it names none.
func (m *mirror) signature(ctx context.Context, rule *rule, r gitfile.Ref) (by string, err error) {
	kind := "tag"
	if r.Peeled.IsZero() {
		kind = "commit"
	}
	content, err := m.repo.Read(ctx, kind, gitsig.MaxSigned, []string{r.ID.String()})
	if err != nil {
		return "", err
	}
	if len(content) != 1 || content[0] == nil {
		return "", fmt.Errorf("object %s: not a %s of at most %d bytes", r.ID, kind, gitsig.MaxSigned)
	}
	return rule.keys.Verify(kind, content[0], m.env.Now)
}
