package export

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

// request writes a repair request of a mirror for content that it lost.
func (b *bench) request(signer *bundle.Signer, r *Result, change func(*bundle.RepairRequest), lost ...string) string {
	b.t.Helper()
	m, err := readManifest(r.Dirs[0])
	if err != nil {
		b.t.Fatal(err)
	}
	q := &bundle.RepairRequest{Set: "site", Stream: m.Stream, Sequence: m.Sequence, State: m.State, Accepted: m.Sequence, Tool: "test", Created: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)}
	for _, content := range lost {
		q.Blobs = append(q.Blobs, bundle.DigestOf([]byte(content)))
	}
	if change != nil {
		change(q)
	}
	content, err := bundle.SignRequest(q, signer)
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.t.TempDir(), "site.repair.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func mirrorKey(t *testing.T) *bundle.Signer {
	t.Helper()
	private, _, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := bundle.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A delta that answers a request carries what is requested again, and nothing else that the
// base has; what no list names any more is counted as not answered.
func TestRepairRequest(t *testing.T) {
	for _, tells := range []bool{true, false} {
		w := &world{content: mixed(), digests: tells, sizes: true, validators: tells}
		b := newBench(t, w, "one", "two")
		first := b.must()
		paths := w.paths()
		lost, gone := string(w.content[paths[0]]), string(w.content[paths[1]])
		key := mirrorKey(t)
		fingerprint := ""
		repair := func(path string) func(*Options) {
			return func(o *Options) {
				o.Repair = path
				o.ConfirmReceipt = func(f string) (bool, error) { fingerprint = f; return true, nil }
			}
		}
		r := b.must(repair(b.request(key, first, func(q *bundle.RepairRequest) {
			m, _ := readManifest(first.Dirs[0])
			d, _ := bundle.ParseDigest(string(m.Repositories[0].Files.Digest))
			q.Lists = []bundle.Digest{d}
		}, lost)))
		if r.Nothing || r.Full || r.Base != 1 || r.Asked != 2 || r.Answered != 2 || r.State != first.State || fingerprint != key.KeyID().String() {
			t.Fatalf("result %+v, key %s", r, fingerprint)
		}
		if got := carried(t, r.Dirs[0]); !slices.Equal(got, []bundle.Digest{bundle.DigestOf([]byte(lost))}) {
			t.Errorf("carried %v", got)
		}
		m, err := readManifest(r.Dirs[0])
		if err != nil || !slices.Contains(m.Repositories[0].Carried, bundle.CarriedFiles) {
			t.Errorf("carried %v (%v)", m.Repositories[0].Carried, err)
		}
		w.content[paths[1]] = []byte("other content")
		r = b.must(repair(b.request(key, first, nil, lost, gone)))
		if r.Asked != 2 || r.Answered != 1 {
			t.Errorf("result %+v", r)
		}
		r = b.must(repair(b.request(key, r, nil, gone)))
		if !r.Nothing {
			t.Errorf("nothing of it is needed: %+v", r)
		}
	}
}

// carried returns the blobs in the volumes of a bundle.
func carried(t *testing.T, dir string) (all []bundle.Digest) {
	t.Helper()
	readers, err := bundle.Discover([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = readers[0].Close() }()
	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCatalog(readers[0], m)
	if err != nil {
		t.Fatal(err)
	}
	for v, err := range c.Volumes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for blob, err := range c.Blobs(v) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, blob.Digest)
		}
	}
	return all
}

// A request that another mirror signed, that is for something else, or that comes with
// flags which contradict it is refused.
func TestRepairRequestRefused(t *testing.T) {
	b := newBench(t, &world{content: mixed(), digests: true, sizes: true})
	first := b.must()
	key := mirrorKey(t)
	yes := func(string) (bool, error) { return true, nil }
	for name, c := range map[string]struct {
		change func(*bundle.RepairRequest)
		flags  func(*Options)
		class  error
		text   string
	}{
		"not confirmed":       {nil, func(o *Options) { o.ConfirmReceipt = nil }, bundle.ErrUntrusted, "not confirmed"},
		"another set":         {func(q *bundle.RepairRequest) { q.Set = "other" }, nil, bundle.ErrUsage, "for set other"},
		"another state":       {func(q *bundle.RepairRequest) { q.State = bundle.DigestOf(nil) }, nil, bundle.ErrUntrusted, "the ledger has"},
		"a base that is gone": {func(q *bundle.RepairRequest) { q.Sequence = 9 }, nil, bundle.ErrIncomplete, "--full"},
		"with --full":         {nil, func(o *Options) { o.Full = true }, bundle.ErrUsage, "without --full"},
		"with --only":         {nil, func(o *Options) { o.Only = []string{"one"} }, bundle.ErrUsage, "without --full"},
	} {
		path := b.request(key, first, c.change, "x")
		_, err := b.run(func(o *Options) {
			o.Repair, o.ConfirmReceipt = path, yes
			if c.flags != nil {
				c.flags(o)
			}
		})
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := ledger.Open(t.Context(), filepath.Join(b.dir, ".gapbundle", "site"), "site", 0)
	if err == nil {
		err = errors.Join(l.Acknowledge("", 1, string(key.PublicPEM()), nil), l.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.run(func(o *Options) { o.Repair = b.request(mirrorKey(t), first, nil, "x") })
	var other *OtherMirrorError
	if !errors.As(err, &other) {
		t.Errorf("of another mirror: %v", err)
	}
}
