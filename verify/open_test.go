package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// some is two repositories that share a mount, one of its own, and a blob that
// two paths have.
func some() []repo {
	return []repo{
		{name: "books", mount: "files", files: map[string]string{"books/a.txt": text("a", 3000), "books/b/c.txt": text("c", 20000), "books/empty": ""}},
		{name: "own", mount: "apt/own", files: map[string]string{"x": text("a", 3000)}},
		{name: "tools", mount: "files", files: map[string]string{"tools/t": text("t", 100)}},
	}
}

// memory is a sink that remembers what was committed.
type memory struct {
	mu      sync.Mutex
	got     map[bundle.Digest]map[int64]string
	creates int
	aborted int
	create  func(b bundle.Blob) error // may refuse
	write   error
	commit  error
}

type memoryBlob struct {
	m   *memory
	b   bundle.Blob
	buf strings.Builder
}

var errNotNeeded = errors.New("not needed")

func (m *memory) Create(b bundle.Blob) (verify.BlobWriter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.creates++
	if m.create != nil {
		if err := m.create(b); errors.Is(err, errNotNeeded) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	return &memoryBlob{m: m, b: b}, nil
}

func (w *memoryBlob) Write(p []byte) (int, error) {
	if w.m.write != nil {
		return 0, w.m.write
	}
	return w.buf.Write(p)
}

func (w *memoryBlob) Commit() error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.commit != nil {
		return w.m.commit
	}
	if w.m.got == nil {
		w.m.got = map[bundle.Digest]map[int64]string{}
	}
	if w.m.got[w.b.Digest] == nil {
		w.m.got[w.b.Digest] = map[int64]string{}
	}
	w.m.got[w.b.Digest][w.b.At] = w.buf.String()
	return nil
}

func (w *memoryBlob) Abort() {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.m.aborted++
}

// content joins what was committed of a blob.
func (m *memory) content(d bundle.Digest) string {
	out := ""
	for at, seen := int64(0), m.got[d]; ; at = int64(len(out)) {
		s, ok := seen[at]
		if !ok || s == "" {
			return out
		}
		out += s
	}
}

func streamAll(t testing.TB, b *verify.Bundle, sink verify.Sink, jobs int) error {
	t.Helper()
	var errs []error
	for i := range b.Volumes() {
		errs = append(errs, b.Stream(t.Context(), i, sink, verify.StreamOptions{Jobs: jobs}))
	}
	return errors.Join(errs...)
}

func TestOpenFull(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	for name, receiver := range map[string]verify.Receiver{"mirror": &mirror{}, "none": nil} {
		b, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{
			Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: receiver, Now: now})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Known() || len(b.Overrides()) != 0 || len(b.NewKeys()) != 0 || b.Name() != "demo-000001" || b.Manifest().Sequence != 1 {
			t.Errorf("%s: %+v", name, b)
		}
		if s := b.Signers(); len(s) != 1 || s[0].ID != signer.KeyID() || s[0].Role != verify.RoleExporter || s[0].File != bundle.SignatureName(signer.KeyID()) {
			t.Errorf("%s: signers %+v", name, s)
		}
		sink := &memory{}
		if err := streamAll(t, b, sink, 2); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.repos {
			paths := 0
			for file, err := range b.Files(i) {
				if err != nil {
					t.Fatal(err)
				}
				paths++
				want := r.files[file.Path]
				if file.Digest != digest(want) || sink.content(file.Digest) != want || !b.Carries(file.Digest) {
					t.Errorf("%s: %s/%s: not what was exported", name, r.name, file.Path)
				}
			}
			for e, err := range b.Evidence(i) {
				if err != nil || r.files[e.Path] == "" && e.Path != "books/empty" {
					t.Errorf("%s: evidence of %q: %v", name, e.Path, err)
				}
				paths--
			}
			if paths != 0 {
				t.Errorf("%s: %s: %d more files than evidence", name, r.name, paths)
			}
		}
		if sink.creates != 4 { // a and a are one
			t.Errorf("%s: %d blobs, want 4", name, sink.creates)
		}
		if err := b.Check(t.Context(), verify.StreamOptions{}); err != nil {
			t.Errorf("%s: Check: %v", name, err)
		}
		checkReport(t, report, name == "none")
	}
}

func checkReport(t *testing.T, r *verify.Report, alone bool) {
	t.Helper()
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"checked        5 files\n", "checked        4 blobs carried\n", "checked        3 repositories\n", "checked        1 volumes, every byte\n",
		"checked        5 evidence lines\n", "signed by      " + r.Signers[0].ID.String() + " (exporter)", "nothing wrong in what was checked", "full "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, &text)
		}
	}
	if got := strings.Contains(text.String(), "not checked    stream, sequence"); got != alone {
		t.Errorf("without a mirror replay is not checked; the report:\n%s", &text)
	}
	if strings.Contains(text.String(), "the bytes of 1 volumes") {
		t.Errorf("volumes were checked, the report says they were not:\n%s", &text)
	}
	if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `{"count":5,"name":"files"}`) {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

// verdict is what Open says of a bundle: nil, or an error.
func verdict(t testing.TB, dir string, o verify.Options) error {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	b, report, err := verify.Open(t.Context(), discover(t, dir), o)
	if (err == nil) != (b != nil) {
		t.Fatalf("a Bundle and an error, or neither: %v, %v", b, err)
	}
	if err != nil && (report == nil || len(report.Findings) == 0) {
		t.Fatalf("the report does not say what is wrong: %+v", report)
	}
	return err
}

// refused checks class and text; want "" is acceptance.
func refused(t *testing.T, name string, err error, class error, want ...string) {
	t.Helper()
	if class == nil {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	classes := 0
	for _, c := range []error{bundle.ErrUsage, bundle.ErrMalformed, bundle.ErrCorrupt, bundle.ErrUnsupported, bundle.ErrUntrusted, bundle.ErrIncomplete, bundle.ErrBusy} {
		if errors.Is(err, c) {
			classes++
		}
	}
	if !errors.Is(err, class) || classes != 1 {
		t.Errorf("%s: want %v and no other class, got %v", name, class, err)
		return
	}
	for _, s := range want {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: want %q in: %v", name, s, err)
		}
	}
}

func TestTrust(t *testing.T) {
	a, b, c := newSigner(t), newSigner(t), newSigner(t)
	demo := func(s ...*bundle.Signer) *verify.Policy { return policyOf(t, verify.RoleExporter, "demo", s...) }
	two := func(p *verify.Policy) *verify.Policy {
		if err := p.SetRequire(verify.RoleExporter, 2); err != nil {
			t.Fatal(err)
		}
		return p
	}
	approved := func(p *verify.Policy, by *bundle.Signer, set string) *verify.Policy {
		if err := p.Add(verify.Key{Role: verify.RoleApprover, Set: set, PEM: string(by.PublicPEM())}); err != nil {
			t.Fatal(err)
		}
		if err := p.SetRequire(verify.RoleApprover, 1); err != nil {
			t.Fatal(err)
		}
		return p
	}
	type signers = []*bundle.Signer
	for name, x := range map[string]struct {
		signers []*bundle.Signer
		policy  *verify.Policy
		class   error
		text    []string
	}{
		"one of one":                  {signers{a}, demo(a), nil, nil},
		"one of two":                  {signers{b}, demo(a, b), nil, nil},
		"unsigned":                    {nil, demo(a), bundle.ErrUntrusted, []string{"no signature"}},
		"no policy":                   {signers{a}, nil, bundle.ErrUntrusted, []string{"0 known", a.KeyID().String()}},
		"unknown key":                 {signers{b}, demo(a), bundle.ErrUntrusted, []string{"1 known", b.KeyID().String()}},
		"key of another set":          {signers{a}, policyOf(t, verify.RoleExporter, "other", a), bundle.ErrUntrusted, []string{"for other sets only", a.KeyID().String(), "set demo"}},
		"key of any set":              {signers{a}, policyOf(t, verify.RoleExporter, verify.AnySet, a), nil, nil},
		"two of two":                  {signers{a, b}, two(demo(a, b)), nil, nil},
		"one where two are asked for": {signers{a}, two(demo(a, b)), bundle.ErrUntrusted, []string{"signed by 1 keys of role exporter", "asks for 2"}},
		"an unknown one is no second": {signers{a, c}, two(demo(a, b)), bundle.ErrUntrusted, []string{"signed by 1 keys", "by no key of the policy"}},
		"exporter and approver":       {signers{a, b}, approved(demo(a), b, "demo"), nil, nil},
		"no approver":                 {signers{a}, approved(demo(a), b, "demo"), bundle.ErrUntrusted, []string{"0 keys of role approver"}},
		"an approver for another set": {signers{a, b}, approved(demo(a), b, "other"), bundle.ErrUntrusted, []string{"0 keys of role approver", "other sets"}},
		"two exporters, no approver":  {signers{a, c}, approved(demo(a, c), b, "demo"), bundle.ErrUntrusted, []string{"0 keys of role approver"}},
		"approver alone":              {signers{b}, approved(demo(a), b, "demo"), bundle.ErrUntrusted, []string{"0 keys of role exporter"}},
		"unknown ones besides":        {signers{b, a, c}, demo(a), nil, nil},
	} {
		f := forgery{repos: some(), signers: x.signers}
		err := verdict(t, f.make(t, t.TempDir()), verify.Options{Policy: x.policy, Receiver: &mirror{}})
		refused(t, name, err, x.class, x.text...)
	}
}

// TestUnknownKeyIsNamed: the operator has to be told which key to ask for.
func TestUnknownKeyIsNamed(t *testing.T) {
	a := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{a}}
	err := verdict(t, f.make(t, t.TempDir()), verify.Options{Receiver: &mirror{}})
	var unknown *verify.UnknownKeyError
	if !errors.As(err, &unknown) || unknown.Set != "demo" || len(unknown.Claimed) != 1 || unknown.Claimed[0] != a.KeyID() {
		t.Errorf("got %+v, %v", unknown, err)
	}
}

// TestOtherSignatureFiles: P15, what others put beside a good signature does
// no harm, and a signature of anything else does no good.
func TestOtherSignatureFiles(t *testing.T) {
	a, b := newSigner(t), newSigner(t)
	sign := func(s *bundle.Signer, predicate, subject string, d bundle.Digest) []byte {
		out, err := s.Sign(predicate, subject, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	f := forgery{repos: some()}
	dir := f.make(t, t.TempDir())
	root, err := os.ReadFile(filepath.Join(dir, bundle.RootName))
	if err != nil {
		t.Fatal(err)
	}
	d := bundle.DigestOf(root)
	good := sign(a, bundle.PredicateBundle, bundle.RootName, d)
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one, two := policyOf(t, verify.RoleExporter, "demo", a), policyOf(t, verify.RoleExporter, "demo", a, b)
	if err := two.SetRequire(verify.RoleExporter, 2); err != nil {
		t.Fatal(err)
	}
	const name = "bundle.0000000000000000.sigstore.json"
	for what, bad := range map[string][]byte{
		"of a receipt":    sign(a, bundle.PredicateReceipt, bundle.RootName, d),
		"of another file": sign(a, bundle.PredicateBundle, "bundle2.json", d),
		"of another root": sign(a, bundle.PredicateBundle, bundle.RootName, digest("x")),
		"noise":           []byte("noise"),
		"empty":           nil,
		"too large":       append([]byte(strings.Repeat(" ", bundle.MaxSignatureSize)), good...),
	} {
		put(name, bad)
		refused(t, what, verdict(t, dir, verify.Options{Policy: one, Receiver: &mirror{}}), bundle.ErrUntrusted)
		put(bundle.SignatureName(a.KeyID()), good)
		refused(t, what+", beside a good one", verdict(t, dir, verify.Options{Policy: one, Receiver: &mirror{}}), nil)
		if err := os.Remove(filepath.Join(dir, bundle.SignatureName(a.KeyID()))); err != nil {
			t.Fatal(err)
		}
	}
	// The same key twice, under two names, is one key.
	put(name, good)
	put(bundle.SignatureName(a.KeyID()), sign(a, bundle.PredicateBundle, bundle.RootName, d))
	refused(t, "one key twice", verdict(t, dir, verify.Options{Policy: two, Receiver: &mirror{}}), bundle.ErrUntrusted, "signed by 1 keys")
	// A name proves nothing: a's signature under b's name is still a's.
	put(bundle.SignatureName(b.KeyID()), good)
	refused(t, "another's name", verdict(t, dir, verify.Options{Policy: two, Receiver: &mirror{}}), bundle.ErrUntrusted, "signed by 1 keys")
	put(bundle.SignatureName(b.KeyID()), sign(b, bundle.PredicateBundle, bundle.RootName, d))
	refused(t, "two keys", verdict(t, dir, verify.Options{Policy: two, Receiver: &mirror{}}), nil)
}

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
	yes := func(k []bundle.PublishedKey) (bool, error) { return len(k) == 2, nil }
	no := func([]bundle.PublishedKey) (bool, error) { return false, nil }
	never := func([]bundle.PublishedKey) (bool, error) { t.Error("asked"); return true, nil }
	site := verify.OpenPGPKey{Role: verify.RoleSite, Set: "demo", Fingerprint: fingerprint}
	upstream := verify.OpenPGPKey{Role: verify.RoleUpstream, Set: verify.AnySet, Fingerprint: second}
	for name, x := range map[string]struct {
		known    []verify.OpenPGPKey
		accepted verify.Accepted
		accept   bool
		confirm  func([]bundle.PublishedKey) (bool, error)
		class    error
		text     string
		new      int
		override bool
	}{
		"all known":              {known: []verify.OpenPGPKey{site, upstream}, confirm: never},
		"none known":             {class: bundle.ErrUntrusted, text: fingerprint + " (site, for apt/own); " + second},
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

func TestNoRoot(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	if err := os.Remove(filepath.Join(dir, bundle.RootName)); err != nil {
		t.Fatal(err)
	}
	refused(t, "no root", verdict(t, dir, verify.Options{}), bundle.ErrIncomplete, "demo-000001", "bundle.json")
}

func TestOpenIsCancelled(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := verify.Open(ctx, discover(t, f.make(t, t.TempDir())), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Now: now})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, err)
	}
}

func TestCopyRoot(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now}
	b, _, err := verify.Open(t.Context(), discover(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "demo-000001")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	dst, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	for range 2 { // what is there is replaced
		if err := b.CopyRoot(dst); err != nil {
			t.Fatal(err)
		}
	}
	copied, _, err := verify.Open(t.Context(), discover(t, to), o)
	if err != nil {
		t.Fatal(err)
	}
	if v := copied.Volumes(); len(v) != 1 || v[0].Present || v[0].Found != -1 {
		t.Errorf("volumes: %+v", v)
	}
	if err := copied.Stream(t.Context(), 0, nil, verify.StreamOptions{}); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("a volume that is not there: want ErrIncomplete, got %v", err)
	}
	refused(t, "Check", copied.Check(t.Context(), verify.StreamOptions{}), bundle.ErrIncomplete, "1 volumes", "volume-00001.tar.zst")
	both, _, err := verify.Open(t.Context(), discover(t, to, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := both.Check(t.Context(), verify.StreamOptions{}); err != nil {
		t.Errorf("root from one place, volumes from another: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "catalog-01.tar.zst"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "changed meanwhile", b.CopyRoot(dst), bundle.ErrCorrupt, "catalog-01.tar.zst")
}

func TestOpenList(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	b, _, err := verify.Open(t.Context(), discover(t, f.make(t, t.TempDir())), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range b.Manifest().Repositories {
		d, err := bundle.ParseDigest(string(r.Evidence.Digest))
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.OpenList(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(l); err != nil || bundle.DigestOf(got) != d {
			t.Errorf("%s: %v", r.Name, err)
		}
		l.Close()
	}
	if _, err := b.OpenList(digest("nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want ErrNotExist, got %v", err)
	}
}
