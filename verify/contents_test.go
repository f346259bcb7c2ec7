package verify_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// TestContents: what a bundle says by name is read by name, and its report counts it.
func TestContents(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}, contents: func(_ string, l []bundle.Entry) []bundle.Entry { return l }}
	b, report, err := verify.Open(t.Context(), discover(t, f.make(t, t.TempDir())), verify.Options{
		Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range f.repos {
		for e, err := range b.Contents(i) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, e.Name)
		}
	}
	if want := []string{"books/a.txt", "books/b/c.txt", "books/empty", "x", "tools/t"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	var out strings.Builder
	if err := report.WriteText(&out); err != nil || !strings.Contains(out.String(), "checked        entries: 5\n") {
		t.Errorf("report: %s, %v", &out, err)
	}
	// A bundle without such lists has no entries.
	f.contents = nil
	b, _, err = verify.Open(t.Context(), discover(t, f.make(t, t.TempDir())), verify.Options{
		Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range b.Contents(0) {
		t.Errorf("an entry of a bundle that has no contents lists: %+v, %v", e, err)
	}
}

// TestContentsOfTheBase: a list that is not carried is one of those that a delta leaves out.
func TestContentsOfTheBase(t *testing.T) {
	signer := newSigner(t)
	f, base := delta(signer)
	f.contents = func(_ string, l []bundle.Entry) []bundle.Entry { return l }
	dir := f.make(t, t.TempDir())
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: base}
	refused(t, "no list at the receiver", verdict(t, dir, o), bundle.ErrIncomplete, "3 lists")
	base.keep(t, f.repos[1])
	refused(t, "all there", verdict(t, dir, o), nil)
	// The list of the receiver is checked like a carried one.
	f.contents = func(_ string, l []bundle.Entry) []bundle.Entry { l[0].Path = "y"; return l }
	dir = f.make(t, t.TempDir())
	cl, _ := list(t, f.contents("", f.repos[1].entries()), bundle.MediaTypeContents)
	base.lists[bundle.DigestOf(cl)] = cl
	refused(t, "of another file", verdict(t, dir, o), bundle.ErrMalformed, "repository own", `entry "x"`, `path "y"`)
}

func TestContentsSignedAndWrong(t *testing.T) {
	signer := newSigner(t)
	first := func(change func(e *bundle.Entry)) func(string, []bundle.Entry) []bundle.Entry {
		return func(_ string, l []bundle.Entry) []bundle.Entry { change(&l[0]); return l }
	}
	for name, x := range map[string]struct {
		contents func(repo string, l []bundle.Entry) []bundle.Entry
		root     func(m *bundle.Manifest)
		text     []string // none: accepted
	}{
		"as it is":    {contents: first(func(*bundle.Entry) {})},
		"empty lists": {contents: func(string, []bundle.Entry) []bundle.Entry { return nil }},
		"two of one path": {contents: func(_ string, l []bundle.Entry) []bundle.Entry {
			e := l[0]
			e.Version = "2"
			return slices.Insert(l, 1, e)
		}},
		"markup":            {contents: first(func(e *bundle.Entry) { e.Name = "<script>" })},
		"an image":          {contents: first(func(e *bundle.Entry) { e.Size = 1 << 40 })},
		"not sorted":        {contents: func(_ string, l []bundle.Entry) []bundle.Entry { slices.Reverse(l); return l }, text: []string{"repository books", "not in order"}},
		"twice":             {contents: func(_ string, l []bundle.Entry) []bundle.Entry { return append(l[:1:1], l...) }, text: []string{"listed twice"}},
		"of no file":        {contents: first(func(e *bundle.Entry) { e.Path = "gone" }), text: []string{`entry "books/a.txt"`, `path "gone"`}},
		"of another digest": {contents: first(func(e *bundle.Entry) { e.Digest = digest("other") }), text: []string{`entry "books/a.txt"`, digest("other").String()}},
		"of another set's file": {contents: func(n string, l []bundle.Entry) []bundle.Entry {
			if n == "tools" {
				l[0].Path, l[0].Digest = "books/a.txt", digest(text("a", 3000))
			}
			return l
		}, text: []string{"repository tools", `path "books/a.txt"`}},
		"vouched better":         {contents: first(func(e *bundle.Entry) { e.Vouched = bundle.VouchedIndex }), text: []string{"repository books", `entry "books/a.txt"`, "evidence"}},
		"another origin":         {contents: first(func(e *bundle.Entry) { e.Origin = "https://good.example" }), text: []string{`entry "books/a.txt"`, "good.example"}},
		"another reason":         {contents: first(func(e *bundle.Entry) { e.Reason = "wanted" }), text: []string{`entry "books/a.txt"`, "wanted"}},
		"control":                {contents: first(func(e *bundle.Entry) { e.Name = "a\x1b[2J" }), text: []string{"U+001B"}},
		"bidirectional":          {contents: first(func(e *bundle.Entry) { e.Summary = "a\u202eb" }), text: []string{"U+202E"}},
		"one more than the root": {root: func(m *bundle.Manifest) { m.Repositories[0].Entries-- }, text: []string{"repository books: contents list of 3 entries, the root says 2"}},
		"one less than the root": {root: func(m *bundle.Manifest) { m.Repositories[0].Entries++ }, text: []string{"of 3 entries, the root says 4"}},
		"not required":           {root: func(m *bundle.Manifest) { m.Requires = nil }, text: []string{"contents"}},
		"another list":           {root: func(m *bundle.Manifest) { m.Repositories[0].Contents.Digest = m.Repositories[0].Files.Digest }, text: []string{"digest mismatch"}},
	} {
		f := forgery{repos: some(), signers: []*bundle.Signer{signer}, contents: x.contents, root: x.root}
		if f.contents == nil {
			f.contents = func(_ string, l []bundle.Entry) []bundle.Entry { return l }
		}
		err := verdict(t, f.make(t, t.TempDir()), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}})
		class := bundle.ErrMalformed
		if name == "another list" {
			class = bundle.ErrCorrupt
		}
		if len(x.text) == 0 {
			class = nil
		}
		refused(t, name, err, class, x.text...)
	}
}

// One name with 100,000 versions, and a list as long as there may be.
func TestContentsThatAreLong(t *testing.T) {
	signer := newSigner(t)
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}}
	for name, n := range map[string]int{"versions": 100_000, "two million": bundle.MaxEntries} {
		f := forgery{repos: some()[2:], signers: []*bundle.Signer{signer}, frame: 1 << 20, contents: func(_ string, l []bundle.Entry) []bundle.Entry {
			all := make([]bundle.Entry, n)
			for i := range all {
				all[i] = l[0]
				all[i].Version = fmt.Sprintf("%07d", i)
			}
			return all
		}}
		dir := f.make(t, t.TempDir())
		runtime.GC()
		refused(t, name, verdict(t, dir, o), nil)
	}
	f := forgery{repos: some()[2:], signers: []*bundle.Signer{signer}, contents: func(_ string, l []bundle.Entry) []bundle.Entry { return l },
		root: func(m *bundle.Manifest) { m.Repositories[0].Entries = bundle.MaxEntries + 1 }}
	refused(t, "one more", verdict(t, f.make(t, t.TempDir()), o), bundle.ErrMalformed, "more than 2000000 entries")
}

// TestVouchedBySSH: a key of ssh is one of those that vouch.
func TestVouchedBySSH(t *testing.T) {
	for vouched, want := range map[string]bool{
		"ssh:SHA256:uNiVztksCsDhcc0u9e8BrvEXVMRXwkWdnoWnrcAyTDE": true,
		"ssh:SHA256:uNiVztksCsDhcc0u9e8BrvEXVMRXwkWdnoWnrcAyTD":  false,
		"ssh:SHA256:": false, "ssh:MD5:00": false, "ssh:": false,
	} {
		err := verify.CheckEvidenceLine(&bundle.Evidence{Path: "a", Vouched: vouched})
		if (err == nil) != want || err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: %v", vouched, err)
		}
	}
}
