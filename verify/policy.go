package verify

import (
	"cmp"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Role is what a key may do. A key has one role: two people who each hold a
// key of another role are needed for both, and one person with two keys of one
// role is still one person.
type Role string

// Exporter and approver keys sign bundle.json; site and upstream keys are the
// OpenPGP keys that a bundle may publish for clients inside.
const (
	RoleExporter Role = "exporter"
	RoleApprover Role = "approver"
	RoleSite     Role = "site"
	RoleUpstream Role = "upstream"
	RoleReceipt  Role = "receipt"
)

// AnySet binds a key to every set. It has to be asked for by this word.
const AnySet = "any"

// MaxPolicySize bounds a policy file.
const MaxPolicySize = 1 << 20 // bytes

// Key is a public key that may sign bundles of a set.
type Key struct {
	Added time.Time `json:"added"`
	// Hosts are the public names that the set may answer for, as bundle.MatchHost
	// compares them; nil: any.
	Hosts []string      `json:"hosts,omitempty"`
	ID    bundle.Digest `json:"id"`
	// Mounts are patterns for what the set may own, as bundle.MatchPattern compares
	// them; nil: what no other set has.
	Mounts []string `json:"mounts,omitempty"`
	PEM    string   `json:"pem"`
	Role   Role     `json:"role"`
	// Set is the name of a set, or AnySet.
	Set string `json:"set"`
}

// OpenPGPKey is a key that bundles of a set may publish for clients.
type OpenPGPKey struct {
	Added time.Time `json:"added"`
	// Fingerprint is 40 or 64 upper-case hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	Role        Role   `json:"role"`
	Set         string `json:"set"`
}

// Policy is what the importing side trusts. It comes from that side alone; no
// bundle changes it. The zero value trusts nobody.
type Policy struct {
	Keys    []Key        `json:"keys,omitempty"`
	OpenPGP []OpenPGPKey `json:"openpgp,omitempty"`
	// Require is how many distinct keys of a role must have signed; a role
	// that is not in it: one exporter, no approver.
	Require map[Role]int `json:"require,omitempty"`
}

// ParsePolicy reads what Marshal wrote and applies every rule of Add again.
// Errors match bundle.ErrMalformed or bundle.ErrUsage.
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > MaxPolicySize {
		return nil, fmt.Errorf("policy: %s, at most %d: %w", bundle.Count(len(b), "byte"), MaxPolicySize, bundle.ErrMalformed)
	}
	var read, p Policy
	if err := bundle.UnmarshalCanonical(b, &read); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	for _, k := range read.Keys {
		if err := p.Add(k); err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
	}
	for _, k := range read.OpenPGP {
		if err := p.AddOpenPGP(k); err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
	}
	for r, n := range read.Require {
		if err := p.SetRequire(r, n); err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
	}
	return &p, nil
}

// Marshal returns the canonical form of the policy, the same for the same trust.
func (p *Policy) Marshal() ([]byte, error) { return bundle.MarshalCanonical(p) }

// Add trusts k. ID may be zero and is computed then; one that is not the
// identity of PEM, a key that has another role, and a role that signs no
// bundles match bundle.ErrUsage. A key that is there already is left as it is.
func (p *Policy) Add(k Key) error {
	if k.Role != RoleExporter && k.Role != RoleApprover {
		return fmt.Errorf("key: role %.40q signs no bundles, want %s or %s: %w", k.Role, RoleExporter, RoleApprover, bundle.ErrUsage)
	}
	if err := CheckSet(k.Set); err != nil {
		return err
	}
	_, id, err := bundle.ParsePublicKey([]byte(k.PEM))
	if err != nil {
		return err
	}
	if !k.ID.IsZero() && k.ID != id {
		return fmt.Errorf("key: says %s, is %s: %w", k.ID, id, bundle.ErrUsage)
	}
	if err := k.checkPatterns(); err != nil {
		return err
	}
	k.ID, k.Added = id, k.Added.UTC().Truncate(time.Second)
	for _, have := range p.Keys {
		switch {
		case have.ID != k.ID:
		case have.Role != k.Role:
			return fmt.Errorf("key %s: is %s already and cannot be %s too: %w", k.ID, have.Role, k.Role, bundle.ErrUsage)
		case have.Set == k.Set && (k.Mounts != nil && !slices.Equal(have.Mounts, k.Mounts) || k.Hosts != nil && !slices.Equal(have.Hosts, k.Hosts)):
			return fmt.Errorf("key %s: is there for set %s with other patterns, which gapbundle trust set-mounts changes: %w", k.ID, k.Set, bundle.ErrUsage)
		case have.Set == k.Set:
			return nil
		}
	}
	p.Keys = append(p.Keys, k)
	slices.SortFunc(p.Keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(string(a.Role), string(b.Role)), a.ID.Compare(b.ID), strings.Compare(a.Set, b.Set))
	})
	return nil
}

// AddOpenPGP lets bundles of a set publish a key for clients. A key that has
// the other role, and a fingerprint that is none, match bundle.ErrUsage.
func (p *Policy) AddOpenPGP(k OpenPGPKey) error {
	if k.Role != RoleSite && k.Role != RoleUpstream {
		return fmt.Errorf("OpenPGP key: role %.40q, want %s or %s: %w", k.Role, RoleSite, RoleUpstream, bundle.ErrUsage)
	}
	if err := CheckSet(k.Set); err != nil {
		return err
	}
	if !isFingerprint(k.Fingerprint) {
		return fmt.Errorf("OpenPGP fingerprint %.80q: want 40 or 64 upper-case hex digits: %w", k.Fingerprint, bundle.ErrUsage)
	}
	k.Added = k.Added.UTC().Truncate(time.Second)
	for _, have := range p.OpenPGP {
		switch {
		case have.Fingerprint != k.Fingerprint:
		case have.Role != k.Role:
			return fmt.Errorf("OpenPGP key %s: is %s already and cannot be %s too: %w", k.Fingerprint, have.Role, k.Role, bundle.ErrUsage)
		case have.Set == k.Set:
			return nil
		}
	}
	p.OpenPGP = append(p.OpenPGP, k)
	slices.SortFunc(p.OpenPGP, func(a, b OpenPGPKey) int {
		return cmp.Or(strings.Compare(string(a.Role), string(b.Role)), strings.Compare(a.Fingerprint, b.Fingerprint), strings.Compare(a.Set, b.Set))
	})
	return nil
}

// Remove takes away every entry of one key, named by its whole identity, with
// or without "sha256:", or by a unique beginning of at least 12 digits;
// OpenPGP keys by fingerprint. It returns what was removed. None, or several
// keys: bundle.ErrUsage.
func (p *Policy) Remove(id string) (string, error) {
	id = strings.TrimPrefix(id, "sha256:")
	found := map[string]bool{}
	match := func(full string) bool {
		ok := len(id) >= 12 && strings.HasPrefix(full, id)
		if ok {
			found[full] = true
		}
		return ok
	}
	keys := slices.DeleteFunc(slices.Clone(p.Keys), func(k Key) bool { return match(k.ID.Hex()) })
	pgp := slices.DeleteFunc(slices.Clone(p.OpenPGP), func(k OpenPGPKey) bool { return match(k.Fingerprint) })
	if len(found) != 1 {
		return "", bundle.About(bundle.AboutTrust, fmt.Errorf("key %.80q: names %d of the policy's keys, want 1: %w", id, len(found), bundle.ErrUsage))
	}
	p.Keys, p.OpenPGP = keys, pgp
	for full := range found {
		id = full
	}
	return id, nil
}

// SetRequire asks for n distinct keys of a role. At least one exporter is
// always needed; anything else matches bundle.ErrUsage.
func (p *Policy) SetRequire(r Role, n int) error {
	low := 0
	switch r {
	case RoleExporter:
		low = 1
	case RoleApprover:
	default:
		return fmt.Errorf("require: role %.40q signs no bundles, want %s or %s: %w", r, RoleExporter, RoleApprover, bundle.ErrUsage)
	}
	if n < low || n > bundle.MaxSignatures {
		return fmt.Errorf("require: %s of role %s, want %d to %d: %w", bundle.Count(n, "key"), r, low, bundle.MaxSignatures, bundle.ErrUsage)
	}
	if p.Require == nil {
		p.Require = map[Role]int{}
	}
	p.Require[r] = n
	return nil
}

// Required returns how many distinct keys of the role must have signed.
func (p *Policy) Required(r Role) int {
	if n, ok := p.Require[r]; ok {
		return n
	}
	if r == RoleExporter {
		return 1
	}
	return 0
}

// trusted is a key of the policy, ready to verify with.
type trusted struct {
	id     bundle.Digest
	role   Role
	sets   []string
	public crypto.PublicKey
}

// distinct returns each key once, whatever number of sets it is bound to.
func (p *Policy) distinct() ([]trusted, error) {
	var out []trusted
	for _, k := range p.Keys {
		if n := len(out); n > 0 && out[n-1].id == k.ID {
			out[n-1].sets = append(out[n-1].sets, k.Set)
			continue
		}
		pub, id, err := bundle.ParsePublicKey([]byte(k.PEM))
		if err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
		out = append(out, trusted{id: id, role: k.Role, sets: []string{k.Set}, public: pub})
	}
	return out, nil
}

// signatureNames returns the names that signature files of the policy's keys usually have.
func (p *Policy) signatureNames() []string {
	var names []string
	for _, k := range p.Keys {
		names = append(names, bundle.SignatureName(k.ID))
	}
	return names
}

func (t trusted) forSet(set string) bool {
	return slices.Contains(t.sets, set) || slices.Contains(t.sets, AnySet)
}

// Holds reports whether the policy has the key in that role for the set.
func (p *Policy) Holds(role Role, id bundle.Digest, set string) bool {
	return slices.ContainsFunc(p.Keys, func(k Key) bool {
		return k.Role == role && k.ID == id && (k.Set == set || k.Set == AnySet)
	})
}

// Publishes reports whether bundles of the set may publish the OpenPGP key.
func (p *Policy) Publishes(set string, k bundle.PublishedKey) bool {
	return slices.ContainsFunc(p.OpenPGP, func(t OpenPGPKey) bool {
		return t.Fingerprint == k.Fingerprint && string(t.Role) == k.Role && (t.Set == set || t.Set == AnySet)
	})
}

// CheckSet refuses what is neither the name of a set nor AnySet. Errors match bundle.ErrUsage.
func CheckSet(set string) error {
	if set == "" {
		return fmt.Errorf("key: no set: want the name of one, or %q: %w", AnySet, bundle.ErrUsage)
	}
	return bundle.CheckLabel(set)
}

func isFingerprint(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEF") == ""
}
