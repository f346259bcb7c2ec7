package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// delta leaves out what the base has: a blob, and the lists of "own".
func delta(signer *bundle.Signer) (f forgery, base *mirror) {
	f = forgery{sequence: 2, repos: some(), have: []string{text("a", 3000)}, signers: []*bundle.Signer{signer}}
	f.repos[1].kept = true
	return f, &mirror{blobs: f.have, accepted: verify.Accepted{Stream: stream, Sequence: 1, Root: digest("x")}}
}

func TestDelta(t *testing.T) {
	signer := newSigner(t)
	f, base := delta(signer)
	base.keep(t, f.repos[1])
	dir := f.make(t, t.TempDir())
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: base, Now: now}
	b, report, err := verify.Open(t.Context(), discover(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	if d := digest(f.have[0]); b.Carries(d) {
		t.Errorf("says that it carries %s", d)
	}
	n := 0
	for file, err := range b.Files(1) {
		if err != nil || file.Path != "x" {
			t.Errorf("list from the receiver: %q, %v", file.Path, err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d files, want 1", n)
	}
	var out strings.Builder
	if err := report.WriteText(&out); err != nil || !strings.Contains(out.String(), "checked        blobs of the base, by name and size: 1\n") || !strings.Contains(out.String(), "delta          against sequence 1") {
		t.Errorf("report: %s, %v", &out, err)
	}

	// Without a mirror the same is reported as not checked.
	o.Receiver = nil
	b, report, err = verify.Open(t.Context(), discover(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	left := strings.Join(report.NotChecked, "\n")
	for _, want := range []string{"repository own: its list of files", "repository own: its list of evidence", "1 blob (3000 bytes) expected at the receiver"} {
		if !strings.Contains(left, want) {
			t.Errorf("want %q in %q", want, left)
		}
	}
	for _, err := range b.Files(1) {
		if !errors.Is(err, bundle.ErrIncomplete) {
			t.Errorf("want ErrIncomplete, got %v", err)
		}
	}
}

// TestDeltaDoesNotApply is P13.
func TestDeltaDoesNotApply(t *testing.T) {
	signer := newSigner(t)
	f, full := delta(signer)
	full.keep(t, f.repos[1])
	dir := f.make(t, t.TempDir())
	wrong := map[bundle.Digest][]byte{}
	for d, b := range full.lists {
		wrong[d] = append(bytes.Clone(b[:len(b)-2]), '}', 'x')
	}
	longer := map[bundle.Digest][]byte{}
	for d, b := range full.lists {
		longer[d] = append(bytes.Clone(b), b...)
	}
	for name, x := range map[string]struct {
		m     *mirror
		class error
		text  []string
		count int64
		lists int
	}{
		"all there":        {&mirror{blobs: full.blobs, lists: full.lists}, nil, nil, 0, 0},
		"no blob":          {&mirror{lists: full.lists, accepted: full.accepted}, bundle.ErrIncomplete, []string{"1 blob (3000 bytes) of books, own", "made against sequence 1"}, 1, 0},
		"no list":          {&mirror{blobs: full.blobs}, bundle.ErrIncomplete, []string{"2 lists of own"}, 0, 2},
		"nothing":          {&mirror{}, bundle.ErrIncomplete, []string{"2 lists and 1 blob (3000 bytes) of"}, 1, 2},
		"blob, other size": {&mirror{blobs: []string{full.blobs[0][1:]}, lists: full.lists}, bundle.ErrIncomplete, nil, 1, 0},
		"list damaged":     {&mirror{blobs: full.blobs, lists: wrong}, bundle.ErrCorrupt, []string{"own: list of files at the receiver", "digest mismatch"}, 0, 0},
		"list too long":    {&mirror{blobs: full.blobs, lists: longer}, bundle.ErrCorrupt, []string{"longer than it should be"}, 0, 0},
	} {
		err := verdict(t, dir, verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: x.m})
		refused(t, name, err, x.class, x.text...)
		var missing *verify.MissingBaseError
		if errors.As(err, &missing) && (missing.Have != x.m.accepted.Sequence || missing.Count != x.count || missing.Lists != x.lists || missing.Base.Sequence != 1) {
			t.Errorf("%s: %+v", name, missing)
		}
	}
	// An old bundle, accepted before, whose base is gone: nothing to complain about.
	b, _, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: full, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	gone := &mirror{accepted: verify.Accepted{Stream: stream, Sequence: 2, Root: b.Root()}}
	for _, check := range []bool{false, true} {
		b, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: gone, Now: now, CheckKnown: check})
		if err != nil || !b.Known() || (len(b.Volumes()) > 0) != check || len(report.NotChecked) == 0 {
			t.Errorf("CheckKnown %t: %v, %+v", check, err, report)
		}
	}
}

// TestSignedAndWrong: what a trusted key signed is checked like anything else.
func TestSignedAndWrong(t *testing.T) {
	signer := newSigner(t)
	repos := some()
	repos[0].files["books/big"] = text("big", 30000)
	first := func(l []bundle.Blob) *bundle.Blob { return &l[0] }
	table := map[string]struct {
		f     forgery
		class error
		text  []string
	}{
		"nothing": {forgery{}, nil, nil},
		"split":   {forgery{volume: 16 << 10}, nil, nil},

		"files: not sorted": {forgery{files: func(n string, l []bundle.File) []bundle.File { slices.Reverse(l); return l }},
			bundle.ErrMalformed, []string{"repository books", "not in order"}},
		"files: twice": {forgery{files: func(n string, l []bundle.File) []bundle.File { return append(l[:1:1], l...) }},
			bundle.ErrMalformed, []string{"listed twice"}},
		"files: one less": {forgery{files: func(n string, l []bundle.File) []bundle.File { return l[len(l)/4:] }, evidence: func(n string, l []bundle.Evidence) []bundle.Evidence { return l[len(l)/4:] }},
			bundle.ErrMalformed, []string{"repository books: list of 3 files", "the root says 4"}},
		"files: path": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].Path = "../etc/passwd"; return l }},
			bundle.ErrMalformed, []string{`"../etc/passwd"`}},
		"files: file and folder": {forgery{files: func(n string, l []bundle.File) []bundle.File {
			if n == "books" {
				l[0].Path = "books"
			}
			return l
		}}, bundle.ErrMalformed, []string{"both a file and a folder"}},
		"files: other size": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].Size++; return l }},
			bundle.ErrMalformed, []string{"size 3001, its blob"}},
		"files: negative size": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].Size = -1; return l }},
			bundle.ErrMalformed, []string{"size -1"}},
		"files: zero digest": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].Digest = bundle.Digest{}; return l }},
			bundle.ErrMalformed, []string{"no digest"}},
		"files: blob nowhere": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].Digest = digest("gone"); return l }},
			bundle.ErrMalformed, []string{digest("gone").String(), "in no volume of a full bundle"}},
		"files: media type": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].MediaType = "text/html; } evil {"; return l }},
			bundle.ErrMalformed, []string{"media type"}},
		"files: annotations": {forgery{files: func(n string, l []bundle.File) []bundle.File {
			l[0].Annotations = map[string]string{strings.Repeat("k", bundle.MaxAnnotationSize+1): ""}
			return l
		}}, bundle.ErrMalformed, []string{"annotations"}},
		"two repositories, one path": {forgery{files: func(n string, l []bundle.File) []bundle.File {
			if n == "tools" {
				l[0].Path = "books/a.txt"
			}
			return l
		}, evidence: func(n string, l []bundle.Evidence) []bundle.Evidence {
			if n == "tools" {
				l[0].Path = "books/a.txt"
			}
			return l
		}}, bundle.ErrMalformed, []string{"path files/books/a.txt: different content", "in repositories", "books", "tools"}},
		"two repositories, file and folder": {forgery{files: func(n string, l []bundle.File) []bundle.File {
			if n == "tools" {
				l[0].Path = "books/b"
			}
			return l
		}, evidence: func(n string, l []bundle.Evidence) []bundle.Evidence {
			if n == "tools" {
				l[0].Path = "books/b"
			}
			return l
		}}, bundle.ErrMalformed, []string{"path files/books/b: both a file and a folder in repositories tools and books"}},

		"files: filled, not required": {forgery{files: func(n string, l []bundle.File) []bundle.File { l[0].Filled = true; return l }},
			bundle.ErrMalformed, []string{"filled, and the root does not require"}},
		"files: filled, shared": {forgery{
			files: func(n string, l []bundle.File) []bundle.File { l[0].Filled = true; return l },
			root:  func(m *bundle.Manifest) { m.Requires = []string{bundle.FeatureFilled} },
		}, bundle.ErrMalformed, []string{"filled in the shared mount files"}},
		"evidence: one less": {forgery{evidence: func(n string, l []bundle.Evidence) []bundle.Evidence { return l[1:] }},
			bundle.ErrMalformed, []string{"repository books: evidence of 3 paths, not those of the 4 files"}},
		"evidence: of other files": {forgery{evidence: func(n string, l []bundle.Evidence) []bundle.Evidence { l[0].Path = "a"; return l }},
			bundle.ErrMalformed, []string{"not those of"}},
		"evidence: not sorted": {forgery{evidence: func(n string, l []bundle.Evidence) []bundle.Evidence { slices.Reverse(l); return l }},
			bundle.ErrMalformed, []string{"not in order"}},
		"evidence: unpinned, unsaid": {forgery{evidence: func(n string, l []bundle.Evidence) []bundle.Evidence {
			l[0].Vouched = bundle.VouchedTLS
			return l
		}}, bundle.ErrMalformed, []string{"evidence of 1 file that nothing vouches for, the root says 0"}},
		"evidence: no such word": {forgery{evidence: func(n string, l []bundle.Evidence) []bundle.Evidence { l[0].Vouched = "trust me"; return l }},
			bundle.ErrMalformed, []string{`"trust me"`}},

		"blobs: a stranger": {forgery{extra: []string{"nobody asked for this"}},
			bundle.ErrMalformed, []string{digest("nobody asked for this").String(), "named by no list"}},
		"blobs: other size": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { first(l).Size--; first(l).Length--; return l }},
			bundle.ErrMalformed, []string{"its blob"}},
		"blobs: overlap": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { l[1].Offset = l[0].Offset; return l }},
			bundle.ErrMalformed, []string{"overlaps"}},
		"blobs: behind the end": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { l[len(l)-1].Offset += 1 << 20; return l }},
			bundle.ErrMalformed, []string{"leaves the volume"}},
		"blobs: no digest": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { first(l).Digest = bundle.Digest{}; return l }},
			bundle.ErrMalformed, []string{"without digest"}},
		"blobs: two sizes": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { l[1].Digest = l[0].Digest; return l }},
			bundle.ErrMalformed, []string{"bytes here", "before"}},
		"blobs: begins in the middle": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { first(l).At, first(l).Size = 1, first(l).Size+1; return l }},
			bundle.ErrMalformed, []string{"begins with byte 1"}},
		"blobs: not all of it": {forgery{blobs: func(v int, l []bundle.Blob) []bundle.Blob { l[len(l)-1].Length--; return l }},
			bundle.ErrMalformed, []string{"the last 1 byte in no volume"}},
		"segments: one is gone": {forgery{volume: 16 << 10, table: func(l []bundle.Volume) []bundle.Volume { return slices.Delete(l, 1, 2) }},
			bundle.ErrMalformed, nil},
		"segments: another blob between": {forgery{volume: 16 << 10, blobs: func(v int, l []bundle.Blob) []bundle.Blob {
			if v == 1 {
				l[0].Digest = digest("x")
			}
			return l
		}}, bundle.ErrMalformed, []string{"want them here"}},
		"segments: other offset": {forgery{volume: 16 << 10, blobs: func(v int, l []bundle.Blob) []bundle.Blob {
			if v == 1 {
				l[0].At--
			}
			return l
		}}, bundle.ErrMalformed, []string{"want them here"}},

		"frames: one less":    {forgery{frames: func(v int, l []bundle.Frame) []bundle.Frame { return l[1:] }}, bundle.ErrMalformed, []string{"frame index"}},
		"frames: too large":   {forgery{frames: func(v int, l []bundle.Frame) []bundle.Frame { l[0].Raw = bundle.MaxFrameRaw + 1; return l }}, bundle.ErrMalformed, []string{"out of range"}},
		"volumes: count":      {forgery{table: func(l []bundle.Volume) []bundle.Volume { l[0].BlobCount++; return l }}, bundle.ErrMalformed, []string{"the volume table says"}},
		"volumes: name":       {forgery{table: func(l []bundle.Volume) []bundle.Volume { l[0].Name = "../x"; return l }}, bundle.ErrMalformed, []string{"volume table"}},
		"volumes: digest":     {forgery{table: func(l []bundle.Volume) []bundle.Volume { l[0].Digest = digest("x"); return l }}, bundle.ErrMalformed, []string{"SHA256SUMS: volume-00001.tar.zst: says"}},
		"volumes: role":       {forgery{table: func(l []bundle.Volume) []bundle.Volume { l[0].Role = "parity"; return l }}, bundle.ErrUnsupported, []string{"parity"}},
		"sums: other digest":  {forgery{sums: func(s string) string { return replaceLast(s, "0", "1") }}, bundle.ErrMalformed, []string{"SHA256SUMS: "}},
		"sums: one more":      {forgery{sums: func(s string) string { return s + digest("x").Hex() + "  x\n" }}, bundle.ErrMalformed, []string{"SHA256SUMS: x: want the end"}},
		"sums: one less":      {forgery{sums: func(s string) string { return s[:strings.LastIndex(s[:len(s)-1], "\n")+1] }}, bundle.ErrMalformed, []string{"no line for volume-00001.tar.zst"}},
		"sums: no README":     {forgery{sums: func(s string) string { return s[strings.Index(s, "\n")+1:] }}, bundle.ErrMalformed, []string{"want README.txt here"}},
		"root: state":         {forgery{root: func(m *bundle.Manifest) { m.State = digest("x") }}, bundle.ErrMalformed, []string{"state"}},
		"root: set":           {forgery{root: func(m *bundle.Manifest) { m.Sequence = 2 }}, bundle.ErrMalformed, []string{"demo-000001: holds the root of demo-000002"}},
		"root: format":        {forgery{root: func(m *bundle.Manifest) { m.Format = 2 }}, bundle.ErrUnsupported, []string{"format 2"}},
		"root: feature":       {forgery{root: func(m *bundle.Manifest) { m.Requires = []string{"patches"} }}, bundle.ErrUnsupported, []string{"patches"}},
		"root: not canonical": {forgery{bytes: func(b []byte) []byte { return append(b, '\n') }}, bundle.ErrMalformed, []string{"canonical"}},
	}
	for name, x := range table {
		x.f.repos, x.f.signers = repos, []*bundle.Signer{signer}
		err := verdict(t, x.f.make(t, t.TempDir()), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}})
		refused(t, name, err, x.class, x.text...)
	}
}

func replaceLast(s, old, new string) string {
	i := strings.LastIndex(s, old)
	if i > len(s)-70 { // inside the last digest
		return s[:i] + new + s[i+len(old):]
	}
	return s[:len(s)-90] + "\n"
}

// TestSharedPathsWithEqualContent are no conflict: two image repositories have
// the same layer.
func TestSharedPathsWithEqualContent(t *testing.T) {
	signer := newSigner(t)
	same := text("same", 500)
	f := forgery{repos: []repo{
		{name: "a", mount: "v2", files: map[string]string{"img/blobs/1": same, "img/manifests/x": "1"}},
		{name: "b", mount: "v2", files: map[string]string{"img/blobs/1": same, "img/manifests/y": "2"}},
		{name: "c", mount: "v2", files: map[string]string{"img/blobs/1": same}},
	}, signers: []*bundle.Signer{signer}}
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}}
	refused(t, "equal", verdict(t, f.make(t, t.TempDir()), o), nil)
	f.files = func(n string, l []bundle.File) []bundle.File {
		if n == "b" {
			l[0].MediaType = "text/plain"
		}
		return l
	}
	refused(t, "other media type", verdict(t, f.make(t, t.TempDir()), o), bundle.ErrMalformed, "path v2/img/blobs/1: different content")
	f.files = func(n string, l []bundle.File) []bundle.File {
		if n == "c" {
			l[0].Path = "img/tags/list"
		}
		return l
	}
	refused(t, "the mirror's own", verdict(t, f.make(t, t.TempDir()), o), bundle.ErrMalformed, "img/tags/list", "the mirror's own name")
}

// TestAllListsAreReported: one wrong list does not hide another.
func TestAllListsAreReported(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}, files: func(n string, l []bundle.File) []bundle.File { l[0].Size++; return l }}
	err := verdict(t, f.make(t, t.TempDir()), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}})
	for _, r := range f.repos {
		if err == nil || !strings.Contains(err.Error(), "repository "+r.name+":") {
			t.Errorf("want repository %s in: %v", r.name, err)
		}
	}
}

func TestStrangersAreNotRead(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(dir, "autorun.inf"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "volume-00002.tar.zst")); err != nil {
		t.Fatal(err)
	}
	_, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: created})
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, `"autorun.inf" in `) || !strings.Contains(notes, `"volume-00002.tar.zst" in `) || len(report.Notes) != 2 {
		t.Errorf("notes: %s", notes)
	}
	// A volume that is a link is not there.
	volume := filepath.Join(dir, "volume-00001.tar.zst")
	if err := os.Rename(volume, volume+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(volume+".real", volume); err != nil {
		t.Fatal(err)
	}
	b, _, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: created})
	if err != nil {
		t.Fatal(err)
	}
	if v := b.Volumes()[0]; v.Present || v.Found != -1 {
		t.Errorf("a link counts as a volume: %+v", v)
	}
}

// TestEveryByteCounts flips each byte of each file of a bundle, one at a time:
// nothing but what no machine reads may pass, and nothing changed is served.
func TestEveryByteCounts(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}, frame: 1024}
	f.repos[0].files["books/a.txt"], f.repos[0].files["books/b/c.txt"] = text("a", 300), text("c", 1500)
	f.repos[1].files["x"] = text("a", 300)
	dir := f.make(t, t.TempDir())
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now}
	want := map[bundle.Digest]string{}
	for _, r := range f.repos {
		for _, c := range r.files {
			want[digest(c)] = c
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			passed := false
			b, _, err := verify.Open(t.Context(), discover(t, dir), o)
			if err == nil {
				sink := &memory{}
				err = streamAll(t, b, sink, 2)
				for d := range sink.got {
					if sink.content(d) != want[d] {
						t.Fatalf("%s, byte %d: served something else", e.Name(), i)
					}
				}
				passed = err == nil
			}
			// The hint and the spelling of a signature file are nobody's
			// statement; MEDIUM.txt is for people and says so.
			if allowed := e.Name() == bundle.MediumName || bundle.IsSignatureName(e.Name()); passed && !allowed {
				t.Fatalf("%s, byte %d of %d: %q for %q passed", e.Name(), i, len(good), bad[i], good[i])
			}
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := verdict(t, dir, o); err != nil {
		t.Fatal(err)
	}
}

func TestCatalogDamageIsNamed(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	path := filepath.Join(dir, "catalog-01.tar.zst")
	bad, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad[10] ^= 1
	if err := os.WriteFile(path, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "flipped", verdict(t, dir, verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}}),
		bundle.ErrCorrupt, "catalog-01.tar.zst, frame 1 (", "digest mismatch")
}

// TestLengthsCount cuts, extends and empties each file.
func TestLengthsCount(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now}
	for name, class := range map[string]error{
		bundle.RootName: bundle.ErrUntrusted, bundle.SumsName: bundle.ErrCorrupt, bundle.ReadmeName: bundle.ErrCorrupt,
		"catalog-01.tar.zst": bundle.ErrCorrupt, "volume-00001.tar.zst": bundle.ErrCorrupt,
	} {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, bad := range map[string][]byte{"cut": good[:len(good)-1], "extended": append(bytes.Clone(good), 0), "emptied": nil, "half": good[:len(good)/2]} {
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			b, _, err := verify.Open(t.Context(), discover(t, dir), o)
			if err == nil {
				if v := b.Volumes()[0]; v.Present || v.Found != int64(len(bad)) {
					t.Errorf("%s %s: %+v", name, what, v)
				}
				err = b.Check(t.Context(), verify.StreamOptions{})
			}
			refused(t, fmt.Sprintf("%s %s", name, what), err, class)
			if errors.Is(class, bundle.ErrCorrupt) && err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: not named: %v", name, what, err)
			}
			if name == "volume-00001.tar.zst" && what != "extended" {
				refused(t, name+" "+what, err, class, ", frame ", "damages /", fmt.Sprintf("file of %d bytes, want %d", len(bad), len(good)))
			}
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
