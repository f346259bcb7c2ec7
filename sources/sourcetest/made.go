package sourcetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// madeIsReadBack: every file that is made here is read back by the kind's own parser
// before it is published, and what is not as it was meant ends the export as a mistake of
// this program.
func madeIsReadBack(t *testing.T, s Suite) {
	r := newRig(t, s)
	w := &madeWatch{t: t, read: map[bundle.Digest]string{}}
	defer rebuild.Watch(w.look)()
	made := r.made(r.must())
	for path, digest := range made {
		if w.read[digest] == "" && (s.ReadByCheck == nil || !s.ReadByCheck(path)) {
			t.Errorf("%s: made here, and published without being read back", path)
		}
	}
	if len(w.read) > 0 {
		madeStops(t, s)
	}
}

// madeWatch spoils what was made, and wants its reader to notice.
type madeWatch struct {
	t    *testing.T
	mu   sync.Mutex
	read map[bundle.Digest]string // path by content
}

func (w *madeWatch) look(path string, open func() (io.ReadCloser, error), read rebuild.Read) error {
	in, err := open()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read[bundle.DigestOf(content)] = path
	for name, spoiled := range map[string][]byte{"half of it": content[:len(content)/2], "nothing": {}, "it twice": slices.Concat(content, content)} {
		if !bytes.Equal(spoiled, content) && read(bytes.NewReader(spoiled)) == nil {
			w.t.Errorf("%s: its reader takes %s for the whole:\n%.500s", path, name, content)
		}
	}
	return nil
}

// made returns the files that were made here of the repositories of a kind, in a bundle.
func (r *rig) made(dirs []string) map[string]bundle.Digest {
	r.t.Helper()
	b := r.open(dirs)
	made := map[string]bundle.Digest{}
	for i, repo := range b.Manifest().Repositories {
		if !slices.Contains(kindNames(r.s.Kinds), repo.Kind) {
			continue // client files and keys
		}
		for e, err := range b.Evidence(i) {
			if err != nil {
				r.t.Fatal(err)
			}
			if e.Vouched == bundle.VouchedMade {
				made[e.Path] = bundle.Digest{}
			}
		}
		for f, err := range b.Files(i) {
			if err != nil {
				r.t.Fatal(err)
			}
			if _, ok := made[f.Path]; ok {
				made[f.Path] = f.Digest
			}
		}
	}
	return made
}

// madeStops: a file that does not read as it was meant ends the export, which names source
// and file, and is nobody else's fault.
func madeStops(t *testing.T, s Suite) {
	var first sync.Once
	path := "" // of the first file that is made
	defer rebuild.Watch(func(at string, _ func() (io.ReadCloser, error), _ rebuild.Read) (err error) {
		first.Do(func() { path, err = at, errors.New("want 2 of them, got 1") })
		return err
	})()
	r := newRig(t, s)
	_, err := r.export(t.Context())
	if !errors.As(err, new(*sources.MadeError)) {
		t.Fatalf("%s does not read as it was meant: got %v", path, err)
	}
	for _, want := range []string{path, "want 2 of them, got 1", "source "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not name %s", err, want)
		}
	}
	for _, class := range []error{fetch.ErrUpstream, fetch.ErrRefused, bundle.ErrUsage, bundle.ErrCorrupt, bundle.ErrMalformed, bundle.ErrIncomplete} {
		if errors.Is(err, class) {
			t.Errorf("%v: matches %q, which is a fault of somebody else", err, class)
		}
	}
	if left := signed(t, r.medium); len(left) > 0 {
		t.Errorf("refused, and there is %v", left)
	}
}
