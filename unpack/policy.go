package unpack

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/verify"
)

// Policy is what this mirror trusts; at first nobody.
func (m *Mirror) Policy() (*verify.Policy, error) {
	b, err := m.root.ReadFile(policyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &verify.Policy{}, nil
	}
	if err != nil {
		return nil, err
	}
	return verify.ParsePolicy(b)
}

// UpdatePolicy changes what this mirror trusts; what says it in the journal.
// An error of change leaves everything as it is.
func (m *Mirror) UpdatePolicy(ctx context.Context, what string, change func(*verify.Policy) error) error {
	if m.o.DryRun {
		p, err := m.Policy()
		if err != nil {
			return err
		}
		return change(p)
	}
	return m.write(ctx, func(w *writer) error {
		p, err := w.Policy()
		if err != nil {
			return err
		}
		if err := change(p); err != nil {
			return err
		}
		b, err := p.Marshal()
		if err != nil {
			return err
		}
		// The journal first: a line too many is better than trust without one.
		if err := w.note(Entry{Time: w.now(), What: "trust", Detail: what}); err != nil {
			return err
		}
		return durable.WriteFile(w.root, policyFile, b, stateFileMode)
	})
}

// policyWith is the policy with the keys that came along with the targets and
// were accepted; empty when there are none.
func (w *writer) policyWith(targets []*arrival) (json.RawMessage, error) {
	p, err := w.Policy()
	if err != nil {
		return nil, err
	}
	added := false
	for _, t := range targets {
		for _, k := range t.NewKeys() {
			key := verify.OpenPGPKey{Role: verify.Role(k.Role), Set: t.set(), Fingerprint: k.Fingerprint, Added: w.now()}
			if err := p.AddOpenPGP(key); err != nil {
				return nil, err
			}
			added = true
		}
	}
	if !added {
		return nil, nil
	}
	return p.Marshal()
}

// AdoptStream binds a set to another stream: its exporter lost its state and
// began anew. What was accepted of the old stream counts no longer; what is
// published stays until a bundle of the new one is imported.
func (m *Mirror) AdoptStream(ctx context.Context, set, stream string) error {
	if b, err := hex.DecodeString(stream); err != nil || len(b) != 16 || hex.EncodeToString(b) != stream {
		return fmt.Errorf("stream %.80q: want 32 lower-case hex digits: %w", stream, bundle.ErrUsage)
	}
	return m.changeRatchet(ctx, set, "adopt stream "+stream, func(t *ratchet) error {
		if t.Stream == stream {
			return fmt.Errorf("set %s: bound to stream %s already: %w", set, stream, bundle.ErrUsage)
		}
		t.Stream, t.Sequence, t.Root, t.Roots = stream, 0, bundle.Digest{}, nil
		return nil
	})
}

// changeRatchet is for operators; imports change ratchets as they publish.
func (m *Mirror) changeRatchet(ctx context.Context, set, what string, change func(*ratchet) error) error {
	if err := bundle.CheckLabel(set); err != nil {
		return err
	}
	if m.o.DryRun {
		t, err := m.ratchet(set)
		if err != nil {
			return err
		}
		return change(&t)
	}
	return m.write(ctx, func(w *writer) error {
		t, err := w.ratchet(set)
		if err != nil {
			return err
		}
		if err := change(&t); err != nil {
			return err
		}
		if err := w.note(Entry{Time: w.now(), What: "trust", Set: set, Detail: what}); err != nil {
			return err
		}
		return writeState(w.root, ratchetFile(set), t)
	})
}

// SetTime moves the clock floor of every set to t, forwards or back: the only
// remedy where a clock was wrong for long.
func (m *Mirror) SetTime(ctx context.Context, t time.Time) error {
	t = t.UTC().Truncate(time.Second)
	if m.o.DryRun {
		return nil
	}
	return m.write(ctx, func(w *writer) error {
		if err := w.note(Entry{Time: w.now(), What: "trust", Detail: "set time " + t.Format(time.RFC3339)}); err != nil {
			return err
		}
		all, err := w.ratchets()
		if err != nil {
			return err
		}
		for _, r := range all {
			r.Floor = t
			if err := writeState(w.root, ratchetFile(r.Set), r); err != nil {
				return err
			}
		}
		s, err := w.settings()
		if err != nil {
			return err
		}
		s.Floor = t
		return writeState(w.root, settingsFile, s)
	})
}
