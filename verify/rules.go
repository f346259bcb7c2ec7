package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// judge applies the rules about stream, sequence, time and published keys to a
// root that was authenticated. It returns an error only if the receiver's state
// could not be read.
func (c *opening) judge() error {
	m := c.b.manifest
	if c.o.Receiver == nil {
		c.b.report.notChecked("stream, sequence and earlier bundles of the set: no mirror was given")
		c.judgeTime()
		c.noteKeys()
		return nil
	}
	var err error
	if c.accepted, err = c.o.Receiver.Accepted(m.Set); err != nil {
		return fmt.Errorf("set %s: what was accepted before: %w", m.Set, err)
	}
	c.judgeSequence()
	if c.b.known {
		return nil
	}
	c.judgeTime()
	return nil
}

// judgeSequence is the rule against replay: newer than all before, or one of
// them, byte for byte.
func (c *opening) judgeSequence() {
	m, a := c.b.manifest, c.accepted
	c.b.report.count("earlier bundles of the set", int64(len(a.Roots)))
	if a.Stream != "" && a.Stream != m.Stream {
		c.add(&StreamError{Set: m.Set, Have: a.Stream, Got: m.Stream})
		return
	}
	for _, r := range append(slices.Clone(a.Roots), AcceptedRoot{Sequence: a.Sequence, Root: a.Root}) {
		switch {
		case r.Sequence != m.Sequence || r.Root.IsZero():
		case r.Root == c.b.root:
			c.b.known = true
			return
		default:
			c.add(&EquivocationError{Set: m.Set, Sequence: m.Sequence, Have: r.Root, Got: c.b.root})
			return
		}
	}
	switch {
	case m.Sequence-a.Sequence > MaxJump:
		c.add(&JumpError{Set: m.Set, Have: a.Sequence, Got: m.Sequence})
	case m.Sequence > a.Sequence:
	case c.o.AllowRollback:
		c.override(OverrideRollback)
	default:
		c.add(&ReplayError{Set: m.Set, Have: a.Sequence, Got: m.Sequence})
	}
}

// judgeTime refuses what is past its own expiry. The time of creation is
// somebody else's clock and refuses nothing.
func (c *opening) judgeTime() {
	m := c.b.manifest
	now := judged(c.o.Now, c.accepted.Floor)
	c.b.report.Judged = now.UTC().Truncate(time.Second)
	c.b.report.noteClock(c.o.Now, c.accepted.Floor, m.Created)
	switch {
	case m.Expires == nil || !now.After(*m.Expires):
	case c.o.AcceptExpired:
		c.override(OverrideExpired)
	default:
		c.add(&ExpiredError{Set: m.Set, Sequence: m.Sequence, Expires: *m.Expires, Judged: now.UTC().Truncate(time.Second)})
	}
}

// judgeKeys requires that the policy holds every OpenPGP key that the bundle
// publishes: inside, clients trust what they find there. Tables state where the keys are, so
// that whoever is asked sees whose they are; without them nobody is asked.
func (c *opening) judgeKeys(tables bool) error {
	if c.b.known || c.o.Receiver == nil {
		return nil
	}
	m := c.b.manifest
	c.b.report.count("published OpenPGP keys", int64(len(m.Keys)))
	var unknown []bundle.PublishedKey
	for _, k := range m.Keys {
		if !c.o.Policy.Publishes(m.Set, k) {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	asks := c.accepted.Sequence == 0 && c.o.Confirm != nil && len(c.findings) == 0
	switch {
	case c.o.AcceptKeys:
		c.override(OverrideKeys)
	case asks && !tables:
		return nil // what keeps the tables away is the finding
	default:
		offered := c.offered(unknown, tables)
		yes := false
		if asks {
			var err error
			if yes, err = c.o.Confirm(offered); err != nil {
				return err
			}
		}
		if !yes {
			c.add(&KeysError{Set: m.Set, Keys: offered})
			return nil
		}
	}
	if err := c.conflictingKeys(unknown); err != nil {
		c.add(err)
		return nil
	}
	c.b.newKeys = unknown
	return nil
}

// conflictingKeys: a key that the policy holds in the other role cannot be
// waved through.
func (c *opening) conflictingKeys(keys []bundle.PublishedKey) error {
	for _, k := range keys {
		for _, have := range c.o.Policy.OpenPGP {
			if have.Fingerprint == k.Fingerprint && string(have.Role) != k.Role {
				return fmt.Errorf("published OpenPGP key %s: is %s already and cannot be %s too: %w", k.Fingerprint, have.Role, k.Role, bundle.ErrUntrusted)
			}
		}
	}
	return nil
}

func (c *opening) noteKeys() {
	for _, k := range c.b.manifest.Keys {
		c.b.report.notChecked(fmt.Sprintf("OpenPGP key %s (%s), which the bundle publishes, against a mirror's policy", k.Fingerprint, k.Role))
	}
}

func (c *opening) override(name string) {
	if !slices.Contains(c.b.overrides, name) {
		c.b.overrides = append(c.b.overrides, name)
		slices.Sort(c.b.overrides)
	}
}
