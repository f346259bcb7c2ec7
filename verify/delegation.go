package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// checkPatterns puts the patterns of a key in order, each once.
func (k *Key) checkPatterns() error {
	if k.Role != RoleExporter && (k.Mounts != nil || k.Hosts != nil) {
		return fmt.Errorf("key: role %s owns nothing, patterns are for %s: %w", k.Role, RoleExporter, bundle.ErrUsage)
	}
	if len(k.Mounts) > bundle.MaxPatterns || len(k.Hosts) > bundle.MaxPatterns {
		return fmt.Errorf("key: more than %d patterns: %w", bundle.MaxPatterns, bundle.ErrUsage)
	}
	for _, p := range k.Mounts {
		if err := bundle.CheckPattern(p); err != nil {
			return err
		}
	}
	for _, h := range k.Hosts {
		if err := bundle.CheckHostPattern(h); err != nil {
			return err
		}
	}
	k.Mounts, k.Hosts = slices.Compact(slices.Sorted(slices.Values(k.Mounts))), slices.Compact(slices.Sorted(slices.Values(k.Hosts)))
	return nil
}

// SetPatterns replaces what an exporter's key was given for a set (empty: for each set
// that it is bound to): mounts, or hosts, where they are not nil; an empty list takes the
// patterns away. The key is named as for Remove. Errors match bundle.ErrUsage.
func (p *Policy) SetPatterns(id, set string, mounts, hosts []string) error {
	id = strings.TrimPrefix(id, "sha256:")
	found := map[string]bool{}
	changed := slices.Clone(p.Keys)
	for i := range changed {
		k := &changed[i]
		if len(id) < 12 || !strings.HasPrefix(k.ID.Hex(), id) || set != "" && k.Set != set {
			continue
		}
		found[k.ID.Hex()] = true
		if mounts != nil {
			k.Mounts = slices.Clone(mounts)
		}
		if hosts != nil {
			k.Hosts = slices.Clone(hosts)
		}
		if err := k.checkPatterns(); err != nil {
			return err
		}
	}
	if len(found) != 1 {
		return bundle.About(bundle.AboutTrust, fmt.Errorf("key %.80q: names %d of the policy's keys that sign bundles, want 1: %w", id, len(found), bundle.ErrUsage))
	}
	p.Keys = changed
	return nil
}

// Given returns the entries of an exporter's key that count for a set.
func (p *Policy) Given(id bundle.Digest, set string) (all []Key) {
	for _, k := range p.Keys {
		if k.ID == id && k.Role == RoleExporter && (k.Set == set || k.Set == AnySet) {
			all = append(all, k)
		}
	}
	return all
}

// Unbounded returns the exporters' keys without patterns, in the order of the policy.
func (p *Policy) Unbounded() (all []Key) {
	for _, k := range p.Keys {
		if k.Role == RoleExporter && k.Mounts == nil {
			all = append(all, k)
		}
	}
	return all
}

// MayOwn reports whether as many of the exporters' keys among signers as the policy asks
// for were given a web path for the set.
func (p *Policy) MayOwn(set string, signers []Signer, path string) bool {
	return p.given(set, signers, func(k Key) bool {
		return k.Mounts == nil || slices.ContainsFunc(k.Mounts, func(pattern string) bool { return bundle.MatchPattern(pattern, path) })
	})
}

// MayAnswer works like MayOwn, for a public name.
func (p *Policy) MayAnswer(set string, signers []Signer, host string) bool {
	return p.given(set, signers, func(k Key) bool {
		return k.Hosts == nil || slices.ContainsFunc(k.Hosts, func(h string) bool { return bundle.MatchHost(h, host) })
	})
}

// Named reports whether the keys were given the public name itself: not only that nothing
// bounds them.
func (p *Policy) Named(set string, signers []Signer, host string) bool {
	return p.given(set, signers, func(k Key) bool {
		return slices.ContainsFunc(k.Hosts, func(h string) bool { return bundle.MatchHost(h, host) })
	})
}

func (p *Policy) given(set string, signers []Signer, allows func(Key) bool) bool {
	n := 0
	for _, s := range signers {
		if s.Role == RoleExporter && slices.ContainsFunc(p.Given(s.ID, set), allows) {
			n++
		}
	}
	return n >= p.Required(RoleExporter)
}
