package apt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/keyring"
)

// judge compares a Release with the clock and with what was requested. It is as strict as
// apt: what apt takes in spite of a fault is a remark (oddities).
func (s *suite) judge(r *deb.Release, where string, now time.Time) error {
	o := &s.entry.options
	over := !r.ValidUntil.IsZero() && now.After(r.ValidUntil)
	switch {
	case r.Date.After(now.Add(keyring.ClockSkew)):
		return fmt.Errorf("%s: Date %s is in the future (now %s): %w", where, r.Date.UTC().Format(timeForm), now.UTC().Format(timeForm), fetch.ErrRefused)
	case over && !o.AllowExpired:
		return fmt.Errorf("%s: Valid-Until %s is over (now %s); allow-expired: true carries it all the same: %w", where, r.ValidUntil.UTC().Format(timeForm), now.UTC().Format(timeForm), fetch.ErrRefused)
	case r.BadValidUntil != "" && !o.AllowExpired && (!s.entry.rebuilt || r.ValidUntil.IsZero()):
		return fmt.Errorf("%s: Valid-Until %.60q is not in universal time: apt refuses it; allow-expired: true carries it with client files that do not ask: %w", where, r.BadValidUntil, fetch.ErrUpstream)
	}
	if s.flat || s.isCalled(r.Suite) || s.isCalled(r.Codename) || r.Suite == "" && r.Codename == "" || isAlias(s.name) && !isAlias(r.Suite) {
		return nil
	}
	if slices.Contains(o.ReleaseIs, r.Suite) || slices.Contains(o.ReleaseIs, r.Codename) {
		return nil
	}
	return fmt.Errorf("%s: want suite %s, got suite %q and codename %q; if that is right, the source needs release-is: %s: %w", where, s.name, r.Suite, r.Codename, firstWord(r.Codename, r.Suite), fetch.ErrRefused)
}

// firstWord returns the first of names that is not empty.
func firstWord(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// isCalled compares names as apt does: what follows the last slash may be missing
// ("buster/updates"). Vendors add several parts ("noble/product/8.0").
func (s *suite) isCalled(name string) bool {
	want := strings.Trim(s.name, "/")
	return name != "" && (name == want || strings.HasPrefix(want, name+"/"))
}

// isAlias reports whether the release of a suite's name changes from time to time, as for
// "devel" and "stable-security". If a Release under such a name has another such name, it
// is another suite's; otherwise its name is the release that the suite leads to now.
func isAlias(name string) bool {
	head, _, _ := strings.Cut(strings.Trim(name, "/"), "/")
	head, _, _ = strings.Cut(head, "-")
	return slices.Contains([]string{
		"current", "devel", "experimental", "latest", "lts", "oldoldstable", "oldstable", "release", "rolling", "stable", "testing", "unstable",
	}, head)
}

// oddities returns remarks on what a Release states and apt takes in spite of it.
func (s *loadedSuite) oddities(now time.Time) []string {
	r, where := s.release, s.fetched()
	var notes []string
	say := func(format string, args ...any) { notes = append(notes, where+": "+fmt.Sprintf(format, args...)) }
	switch {
	case s.entry.rebuilt && r.BadDate != "":
		say("Date %.60q is not in universal time; the Release that is made here has it so", r.BadDate)
	case s.entry.rebuilt && r.Date.IsZero():
		say("no Date; the Release that is made here has one")
	case r.BadDate != "":
		say("Date %.60q is not in universal time: apt warns (Invalid 'Date' entry) and goes on", r.BadDate)
	case r.Date.IsZero():
		say("no Date: apt warns (Invalid 'Date' entry) and goes on")
	}
	if s.entry.rebuilt && r.BadValidUntil != "" {
		say("Valid-Until %.60q is not in universal time", r.BadValidUntil)
	}
	if !r.ValidUntil.IsZero() && now.After(r.ValidUntil) {
		say("Valid-Until %s is over, and allow-expired is set: upstream may have published security updates since", r.ValidUntil.UTC().Format(timeForm))
	}
	if field := strings.Join(strings.Fields(r.Field("Components")), " "); !s.flat && len(s.want.Components) == 0 && field != strings.Join(r.Components, " ") {
		say("Components is %q, and the indexes that are listed are those of %s, which were taken", field, strings.Join(r.Components, ", "))
	}
	if !s.flat && !s.isCalled(r.Suite) && !s.isCalled(r.Codename) && r.Suite+r.Codename != "" {
		say("suite %s is suite %q, codename %q: apt warns (Conflicting distribution) and goes on", s.name, r.Suite, r.Codename)
	}
	return notes
}
