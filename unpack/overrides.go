package unpack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/verify"
)

// For names the bundle that each override is for: the name of its folder ("site-000007"),
// or its number. Empty: the only bundle at hand that was not accepted yet.
type For struct{ Rollback, Expired, Keys string }

// admitted are the bundles that overrides are for, by the name of the override.
type admitted map[string]string

// admits finds the bundle that each override of o is for among those that were named.
// More than one that it could be is an error that lists them and matches
// bundle.ErrUsage: what is waved through is looked at one by one.
func admits(of *state.State, named []*bundle.Reader, o ImportOptions) (admitted, error) {
	out := admitted{}
	for _, x := range []struct {
		override, bundle string
		given            bool
	}{
		{verify.OverrideRollback, o.For.Rollback, o.AllowRollback},
		{verify.OverrideExpired, o.For.Expired, o.AcceptExpired},
		{verify.OverrideKeys, o.For.Keys, o.AcceptKeys},
	} {
		if !x.given {
			continue
		}
		found, err := meant(of, named, x.bundle)
		if err != nil {
			return nil, err
		}
		switch {
		case len(found) == 1:
			out[x.override] = found[0]
		case x.bundle != "":
			return nil, fmt.Errorf("--%s=%s: %w", x.override, x.bundle, oneOf(found, named))
		case len(found) > 1:
			return nil, fmt.Errorf("--%s: acts on one bundle; name it, as in --%s=%s: %w", x.override, x.override, found[0], oneOf(found, named))
		}
	}
	return out, nil
}

func oneOf(found []string, named []*bundle.Reader) error {
	if len(found) == 0 {
		for _, r := range named {
			found = append(found, r.Name())
		}
		return fmt.Errorf("no such bundle at hand, there are %s: %w", strings.Join(found, ", "), bundle.ErrUsage)
	}
	return fmt.Errorf("%s at hand: %s: %w", bundle.Count(len(found), "bundle"), strings.Join(found, ", "), bundle.ErrUsage)
}

// meant returns the bundles of that name or number; for "" those that were not accepted yet.
func meant(of *state.State, named []*bundle.Reader, which string) (found []string, err error) {
	for _, r := range named {
		set, sequence, _, _ := bundle.SplitDirName(r.Name())
		is := which == r.Name() || which == strconv.FormatInt(sequence, 10)
		if which == "" {
			if is, err = fresh(of, r, set); err != nil {
				return nil, err
			}
		}
		if is {
			found = append(found, r.Name())
		}
	}
	slices.Sort(found)
	return found, nil
}

// fresh reports whether a bundle has a root that was not accepted yet. The root is not
// verified: it only serves to find the bundle that a person means.
func fresh(of *state.State, r *bundle.Reader, set string) (bool, error) {
	if !r.HasRoot() {
		return false, nil
	}
	root, err := r.Root()
	if err != nil {
		return true, nil //nolint:nilerr // what is wrong with it is told when it is opened
	}
	t, err := of.Ratchet(set)
	if err != nil {
		return false, err
	}
	return !t.Has(bundle.DigestOf(root)), nil
}
