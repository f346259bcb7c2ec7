package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// rig is a connected side: a spec folder with its upstream, and a medium.
type rig struct {
	t        *testing.T
	s        Suite
	up       *Upstream
	dir      string
	medium   string
	signings int // numbers the exports, for their times
}

const (
	specName    = "gapbundle.yaml"
	siteKeyName = "site.key"
)

func newRig(t *testing.T, s Suite) *rig {
	t.Helper()
	r := &rig{t: t, s: s, dir: t.TempDir(), medium: t.TempDir()}
	if err := os.WriteFile(filepath.Join(r.dir, "exporter.key"), s.key.private, 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Site {
		if err := os.WriteFile(filepath.Join(r.dir, siteKeyName), s.site.private, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.up = s.New(t, r.dir)
	r.spec(r.up.Sources)
	return r
}

// spec writes the spec file with these sources.
func (r *rig) spec(sources string) {
	r.t.Helper()
	signing := "exporter: exporter.key"
	if r.s.Site {
		signing += ", site: " + siteKeyName
	}
	text := "version: 1\nname: site\nsigning: {" + signing + "}\nsources:\n" + sources
	if err := os.WriteFile(filepath.Join(r.dir, specName), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// next brings the upstream, and the spec, to state 2 or 3.
func (r *rig) next(state int) {
	r.t.Helper()
	r.spec(r.up.Next[state-2]())
}

func (r *rig) options() export.Options {
	r.signings++
	return export.Options{
		AllowShrink: r.names(), // the third state of an upstream is a small one
		SpecPath:    filepath.Join(r.dir, specName), Targets: []string{r.medium}, Kinds: r.s.Kinds, Tool: "sourcetest", Program: r.s.Program,
		Now:  time.Date(2026, 11, 1, r.signings, 0, 0, 0, time.UTC),
		Env:  func(string) string { return "" },
		Home: r.dir, NoReadback: true, Signers: r.s.key.signers(),
		Passphrase:     func(string) ([]byte, error) { return []byte(passphrase), nil },
		SitePassphrase: func(string) ([]byte, error) { return []byte(passphrase), nil },
	}
}

// export exports what the upstream has.
func (r *rig) export(ctx context.Context, change ...func(*export.Options)) (*export.Result, error) {
	o := r.options()
	for _, c := range change {
		c(&o)
	}
	return export.Run(ctx, o)
}

// must exports and returns the directories of the bundle.
func (r *rig) must(change ...func(*export.Options)) []string {
	r.t.Helper()
	res, err := r.export(r.t.Context(), change...)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.Nothing {
		r.t.Fatalf("nothing new: %s", res.Message)
	}
	return res.Dirs
}

func full(o *export.Options) { o.Full = true }

// refused exports, which has to fail with an error of the class that names
// all of names, and to leave no bundle.
func (r *rig) refused(class error, names ...string) {
	r.t.Helper()
	_, err := r.export(r.t.Context())
	if !errors.Is(err, class) {
		r.t.Fatalf("got %v, want an error that matches %q", err, class)
	}
	oneLine(r.t, err)
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			r.t.Errorf("%v: does not name %s", err, name)
		}
	}
	if left := signed(r.t, r.medium); len(left) > 0 {
		r.t.Errorf("refused, and there is %v", left)
	}
}

// signed returns the roots of bundles below dir.
func signed(t *testing.T, dir string) []string {
	t.Helper()
	var roots []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == bundle.RootName {
			roots = append(roots, name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return roots
}

// inside is a disconnected side.
type inside struct {
	t   *testing.T
	dir string
	*unpack.Mirror
	filled map[string][]byte // what files with the mirror's address hold, by path below the web root
}

// mirrorURL is the address that mirrors are given.
const mirrorURL = "https://mirror.example:8443/site"

// fill puts the address into what a bundle has, as docs/format.md defines.
func fill(content []byte) []byte {
	return []byte(strings.NewReplacer("@BASE@", mirrorURL, "@HOST@", "mirror.example:8443", "@INSECURE@", "false").Replace(string(content)))
}

// newInside returns an empty mirror that trusts the exporter of r.
func newInside(r *rig) *inside {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "mirror")
	clock := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	m, err := unpack.Create(dir, unpack.Options{Now: func() time.Time {
		clock = clock.Add(time.Minute)
		return clock
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			r.t.Error(err)
		}
	})
	err = m.Trust().Update(r.t.Context(), "test", func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: verify.RoleExporter, Set: "site", PEM: string(r.s.key.public)})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return &inside{t: r.t, dir: dir, Mirror: m, filled: map[string][]byte{}}
}

func (in *inside) receive(dirs []string) {
	in.t.Helper()
	if _, err := in.Receive(in.t.Context(), dirs, unpack.ImportOptions{AcceptKeys: true, BaseURL: mirrorURL}); err != nil {
		in.t.Fatal(err)
	}
}

// listed returns the digests that the current generation's lists promise, by path
// below the web root.
func (in *inside) listed() map[string]bundle.Digest {
	in.t.Helper()
	g, err := in.Current()
	if err != nil {
		in.t.Fatal(err)
	}
	all := map[string]bundle.Digest{}
	for _, set := range g.Sets {
		kinds := map[string]bool{}
		for _, repo := range set.Repositories {
			kinds[repo.Kind] = true
		}
		for kind := range kinds {
			tree, err := in.Tree(kind)
			if err != nil {
				in.t.Fatal(err)
			}
			for _, repo := range tree.Repositories() {
				for f, err := range tree.Files(repo.Name) {
					if err != nil {
						in.t.Fatal(err)
					}
					web := path.Join(repo.Mount, f.Path)
					if all[web] = f.Digest; f.Filled || strings.HasPrefix(web, "_gapbundle/clients/") {
						in.filled[web] = in.blob(f.Digest)
					}
				}
			}
		}
	}
	return all
}

// blob returns what the bundle has of a file: without the mirror's address.
func (in *inside) blob(d bundle.Digest) []byte {
	in.t.Helper()
	b, err := os.ReadFile(filepath.Join(in.dir, "blobs/sha256", d.Hex()[:2], d.Hex()))
	if err != nil {
		in.t.Fatal(err)
	}
	return b
}

// served returns the digests of the files that clients get at those paths. A file with the
// mirror's address in it counts as what it was made of, if it is what that makes.
func (in *inside) served(paths map[string]bundle.Digest) map[string]bundle.Digest {
	in.t.Helper()
	all := map[string]bundle.Digest{}
	for p := range paths {
		b, err := os.ReadFile(filepath.Join(in.dir, "current", filepath.FromSlash(p)))
		if err != nil {
			in.t.Errorf("served: %v", err)
			continue
		}
		if of, filled := in.filled[p]; filled && bytes.Equal(b, fill(of)) {
			b = of
		}
		all[p] = bundle.DigestOf(b)
	}
	return all
}

// answered asks the handler of serve for every path.
func (in *inside) answered(paths map[string]bundle.Digest) {
	in.t.Helper()
	h, err := serve.New(in.dir, serve.Options{})
	if err != nil {
		in.t.Fatal(err)
	}
	defer h.Close()
	for p := range paths {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, (&url.URL{Path: "/" + p}).String(), http.NoBody))
		if w.Code != http.StatusOK {
			in.t.Errorf("%s: serve answers %d", p, w.Code)
		}
	}
}

// complete checks that what is served is what is listed, in the mirror's and
// in each kind's own view, and returns it.
func (in *inside) complete(s Suite) map[string]bundle.Digest {
	in.t.Helper()
	listed := in.listed()
	if served := in.served(listed); !maps.Equal(served, listed) {
		in.t.Errorf("served %v\nlisted %v", served, listed)
	}
	in.answered(listed)
	if _, err := in.Check(in.t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
		in.t.Error(err)
	}
	if err := in.kindChecks(s); err != nil {
		in.t.Error(err)
	}
	return listed
}

// kindChecks runs the completeness checks of all kinds over what is published.
func (in *inside) kindChecks(s Suite) error {
	var errs []error
	for _, kind := range s.Kinds {
		tree, err := in.Tree(kind.Name)
		if err == nil && kind.Check != nil && len(tree.Repositories()) > 0 {
			_, err = kind.Check(in.t.Context(), tree)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
