package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// some returns two repositories that share a mount, one of its own, and a blob that
// two paths have.
func some() []repo {
	return []repo{
		{name: "books", mount: "files", files: map[string]string{"books/a.txt": text("a", 3000), "books/b/c.txt": text("c", 20000), "books/empty": ""}},
		{name: "own", mount: "apt/own", files: map[string]string{"x": text("a", 3000)}},
		{name: "tools", mount: "files", files: map[string]string{"tools/t": text("t", 100)}},
	}
}

// memory is a sink that remembers what was committed.
type memory struct {
	mu      sync.Mutex
	got     map[bundle.Digest]map[int64]string
	creates int
	aborted int
	create  func(b bundle.Blob) error // may refuse
	write   error
	commit  error
}

type memoryBlob struct {
	m   *memory
	b   bundle.Blob
	buf strings.Builder
}

var errNotNeeded = errors.New("not needed")

func (m *memory) Create(b bundle.Blob) (verify.BlobWriter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.creates++
	if m.create != nil {
		if err := m.create(b); errors.Is(err, errNotNeeded) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	return &memoryBlob{m: m, b: b}, nil
}

func (w *memoryBlob) Write(p []byte) (int, error) {
	if w.m.write != nil {
		return 0, w.m.write
	}
	return w.buf.Write(p)
}

func (w *memoryBlob) Commit() error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.commit != nil {
		return w.m.commit
	}
	if w.m.got == nil {
		w.m.got = map[bundle.Digest]map[int64]string{}
	}
	if w.m.got[w.b.Digest] == nil {
		w.m.got[w.b.Digest] = map[int64]string{}
	}
	w.m.got[w.b.Digest][w.b.At] = w.buf.String()
	return nil
}

func (w *memoryBlob) Abort() {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.m.aborted++
}

// content joins what was committed of a blob.
func (m *memory) content(d bundle.Digest) string {
	out := ""
	for at, seen := int64(0), m.got[d]; ; at = int64(len(out)) {
		s, ok := seen[at]
		if !ok || s == "" {
			return out
		}
		out += s
	}
}

func streamAll(t testing.TB, b *verify.Bundle, sink verify.Sink, jobs int) error {
	t.Helper()
	var errs []error
	for i := range b.Volumes() {
		errs = append(errs, b.Stream(t.Context(), i, sink, verify.StreamOptions{Jobs: jobs}))
	}
	return errors.Join(errs...)
}

func TestOpenFull(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	for name, receiver := range map[string]verify.Receiver{"mirror": &mirror{}, "none": nil} {
		b, report, err := verify.Open(t.Context(), discover(t, dir), verify.Options{
			Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: receiver, Now: now})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Known() || len(b.Overrides()) != 0 || len(b.NewKeys()) != 0 || b.Name() != "demo-000001" || b.Manifest().Sequence != 1 {
			t.Errorf("%s: %+v", name, b)
		}
		if s := b.Signers(); len(s) != 1 || s[0].ID != signer.KeyID() || s[0].Role != verify.RoleExporter || s[0].File != bundle.SignatureName(signer.KeyID()) {
			t.Errorf("%s: signers %+v", name, s)
		}
		sink := &memory{}
		if err := streamAll(t, b, sink, 2); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.repos {
			paths := 0
			for file, err := range b.Files(i) {
				if err != nil {
					t.Fatal(err)
				}
				paths++
				want := r.files[file.Path]
				if file.Digest != digest(want) || sink.content(file.Digest) != want || !b.Carries(file.Digest) {
					t.Errorf("%s: %s/%s: not what was exported", name, r.name, file.Path)
				}
			}
			for e, err := range b.Evidence(i) {
				if err != nil || r.files[e.Path] == "" && e.Path != "books/empty" {
					t.Errorf("%s: evidence of %q: %v", name, e.Path, err)
				}
				paths--
			}
			if paths != 0 {
				t.Errorf("%s: %s: %d more files than evidence", name, r.name, paths)
			}
		}
		if sink.creates != 4 { // a and a are one
			t.Errorf("%s: %d blobs, want 4", name, sink.creates)
		}
		if err := b.Check(t.Context(), verify.StreamOptions{}); err != nil {
			t.Errorf("%s: Check: %v", name, err)
		}
		checkReport(t, report, name == "none")
	}
}

func checkReport(t *testing.T, r *verify.Report, alone bool) {
	t.Helper()
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"checked        files: 5\n", "checked        blobs carried: 4\n", "checked        repositories: 3\n", "checked        volumes, every byte: 1\n",
		"checked        evidence lines: 5\n", "signed by      " + r.Signers[0].ID.String() + " (exporter)", "nothing wrong in what was checked", "full "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, &text)
		}
	}
	if got := strings.Contains(text.String(), "not checked    stream, sequence"); got != alone {
		t.Errorf("without a mirror replay is not checked; the report:\n%s", &text)
	}
	if strings.Contains(text.String(), "the bytes of 1 volume") {
		t.Errorf("volumes were checked, the report says they were not:\n%s", &text)
	}
	if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `{"count":5,"name":"files"}`) {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

func TestNoRoot(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	if err := os.Remove(filepath.Join(dir, bundle.RootName)); err != nil {
		t.Fatal(err)
	}
	refused(t, "no root", verdict(t, dir, verify.Options{}), bundle.ErrIncomplete, "demo-000001", "bundle.json")
}

func TestOpenIsCancelled(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := verify.Open(ctx, discover(t, f.make(t, t.TempDir())), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Now: now})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, err)
	}
}

func TestCopyRoot(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	dir := f.make(t, t.TempDir())
	o := verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now}
	b, _, err := verify.Open(t.Context(), discover(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "demo-000001")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	dst, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	var written []string
	write := func(name string, content io.Reader) error {
		written = append(written, name)
		text, err := io.ReadAll(content)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return dst.WriteFile(name, text, 0o600)
	}
	for range 2 {
		if err := b.CopyRoot(write); err != nil {
			t.Fatal(err)
		}
	}
	if written[len(written)-1] != bundle.RootName {
		t.Errorf("the root is not written last: %q", written)
	}
	copied, _, err := verify.Open(t.Context(), discover(t, to), o)
	if err != nil {
		t.Fatal(err)
	}
	if v := copied.Volumes(); len(v) != 1 || v[0].Present || v[0].Found != -1 {
		t.Errorf("volumes: %+v", v)
	}
	if err := copied.Stream(t.Context(), 0, nil, verify.StreamOptions{}); !errors.Is(err, bundle.ErrIncomplete) {
		t.Errorf("a volume that is not there: want ErrIncomplete, got %v", err)
	}
	refused(t, "Check", copied.Check(t.Context(), verify.StreamOptions{}), bundle.ErrIncomplete, "1 volume", "volume-00001.tar.zst")
	both, _, err := verify.Open(t.Context(), discover(t, to, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := both.Check(t.Context(), verify.StreamOptions{}); err != nil {
		t.Errorf("root from one place, volumes from another: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "catalog-01.tar.zst"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "changed meanwhile", b.CopyRoot(write), bundle.ErrCorrupt, "catalog-01.tar.zst")
	full := errors.New("the disk is full")
	if err := copied.CopyRoot(func(string, io.Reader) error { return full }); !errors.Is(err, full) {
		t.Errorf("want the writer's error, got %v", err)
	}
}

func TestOpenList(t *testing.T) {
	signer := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{signer}}
	b, _, err := verify.Open(t.Context(), discover(t, f.make(t, t.TempDir())), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range b.Manifest().Repositories {
		d, err := bundle.ParseDigest(string(r.Evidence.Digest))
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.OpenList(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(l); err != nil || bundle.DigestOf(got) != d {
			t.Errorf("%s: %v", r.Name, err)
		}
		l.Close()
	}
	if _, err := b.OpenList(digest("nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want ErrNotExist, got %v", err)
	}
}
