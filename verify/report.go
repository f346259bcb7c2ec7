package verify

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Report is for the auditor: what was checked of a bundle, how many, by whom
// it is signed, and, as plainly, what was not checked. It is JSON as it is
// and text by WriteText.
type Report struct {
	Bundle      string        `json:"bundle"`
	Set         string        `json:"set,omitempty"`
	Stream      string        `json:"stream,omitempty"`
	Sequence    int64         `json:"sequence,omitempty"`
	Destination string        `json:"destination,omitempty"`
	Root        bundle.Digest `json:"root"`
	State       bundle.Digest `json:"state"`
	Full        bool          `json:"full"`
	Base        *bundle.State `json:"base,omitempty"`
	Tool        string        `json:"tool,omitempty"`
	Created     *time.Time    `json:"created,omitempty"`
	Expires     *time.Time    `json:"expires,omitempty"`
	// Judged is the time by which expiry was judged.
	Judged time.Time `json:"judged,omitzero"`
	// Known means that the receiver accepted this bundle before.
	Known   bool     `json:"known,omitempty"`
	Signers []Signer `json:"signers"`
	// ExporterOverrides are checks that were switched off when it was made.
	ExporterOverrides []string `json:"exporterOverrides,omitempty"`
	// Overrides are rules that the operator here set aside, and needed to.
	Overrides    []string              `json:"overrides,omitempty"`
	Repositories []ReportRepository    `json:"repositories,omitempty"`
	Keys         []bundle.PublishedKey `json:"keys,omitempty"`
	Checked      []bundle.CheckCount   `json:"checked"`
	NotChecked   []string              `json:"notChecked,omitempty"`
	Notes        []string              `json:"notes,omitempty"`
	// Findings are what is wrong. None: everything in Checked was right.
	Findings []string `json:"findings,omitempty"`
}

// ReportRepository is a repository as the root describes it.
type ReportRepository struct {
	Name            string              `json:"name"`
	Kind            string              `json:"kind"`
	Mode            string              `json:"mode,omitempty"`
	Mount           string              `json:"mount"`
	Files           int64               `json:"files"`
	Bytes           int64               `json:"bytes"`
	Unpinned        int64               `json:"unpinned,omitempty"`
	Checks          []bundle.CheckCount `json:"checks,omitempty"`
	UpstreamExpires *time.Time          `json:"upstreamExpires,omitempty"`
}

// count adds to what was checked under a name.
func (r *Report) count(name string, n int64) {
	i := slices.IndexFunc(r.Checked, func(c bundle.CheckCount) bool { return c.Name == name })
	if i < 0 {
		r.Checked = append(r.Checked, bundle.CheckCount{Name: name})
		i = len(r.Checked) - 1
	}
	r.Checked[i].Count += n
}

func (r *Report) notChecked(what string) { r.NotChecked = append(r.NotChecked, what) }

func (r *Report) note(what string) {
	if len(r.Notes) < maxFindings {
		r.Notes = append(r.Notes, what)
	}
}

// volumeBytes means that nobody has looked into n volumes; Check takes it back.
func volumeBytes(n int) string { return fmt.Sprintf("the bytes of %s", bundle.Count(n, "volume")) }

// checkedVolumes notes that Check has looked into the volumes.
func (r *Report) checkedVolumes(b *Bundle, errs []error) {
	r.NotChecked = slices.DeleteFunc(r.NotChecked, func(s string) bool { return s == volumeBytes(len(b.volumes)) })
	for _, err := range errs {
		r.Findings = append(r.Findings, err.Error())
	}
}

// maxClockSkew is from which difference on the time of a bundle is pointed out.
const maxClockSkew = 48 * time.Hour

// noteClock reports where clocks do not agree. It is for people: nobody inside
// the gap knows which of them is right.
func (r *Report) noteClock(now, floor, created time.Time) {
	form := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if floor.After(now) {
		r.note(fmt.Sprintf("the local clock says %s; %s has passed already, by the bundles accepted before", form(now), form(floor)))
	}
	if skew := created.Sub(now); skew > maxClockSkew || skew < -maxClockSkew {
		r.note(fmt.Sprintf("made at %s by the exporter's clock, the local clock says %s: %s apart", form(created), form(now), bundle.Count(int64(skew.Abs().Hours()), "hour")))
	}
}

// finish fills in what the root states, if it was believed.
func (r *Report) finish(b *Bundle, findings []error) {
	r.Root, r.Signers, r.Known = b.root, b.signers, b.known
	r.Overrides = b.overrides
	for _, f := range findings {
		r.Findings = append(r.Findings, f.Error())
	}
	m := b.manifest
	if m == nil {
		r.notChecked("anything beyond the signatures")
		return
	}
	if b.known && b.catalog == nil && len(findings) == 0 {
		r.notChecked("lists and volumes: this bundle was accepted before")
	}
	r.Set, r.Stream, r.Sequence, r.Destination = m.Set, m.Stream, m.Sequence, m.Destination
	r.State, r.Full, r.Base, r.Tool = m.State, m.Full, m.Base, m.Tool
	r.Created, r.Expires, r.ExporterOverrides, r.Keys = &m.Created, m.Expires, m.Overrides, m.Keys
	for _, p := range m.Repositories {
		r.Repositories = append(r.Repositories, ReportRepository{Name: p.Name, Kind: p.Kind, Mode: p.Mode, Mount: p.Mount, Files: p.Count,
			Bytes: p.Bytes, Unpinned: p.Unpinned, Checks: p.Checks, UpstreamExpires: p.UpstreamExpires})
		if p.UpstreamExpires != nil && p.UpstreamExpires.Before(r.Judged) {
			r.note(fmt.Sprintf("repository %s: upstream's own signatures lapsed %s; clients may refuse it", p.Name, p.UpstreamExpires.Format(time.RFC3339)))
		}
	}
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("bundle", "%s", r.Bundle)
	if !r.Root.IsZero() { // there was one
		line("bundle.json", "%s", r.Root)
	}
	if r.Created != nil {
		r.writeRoot(line)
	}
	for _, s := range r.Signers {
		line("signed by", "%s (%s)", s.ID, s.Role)
	}
	for _, p := range r.Repositories {
		line("repository", "%s", p.text())
	}
	for _, k := range r.Keys {
		line("publishes key", "%s (%s) for %s", k.Fingerprint, k.Role, strings.Join(k.Mounts, ", "))
	}
	for _, c := range r.Checked {
		line("checked", "%s: %d", c.Name, c.Count)
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"not checked", r.NotChecked}, {"note", r.Notes}, {"made with", r.ExporterOverrides}, {"override", r.Overrides}, {"WRONG", r.Findings}} {
		for _, s := range part.lines {
			line(part.name, "%s", s)
		}
	}
	if len(r.Findings) == 0 {
		line("result", "nothing wrong in what was checked")
	} else {
		line("result", "REFUSED, %s", bundle.Count(len(r.Findings), "finding"))
	}
	return out.Flush()
}

func (r *Report) writeRoot(line func(name, format string, args ...any)) {
	line("set", "%s, sequence %d, stream %s", r.Set, r.Sequence, r.Stream)
	if r.Base != nil {
		line("delta", "against sequence %d", r.Base.Sequence)
	} else {
		line("full", "needs nothing that is not in it")
	}
	line("state", "%s", r.State)
	line("made", "%s by %s", r.Created.Format(time.RFC3339), r.Tool)
	if r.Destination != "" {
		line("for", "%s", r.Destination)
	}
	if r.Expires != nil {
		line("expires", "%s, judged at %s", r.Expires.Format(time.RFC3339), r.Judged.Format(time.RFC3339))
	}
	if r.Known {
		line("known", "accepted here before")
	}
}

func (p *ReportRepository) text() string {
	s := fmt.Sprintf("%s (%s) at /%s/: %s, %s", p.Name, p.Kind, p.Mount, bundle.Count(p.Files, "file"), bundle.Count(p.Bytes, "byte"))
	if p.Unpinned > 0 {
		s += fmt.Sprintf(", %d not pinned", p.Unpinned)
	}
	for _, c := range p.Checks {
		s += fmt.Sprintf(", %s %d", c.Name, c.Count)
	}
	if p.UpstreamExpires != nil {
		s += ", upstream lapses " + p.UpstreamExpires.Format(time.RFC3339)
	}
	return s
}
