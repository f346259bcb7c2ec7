package simulation

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// sabotage breaks a promise without the model's knowledge, as a defect would.
type sabotage struct {
	after    func(w *world) // after every step
	lenient  bool           // imports end with exit 0
	rollback bool           // imports take older bundles
	expired  bool           // imports take expired bundles
	eager    bool           // gc keeps one generation
	sound    bool           // what the courier damages counts as sound
}

// TestSabotage breaks each promise, and the model has to notice within some seeds.
func TestSabotage(t *testing.T) {
	up := upstreamtest.New(t)
	for name, c := range map[string]struct {
		sabotage sabotage
		want     string
	}{
		"a byte of a published file changes":      {sabotage{after: flipPublished}, "want"},
		"a file that no bundle has is served":     {sabotage{after: plant}, "which no bundle has"},
		"an older generation is served":           {sabotage{after: pointBack}, "is served, want"},
		"a kept generation loses a file":          {sabotage{after: loseName}, "want"},
		"the store loses what a delta leaves out": {sabotage{after: loseBlob}, "which the next delta leaves out"},
		"the ratchet goes back":                   {sabotage{after: turnBack}, "the ratchet went back"},
		"a stranger is trusted":                   {sabotage{after: trustEvil}, "of a stranger was published"},
		"what was withdrawn can be reached":       {sabotage{after: linkPrevious}, "which was withdrawn"},
		"a reader is given another version":       {sabotage{after: exchangeFile}, "as they were when it began"},
		"a server mixes two versions":             {sabotage{after: forgetValidator}, "another version"},
		"exit 0 of a damaged bundle":              {sabotage{lenient: true}, "exit 0, and"},
		"an older bundle is taken":                {sabotage{rollback: true}, "was accepted"},
		"an expired bundle is taken":              {sabotage{expired: true}, "expired"},
		"gc keeps too little":                     {sabotage{eager: true}, "published, and not to be read"},
		"a bundle is not whole":                   {sabotage{sound: true}, "is whole and newer|was imported before"},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 120
			for seed := range uint64(most) {
				if o := play(t, up, seed, steps, c.sabotage); o.err != nil {
					if !regexp.MustCompile(c.want).MatchString(o.err.Error()) {
						t.Errorf("seed %d: %v, want %q\n%s", seed, o.err, c.want, strings.Join(o.log, "\n"))
					}
					return
				}
			}
			t.Errorf("nobody noticed in %d seeds", most)
		})
	}
}

// someFile returns a published file of a generation that has content; "": there is none.
func (w *world) someFile(n int) string {
	files := w.visible(n)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if len(files[path]) > 1 && !w.model.sick[hexOf(files[path])] {
			return filepath.Join(w.mirror(), "generations", numbered(n), path)
		}
	}
	return ""
}

func flipPublished(w *world) {
	if name := w.someFile(w.model.current); name != "" {
		content, err := os.ReadFile(name)
		w.must(err)
		content[0] ^= 1
		w.must(os.WriteFile(name, content, 0o644))
	}
}

func plant(w *world) {
	if name := w.someFile(w.model.current); name != "" {
		w.must(os.WriteFile(filepath.Join(filepath.Dir(name), "planted"), nil, 0o644))
	}
}

func pointBack(w *world) {
	older := slices.Min(append(slices.Collect(maps.Keys(w.model.gens)), w.model.current))
	if older != w.model.current {
		w.must(os.Remove(filepath.Join(w.mirror(), "current")))
		w.must(os.Symlink("generations/"+numbered(older), filepath.Join(w.mirror(), "current")))
	}
}

func loseName(w *world) {
	for n := range w.model.gens {
		if name := w.someFile(n); n != w.model.current && name != "" {
			w.must(os.Remove(name))
			return
		}
	}
}

func loseBlob(w *world) {
	for _, b := range w.model.newest {
		for c := range b.contents() {
			h := hexOf(c)
			w.must(ignoreGone(os.Remove(filepath.Join(w.mirror(), "blobs/sha256", h[:2], h))))
		}
	}
}

func turnBack(w *world) {
	for set := range w.model.newest {
		if w.model.accepted[set] > 0 && !w.model.stateLost {
			_ = w.with(ctx(), func(m *unpack.Mirror) error { return m.Trust().AdoptStream(ctx(), set, strings.Repeat("0123", 8)) })
		}
	}
}

func trustEvil(w *world) {
	_ = w.with(ctx(), func(m *unpack.Mirror) error {
		return m.Trust().Update(context.Background(), "sabotage", func(p *verify.Policy) error {
			return p.Add(verify.Key{Role: verify.RoleExporter, Set: w.evil.name, PEM: string(w.evil.signer.PublicPEM())})
		})
	})
}

func linkPrevious(w *world) {
	if w.model.alone {
		_ = os.Symlink("generations/"+numbered(w.model.current), filepath.Join(w.mirror(), "previous"))
	}
}

func exchangeFile(w *world) {
	for _, r := range w.readers {
		if len(r.want) > 1 && r.begun < w.step {
			f, err := os.Open(os.DevNull)
			w.must(err)
			w.must(r.file.Close())
			r.file = f
		}
	}
}

// forgetValidator makes a reader's first half that of another version.
func forgetValidator(w *world) {
	for _, r := range w.readers {
		r.part = strings.Repeat("x", len(r.part))
	}
}
