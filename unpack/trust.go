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

// Trust is what a mirror trusts, and what it accepts of each set. Methods that write take the
// lock of the mirror, like those of Mirror.
type Trust struct{ m *Mirror }

// Trust returns what the mirror trusts and accepts.
func (m *Mirror) Trust() Trust { return Trust{m} }

// Policy returns what this mirror trusts; at first nobody.
func (t Trust) Policy() (*verify.Policy, error) { return t.m.state.Policy() }

// Update changes what this mirror trusts, and puts what into the journal.
// An error of change leaves everything as it is.
func (t Trust) Update(ctx context.Context, what string, change func(*verify.Policy) error) error {
	if t.m.o.DryRun {
		p, err := t.Policy()
		if err != nil {
			return err
		}
		return change(p)
	}
	return t.m.write(ctx, func(w *writer) error { return w.state.ChangePolicy(what, change) })
}

// AdoptStream binds a set to another stream: its exporter lost its state and
// began again. Acceptances of the old stream count no longer; what is
// published stays until a bundle of the new one is imported.
func (t Trust) AdoptStream(ctx context.Context, set, stream string) error {
	if b, err := hex.DecodeString(stream); err != nil || len(b) != 16 || hex.EncodeToString(b) != stream {
		return fmt.Errorf("stream %.80q: want 32 lower-case hex digits: %w", stream, bundle.ErrUsage)
	}
	adopt := func(r *state.Ratchet) error { return r.Adopt(stream) }
	if t.m.o.DryRun {
		r, err := t.m.state.Ratchet(set)
		if err != nil {
			return err
		}
		return adopt(&r)
	}
	if err := bundle.CheckLabel(set); err != nil {
		return err
	}
	return t.m.write(ctx, func(w *writer) error { return w.state.ChangeRatchet(set, "adopt stream "+stream, adopt) })
}

// SetTime moves the clock floor of every set to a time, forwards or back: the only
// remedy where a clock was wrong for long.
func (t Trust) SetTime(ctx context.Context, to time.Time) error {
	if t.m.o.DryRun {
		return nil
	}
	return t.m.write(ctx, func(w *writer) error { return w.state.SetTime(to.UTC().Truncate(time.Second)) })
}
