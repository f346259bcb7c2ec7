package export

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/sources"
)

func newWorld() *world {
	return &world{content: map[string][]byte{"a": []byte("a")}, digests: true, sizes: true}
}

// TestNothingIsSignedThatNoMirrorTakes: what import refuses is refused before the trip,
// and nothing is left on the medium that looks like a bundle.
func TestNothingIsSignedThatNoMirrorTakes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"a client file by another name":    {func(w *world) { w.clients = [2]string{"other.sources", "URIs: @BASE@/mem/one/\n"} }, "other.sources"},
		"one that leads to another set":    {func(w *world) { w.clients = [2]string{"one.sources", "URIs: @BASE@/mem/two/\n"} }, "@BASE@/mem/two/"},
		"one that trusts what is unsigned": {func(w *world) { w.clients = [2]string{"one.sources", "URIs: @BASE@/mem/one/\nTrusted: yes\n"} }, "trusted: yes"},
		"a folder that ends as a mark":     {func(w *world) { w.content["x.t0123456789/y"] = []byte("y") }, "x.t0123456789/y"},
		"a key file that is none": {func(w *world) {
			w.keys = func(string) []sources.Key {
				return []sources.Key{{Fingerprint: strings.Repeat("A", 40), Role: "upstream", Armored: []byte("no key"), Path: "one.asc"}}
			}
		}, "one.asc"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.change(w)
			b := newBench(t, w)
			_, err := b.run()
			if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), c.want) {
				t.Fatal(err)
			}
			if signed, err := filepath.Glob(filepath.Join(b.medium, "*", bundle.RootName)); err != nil || len(signed) > 0 {
				t.Errorf("%v, %v", signed, err)
			}
		})
	}
}

// TestKeysInCommon: two sources publish a key that both have, each in a file with more;
// the root names one file for each key, and each file has an entry.
func TestKeysInCommon(t *testing.T) {
	var public [3][]byte
	var fingerprints [3]string
	for i := range public {
		e, err := openpgp.NewEntity("Example", "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEd25519})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := e.Serialize(&out); err != nil {
			t.Fatal(err)
		}
		public[i], fingerprints[i] = out.Bytes(), fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)
	}
	w := newWorld()
	w.keys = func(source string) (all []sources.Key) {
		own := map[string]int{"one": 1, "two": 2}[source]
		content := append(bytes.Clone(public[0]), public[own]...)
		for _, i := range []int{0, own} {
			all = append(all, sources.Key{Fingerprint: fingerprints[i], Role: "upstream", Armored: content, Path: source + ".asc"})
		}
		return all
	}
	b := newBench(t, w, "one", "two")
	made := b.must()
	root, err := os.ReadFile(filepath.Join(made.Dirs[0], bundle.RootName))
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.ParseManifest(root)
	if err != nil || len(m.Keys) != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	entries := keyEntries{}
	for _, k := range m.Keys {
		entries[k.Path] = append(entries[k.Path], k.Fingerprint)
	}
	whole := 0
	for source, own := range map[string]int{"one": 1, "two": 2} {
		a, err := entries.file(source+".asc", append(bytes.Clone(public[0]), public[own]...))
		switch {
		case err != nil:
			t.Error(err)
		case a.File.Annotations == nil:
			whole++
		case !strings.Contains(a.File.Annotations[reach.EntryKey+"00"], fingerprints[own]):
			t.Errorf("%v", a.File.Annotations)
		}
	}
	if whole != 1 {
		t.Errorf("%d files are named as a whole by the root, want 1", whole)
	}
	b.o.Now = b.o.Now.Add(time.Hour)
	if again := b.must(); !again.Nothing {
		t.Errorf("the same again makes a bundle: %+v", again)
	}
}
