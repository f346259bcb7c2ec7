package complete

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// tree is two repositories of one file list.
type tree map[string][]byte

func (tree) Repositories() []bundle.Repository {
	return []bundle.Repository{{Name: "os", Mount: "apt/os"}, {Name: "more", Mount: "apt/more"}}
}

func (t tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for path, b := range t {
			if !yield(bundle.File{Path: path, Size: int64(len(b)), Digest: bundle.DigestOf(b), MediaType: "m/t", Annotations: map[string]string{"k": repo}}, nil) {
				return
			}
		}
	}
}

func (t tree) Open(_ context.Context, _, path string) (io.ReadCloser, error) {
	switch b, ok := t[path]; {
	case path == "held":
		return nil, sources.ErrNotAtHand
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	default:
		return io.NopCloser(bytes.NewReader(b)), nil
	}
}

func TestWalk(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("Package: a\n"))
	_ = z.Close()
	tr := tree{"index.gz": packed.Bytes(), "pool/a": []byte("a"), "torn.gz": packed.Bytes()[:8], "held": nil}
	looked := 0
	err := Walk(t.Context(), tr, func(ctx context.Context, r *Repo) error {
		looked++
		in, err := r.Unpacked(ctx, "index.gz", 11)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil || string(b) != "Package: a\n" {
			t.Errorf("got %q, %v", b, err)
		}
		if f, ok := r.File("pool/a"); !ok || f.Size != 1 || f.MediaType != "m/t" || f.Annotations["k"] != r.Name || !r.Has("pool/a") || r.Has("pool/b") {
			t.Errorf("line %+v", f)
		}
		if b, err := r.Read(ctx, "pool/a", 1); err != nil || string(b) != "a" {
			t.Errorf("got %q, %v", b, err)
		}
		if _, err := r.Unpacked(ctx, "torn.gz", 11); !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), r.Mount+"/torn.gz") {
			t.Errorf("torn: %v", err)
		}
		if _, err := r.Open(ctx, "held"); !errors.Is(err, sources.ErrNotAtHand) {
			t.Errorf("held: %v", err)
		}
		_, disk := r.Open(ctx, "pool/b")
		if err := r.Corrupt("pool/b", disk); errors.Is(err, bundle.ErrCorrupt) {
			t.Errorf("the disk's error is the content's: %v", err)
		}
		d := bundle.DigestOf([]byte("a"))
		if err := errors.Join(r.Want("pool/a", 1, d, "apt"), r.Want("pool/a", -1, bundle.Digest{}, "apt")); err != nil {
			t.Error(err)
		}
		return errors.Join(
			r.Want("pool/b", 1, d, "apt-get install b"), r.Want("pool/a", 2, d, "apt"), r.Want("pool/a", 1, bundle.DigestOf(nil), "apt"),
			r.Corrupt("index.gz", errors.New("no stanza")))
	})
	if looked != 2 {
		t.Fatalf("looked at %d", looked)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 8 || !errors.Is(err, bundle.ErrIncomplete) || !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("%d findings:\n%v", len(lines), err)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "source os: apt/os/") && !strings.HasPrefix(line, "source more: apt/more/") {
			t.Errorf("without its place: %s", line)
		}
	}
	if !strings.Contains(lines[0], "pool/b") || !strings.Contains(lines[0], "apt-get install b") {
		t.Errorf("does not name who would miss it: %s", lines[0])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Walk(ctx, tr, func(ctx context.Context, _ *Repo) error { return ctx.Err() }); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "source") {
		t.Errorf("cancelled: %v", err)
	}
}
