package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened makes and opens a bundle.
func opened(t testing.TB, f forgery) (*verify.Bundle, string) {
	t.Helper()
	signer := newSigner(t)
	f.signers = []*bundle.Signer{signer}
	dir := f.make(t, t.TempDir())
	b, _, err := verify.Open(t.Context(), discover(t, dir), verify.Options{Policy: policyOf(t, verify.RoleExporter, "demo", signer), Receiver: &mirror{}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

// mixed returns blobs of all lengths: empty, within a frame, at its edges, over
// several frames and, with small volumes, over several volumes.
func mixed() forgery {
	files := map[string]string{"empty": ""}
	for i, n := range []int{1, 100, 511, 512, 513, 3000, 4096, 5000, 12000, 40000, 70000, 7, 9, 2048} {
		files[fmt.Sprintf("f%02d", i)] = text(fmt.Sprint("f", i), n)
	}
	return forgery{repos: []repo{{name: "r", mount: "files", files: files}}}
}

func TestStreamAllLengths(t *testing.T) {
	for _, frame := range []int{512, 1000, 4096, 1 << 20} {
		for _, volume := range []int{0, 16 << 10, 40 << 10} {
			for _, jobs := range []int{1, 3} {
				f := mixed()
				f.frame, f.volume = frame, volume
				b, _ := opened(t, f)
				sink := &memory{}
				if err := streamAll(t, b, sink, jobs); err != nil {
					t.Fatalf("frame %d, volume %d, jobs %d: %v", frame, volume, jobs, err)
				}
				for path, want := range f.repos[0].files {
					if got := sink.content(digest(want)); got != want {
						t.Errorf("frame %d, volume %d, jobs %d: %s: %d bytes, want %d", frame, volume, jobs, path, len(got), len(want))
					}
				}
				if _, ok := sink.got[digest("")]; !ok {
					t.Errorf("frame %d: the empty blob was not handed over", frame)
				}
				if err := b.Check(t.Context(), verify.StreamOptions{Jobs: jobs}); err != nil {
					t.Errorf("frame %d, volume %d: Check: %v", frame, volume, err)
				}
				if sink.aborted != 0 {
					t.Errorf("%d aborted", sink.aborted)
				}
			}
		}
	}
}

// TestStreamOutOfOrder: volumes come as media come.
func TestStreamOutOfOrder(t *testing.T) {
	f := mixed()
	f.volume = 16 << 10
	b, _ := opened(t, f)
	sink := &memory{}
	for i := len(b.Volumes()) - 1; i >= 0; i-- {
		if err := b.Stream(t.Context(), i, sink, verify.StreamOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := b.Stream(t.Context(), i, nil, verify.StreamOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range f.repos[0].files {
		if got := sink.content(digest(want)); got != want {
			t.Errorf("%s: %d bytes, want %d", path, len(got), len(want))
		}
	}
}

// TestEmptyBlobAtTheEnd: its place does not matter, only that it is there.
func TestEmptyBlobAtTheEnd(t *testing.T) {
	for _, offset := range []int64{1024, 1536, 2560} { // at the end of a's member, of b's header, of the volume
		b, _ := opened(t, forgery{frame: 1024, repos: []repo{{name: "r", mount: "files", files: map[string]string{"a": "a", "b": ""}}},
			blobs: func(_ int, l []bundle.Blob) []bundle.Blob { l[1].Offset = offset; return l }})
		sink := &memory{}
		if err := streamAll(t, b, sink, 1); err != nil || sink.creates != 2 {
			t.Errorf("offset %d: %v, %d blobs, want 2", offset, err, sink.creates)
		}
	}
}

// TestDamageIsNamed flips a byte in a volume: the error says where, in what,
// and what it damages; what was before it was handed over, nothing wrong is.
func TestDamageIsNamed(t *testing.T) {
	f := mixed()
	b, dir := opened(t, f)
	path := filepath.Join(dir, "volume-00001.tar.zst")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		at := rng.IntN(len(good))
		bad := bytes.Clone(good)
		bad[at] ^= byte(1 + rng.IntN(255))
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		sink := &memory{}
		err := b.Stream(t.Context(), 0, sink, verify.StreamOptions{Jobs: 2})
		refused(t, fmt.Sprintf("byte %d", at), err, bundle.ErrCorrupt, "volume-00001.tar.zst, frame ", "digest mismatch: want sha256:")
		var d *verify.DamageError
		if !errors.As(err, &d) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if int64(at) < d.Offset || int64(at) >= d.Offset+d.Length || d.Frame < 1 {
			t.Errorf("byte %d: names frame %d, %d bytes at %d", at, d.Frame, d.Length, d.Offset)
		}
		if len(d.Paths) == 0 || d.Blob.IsZero() || digest(f.repos[0].files[strings.TrimPrefix(d.Paths[0], "/files/")]).IsZero() {
			t.Errorf("byte %d: damages %q, blob %s", at, d.Paths, d.Blob)
		}
		for _, content := range f.repos[0].files {
			if got := sink.content(digest(content)); got != "" && got != content {
				t.Errorf("byte %d: handed over something else", at)
			}
		}
	}
}

// TestDamagePaths: which files need what is damaged.
func TestDamagePaths(t *testing.T) {
	files := map[string]string{"big": text("big", 30000)}
	for i := range 12 {
		files[fmt.Sprintf("small/%02d", i)] = text("the same", 100)
	}
	f := forgery{repos: []repo{{name: "r", mount: "files", files: files}}}
	b, dir := opened(t, f)
	path := filepath.Join(dir, "volume-00001.tar.zst")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good[len(good)-1] ^= 1
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	err = b.Stream(t.Context(), 0, nil, verify.StreamOptions{})
	var d *verify.DamageError
	if !errors.As(err, &d) || len(d.Paths)+int(d.More) < 12 || len(d.Paths) > 8 {
		t.Errorf("got %+v, %v", d, err)
	}
	if !strings.Contains(err.Error(), "; damages /files/") || !strings.Contains(err.Error(), " more") {
		t.Errorf("got %v", err)
	}
}

func TestVolumeOfAnotherBundle(t *testing.T) {
	b, dir := opened(t, mixed())
	f := mixed()
	f.repos[0].files["f00"] = "2"
	_, other := opened(t, f)
	const name = "volume-00001.tar.zst"
	swapped, err := os.ReadFile(filepath.Join(other, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), swapped, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "swapped", b.Stream(t.Context(), 0, nil, verify.StreamOptions{}), bundle.ErrCorrupt, name)
}

// TestSignedBlobIsWrong: frames that are what was signed, and a blob in them
// that is not what its digest says.
func TestSignedBlobIsWrong(t *testing.T) {
	for name, length := range map[string]int{"in a frame": 300, "over frames": 20000, "over volumes": 60000} {
		want := text("signed", length)
		f := forgery{volume: 40 << 10, repos: []repo{{name: "r", mount: "files", files: map[string]string{"a": want, "b": text("b", 50)}}}}
		wrong := digest("something else")
		f.files = func(_ string, l []bundle.File) []bundle.File { l[0].Digest = wrong; return l }
		f.blobs = func(_ int, l []bundle.Blob) []bundle.Blob {
			for i := range l {
				if l[i].Digest == digest(want) {
					l[i].Digest = wrong
				}
			}
			return l
		}
		b, _ := opened(t, f)
		refused(t, name, b.Check(t.Context(), verify.StreamOptions{}), bundle.ErrMalformed, wrong.String(), digest(want).String(), "/files/a")
		sink := &memory{}
		refused(t, name, streamAll(t, b, sink, 2), bundle.ErrMalformed, wrong.String())
		if got := sink.content(wrong); len(got) == length || got != "" && name != "over volumes" {
			t.Errorf("%s: %d bytes committed", name, len(got))
		}
		if b.Hashed(wrong) {
			t.Errorf("%s: counts as hashed", name)
		}
	}
}

// TestVolumeDigestIsCompared: SHA256SUMS and the volume table agree on a digest that is not that
// of the file, whose frames are right. What sha256sum refuses is not accepted here.
func TestVolumeDigestIsCompared(t *testing.T) {
	f, other := mixed(), digest("x")
	f.table = func(l []bundle.Volume) []bundle.Volume { l[0].Digest = other; return l }
	f.sums = func(s string) string {
		at := strings.LastIndex(s, "  volume-00001")
		return s[:at-len(other.Hex())] + other.Hex() + s[at:]
	}
	b, _ := opened(t, f)
	refused(t, "stream", b.Stream(t.Context(), 0, nil, verify.StreamOptions{}), bundle.ErrMalformed, "volume-00001.tar.zst: its frames are right and the whole is not")
	refused(t, "check", b.Check(t.Context(), verify.StreamOptions{}), bundle.ErrMalformed, "its frames are right and the whole is not")
}

// TestSplitBlobsAreHashed while their segments come in order; out of order they are left to
// whoever joins them.
func TestSplitBlobsAreHashed(t *testing.T) {
	f := mixed()
	f.volume = 16 << 10
	for name, forward := range map[string]bool{"in order": true, "out of order": false} {
		b, _ := opened(t, f)
		split := map[bundle.Digest]bool{}
		for n := range b.Volumes() {
			i := n
			if !forward {
				i = len(b.Volumes()) - 1 - n
			}
			for blob, err := range b.Blobs(i) {
				if err != nil {
					t.Fatal(err)
				}
				if !blob.Whole() {
					split[blob.Digest] = true
					if b.Hashed(blob.Digest) {
						t.Errorf("%s: blob %s counts as hashed before volume %d was streamed", name, blob.Digest.Short(), i+1)
					}
				}
			}
			if err := b.Stream(t.Context(), i, &memory{}, verify.StreamOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if len(split) < 3 {
			t.Fatalf("%s: %d split blobs, want some", name, len(split))
		}
		for d := range split {
			if got := b.Hashed(d); got != forward {
				t.Errorf("%s: Hashed(%s): want %v, got %v", name, d.Short(), forward, got)
			}
		}
	}
}

func TestSinkDeclines(t *testing.T) {
	f := mixed()
	f.volume = 40 << 10
	b, _ := opened(t, f)
	sink := &memory{create: func(bundle.Blob) error { return errNotNeeded }}
	if err := streamAll(t, b, sink, 2); err != nil || len(sink.got) != 0 || sink.creates == 0 {
		t.Errorf("%v; created %d, got %d", err, sink.creates, len(sink.got))
	}
}

// TestSinkFails: its errors come back as they are, and every writer is ended.
func TestSinkFails(t *testing.T) {
	why := fmt.Errorf("disk full: %w", io.ErrShortWrite)
	for name, sink := range map[string]*memory{
		"create": {create: func(bundle.Blob) error { return why }},
		"write":  {write: why},
		"commit": {commit: why},
	} {
		f := mixed()
		b, _ := opened(t, f)
		err := b.Stream(t.Context(), 0, sink, verify.StreamOptions{Jobs: 2})
		var d *verify.DamageError
		if !errors.Is(err, why) || errors.As(err, &d) {
			t.Errorf("%s: want %v as it is, got %v", name, why, err)
		}
		if name == "write" && sink.aborted == 0 {
			t.Errorf("%s: not aborted", name)
		}
	}
	// An error that looks like damage is the sink's all the same.
	looks := fmt.Errorf("the store: %w", bundle.ErrCorrupt)
	b, _ := opened(t, mixed())
	err := b.Stream(t.Context(), 0, &memory{commit: looks}, verify.StreamOptions{})
	var d *verify.DamageError
	if !errors.Is(err, looks) || errors.As(err, &d) {
		t.Errorf("want %v as it is, got %v", looks, err)
	}
}

// TestStreamIsCancelled at each of its blobs; goleak looks for what is left.
func TestStreamIsCancelled(t *testing.T) {
	f := mixed()
	f.frame = 1000
	b, _ := opened(t, f)
	for n := range int64(len(f.repos[0].files)) {
		ctx, cancel := context.WithCancel(t.Context())
		var seen atomic.Int64
		sink := &memory{create: func(bundle.Blob) error {
			if seen.Add(1) == n+1 {
				cancel()
			}
			return nil
		}}
		err := b.Stream(ctx, 0, sink, verify.StreamOptions{Jobs: 2})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("at blob %d: %v", n, err)
		}
		for _, content := range f.repos[0].files {
			if got := sink.content(digest(content)); got != "" && got != content {
				t.Errorf("at blob %d: handed over something else", n)
			}
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Stream(ctx, 0, nil, verify.StreamOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, err)
	}
}

// TestAbandonedBlob: a blob whose end is damaged is aborted, not committed.
func TestAbandonedBlob(t *testing.T) {
	want := text("long", 200000)
	b, dir := opened(t, forgery{repos: []repo{{name: "r", mount: "files", files: map[string]string{"a": want}}}})
	path := filepath.Join(dir, "volume-00001.tar.zst")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good[len(good)*3/4] ^= 1
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	sink := &memory{}
	refused(t, "damaged", b.Stream(t.Context(), 0, sink, verify.StreamOptions{}), bundle.ErrCorrupt, digest(want).String(), "damages /files/a")
	if sink.aborted != 1 || len(sink.got) != 0 {
		t.Errorf("aborted %d, got %d", sink.aborted, len(sink.got))
	}
}

type counter struct {
	bundle.Progress
	n atomic.Int64
}

func (c *counter) Add(n int64) { c.n.Add(n) }

func TestProgressAddsUp(t *testing.T) {
	b, _ := opened(t, mixed())
	c := &counter{Progress: bundle.NoProgress}
	if err := b.Stream(t.Context(), 0, nil, verify.StreamOptions{Progress: c}); err != nil {
		t.Fatal(err)
	}
	if want := b.Volumes()[0].Size; c.n.Load() != want {
		t.Errorf("told of %d bytes, want %d", c.n.Load(), want)
	}
}

// TestMediumChanges: a volume that was right when it was looked at and is not
// when it is read, as a bad medium is.
func TestMediumChanges(t *testing.T) {
	f := mixed()
	f.frame = 512 // more frames than those that are held, which are authenticated
	b, dir := opened(t, f)
	if err := b.Check(t.Context(), verify.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "volume-00001.tar.zst")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good[7] ^= 1
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "changed", b.Stream(t.Context(), 0, &memory{}, verify.StreamOptions{}), bundle.ErrCorrupt, "frame 1 ")
	// So with the lists: a frame of the catalogue is authenticated whenever it is read.
	catalog := filepath.Join(dir, "catalog-01.tar.zst")
	if good, err = os.ReadFile(catalog); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		good[i] ^= 1
	}
	if err := os.WriteFile(catalog, good, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range b.Files(0) {
		refused(t, "changed list", err, bundle.ErrCorrupt, "catalog-01.tar.zst")
	}
}

// TestMediumFails while it is read: an error of the drive is named with its
// place and stays what it is; a file that shrinks or grows is corrupt.
func TestMediumFails(t *testing.T) {
	f := mixed()
	b, dir := opened(t, f)
	good, err := os.ReadFile(filepath.Join(dir, "volume-00001.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.StreamFrom(t.Context(), 0, iotest.OneByteReader(bytes.NewReader(good)), &memory{}); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
	drive := &fs.PathError{Op: "read", Path: "/media/usb/volume-00001.tar.zst", Err: syscall.EIO}
	for _, at := range []int{0, 1, len(good) / 2, len(good) - 1} {
		sink := &memory{}
		err := b.StreamFrom(t.Context(), 0, io.MultiReader(bytes.NewReader(good[:at]), iotest.ErrReader(drive)), sink)
		var d *verify.DamageError
		if !errors.Is(err, syscall.EIO) || errors.Is(err, bundle.ErrCorrupt) || !errors.As(err, &d) || int64(at) < d.Offset || int64(at) >= d.Offset+d.Length || len(d.Paths) == 0 {
			t.Errorf("drive fails at %d: %v", at, err)
		}
		err = b.StreamFrom(t.Context(), 0, bytes.NewReader(good[:at]), sink)
		refused(t, fmt.Sprintf("shrinks to %d", at), err, bundle.ErrCorrupt, ", frame ", "file ends after")
	}
	refused(t, "grows", b.StreamFrom(t.Context(), 0, bytes.NewReader(append(good, 0)), nil), bundle.ErrCorrupt, "goes on after its last frame")
	err = b.StreamFrom(t.Context(), 0, io.MultiReader(bytes.NewReader(good), iotest.ErrReader(drive)), nil)
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("drive fails at the end: %v", err)
	}
}
