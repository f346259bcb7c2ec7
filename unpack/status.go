package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// Status is what a mirror publishes and what it waits for.
type Status struct {
	Dir     string `json:"dir"`
	BaseURL string `json:"baseURL,omitempty"`
	// Generation is the current one, 0: nothing was published yet; Previous
	// the one that servers fall back to, 0: none.
	Generation int              `json:"generation"`
	Previous   int              `json:"previous,omitempty"`
	Published  time.Time        `json:"published,omitzero"`
	Reason     string           `json:"reason,omitempty"`
	Sets       []SetStatus      `json:"sets"`
	Pending    []PendingStatus  `json:"pending,omitempty"`
	Ambiguous  []site.Ambiguous `json:"ambiguous,omitempty"`
	Dropped    []site.Dropped   `json:"dropped,omitempty"`
	Notes      []string         `json:"notes,omitempty"`
	// Public is what the mirror can answer for by public names; nil: it was published by a
	// program that did not record this.
	Public *site.PublicNames `json:"public,omitempty"`
	// Waiting are the repositories with files that are not published as long
	// as the mirror does not know its address.
	Waiting []string `json:"waiting,omitempty"`
	// Unbounded are exporters' keys without patterns, in a mirror with several sets.
	Unbounded []verify.Key `json:"unbounded,omitempty"`
	// Distrusted are sets that are published under keys which are not trusted any more.
	Distrusted []Distrusted `json:"distrusted,omitempty"`
	// ReceiptKey identifies the key that signs receipts here, zero before the first.
	ReceiptKey bundle.Digest `json:"receiptKey,omitzero"`
}

// SetStatus is what is known of one set.
type SetStatus struct {
	Set    string `json:"set"`
	Stream string `json:"stream"`
	// Sequence is of what is published, 0: nothing is; Accepted of the
	// newest that was accepted.
	Sequence int64 `json:"sequence"`
	Accepted int64 `json:"accepted"`
	// Forward describes how to publish the last accepted bundle while an older one is
	// published; ForwardTo is the generation that has it, 0: none that is kept.
	Forward   string `json:"forward,omitempty"`
	ForwardTo int    `json:"forwardTo,omitempty"`
	// State is the state in the newest receipt: the next delta may build on it. Code is its
	// beginning, short enough to read out over the telephone.
	State     bundle.Digest `json:"state,omitzero"`
	Code      string        `json:"code,omitempty"`
	Created   time.Time     `json:"created,omitzero"`
	Imported  time.Time     `json:"imported,omitzero"`
	Overrides []string      `json:"overrides,omitempty"`
	Files     int64         `json:"files"`
	Bytes     int64         `json:"bytes"`
	// Expires is the earliest upstream expiry; nil: none is known.
	Expires      *time.Time          `json:"expires,omitempty"`
	Repositories []bundle.Repository `json:"repositories"`
	// Receipt is the path of the newest receipt.
	Receipt string `json:"receipt,omitempty"`
	// Allowed is what its client files do without a signature because the root allows
	// it, a line each.
	Allowed []string `json:"allowed,omitempty"`
	// Outside is what is published and refused when it comes again.
	Outside []Outside `json:"outside,omitempty"`
}

// PendingStatus is a bundle that waits for volumes.
type PendingStatus struct {
	Name    string   `json:"name"`
	Volumes int      `json:"volumes"`
	Placed  int      `json:"placed"`
	Missing []string `json:"missing"`
}

// stateCode is how many hex digits of a state digest are read out.
const stateCode = 10

// Status reads what is published and what waits.
func (m *Mirror) Status(ctx context.Context) (*Status, error) {
	settings, err := m.state.Settings()
	if err != nil {
		return nil, err
	}
	st := &Status{Dir: m.dir, BaseURL: settings.BaseURL}
	g, err := m.trees.Published()
	if err != nil {
		return nil, err
	}
	if g != nil {
		st.Generation, st.Published, st.Reason = g.Number, g.Time, g.Reason
		st.Ambiguous, st.Dropped, st.Notes, st.Waiting = g.Ambiguous, g.Dropped, g.Notes, g.Waiting()
		if st.Public, err = m.trees.PublicNames(); err != nil {
			return nil, err
		}
	}
	if st.Previous, err = m.trees.Previous(); err != nil {
		return nil, err
	}
	ratchets, err := m.state.Ratchets()
	if err != nil {
		return nil, err
	}
	policy, err := m.state.Policy()
	if err != nil {
		return nil, err
	}
	if g != nil && len(g.Sets) > 1 {
		st.Unbounded = policy.Unbounded()
	}
	for _, t := range ratchets {
		set := setStatus(m.state, t, g.Set(t.Set))
		if published := g.Set(t.Set); published != nil {
			if err := reachStatus(m, &set, published, policy); err != nil {
				return nil, fmt.Errorf("set %s: %w", t.Set, err)
			}
		}
		if set.Forward, set.ForwardTo, err = forward(m.trees, t, g.Set(t.Set)); err != nil {
			return nil, err
		}
		st.Sets = append(st.Sets, set)
	}
	if err := overlapStatus(m, st.Sets, g, ratchets); err != nil {
		return nil, err
	}
	if st.Distrusted, err = FindDistrusted(m); err != nil {
		return nil, err
	}
	if err := errors.Join(guard(m.root, m.dir), audit(m.state, m.trees)); err != nil {
		st.Notes = append(slices.Clone(st.Notes), strings.Split(err.Error(), "\n")...)
	}
	if st.Pending, err = pendingStatus(ctx, m.state); err != nil {
		return nil, err
	}
	st.ReceiptKey, err = m.state.ReceiptKeyID()
	if err != nil {
		return nil, err
	}
	return st, nil
}

func setStatus(of *state.State, t state.Ratchet, g *tree.GenerationSet) SetStatus {
	s := SetStatus{Set: t.Set, Stream: t.Stream, Accepted: t.Sequence}
	if t.Acknowledged != nil {
		s.State = t.Acknowledged.State
		s.Code = s.State.Hex()[:stateCode]
		s.Receipt, _ = of.ReceiptPath(bundle.DirName(t.Set, t.Acknowledged.Sequence))
	}
	if g == nil {
		return s
	}
	s.Sequence, s.Created, s.Imported, s.Overrides = g.Sequence, g.Created, g.Imported, g.Overrides
	s.Files, s.Bytes = tree.Totals([]tree.GenerationSet{*g})
	for _, r := range g.Repositories {
		s.Repositories = append(s.Repositories, r.Repository)
		if e := r.UpstreamExpires; e != nil && (s.Expires == nil || e.Before(*s.Expires)) {
			s.Expires = e
		}
	}
	return s
}

func pendingStatus(ctx context.Context, of *state.State) ([]PendingStatus, error) {
	names, err := of.Pendings()
	if err != nil {
		return nil, err
	}
	var all []PendingStatus
	for _, name := range names {
		p, err := of.ReadPending(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // settled meanwhile
		}
		if err != nil {
			return nil, err
		}
		s := PendingStatus{Name: name, Missing: []string{}}
		err = of.PendingCatalog(ctx, name, func(v bundle.Volume, _ *bundle.Catalog) error {
			s.Volumes++
			if p.Placed[s.Volumes] {
				s.Placed++
			} else {
				s.Missing = append(s.Missing, v.Name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
