package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// exporter is a connected side, and what its upstream has.
type exporter struct {
	name, dir, prefix string
	signer            *bundle.Signer
	files, parcels    map[string]string
	served            []string // paths at the upstream
	made              []*made  // all that was ever signed with the key
	backup            string   // an older copy of dir
	target            string   // a stick on which an export was interrupted
	destination       bool     // a receipt was carried out
}

// made is a bundle that was signed, as the model knows it.
type made struct {
	set, stream, root string
	seq               int64
	dir               string // a copy that nobody damages
	// files are what a mirror publishes of it, by web path; clients are those below
	// _gapbundle/clients, before the mirror's address is filled in.
	files, clients   map[string]string
	carried          map[string]bool // contents in its volumes
	base             *made           // nil: it is full
	created, expires time.Time
	evil             bool
}

func (b *made) String() string { return fmt.Sprintf("%s-%06d (%.6s)", b.set, b.seq, b.root) }

// contents returns all that the bundle's lists name.
func (b *made) contents() map[string]bool {
	all := map[string]bool{}
	for _, m := range []map[string]string{b.files, b.clients} {
		for _, c := range m {
			all[c] = true
		}
	}
	return all
}

// source returns the name of the one source of an exporter.
func (e *exporter) source() string { return "src-" + e.name }

// change lets time pass at the upstream.
func (e *exporter) change(w *world) {
	for range 1 + w.r.IntN(3) {
		names := slices.Sorted(maps.Keys(e.files))
		fresh := fmt.Sprintf("d%d/f%d", w.r.IntN(2), w.r.IntN(4))
		switch what := w.r.IntN(5); {
		case what == 0 && len(names) > 1:
			delete(e.files, pick(w.r, names))
		case what == 1 && len(names) > 0:
			from := pick(w.r, names)
			moved := e.files[from]
			delete(e.files, from)
			e.files[fresh] = moved
		case what == 2:
			e.parcels[fmt.Sprintf("p%d", w.r.IntN(2))] = w.content()
		default:
			e.files[fresh] = w.content()
		}
	}
	if len(e.files) == 0 {
		e.files["only"] = w.content()
	}
	if w.one(4) {
		clear(e.parcels)
	}
}

// content returns one of a small pool of each seed, so that what was there before comes again, in
// another place or of another set.
func (w *world) content() string {
	n := w.r.IntN(12)
	size := []int{0, 1, 40, 900, 5000}[n%5]
	if w.large && n == 7 {
		size = 700 << 10
	}
	return noise(fmt.Sprintf("%d/%d", w.seed, n), size)
}

// noise does not compress.
func noise(seed string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(hexOf(fmt.Sprintf("%s/%d", seed, i))) // half a bit of each: enough for a volume to be cut
	}
	return b.String()[:n]
}

// publish puts what there is at the upstream.
func (e *exporter) publish(w *world) {
	e.forgetUpstream(w)
	put := func(path, content string) {
		w.up.Put(e.prefix+path, []byte(content))
		e.served = append(e.served, e.prefix+path)
	}
	m := sourcetest.Manifest{Files: map[string]bundle.Digest{}, Parcels: slices.Sorted(maps.Keys(e.parcels))}
	for p, c := range e.files {
		m.Files[p] = bundle.DigestOf([]byte(c))
		put(p, c)
	}
	for p, c := range e.parcels {
		put(p, c)
	}
	b, err := json.Marshal(m)
	w.must(err)
	put("manifest.json", string(b))
	spec := fmt.Sprintf("version: 1\nname: %s\nsources:\n  - {name: %s, kind: manifests, url: '%s'}\n", e.name, e.source(), w.up.URL(e.prefix+"manifest.json"))
	w.must(os.WriteFile(filepath.Join(e.dir, "gapbundle.yaml"), []byte(spec), 0o644))
}

func (e *exporter) forgetUpstream(w *world) {
	for _, path := range e.served {
		w.up.Remove(path)
	}
	e.served = nil
}

// expected returns what a mirror publishes of the upstream's state: the two kinds of sourcetest,
// from their descriptions.
func (e *exporter) expected() (files, clients map[string]string) {
	files, clients = map[string]string{}, map[string]string{}
	var index strings.Builder
	for _, p := range slices.SortedFunc(maps.Keys(e.files), bundle.ComparePaths) {
		c := e.files[p]
		files["manifests/"+e.source()+"/files/"+p] = c
		fmt.Fprintf(&index, "%s %d files/%s\n", hexOf(c), len(c), p)
	}
	files["manifests/"+e.source()+"/INDEX"] = index.String()
	clients["manifests/manifests.conf"] = fmt.Sprintf("%s @BASE@/manifests/%s/\n", e.source(), e.source())
	for p, c := range e.parcels {
		files["parcels/"+e.source()+"-parcels/"+p] = c
		clients["parcels/parcels.conf"] = fmt.Sprintf("%s/parcels @BASE@/parcels/%s-parcels/\n", e.source(), e.source())
	}
	return files, clients
}

func (w *world) exportOptions(ctx context.Context, e *exporter, target string) export.Options {
	return export.Options{
		SpecPath: filepath.Join(e.dir, "gapbundle.yaml"), Targets: []string{target}, Kinds: sources.Kinds{sourcetest.Manifests(), sourcetest.Parcels()},
		Tool: "simulation", Now: w.outside, Env: func(string) string { return "" }, Home: e.dir, Signers: []*bundle.Signer{e.signer},
		Jobs: 1, VolumeSize: bundle.MinVolumeSize, NoReadback: w.step%4 != 0, AllowShrink: []string{e.source(), e.source() + "/parcels"},
		Wait: func(context.Context, time.Duration) error { return ctx.Err() },
	}
}

// export runs the exporter, which may be interrupted, killed, or let down by its
// upstream.
func (w *world) export(e *exporter) {
	w.outside = w.outside.Add(time.Duration(1+w.r.IntN(60)) * time.Hour)
	if !w.one(6) || len(e.made) == 0 {
		e.change(w)
	}
	e.publish(w)
	target := e.target
	if target == "" || w.one(3) {
		target = w.fresh("stick")
	}
	e.target = ""
	o := w.exportOptions(context.Background(), e, target)
	o.Full = w.one(5) || len(w.model.sick) > 0 && w.one(2)
	if w.one(6) {
		o.Expires = time.Duration(1+w.r.IntN(30)) * 24 * time.Hour
	}
	if newest := w.model.newest[e.name]; !o.Full && newest != nil && w.one(2) && !e.destination {
		o.Base = fmt.Sprint(newest.seq)
	}
	if w.one(8) {
		w.up.Fail(pick(w.r, e.served), pick(w.r, []upstreamtest.Fault{upstreamtest.Status(503), upstreamtest.Status(404), upstreamtest.Cut(3), upstreamtest.Reset(1)}))
	}
	var res *export.Result
	killed, err := w.interrupted("export", func(ctx context.Context) (err error) {
		res, err = export.Run(ctx, o)
		return err
	}, e.dir, target)
	w.up.Heal()
	found := w.collect(e, target)
	w.note("export %s full=%v base=%q expires=%v killed=%v: %v, %v", e.name, o.Full, o.Base, o.Expires, killed, brief(err), found)
	if killed {
		w.count("killed export")
	}
	for range found {
		w.count("export")
	}
	switch {
	case err != nil || killed:
		w.count("export that was stopped")
		e.target = target
		if len(found) > 0 && !killed && err != nil && !errors.Is(err, context.Canceled) {
			w.fail("export failed and left the whole bundle %v: %v", found, err)
		}
	case res.Nothing && len(found) > 0:
		w.fail("export found nothing new and wrote %v", found)
	case !res.Nothing && len(found) == 0 && res.Message == "":
		w.fail("export says that it made bundle %d, and there is none in %v", res.Sequence, target)
	}
}

// collect registers the bundles that a stick has now and the model does not know.
func (w *world) collect(e *exporter, target string) (found []*made) {
	dirs, err := filepath.Glob(filepath.Join(target, e.name+"-*"))
	w.must(err)
	for _, dir := range dirs {
		root, err := os.ReadFile(filepath.Join(dir, "bundle.json"))
		if strings.HasSuffix(dir, ".partial") || err != nil {
			continue
		}
		if b := w.register(e, dir, root); b != nil {
			found = append(found, b)
		}
	}
	return found
}

// register reads of the root what only the root says.
func (w *world) register(e *exporter, dir string, content []byte) *made {
	digest := hexOf(string(content))
	if slices.ContainsFunc(e.made, func(b *made) bool { return b.root == digest }) {
		return nil
	}
	var root struct {
		Base *struct {
			Sequence int64
			State    string
		}
		Created, Expires time.Time
		Full             bool
		Sequence         int64
		State, Stream    string
	}
	w.must(json.Unmarshal(content, &root))
	b := &made{
		set: e.name, stream: root.Stream, root: digest, seq: root.Sequence, created: root.Created, expires: root.Expires,
		dir: filepath.Join(w.fresh("kept"), filepath.Base(dir)), evil: e == w.evil,
	}
	w.must(os.CopyFS(b.dir, os.DirFS(dir)))
	b.files, b.clients = e.expected()
	b.carried = b.contents()
	if !root.Full {
		i := slices.IndexFunc(e.made, func(of *made) bool {
			return of.seq == root.Base.Sequence && of.stream == root.Stream && of.state() == root.Base.State
		})
		if i < 0 {
			w.fail("%v builds on bundle %d with state %s, which nobody made", b, root.Base.Sequence, root.Base.State)
		}
		b.base = e.made[i]
		for c := range b.base.contents() {
			delete(b.carried, c)
		}
	}
	e.made = append(e.made, b)
	return b
}

// state returns the state that the root of a made bundle bears.
func (b *made) state() string {
	content, err := os.ReadFile(filepath.Join(b.dir, "bundle.json"))
	if err != nil {
		return ""
	}
	var root struct{ State string }
	if json.Unmarshal(content, &root) != nil {
		return ""
	}
	return root.State
}

func brief(err error) string {
	if err == nil {
		return "ok"
	}
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return text[:min(len(text), 300)]
}
