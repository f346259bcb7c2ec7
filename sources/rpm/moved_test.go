package rpm

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// newExporter exports a spec again and again, an hour apart, with one ledger.
func newExporter(t *testing.T, dir string) *sourcetest.Exporter {
	t.Helper()
	x := sourcetest.NewExporter(t, dir, Kind(), now)
	x.Step = time.Hour
	return x
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
			res := x.Run(a.spec(mode))
			if n := a.server.Requests(a.at + "/" + nameRepomd); res.Sequence != 1 || n != 2 {
				t.Errorf("number %d, repomd.xml was read %d times, want twice", res.Sequence, n)
			}
			if again := x.Run(a.spec(mode)); !again.Nothing {
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
			res := x.Run(a.spec(mode))
			if n := a.server.AllRequests(); res.Nothing != want || want && n != 2 {
				t.Errorf("%s: nothing new: %t, %d requests; want %t, and then two", mode, res.Nothing, n, want)
			}
		}
		// Another key: what is there already is held against it as well.
		_, eve := signers(t)
		writeKeys(t, filepath.Join(a.dir, "archive.asc"), a.key, eve)
		a.server.ResetCounts()
		x.Run(a.spec(mode))
		if n := a.server.Requests(a.at + "/" + a.find("Packages/hello")); n == 0 {
			t.Errorf("%s: another set of keys, and the package was not looked at", mode)
		}
		writeKeys(t, filepath.Join(a.dir, "archive.asc"), eve)
		a.Signer = nil
		a.server.Remove(a.at + "/" + nameSignature)
		if _, err := x.Try(a.spec(mode)); err == nil {
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
	x.Run(a.spec() + second("archive.asc"))
	if n := a.server.Requests(a.at+"/"+hello) + a.server.Requests("/again/"+hello); n != 1 {
		t.Errorf("%d requests for one content, by the same keys", n)
	}
	_, eve := signers(t)
	writeKeys(t, filepath.Join(a.dir, "both.asc"), a.key, eve)
	a.server.ResetCounts()
	if err := os.RemoveAll(filepath.Join(a.dir, ".gapbundle")); err != nil { // what was checked before
		t.Fatal(err)
	}
	newExporter(t, a.dir).Run(a.spec() + second("both.asc"))
	if one, two := a.server.Requests("/again/"+hello), a.server.Requests(a.at+"/"+hello); one != 1 || two != 1 {
		t.Errorf("%d and %d requests for content that other keys have to hold each", one, two)
	}
}
