package unpack

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/verify"
)

// Policy returns what this mirror trusts; at first nobody.
func (m *Mirror) Policy() (*verify.Policy, error) { return m.state.Policy() }

// UpdatePolicy changes what this mirror trusts, and puts what into the journal.
// An error of change leaves everything as it is.
func (m *Mirror) UpdatePolicy(ctx context.Context, what string, change func(*verify.Policy) error) error {
	if m.o.DryRun {
		p, err := m.Policy()
		if err != nil {
			return err
		}
		return change(p)
	}
	return m.write(ctx, func(w *writer) error { return w.state.ChangePolicy(what, change) })
}

// AdoptStream binds a set to another stream: its exporter lost its state and
// began again. What was accepted of the old stream counts no longer; what is
// published stays until a bundle of the new one is imported.
func (m *Mirror) AdoptStream(ctx context.Context, set, stream string) error {
	if b, err := hex.DecodeString(stream); err != nil || len(b) != 16 || hex.EncodeToString(b) != stream {
		return fmt.Errorf("stream %.80q: want 32 lower-case hex digits: %w", stream, bundle.ErrUsage)
	}
	adopt := func(r *state.Ratchet) error { return r.Adopt(stream) }
	if m.o.DryRun {
		r, err := m.state.Ratchet(set)
		if err != nil {
			return err
		}
		return adopt(&r)
	}
	if err := bundle.CheckLabel(set); err != nil {
		return err
	}
	return m.write(ctx, func(w *writer) error { return w.state.ChangeRatchet(set, "adopt stream "+stream, adopt) })
}

// SetTime moves the clock floor of every set to t, forwards or back: the only
// remedy where a clock was wrong for long.
func (m *Mirror) SetTime(ctx context.Context, t time.Time) error {
	if m.o.DryRun {
		return nil
	}
	return m.write(ctx, func(w *writer) error { return w.state.SetTime(t.UTC().Truncate(time.Second)) })
}
