package unpack_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
)

const (
	clientsDir = "_gapbundle/clients/"
	podman     = "oci/podman/registries.conf"
	asideBeta  = "_sets/beta/"
	asideAlpha = "_sets/alpha/"
)

// wantClients compares the published client files at some paths with what they should hold;
// "" is for a file that is not there.
func wantClients(t *testing.T, w *settest.World, want map[string]string) {
	t.Helper()
	for path, content := range want {
		b, err := os.ReadFile(filepath.Join(w.Dir, "current", clientsDir+path))
		if content == "" && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil || string(b) != content {
			t.Errorf("%s: %q, want %q: %v", path, b, content, err)
		}
	}
	if res, err := w.Check(t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
		t.Errorf("check: %v: %+v", err, res.Damage)
	}
}

// imported imports the content of a set and returns the notes, but for that about the
// clock: the sets of these tests are made at one time and imported at another.
func imported(t *testing.T, w *settest.World, c *settest.Content) string {
	t.Helper()
	c.Options.Full = true
	made := w.Export(c)
	w.Reopen(unpack.Options{DryRun: true})
	if _, err := w.Import(made.Dirs...); err != nil {
		t.Errorf("dry run: %v", err)
	}
	w.Reopen(unpack.Options{})
	res, err := w.Import(made.Dirs...)
	if err != nil {
		t.Fatal(err)
	}
	notes := slices.DeleteFunc(res.Notes, func(n string) bool { return strings.Contains(n, "hours apart") })
	return strings.Join(notes, "\n")
}

// TestClientFilesOfTwoSets: two sets whose client files have the same names are published
// together. The one that had a name first keeps it, whatever the other brings.
func TestClientFilesOfTwoSets(t *testing.T) {
	w := settest.New(t)
	alpha, beta := w.Content(settest.Alpha), w.Content(settest.Beta)
	alpha.Put("_clients", podman, "of alpha\n")
	if notes := imported(t, w, alpha); notes != "" {
		t.Errorf("notes %q", notes)
	}
	beta.Put("_clients", podman, "of beta\n")
	if notes := imported(t, w, beta); !strings.Contains(notes, "/"+clientsDir+asideBeta+podman) || strings.Count(notes, "\n") > 0 {
		t.Errorf("notes %q", notes)
	}
	wantClients(t, w, map[string]string{podman: "of alpha\n", asideBeta + podman: "of beta\n", asideAlpha + podman: ""})

	// What both have alike is the first one's as well: it changes, and nothing is in its way.
	const daemon = "oci/docker/daemon.json"
	alpha.Put("_clients", daemon, "changed\n")
	if notes := imported(t, w, alpha); strings.Count(notes, "\n") > 0 {
		t.Errorf("notes %q", notes)
	}
	same, _ := os.ReadFile(filepath.Join(w.Dir, "current", clientsDir+asideBeta+daemon))
	wantClients(t, w, map[string]string{daemon: "changed\n", podman: "of alpha\n", asideBeta + podman: "of beta\n"})
	if len(same) == 0 {
		t.Error("what beta has there is not published")
	}

	// A file in the place of a folder, and the reverse.
	beta.Put("_clients", "oci/podman", "a file\n")
	delete(beta.Repository("_clients").Files, podman)
	imported(t, w, beta)
	wantClients(t, w, map[string]string{podman: "of alpha\n", asideBeta + "oci/podman": "a file\n"})
	alpha.Put("_clients", "files/here", "a file\n")
	imported(t, w, alpha)
	beta.Put("_clients", "files/here/below", "below\n")
	imported(t, w, beta)
	wantClients(t, w, map[string]string{"files/here": "a file\n", asideBeta + "files/here/below": "below\n"})

	// What the other one gives up is free.
	if _, err := w.Forget(t.Context(), settest.Alpha); err != nil {
		t.Fatal(err)
	}
	wantClients(t, w, map[string]string{"oci/podman": "a file\n", "files/here/below": "below\n", asideBeta + "oci/podman": ""})
}

// TestClientFilesOfOneRun: of sets that come together the first by name has the place.
func TestClientFilesOfOneRun(t *testing.T) {
	w := settest.New(t)
	var dirs []string
	for _, set := range []string{settest.Alpha, settest.Beta} {
		if _, err := w.Forget(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		c := w.Content(set)
		c.Put("_clients", podman, "of "+set+"\n")
		c.Options.Full = true
		dirs = append(dirs, w.Export(c).Dirs...)
	}
	if _, err := w.Import(dirs...); err != nil {
		t.Fatal(err)
	}
	wantClients(t, w, map[string]string{podman: "of alpha\n", asideBeta + podman: "of beta\n"})
}

// TestClientFilesOfRandomHistories: every client file of every set is published with its
// content, and no set's import moves a file of another set from its place.
func TestClientFilesOfRandomHistories(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	w := settest.New(t)
	names := []string{"oci/a", "oci/a/b", "oci/a/b/c", "oci/c", "files/a", "files/a-b", "files/a/b"}
	has := map[string]map[string]string{settest.Alpha: {}, settest.Beta: {}}
	at := func(set, name string) string {
		b, err := os.ReadFile(filepath.Join(w.Dir, "current", clientsDir+name))
		if err != nil {
			return ""
		}
		return string(b)
	}
	for step := range 40 {
		set := []string{settest.Alpha, settest.Beta}[r.IntN(2)]
		other := map[string]string{settest.Alpha: settest.Beta, settest.Beta: settest.Alpha}[set]
		places := map[string]bool{} // of the other's files: at their own names
		for name, content := range has[other] {
			places[name] = at(other, name) == content && at(other, "_sets/"+other+"/"+name) == ""
		}
		c := w.Content(set)
		has[set] = map[string]string{}
		for _, name := range names {
			nested := false
			for have := range has[set] {
				nested = nested || strings.HasPrefix(name, have+"/")
			}
			if !nested && r.IntN(3) == 0 {
				content := []string{"of both\n", fmt.Sprintf("of %s, %d\n", set, step)}[r.IntN(2)]
				has[set][name] = content
				c.Put("_clients", name, content)
			}
		}
		c.Put("debs", "step", fmt.Sprint(step))
		c.Options.Full = true
		if _, err := w.Import(w.Export(c).Dirs...); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		for name := range has[other] {
			if places[name] && at(other, name) != has[other][name] {
				t.Fatalf("step %d: set %s took %s of set %s", step, set, name, other)
			}
		}
		for set, files := range has {
			for name, content := range files {
				if at(set, name) != content && at(set, "_sets/"+set+"/"+name) != content {
					t.Fatalf("step %d: %s of set %s is not published", step, name, set)
				}
			}
		}
		if res, err := w.Check(t.Context(), unpack.CheckOptions{}); err != nil {
			t.Fatalf("step %d: %v: %+v", step, err, res.Damage)
		}
	}
}

// TestDryRunOfSeveralSets: a dry run says of each set at hand what would become of it, with
// one refusal for each that could not be published.
func TestDryRunOfSeveralSets(t *testing.T) {
	evil := func(c *settest.Content) { c.Put("tools", "alpha.example/tool", "evil") }
	both := func(c *settest.Content) { c.Put("tools", "new.example/tool", "of "+c.Set) }
	script := func(c *settest.Content) { evil(c); c.Put("_clients", "pypi/beta-debs.txt", "x") }
	for name, x := range map[string]struct {
		alpha, beta func(c *settest.Content)
		want        []string
		conflicts   int
	}{
		"a conflict":               {func(*settest.Content) {}, evil, []string{"alpha-000002 imported", "beta-000002 refused"}, 1},
		"a conflict and a rule":    {func(*settest.Content) {}, script, []string{"alpha-000002 imported", "beta-000002 refused"}, 1},
		"what neither has had":     {both, both, []string{"alpha-000002 refused", "beta-000002 refused"}, 2},
		"nothing in anybody's way": {func(*settest.Content) {}, func(*settest.Content) {}, []string{"alpha-000002 imported", "beta-000002 imported"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, stick := settest.New(t), t.TempDir()
			for set, change := range map[string]func(c *settest.Content){settest.Alpha: x.alpha, settest.Beta: x.beta} {
				c := w.Content(set)
				c.Put("debs", "next", "next")
				change(c)
				c.Options.Targets = []string{stick}
				w.Export(c)
			}
			for _, dry := range []bool{true, false} {
				w.Reopen(unpack.Options{DryRun: dry})
				res, err := w.Import(stick)
				got := outcomes(res)
				slices.Sort(got)
				if !slices.Equal(got, x.want) || (err == nil) != !strings.Contains(strings.Join(x.want, " "), "refused") {
					t.Errorf("dry run %v: %v, %v, want %v", dry, got, err, x.want)
				}
				if n := strings.Count(fmt.Sprint(err), "wanted by set alpha"); n != x.conflicts {
					t.Errorf("dry run %v: %d conflicts, want %d: %v", dry, n, x.conflicts, err)
				}
			}
		})
	}
}
