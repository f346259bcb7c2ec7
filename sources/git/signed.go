package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/git/gitsig"
)

// loadKeys reads the files of keys that the spec names.
func loadKeys(env *sources.Env, entries []*entry) error {
	var errs []error
	for _, e := range entries {
		if e.signed == nil {
			continue
		}
		var mark strings.Builder
		e.signed.keys = gitsig.Keys{Weak: env.Weak.Allow}
		for _, file := range e.signed.files {
			content, err := bundle.ReadNamed(sources.Within(e.dir, file), pgpkeys.MaxKeyring)
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

// signer checks the signatures of those refs that have to be signed and were
// fetched now; the others were checked when they were fetched. If all refs are
// signed, it returns one of the signers in the form of bundle.Evidence.Vouched,
// otherwise "".
func signer(ctx context.Context, t *tools, r *repository) (string, error) {
	if len(r.wants.rules()) == 0 {
		return "", nil
	}
	var errs []error
	by := map[string]bool{}
	all := true
	for _, ref := range r.chosen.refs {
		if !r.fetched.has(ref.ID) {
			continue
		}
		signed := false
		for _, w := range r.wants {
			rule := w.entry.signed
			if rule == nil || w.depth > 0 || !w.takes(ref.Name, r.up.Symref) || len(rule.refs) > 0 && !matchesAny(rule.refs, ref.Name) {
				continue
			}
			who, err := signature(ctx, t, r.fetched.repo, rule, ref)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", r.url, ref.Name, err))
				continue
			}
			by[who], signed = true, true
		}
		all = all && signed
	}
	if len(errs) > 0 || !all || len(by) == 0 {
		return "", errors.Join(errs...)
	}
	return slices.Min(slices.Collect(maps.Keys(by))), nil
}

// signature checks the tag that a ref names, or the commit where it names none.
func signature(ctx context.Context, t *tools, repo *gitrepo.Repo, rule *rule, r gitfile.Ref) (by string, err error) {
	kind := "tag"
	if r.Peeled.IsZero() {
		kind = "commit"
	}
	content, err := repo.Read(ctx, kind, gitsig.MaxSigned, []string{r.ID.String()})
	if err != nil {
		return "", err
	}
	if len(content) != 1 || content[0] == nil {
		return "", fmt.Errorf("object %s: not a %s of at most %d bytes", r.ID, kind, gitsig.MaxSigned)
	}
	return rule.keys.Verify(kind, content[0], t.env.Now)
}
