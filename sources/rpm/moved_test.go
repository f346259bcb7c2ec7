package rpm

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// exporter exports a set again and again, a day apart.
type exporter struct {
	t   *testing.T
	dir string
	now time.Time
}

func newExporter(t *testing.T, dir string) *exporter {
	t.Helper()
	private, _, _, err := keys.GenerateExporter([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	site, _, _, err := keys.GenerateSite("site", []byte("y"), now.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"exporter.key": private, "site.key": site} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &exporter{t: t, dir: dir, now: now}
}

func (x *exporter) try(spec string) (*export.Result, error) {
	x.t.Helper()
	name := filepath.Join(x.dir, "gapbundle.yaml")
	if err := os.WriteFile(name, []byte("version: 1\nname: demo\nsigning: {exporter: exporter.key, site: site.key}\nsources:\n"+spec), 0o600); err != nil {
		x.t.Fatal(err)
	}
	x.now = x.now.Add(time.Hour)
	return export.Run(x.t.Context(), export.Options{
		SpecPath: name, Targets: []string{x.t.TempDir()}, Kinds: sources.Kinds{Kind()}, Tool: "test",
		Now: x.now, Env: func(string) string { return "" }, Home: x.dir, NoReadback: true,
		Passphrase:     func(string) ([]byte, error) { return []byte("x"), nil },
		SitePassphrase: func(string) ([]byte, error) { return []byte("y"), nil },
	})
}

func (x *exporter) run(spec string) *export.Result {
	x.t.Helper()
	r, err := x.try(spec)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

const chosenHello = "packages: [hello]\n  architectures: [x86_64]"

// A repository that is updated between its metadata and its packages: all is
// planned once more, and what is carried is the new state, whole.
func TestRepositoryMovesWhileCollected(t *testing.T) {
	for mode, sum := range map[string]string{"mode: verbatim": "sha512", chosenHello: "sha256"} {
		t.Run(mode+", "+sum, func(t *testing.T) {
			a := newArchive(t, t.TempDir())
			a.Sum = sum
			a.publish()
			hello := a.at + "/" + a.find("Packages/hello")
			a.server.Fail(hello, func(right http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					a.Packages[0].Payload = []byte("another build")
					a.publish()
					right.ServeHTTP(w, r)
				})
			})
			x := newExporter(t, a.dir)
			res := x.run(a.spec(mode))
			if n := a.server.Requests(a.at + "/" + nameRepomd); res.Sequence != 1 || n != 2 {
				t.Errorf("number %d, repomd.xml was read %d times, want twice", res.Sequence, n)
			}
			if again := x.run(a.spec(mode)); !again.Nothing {
				t.Error("what was carried is not what upstream has")
			}
		})
	}
}

// An export whose upstream is unchanged asks for repomd.xml and its signature
// and nothing else: the ledger has what the plan needs.
func TestUnchangedThroughExport(t *testing.T) {
	for _, mode := range []string{"mode: verbatim", chosenHello} {
		a := newArchive(t, t.TempDir())
		a.publish()
		x := newExporter(t, a.dir)
		for _, want := range []bool{false, true} {
			a.server.ResetCounts()
			res := x.run(a.spec(mode))
			if n := a.server.AllRequests(); res.Nothing != want || want && n != 2 {
				t.Errorf("%s: nothing new: %t, %d requests; want %t, and then two", mode, res.Nothing, n, want)
			}
		}
		// Another key: what is there already is held against it as well.
		_, eve := signers(t)
		writeKeys(t, filepath.Join(a.dir, "archive.asc"), a.key, eve)
		a.server.ResetCounts()
		x.run(a.spec(mode))
		if n := a.server.Requests(a.at + "/" + a.find("Packages/hello")); n == 0 {
			t.Errorf("%s: another set of keys, and the package was not looked at", mode)
		}
		writeKeys(t, filepath.Join(a.dir, "archive.asc"), eve)
		a.Signer = nil
		a.server.Remove(a.at + "/" + nameSignature)
		if _, err := x.try(a.spec(mode)); err == nil {
			t.Errorf("%s: signed by a key that is not trusted any more", mode)
		}
	}
}

// Two sources that have the same package: one is read, and each is held
// against the keys of its own source.
func TestSamePackageTwice(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	for name, content := range a.files {
		a.server.Put("/again/"+name, content)
	}
	second := func(keys string) string {
		return "- name: again\n  kind: rpm\n  baseurl: " + a.server.URL("/again") + "\n  gpgkey: " + keys + "\n"
	}
	hello := a.find("Packages/hello")
	x := newExporter(t, a.dir)
	x.run(a.spec() + second("archive.asc"))
	if n := a.server.Requests(a.at+"/"+hello) + a.server.Requests("/again/"+hello); n != 1 {
		t.Errorf("%d requests for one content, by the same keys", n)
	}
	_, eve := signers(t)
	writeKeys(t, filepath.Join(a.dir, "both.asc"), a.key, eve)
	a.server.ResetCounts()
	if err := os.RemoveAll(filepath.Join(a.dir, ".gapbundle")); err != nil { // what was checked before
		t.Fatal(err)
	}
	newExporter(t, a.dir).run(a.spec() + second("both.asc"))
	if one, two := a.server.Requests("/again/"+hello), a.server.Requests(a.at+"/"+hello); one != 1 || two != 1 {
		t.Errorf("%d and %d requests for content that other keys have to hold each", one, two)
	}
}
