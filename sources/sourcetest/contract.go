package sourcetest

import (
	"errors"
	"iter"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/verify"
)

// maxDoor is what the door may use while it finds what is hostile.
const maxDoor = 64 << 20 // bytes

// hostilePlans: sizes that cannot be, and a path that occurs twice, are named with
// source, URL and path before anything is laid out by them, in the plan of this kind.
func hostilePlans(t *testing.T, s Suite) {
	r := newRig(t, s)
	resolved, done := r.resolve()
	defer done()
	victim, _ := r.up.victim()
	url := r.up.Server.URL(victim)
	for name, test := range map[string]struct {
		spoil func(a sources.Artifact) []sources.Artifact
		want  string
	}{
		"2^53-1":       {sized(bundle.MaxInteger), "size 9007199254740991"},
		"above 16 TiB": {sized(collect.MaxArtifact + 1), "at most 17592186044416"},
		"twice":        {func(a sources.Artifact) []sources.Artifact { return []sources.Artifact{a, a} }, "listed twice"},
		"draws":        {named(sources.Entry{Name: "a\x1b[2Jb", Type: bundle.TypeFile}), "U+001B"},
		"turns":        {named(sources.Entry{Name: "a", Version: "1\u202e2", Type: bundle.TypeFile}), "U+202E"},
		"no name":      {named(sources.Entry{Type: bundle.TypeFile}), "no name"},
		"a long name":  {named(sources.Entry{Name: strings.Repeat("a", bundle.MaxEntryText+1), Type: bundle.TypeFile}), "1025 bytes"},
		"outside": {func(a sources.Artifact) []sources.Artifact {
			a.File.Path = "../" + a.File.Path
			return []sources.Artifact{a}
		}, "../"},
	} {
		forged := &collect.Resolved{}
		source := ""
		for _, p := range resolved.Repositories {
			if source == "" && hasOrigin(t, p, url) {
				source = p.Name
				p.Artifacts = spoiled(p.Artifacts, url, test.spoil)
			}
			forged.Repositories = append(forged.Repositories, p)
		}
		if source == "" {
			t.Fatalf("%s: no artifact of the plan has this URL as its origin", url)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := forged.Survey(collect.SurveyOptions{})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > maxDoor {
			t.Errorf("%s: %d bytes of memory", name, n)
		}
		if !errors.Is(err, fetch.ErrUpstream) && !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, want := range []string{"source " + source, url, test.want} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v: does not name %s", name, err, want)
			}
		}
	}
}

func sized(size int64) func(sources.Artifact) []sources.Artifact {
	return func(a sources.Artifact) []sources.Artifact {
		a.File.Size = size
		return []sources.Artifact{a}
	}
}

// named calls an artifact something else.
func named(e sources.Entry) func(sources.Artifact) []sources.Artifact {
	return func(a sources.Artifact) []sources.Artifact {
		a.Entries = sources.NewEntries(e)
		return []sources.Artifact{a}
	}
}

func hasOrigin(t *testing.T, p collect.Planned, url string) bool {
	for a, err := range p.Artifacts() {
		if err != nil {
			t.Fatal(err)
		}
		if a.Evidence.Origin == url {
			return true
		}
	}
	return false
}

// spoiled changes the first artifact that is from url.
func spoiled(all func() iter.Seq2[sources.Artifact, error], url string, spoil func(sources.Artifact) []sources.Artifact) func() iter.Seq2[sources.Artifact, error] {
	return func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			found := false
			for a, err := range all() {
				now := []sources.Artifact{a}
				if err == nil && !found && a.Evidence.Origin == url {
					found, now = true, spoil(a)
				}
				for _, a := range now {
					if !yield(a, err) {
						return
					}
				}
			}
		}
	}
}

func kindNames(kinds sources.Kinds) []string {
	var names []string
	for _, kind := range kinds {
		names = append(names, kind.Name)
	}
	return names
}

// open opens a bundle as the gate does.
func (r *rig) open(dirs []string) *verify.Bundle {
	r.t.Helper()
	policy := &verify.Policy{}
	if err := policy.Add(verify.Key{Role: verify.RoleExporter, Set: "site", PEM: string(r.s.key.public)}); err != nil {
		r.t.Fatal(err)
	}
	readers, err := bundle.Discover(dirs)
	if err != nil || len(readers) != 1 {
		r.t.Fatalf("%d bundles in %v, %v", len(readers), dirs, err)
	}
	r.t.Cleanup(func() { _ = readers[0].Close() })
	b, _, err := verify.Open(r.t.Context(), readers[0], verify.Options{Policy: policy, Now: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// holding: a source that is held back stays as the base has it, while the others
// move on; with --only it is the other way round. The next export has everything.
func holding(t *testing.T, s Suite) {
	r := newRig(t, s)
	in := newInside(r)
	in.receive(r.must())
	before := in.mounted()
	first := r.names()
	r.next(2)
	held := ""
	for _, name := range r.names() {
		if slices.Contains(first, name) {
			held = name
			break
		}
	}
	if held == "" {
		t.Fatalf("no source of state one, %v, is in state two", first)
	}
	res, err := r.export(t.Context(), func(o *export.Options) { o.Hold = []string{held} })
	if err != nil {
		t.Fatal(err)
	}
	if !res.Nothing {
		in.receive(res.Dirs)
	}
	after := in.mounted()
	for name, files := range before {
		if (name == held || strings.HasPrefix(name, held+"/")) && !maps.Equal(files, after[name]) {
			t.Errorf("source %s is held back: got\n%v\nwant\n%v", name, after[name], files)
		}
	}
	in.receive(r.must(func(o *export.Options) { o.Only = []string{held} }))
	if res, err = r.export(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !res.Nothing {
		in.receive(res.Dirs)
	}
	whole := newInside(r)
	whole.receive(r.must(full))
	if got, want := in.complete(s), whole.complete(s); !maps.Equal(got, want) {
		t.Errorf("with everything again\n%v\nby a full bundle\n%v", got, want)
	}
}

// names returns the sources of the spec file.
func (r *rig) names() []string {
	r.t.Helper()
	spec, err := config.Load(filepath.Join(r.dir, specName))
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, s := range spec.Sources {
		names = append(names, s.Name)
	}
	return names
}

// mounted returns the digests of what is published, by repository and path.
func (in *inside) mounted() map[string]map[string]bundle.Digest {
	in.t.Helper()
	tree, err := in.Tree("")
	if err != nil {
		in.t.Fatal(err)
	}
	all := map[string]map[string]bundle.Digest{}
	for _, repo := range tree.Repositories() {
		all[repo.Name] = map[string]bundle.Digest{}
		for f, err := range tree.Files(repo.Name) {
			if err != nil {
				in.t.Fatal(err)
			}
			all[repo.Name][f.Path] = f.Digest
		}
	}
	return all
}

// clientFiles: the client configuration is a function of what is published: twice the
// same, inside as before the trip, and without a name outside of the kind's folder.
func clientFiles(t *testing.T, s Suite) {
	r := newRig(t, s)
	in := newInside(r)
	in.receive(r.must())
	for _, kind := range s.Kinds {
		tree, err := in.Tree(kind.Name)
		if err != nil {
			t.Fatal(err)
		}
		if kind.Clients == nil || len(tree.Repositories()) == 0 {
			continue
		}
		first, err := kind.Clients(t.Context(), tree.Repositories(), tree)
		if err != nil {
			t.Fatal(err)
		}
		second, err := kind.Clients(t.Context(), tree.Repositories(), tree)
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("kind %s: twice the same mirror, two answers: %v\n%+v\n%+v", kind.Name, err, first, second)
		}
		published := in.listed()
		for _, f := range first {
			at := sources.ClientsDir(kind.Name) + "/" + f.Path
			if d, ok := published[at]; !ok || d != bundle.DigestOf(f.Content) || bundle.CheckPath(f.Path) != nil {
				t.Errorf("kind %s: %s: not what the bundle brought (%v)", kind.Name, at, ok)
			}
		}
	}
}

// oneLine checks that the first of the errors that are joined has one line: it is
// what a person sees first, and what a log keeps.
func oneLine(t *testing.T, err error) {
	t.Helper()
	for {
		several, ok := err.(interface{ Unwrap() []error })
		if !ok || len(several.Unwrap()) == 0 {
			break
		}
		first := several.Unwrap()[0]
		if !strings.HasPrefix(err.Error(), first.Error()+"\n") && err.Error() != first.Error() {
			break // not joined: one error of several classes
		}
		err = first
	}
	if text := err.Error(); strings.Contains(text, "\n") {
		t.Errorf("the first error has several lines:\n%s", text)
	}
}
