package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// rules are those about a root that was authenticated: whether it is newer than what was accepted,
// not too old by the clock, and publishes no key that is not trusted.
type rules struct {
	o        Options
	b        *Bundle
	found    *findings
	accepted Accepted
}

// judge applies the rules about stream, sequence, time and published keys to a
// root that was authenticated. It returns an error only if the receiver's state
// could not be read.
func (r *rules) judge() error {
	m := r.b.manifest
	if r.o.Receiver == nil {
		r.b.report.notChecked("stream, sequence and earlier bundles of the set: no mirror was given")
		r.judgeTime()
		r.noteKeys()
		return nil
	}
	var err error
	if r.accepted, err = r.o.Receiver.Accepted(m.Set); err != nil {
		return fmt.Errorf("set %s: what was accepted before: %w", m.Set, err)
	}
	r.judgeSequence()
	if r.b.known {
		return nil
	}
	r.judgeTime()
	return nil
}

// judgeSequence applies the rule against replay: newer than all before, or one of
// them, byte for byte.
func (r *rules) judgeSequence() {
	m, a := r.b.manifest, r.accepted
	r.b.report.count("earlier bundles of the set", int64(len(a.Roots)))
	if a.Stream != "" && a.Stream != m.Stream {
		r.found.add(&StreamError{Set: m.Set, Have: a.Stream, Got: m.Stream})
		return
	}
	for _, before := range append(slices.Clone(a.Roots), AcceptedRoot{Sequence: a.Sequence, Root: a.Root}) {
		switch {
		case before.Sequence != m.Sequence || before.Root.IsZero():
		case before.Root == r.b.root:
			r.b.known = true
			return
		default:
			r.found.add(&EquivocationError{Set: m.Set, Sequence: m.Sequence, Have: before.Root, Got: r.b.root})
			return
		}
	}
	switch {
	case m.Sequence-a.Sequence > MaxJump:
		r.found.add(&JumpError{Set: m.Set, Have: a.Sequence, Got: m.Sequence})
	case m.Sequence > a.Sequence:
	case r.o.AllowRollback:
		r.override(OverrideRollback)
	default:
		r.found.add(&ReplayError{Set: m.Set, Have: a.Sequence, Got: m.Sequence})
	}
}

// judgeTime refuses what is past its own expiry. The time of creation is
// somebody else's clock and refuses nothing.
func (r *rules) judgeTime() {
	m := r.b.manifest
	now := judged(r.o.Now, r.accepted.Floor)
	r.b.report.Judged = now.UTC().Truncate(time.Second)
	r.b.report.noteClock(r.o.Now, r.accepted.Floor, m.Created)
	switch {
	case m.Expires == nil || !now.After(*m.Expires):
	case r.o.AcceptExpired:
		r.override(OverrideExpired)
	default:
		r.found.add(&ExpiredError{Set: m.Set, Sequence: m.Sequence, Expires: *m.Expires, Judged: now.UTC().Truncate(time.Second)})
	}
}

// judgeKeys requires that the policy holds every OpenPGP key that the bundle
// publishes: inside, clients trust what they find there. Tables state where the keys are, so
// that whoever is asked sees whose they are; without them nobody is asked.
func (r *rules) judgeKeys(tables bool) error {
	if r.b.known || r.o.Receiver == nil {
		return nil
	}
	m := r.b.manifest
	r.b.report.count("published OpenPGP keys", int64(len(m.Keys)))
	var unknown []bundle.PublishedKey
	for _, k := range m.Keys {
		if !r.o.Policy.Publishes(m.Set, k) {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	asks := r.accepted.Sequence == 0 && r.o.Confirm != nil && len(r.found.all) == 0
	switch {
	case r.o.AcceptKeys:
		r.override(OverrideKeys)
	case asks && !tables:
		return nil // what keeps the tables away is the finding
	default:
		offered := describeKeys(r.b, unknown, r.o, tables)
		yes := false
		if asks {
			var err error
			if yes, err = r.o.Confirm(offered); err != nil {
				return err
			}
		}
		if !yes {
			r.found.add(&KeysError{Set: m.Set, Keys: offered})
			return nil
		}
	}
	if err := r.o.Policy.conflicting(unknown); err != nil {
		r.found.add(err)
		return nil
	}
	r.b.newKeys = unknown
	return nil
}

// conflicting: a key that the policy holds in the other role cannot be
// waved through.
func (p *Policy) conflicting(keys []bundle.PublishedKey) error {
	for _, k := range keys {
		for _, have := range p.OpenPGP {
			if have.Fingerprint == k.Fingerprint && string(have.Role) != k.Role {
				return fmt.Errorf("published OpenPGP key %s: is %s already and cannot be %s too: %w", k.Fingerprint, have.Role, k.Role, bundle.ErrUntrusted)
			}
		}
	}
	return nil
}

func (r *rules) noteKeys() {
	for _, k := range r.b.manifest.Keys {
		r.b.report.notChecked(fmt.Sprintf("OpenPGP key %s (%s), which the bundle publishes, against a mirror's policy", k.Fingerprint, k.Role))
	}
}

func (r *rules) override(name string) {
	if !slices.Contains(r.b.overrides, name) {
		r.b.overrides = append(r.b.overrides, name)
		slices.Sort(r.b.overrides)
	}
}
