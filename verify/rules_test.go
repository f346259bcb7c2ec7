package verify_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

func TestReplay(t *testing.T) {
	signer := newSigner(t)
	f := forgery{sequence: 7, repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	b, _, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	root := b.Root()
	other := digest("another root")
	accepted := func(sequence int64, root bundle.Digest, more ...verify.AcceptedRoot) verify.Accepted {
		return verify.Accepted{Stream: stream, Sequence: sequence, Root: root, Roots: append(more, verify.AcceptedRoot{Sequence: sequence, Root: root})}
	}
	for name, x := range map[string]struct {
		accepted verify.Accepted
		allow    bool
		class    error
		text     []string
		known    bool
		override bool
	}{
		"the first":                       {},
		"the next":                        {accepted: accepted(6, other)},
		"a gap":                           {accepted: accepted(2, other)},
		"the last again":                  {accepted: accepted(7, root), known: true},
		"an old one again":                {accepted: accepted(9, other, verify.AcceptedRoot{Sequence: 7, Root: root}), known: true},
		"the last again, roots lost":      {accepted: verify.Accepted{Stream: stream, Sequence: 7, Root: root}, known: true},
		"older, never accepted":           {accepted: accepted(9, other), class: bundle.ErrUntrusted, text: []string{"sequence 7 is older than the last accepted 9"}},
		"older, allowed":                  {accepted: accepted(9, other), allow: true, override: true},
		"newer, allowance not needed":     {accepted: accepted(6, other), allow: true},
		"same number, other bytes":        {accepted: accepted(7, other), class: bundle.ErrUntrusted, text: []string{"two different bundles have sequence 7", root.String(), other.String()}},
		"same old number, other bytes":    {accepted: accepted(9, root, verify.AcceptedRoot{Sequence: 7, Root: other}), class: bundle.ErrUntrusted, text: []string{"two different bundles"}},
		"equivocation is never allowed":   {accepted: accepted(7, other), allow: true, class: bundle.ErrUntrusted, text: []string{"two different bundles"}},
		"another stream":                  {accepted: verify.Accepted{Stream: strings.Repeat("f", 32), Sequence: 1, Root: other}, class: bundle.ErrUntrusted, text: []string{strings.Repeat("f", 32), stream}},
		"another stream is never allowed": {accepted: verify.Accepted{Stream: strings.Repeat("f", 32), Sequence: 9, Root: other}, allow: true, class: bundle.ErrUntrusted, text: []string{stream}},
	} {
		b, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer),
			Receiver: &mirror{accepted: x.accepted}, Now: now, AllowRollback: x.allow})
		refused(t, name, err, x.class, x.text...)
		if err != nil {
			continue
		}
		if b.Known() != x.known || report.Known != x.known {
			t.Errorf("%s: known %t", name, b.Known())
		}
		if got := strings.Join(b.Overrides(), " "); got != strings.TrimSpace(map[bool]string{true: verify.OverrideRollback}[x.override]) {
			t.Errorf("%s: overrides %q", name, got)
		}
	}
	// What the errors carry.
	err = verdict(t, dir, verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{accepted: accepted(7, other)}})
	var e *verify.EquivocationError
	if !errors.As(err, &e) || e.Have != other || e.Got != root || e.Sequence != 7 {
		t.Errorf("got %+v", e)
	}
	why := errors.New("state unreadable")
	if err := verdict(t, dir, verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{err: why}}); !errors.Is(err, why) {
		t.Errorf("want %v, got %v", why, err)
	}
}

func TestJump(t *testing.T) {
	signer := newSigner(t)
	for _, x := range []struct {
		have, got int64
		class     error
	}{{0, 1_000_000, nil}, {0, 1_000_001, bundle.ErrUntrusted}, {5, 1_000_005, nil}, {5, 1_000_006, bundle.ErrUntrusted}, {5, bundle.MaxInteger, bundle.ErrUntrusted}} {
		f := forgery{sequence: x.got, repos: some(), signers: []*bundle.Signer{signer}}
		m := &mirror{accepted: verify.Accepted{Sequence: x.have, Root: digest("x")}}
		err := verdict(t, f.make(t, t.TempDir()), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: m, AllowRollback: true})
		if x.class == nil {
			refused(t, "jump", err, nil)
		} else {
			refused(t, "jump", err, x.class, "a jump of more than 1000000")
		}
	}
}

// TestClock is P17: a clock that is wrong neither admits nor blocks for ever.
func TestClock(t *testing.T) {
	signer := newSigner(t)
	expires := created.Add(90 * 24 * time.Hour)
	f := forgery{sequence: 2, repos: some(), signers: []*bundle.Signer{signer}, root: func(m *bundle.Manifest) { m.Expires = &expires }}
	dir := f.make(t, t.TempDir())
	for name, x := range map[string]struct {
		now, floor time.Time
		accept     bool
		class      error
		override   bool
		note       string
	}{
		"in time":                         {now: created.Add(time.Hour)},
		"at the last moment":              {now: expires, note: "hours apart"},
		"a second later":                  {now: expires.Add(time.Second), class: bundle.ErrUntrusted},
		"accepted all the same":           {now: expires.Add(time.Second), accept: true, override: true, note: "hours apart"},
		"acceptance not needed":           {now: created, accept: true},
		"clock set back, floor behind":    {now: time.Unix(0, 0), floor: created.Add(-time.Hour), note: "has passed already"},
		"clock set back, floor has risen": {now: created, floor: expires.Add(time.Second), class: bundle.ErrUntrusted},
		"clock far behind":                {now: created.Add(-49 * time.Hour), note: "49 hours apart"},
		"clock a little behind":           {now: created.Add(-47 * time.Hour)},
		"made in the past":                {now: created.Add(49 * time.Hour), note: "49 hours apart"},
	} {
		b, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer),
			Receiver: &mirror{accepted: verify.Accepted{Floor: x.floor}}, Now: x.now, AcceptExpired: x.accept})
		if x.class != nil {
			refused(t, name, err, x.class, "expired 2026-05-30T12:00:00Z", "judged at ")
			continue
		}
		refused(t, name, err, nil)
		if err != nil {
			continue
		}
		if got := strings.Join(b.Overrides(), " "); (got == verify.OverrideExpired) != x.override {
			t.Errorf("%s: overrides %q", name, got)
		}
		if notes := strings.Join(report.Notes, "\n"); (x.note == "") != (notes == "") || !strings.Contains(notes, x.note) {
			t.Errorf("%s: want a note with %q, got %q", name, x.note, notes)
		}
	}
}

func TestPublishedKeys(t *testing.T) {
	signer := newSigner(t)
	second := strings.Repeat("F", 40)
	keys := []bundle.PublishedKey{
		{Fingerprint: fingerprint, Role: "site", Mounts: []string{"apt/own"}, Path: "keys/site.asc"},
		{Fingerprint: second, Role: "upstream", Mounts: []string{"apt/own"}, Path: "keys/up.asc"},
	}
	f := forgery{sequence: 5, repos: some(), signers: []*bundle.Signer{signer}, root: func(m *bundle.Manifest) { m.Keys = keys }}
	dir := f.make(t, t.TempDir())
	before := verify.Accepted{Sequence: 1, Root: digest("x")}
	yes := func(k []verify.OfferedKey) (bool, error) { return len(k) == 2, nil }
	no := func([]verify.OfferedKey) (bool, error) { return false, nil }
	never := func([]verify.OfferedKey) (bool, error) { t.Error("asked"); return true, nil }
	site := verify.OpenPGPKey{Role: verify.RoleSite, Set: "demo", Fingerprint: fingerprint}
	upstream := verify.OpenPGPKey{Role: verify.RoleUpstream, Set: verify.AnySet, Fingerprint: second}
	for name, x := range map[string]struct {
		known    []verify.OpenPGPKey
		accepted verify.Accepted
		accept   bool
		confirm  func([]verify.OfferedKey) (bool, error)
		class    error
		text     string
		new      int
		override bool
	}{
		"all known":              {known: []verify.OpenPGPKey{site, upstream}, confirm: never},
		"none known":             {class: bundle.ErrUntrusted, text: fingerprint + " (site, for own); " + second},
		"one known":              {known: []verify.OpenPGPKey{site}, accepted: before, class: bundle.ErrUntrusted, text: second},
		"accepted":               {accept: true, new: 2, override: true, confirm: never},
		"one known, accepted":    {known: []verify.OpenPGPKey{site}, accept: true, new: 1, override: true},
		"all known, accepted":    {known: []verify.OpenPGPKey{site, upstream}, accept: true},
		"asked at the first":     {confirm: yes, new: 2},
		"said no":                {confirm: no, class: bundle.ErrUntrusted, text: fingerprint},
		"not asked later":        {accepted: before, confirm: never, class: bundle.ErrUntrusted, text: fingerprint},
		"of another set":         {known: []verify.OpenPGPKey{{Role: verify.RoleSite, Set: "other", Fingerprint: fingerprint}, upstream}, class: bundle.ErrUntrusted, text: fingerprint},
		"in the other role":      {known: []verify.OpenPGPKey{{Role: verify.RoleUpstream, Set: "demo", Fingerprint: fingerprint}, upstream}, class: bundle.ErrUntrusted, text: fingerprint},
		"the other role, waived": {known: []verify.OpenPGPKey{{Role: verify.RoleUpstream, Set: "demo", Fingerprint: fingerprint}, upstream}, accept: true, class: bundle.ErrUntrusted, text: "is upstream already"},
	} {
		p := policyOf(t, verify.RoleExporter, "demo", signer)
		for _, k := range x.known {
			if err := p.AddOpenPGP(k); err != nil {
				t.Fatal(err)
			}
		}
		b, _, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: p, Receiver: &mirror{accepted: x.accepted}, Now: now,
			AcceptKeys: x.accept, Confirm: x.confirm})
		refused(t, name, err, x.class, x.text)
		if err == nil && (len(b.NewKeys()) != x.new || (len(b.Overrides()) == 1) != x.override) {
			t.Errorf("%s: new %v, overrides %v", name, b.NewKeys(), b.Overrides())
		}
	}
	_, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Now: now})
	if err != nil || !strings.Contains(strings.Join(report.NotChecked, "\n"), fingerprint) {
		t.Errorf("without a mirror: %v, %+v", err, report)
	}
}

func TestAllRulesAreReportedAtOnce(t *testing.T) {
	signer := newSigner(t)
	expires := created.Add(-time.Hour)
	f := forgery{sequence: 3, repos: some(), signers: []*bundle.Signer{signer}, root: func(m *bundle.Manifest) {
		m.Expires = &expires
		m.Keys = []bundle.PublishedKey{{Fingerprint: fingerprint, Role: "site", Mounts: []string{}, Path: "keys/k"}}
	}}
	dir := f.make(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(dir, "README.txt"), []byte("lies"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := verdict(t, dir, verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer),
		Receiver: &mirror{accepted: verify.Accepted{Sequence: 9, Root: digest("x")}}})
	for _, want := range []string{"older than", "expired", "OpenPGP keys", "README.txt"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in: %v", want, err)
		}
	}
}
