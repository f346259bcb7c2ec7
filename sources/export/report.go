package export

import (
	"context"
	"errors"
	"time"

	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// PlanReport is what an export would do, as far as that is known from upstream's metadata,
// before any payload is downloaded.
type PlanReport struct {
	Set string `json:"set"`
	// Sequence is the number the bundle would bear.
	Sequence int64 `json:"sequence"`
	Full     bool  `json:"full"`
	// Base is what the delta builds on; nil: full.
	Base *PlanBase `json:"base,omitempty"`
	// Sources are in order of their names.
	Sources []PlanSource `json:"sources"`
	// Total sums Sources.
	Total collect.Tally `json:"total"`
	// Volumes is how many volumes what is sized fills at most.
	Volumes int `json:"volumes"`
	// Media is what fits on which target; nil: no targets are given.
	Media *MediaPlan `json:"media,omitempty"`
	// MirrorBytes is what the receiving mirror's store will need at most, as
	// far as sizes are known; CarryBytes what the media will.
	MirrorBytes int64 `json:"mirrorBytes"`
	CarryBytes  int64 `json:"carryBytes"`
	// ScratchBytes is what the sources may need on this machine meanwhile.
	ScratchBytes int64 `json:"scratchBytes"`
	// Shrunk are sources that have far fewer files than the base: an export stops at those
	// that are not allowed. Gone are sources of the base that the spec does not have any more.
	Shrunk []Shrunk `json:"shrunk,omitempty"`
	Gone   []Gone   `json:"gone,omitempty"`
	// Destination is the one that the export is for; empty: it has no name.
	Destination string `json:"destination,omitempty"`
	// Unknown means that the destination was never exported to, while others
	// were, by name: perhaps a slip of the pen, and a full bundle because of it.
	Unknown []string `json:"otherDestinations,omitempty"`
	// Resumes means that an interrupted export waits to be finished.
	Resumes int64 `json:"resumes,omitempty"`
	// Requires are the features that an importer has to know.
	Requires []string `json:"requires,omitempty"`
	// Names are what is added, changed and removed by name, compared with the base; of
	// a full bundle, with what a delta would build on.
	Names []*contents.Summary `json:"names,omitempty"`
	// Outdated means that the destination's importer has to be updated before
	// the trip; nil: as far as known, it need not.
	Outdated *Outdated `json:"outdated,omitempty"`
}

// PlanBase is the base of a planned delta.
type PlanBase struct {
	Sequence     int64     `json:"sequence"`
	Code         string    `json:"code"`
	Created      time.Time `json:"created"`
	Acknowledged bool      `json:"acknowledged"`
	// Before is the state to build on if this one was lost; 0: none.
	Before int64 `json:"before,omitempty"`
}

// PlanSource is one source in a plan.
type PlanSource struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Mode  string `json:"mode,omitempty"`
	Mount string `json:"mount"`
	// Held means that the base's lists are kept as they are.
	Held bool `json:"held,omitempty"`
	collect.Tally
	// Expires is when upstream's own signatures lapse.
	Expires *time.Time `json:"expires,omitempty"`
	Notes   []string   `json:"notes,omitempty"`
	// Lines are how large each line of the source's lists is, the largest first,
	// where the source is of a kind whose lists name what others carry.
	Lines []collect.Weight `json:"lines,omitempty"`
}

// Plan returns what Run would do. It changes nothing: it uses up no sequence
// number, creates no folder and writes no pin.
func Plan(ctx context.Context, o Options) (*PlanReport, error) {
	in, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := in.report(ctx)
	return r, errors.Join(err, in.close())
}

func (in *opened) report(ctx context.Context) (*PlanReport, error) {
	p, err := newPlan(ctx, in)
	if err != nil {
		return nil, err
	}
	r, err := p.report()
	if err == nil {
		r.Names, err = p.names(ctx)
	}
	return r, err
}

func (p *plan) report() (*PlanReport, error) {
	r := &PlanReport{
		Set: p.spec.Set, Sequence: p.ledger.Next(), Full: p.base == nil,
		Total: p.survey.Total(), ScratchBytes: p.resolved.Scratch,
	}
	if pending := p.ledger.Pending(); pending != nil {
		r.Resumes = pending.Sequence
	}
	if p.base != nil {
		m := p.base.manifest
		before, err := p.to.before(m.Sequence)
		if err != nil {
			return nil, err
		}
		r.Base = &PlanBase{
			Sequence: m.Sequence, Code: ledger.StateCode(m.State), Created: m.Created,
			Acknowledged: p.base.acknowledged, Before: before,
		}
	}
	for i, of := range p.resolved.Repositories {
		lines, err := p.resolved.Weigh(of.Lines)
		if err != nil {
			return nil, err
		}
		r.Sources = append(r.Sources, PlanSource{
			Name: of.Name, Kind: of.Kind, Mode: of.Mode, Mount: of.Mount, Tally: p.survey.Tallies[i], Expires: of.Expires, Notes: of.Notes, Lines: lines,
		})
	}
	for _, h := range p.held {
		r.Sources = append(r.Sources, PlanSource{
			Name: h.Name, Kind: h.Kind, Mode: h.Mode, Mount: h.Mount, Held: true,
			Tally: collect.Tally{Files: h.Count, Bytes: h.Bytes, Unpinned: h.Unpinned}, Expires: h.UpstreamExpires,
		})
	}
	for _, run := range p.survey.Runs {
		r.Volumes += run.Volumes
		r.CarryBytes += run.Raw
	}
	if r.Total.Fetch > 0 {
		r.Volumes++ // client files, and what has no size yet, come after the planned ones
	}
	r.MirrorBytes, r.Media = r.Total.FetchBytes, p.layout.mediaPlan(p.o.Targets)
	r.Shrunk, r.Gone = p.losses.Shrunk, p.losses.Gone
	r.Destination, r.Unknown = p.to.name, p.to.others()
	// The repositories of gapbundle's own have contents lists in any case.
	var err error
	if r.Requires, err = p.requires(p.survey.Total().Filled > 0, true); err != nil {
		return nil, err
	}
	r.Outdated = p.to.outdated(r.Requires)
	return r, nil
}
