package unpack_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// ofBefore is a mirror that an earlier program wrote (see continued.txtar of cmd/gapbundle):
// bundle 1 of the sets site and tools. after is the folder with bundle 2 of site, which that
// program made as well; e makes the bundles after it.
type ofBefore struct {
	*rig
	after, release string
	e              *bundletest.Exporter
}

const (
	rackOfBefore = "which cable where\n"
	rackName     = "files/handbooks/rack.txt"
	releaseName  = "apt/debs/dists/x/Release"
)

func newOfBefore(t *testing.T) *ofBefore {
	dir, r := rigOfBefore(t, "../../cmd/gapbundle/testdata/continued")
	b := &ofBefore{rig: r, after: filepath.Join(dir, "after"), e: bundletest.New(t, "site")}
	g, err := r.Current()
	must(t, err)
	i := slices.IndexFunc(g.Sets, func(s unpack.GenerationSet) bool { return s.Set == "site" })
	b.e.Stream, b.e.Sequence, b.e.Created = g.Sets[i].Stream, 2, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	r.trust(b.e)
	b.release = b.contents()[releaseName]
	return b
}

// next returns the next full bundle of site, with this Release.
func (b *ofBefore) next(release string) []string {
	b.t.Helper()
	return b.e.Export(b.t, []bundletest.Repository{apt(map[string]string{"dists/x/Release": release})}, bundletest.Options{Full: true}).Dirs
}

// has expects a Release to be served, and nothing to be wrong.
func (b *ofBefore) has(release string) {
	b.t.Helper()
	if got := b.contents()[releaseName]; got != release {
		b.t.Errorf("served %q, want %q", got, release)
	}
	b.intact()
}

// restored expects imports to be refused as those of a mirror whose state is not what it
// was, restores it, and expects what was accepted to be known still.
func (b *ofBefore) restored() {
	b.t.Helper()
	served := b.served()
	var state *unpack.StateError
	if _, err := b.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, b.after); !errors.As(err, &state) {
		b.t.Fatalf("%v, want a StateError", err)
	}
	b.rebuild()
	b.reopen(unpack.Options{})
	var replay *verify.ReplayError
	if _, err := b.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, b.after); !errors.As(err, &replay) {
		b.t.Errorf("the older bundle: %v, want a ReplayError", err)
	}
	if !maps.Equal(served, b.served()) {
		b.t.Error("something else is served")
	}
	b.receive(b.next("release five")...)
	b.has("release five")
}

// atThree brings the mirror to bundle 3 of site, past bundle 2.
func (b *ofBefore) atThree() {
	b.t.Helper()
	b.receive(b.next("release three")...)
	b.has("release three")
}

// TestEveryItemOnAMirrorOfBefore: what heals a mirror and what keeps it from going back
// holds for a mirror that an earlier program wrote: one row for each.
func TestEveryItemOnAMirrorOfBefore(t *testing.T) {
	volume := func(b *ofBefore) string { return filepath.Join(b.after, "site-000002/volume-00001.tar.zst") }
	state := func(b *ofBefore, name string) string { return filepath.Join(b.dir, "state", name) }
	for name, row := range map[string]func(t *testing.T, b *ofBefore){
		"a damaged blob is healed by repair": func(t *testing.T, b *ofBefore) {
			b.receive(b.after)
			two := b.contents()[releaseName]
			overwrite(t, b.blobOf(two))
			if _, err := b.Check(t.Context(), unpack.CheckOptions{Data: 1}); !errors.Is(err, bundle.ErrCorrupt) {
				t.Errorf("check: %v", err)
			}
			b.repair(b.after)
			b.has(two)
		},
		"a damaged blob is healed by an import": func(t *testing.T, b *ofBefore) {
			overwrite(t, b.blobOf(b.release))
			b.receive(b.next(b.release)...)
			b.has(b.release)
			if got := readFile(t, filepath.Join(b.dir, "generations/000001", releaseName)); got != b.release {
				t.Errorf("generation 1 has %q", got)
			}
		},
		"a damaged blob is asked for": func(t *testing.T, b *ofBefore) {
			overwrite(t, b.blobOf(rackOfBefore))
			res, err := unpack.Repair(t.Context(), b.Mirror, nil)
			if !errors.Is(err, bundle.ErrIncomplete) || len(res.Requests) != 1 || fmt.Sprint(res.Missing[0].Paths) != "["+rackName+"]" {
				t.Fatalf("%v, %+v", err, res)
			}
			content, err := os.ReadFile(res.Requests[0].Path)
			must(t, err)
			signed, err := bundle.ParseRequest(content)
			must(t, err)
			key, _, err := signed.Key()
			must(t, err)
			if q, err := signed.Verify(key); err != nil || q.Set != "tools" || q.Sequence != 1 {
				t.Errorf("%v, %+v", err, q)
			}
		},
		"a set's state is gone": func(t *testing.T, b *ofBefore) {
			b.atThree()
			must(t, os.Remove(state(b, "sets/site.json")))
			b.restored()
		},
		"a set's state is cut": func(t *testing.T, b *ofBefore) {
			b.atThree()
			must(t, os.Truncate(state(b, "sets/site.json"), 40))
			b.restored()
		},
		"a set's state is that of before": func(t *testing.T, b *ofBefore) {
			older := readFile(t, state(b, "sets/site.json"))
			b.atThree()
			must(t, os.WriteFile(state(b, "sets/site.json"), []byte(older), 0o600))
			b.restored()
		},
		"the journal's end is cut": func(t *testing.T, b *ofBefore) {
			b.atThree()
			b.cutJournal(2)
			b.restored()
		},
		"a set's state of before is gone": func(t *testing.T, b *ofBefore) {
			must(t, os.Remove(state(b, "sets/site.json")))
			b.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, b.after)
			b.rebuild()
			b.reopen(unpack.Options{})
			b.receive(b.after)
			b.intact()
		},
		"an older bundle": func(t *testing.T, b *ofBefore) {
			b.atThree()
			var replay *verify.ReplayError
			if _, err := b.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, b.after); !errors.As(err, &replay) {
				t.Errorf("%v, want a ReplayError", err)
			}
			b.has("release three")
		},
		"another bundle of one number": func(t *testing.T, b *ofBefore) {
			b.receive(b.after)
			two := b.contents()[releaseName]
			b.e.Sequence = 1
			var twice *verify.EquivocationError
			if _, err := b.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, b.next("another")...); !errors.As(err, &twice) {
				t.Errorf("%v, want an EquivocationError", err)
			}
			b.has(two)
		},
		"2 is whole and 3 is damaged": func(t *testing.T, b *ofBefore) {
			three := b.next("release three")
			overwrite(t, filepath.Join(three[0], "volume-00001.tar.zst"))
			res, _ := b.refused(bundle.ErrCorrupt, unpack.ImportOptions{}, append(three, b.after)...)
			if got := fmt.Sprint(outcomes(res)); !strings.Contains(got, "site-000002 imported") || !strings.Contains(got, "site-000003 ") {
				t.Errorf("outcomes %s", got)
			}
			b.has("release two")
		},
		"a dry run reads volumes": func(t *testing.T, b *ofBefore) {
			overwrite(t, volume(b))
			before := treeOf(t, b.dir)
			b.reopen(unpack.Options{DryRun: true})
			var damage *verify.DamageError
			if _, err := b.refused(bundle.ErrCorrupt, unpack.ImportOptions{}, b.after); !errors.As(err, &damage) {
				t.Errorf("%v, want a DamageError", err)
			}
			if !sameTree(before, treeOf(t, b.dir)) {
				t.Error("the dry run changed something")
			}
		},
		"SHA256SUMS is compared": func(t *testing.T, b *ofBefore) {
			overwrite(t, filepath.Join(b.after, "site-000002/SHA256SUMS"))
			b.refused(bundle.ErrCorrupt, unpack.ImportOptions{}, b.after)
			b.has(b.release)
		},
		"strangers' signatures hide none": func(t *testing.T, b *ofBefore) {
			for i := range 40 {
				must(t, os.WriteFile(filepath.Join(b.after, "site-000002", fmt.Sprintf("bundle.%016d.sigstore.json", i)), []byte("{}"), 0o644))
			}
			b.receive(b.after)
			b.intact()
		},
		"a switch is reported": func(t *testing.T, b *ofBefore) {
			inTheWay := state(b, "receipts/site-000002.receipt.json.tmp")
			must(t, os.Mkdir(inTheWay, 0o700))
			var unrecorded *unpack.UnrecordedError
			if _, err := b.Receive(t.Context(), []string{b.after}, unpack.ImportOptions{}); !errors.As(err, &unrecorded) {
				t.Errorf("%v, want an UnrecordedError", err)
			}
			must(t, os.Remove(inTheWay))
			b.receive(b.after)
			if _, err := os.Stat(state(b, "receipts/site-000002.receipt.json")); err != nil {
				t.Error(err)
			}
			b.intact()
		},
		"check names all damage": func(t *testing.T, b *ofBefore) {
			must(t, os.Chmod(b.blobOf(b.release), 0o600))
			overwrite(t, b.blobOf(rackOfBefore))
			must(t, os.WriteFile(filepath.Join(b.dir, "generations/000001/files/stranger"), nil, 0o644))
			must(t, os.WriteFile(filepath.Join(b.dir, "blobs/sha256/stranger"), nil, 0o644))
			must(t, os.Mkdir(filepath.Join(b.dir, "blobs/stranger"), 0o755))
			res, err := b.Check(t.Context(), unpack.CheckOptions{Data: 1})
			var damaged *tree.DamagedError
			if !errors.As(err, &damaged) {
				t.Fatalf("%v, want a DamagedError", err)
			}
			for _, want := range []string{releaseName, rackName, "files/stranger", "blobs/sha256/stranger", "blobs/stranger"} {
				if !slices.ContainsFunc(res.Damage, func(d tree.Damage) bool { return d.Path == want || strings.Contains(d.Problem, want) }) {
					t.Errorf("%s is not named: %+v", want, res.Damage)
				}
			}
		},
		"the journal's chain is checked": func(t *testing.T, b *ofBefore) {
			overwrite(t, state(b, "journal.jsonl"))
			if _, err := b.History(); !errors.Is(err, bundle.ErrCorrupt) { // which check reads
				t.Errorf("%v, want ErrCorrupt", err)
			}
		},
		"rollback and gc": func(t *testing.T, b *ofBefore) {
			b.receive(b.after)
			_, err := b.Rollback(t.Context(), unpack.RollbackOptions{To: 1})
			must(t, err)
			b.has(b.release)
			_, err = b.GC(t.Context(), unpack.GCOptions{Keep: 1, Force: true})
			must(t, err)
			b.has(b.release)
		},
		"a set is forgotten": func(t *testing.T, b *ofBefore) {
			b.atThree()
			_, err := b.Forget(t.Context(), "site")
			must(t, err)
			if _, served := b.contents()[releaseName]; served {
				t.Error("its content is served still")
			}
			b.intact()
			b.refused(bundle.ErrUntrusted, unpack.ImportOptions{}, b.after)
		},
		"others may write": func(t *testing.T, b *ofBefore) {
			for name, modes := range map[string][2]os.FileMode{"": {0o777, 0o755}, "trust.json": {0o606, 0o600}, "sets": {0o702, 0o700}} {
				must(t, os.Chmod(state(b, name), modes[0]))
				m, err := unpack.Create(b.dir, unpack.Options{Now: b.clock.now})
				if err == nil {
					_, err = m.Receive(t.Context(), []string{b.after}, unpack.ImportOptions{})
					must(t, m.Close())
				}
				if !errors.Is(err, bundle.ErrUntrusted) || !strings.Contains(err.Error(), name) {
					t.Errorf("state/%s of mode %04o: %v", name, modes[0], err)
				}
				must(t, os.Chmod(state(b, name), modes[1]))
			}
			b.reopen(unpack.Options{})
			b.receive(b.after)
			b.intact()
		},
		"one file in two repositories": func(t *testing.T, b *ofBefore) {
			same := map[string]string{"shared/a": "the same"}
			one, other := shared("one", same), shared("other", same)
			b.receive(b.e.Export(t, []bundletest.Repository{one, other}, bundletest.Options{Full: true}).Dirs...)
			if got := b.contents()["files/shared/a"]; got != "the same" {
				t.Errorf("served %q", got)
			}
			b.intact()
		},
		"a weak key": func(t *testing.T, b *ofBefore) {
			identity := make(ed25519.PublicKey, ed25519.PublicKeySize)
			identity[0] = 1
			weak, err := cryptoutils.MarshalPublicKeyToPEM(identity)
			must(t, err)
			err = b.Trust().Update(t.Context(), "add", func(p *verify.Policy) error {
				return p.Add(verify.Key{Role: verify.RoleExporter, Set: "tools", PEM: string(weak)})
			})
			if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "small order") {
				t.Errorf("%v, want it to be refused as weak", err)
			}
			b.receive(b.after) // what was trusted before is
			b.intact()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newOfBefore(t)
			b.t = t
			row(t, b)
		})
	}
}
