package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// The one rule about what is not there: 404 and 410 for every file, 403 for a file next
// to one that was read, and nothing else.
func TestAbsent(t *testing.T) {
	for status, want := range map[int]struct{ first, optional bool }{
		404: {true, true}, 410: {true, true}, 403: {false, true}, 401: {false, false}, 500: {false, false},
	} {
		server := upstreamtest.New(t)
		server.FailAlways("/r/x", upstreamtest.Status(status))
		env, p := plantest.NewNamedEnv(t, t.TempDir(), nil), At(server.URL("/r/"))
		first, err := p.First(t.Context(), env, "x", 100)
		if first != nil || (err == nil) != want.first {
			t.Errorf("%d, First: %v, %v", status, first, err)
		}
		optional, err := p.Optional(t.Context(), env, "x", 100)
		if optional != nil || (err == nil) != want.optional {
			t.Errorf("%d, Optional: %v, %v", status, optional, err)
		}
		has, err := p.Has(t.Context(), env, "x")
		if has || (err == nil) != want.optional {
			t.Errorf("%d, Has: %t, %v", status, has, err)
		}
		if _, err := p.Read(t.Context(), env, "x", 100); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), server.URL("/r/x")) {
			t.Errorf("%d, Read: %v", status, err)
		}
	}
	server := upstreamtest.New(t)
	server.Put("/r/empty", nil)
	page, err := At(server.URL("/r/")).Optional(t.Context(), plantest.NewNamedEnv(t, t.TempDir(), nil), "empty", 0)
	if err != nil || page == nil || page.Content == nil {
		t.Errorf("an empty file: %v, %v", page, err)
	}
}

// Mirrors are tried in turn; what is told is the error of one that may have the file.
func TestMirrors(t *testing.T) {
	bad, good := upstreamtest.New(t), upstreamtest.New(t)
	good.Put("/m/a b", []byte("text"))
	env := plantest.NewNamedEnv(t, t.TempDir(), nil)
	p := At(bad.URL("/m/"), good.URL("/m/"))
	page, err := p.Read(t.Context(), env, "a b", 100)
	if err != nil || string(page.Content) != "text" || page.Base != 1 {
		t.Fatalf("got %+v, %v", page, err)
	}
	if p := p.Prefer(page.Base); p.Where("a b") != good.URL("/m/a%20b") || len(p.Bases()) != 2 {
		t.Errorf("preferred: %s of %v", p.Where("a b"), p.Bases())
	}
	bad.FailAlways("/m/c", upstreamtest.Status(500))
	for _, p := range []*Place{p, p.Prefer(1)} {
		if _, err := p.Optional(t.Context(), env, "c", 100); err == nil || !strings.Contains(err.Error(), "500") {
			t.Errorf("one mirror lacks it and one cannot tell: %v", err)
		}
	}
	many := make([]string, MaxMirrors+5)
	for i := range many {
		many[i] = bad.URL("/many/")
	}
	_, _ = At(many...).Read(t.Context(), env, "x", 100)
	if n := bad.Requests("/many/x"); n != MaxMirrors {
		t.Errorf("%d mirrors were asked, want %d", n, MaxMirrors)
	}
}

func TestDownload(t *testing.T) {
	content := []byte("content")
	sha512 := Sum{Algorithm: "sha512"}.Of(content)
	server := upstreamtest.New(t)
	server.Put("/r/x", content)
	server.Put("/r/other", []byte("contenT"))
	env, p := plantest.NewNamedEnv(t, t.TempDir(), nil), At(server.URL("/r/"))
	for name, test := range map[string]struct {
		want  Want
		names []string
		class error // nil: downloaded
		says  string
		moved bool
	}{
		"sha256":           {want: Want{Sum: SHA256(bundle.DigestOf(content)), Size: 7}, names: []string{"x"}},
		"sha512, no size":  {want: Want{Sum: sha512, Size: -1}, names: []string{"x"}},
		"by another name":  {want: Want{Sum: sha512, Size: 7}, names: []string{"by-hash", "x"}},
		"one name is old":  {want: Want{Sum: sha512, Size: 7}, names: []string{"other", "x"}},
		"another":          {Want{Sum: sha512, Size: 7, Index: server.URL("/r/index")}, []string{"other"}, fetch.ErrUpstream, server.URL("/r/index"), true},
		"longer":           {Want{Sum: sha512, Size: 6}, []string{"x"}, fetch.ErrUpstream, "6 bytes", true},
		"shorter":          {Want{Sum: sha512, Size: 8}, []string{"x"}, fetch.ErrUpstream, "8 bytes", true},
		"MD5":              {Want{Sum: Sum{"md5", strings.Repeat("a", 32)}, Size: 7}, []string{"x"}, fetch.ErrRefused, "md5", false},
		"digits":           {Want{Sum: Sum{"sha256", "A"}, Size: 7}, []string{"x"}, fetch.ErrUpstream, "digits", false},
		"larger than all":  {Want{Sum: sha512, Size: MaxIndex + 1}, []string{"x"}, fetch.ErrUpstream, "at most", false},
		"not there at all": {Want{Sum: sha512, Size: 7}, []string{"a", "b"}, fetch.ErrUpstream, "404", false},
	} {
		t.Run(name, func(t *testing.T) {
			digest, size, err := p.Download(t.Context(), env, "local", test.want, test.names...)
			if test.class == nil {
				b, readErr := env.Scratch.ReadFile("local")
				if err != nil || readErr != nil || !bytes.Equal(b, content) || digest != bundle.DigestOf(content) || size != 7 {
					t.Errorf("got %s, %d, %q, %v", digest, size, b, errors.Join(err, readErr))
				}
				return
			}
			if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.says) || moved(err) != test.moved {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Upstream that moved is read once more, not twice, and nothing else is.
func TestSteady(t *testing.T) {
	env := plantest.NewNamedEnv(t, t.TempDir(), nil)
	gone := &fetch.StatusError{URL: "u", Status: 404}
	for name, test := range map[string]struct {
		errs  []error
		calls int
	}{
		"fine":                  {[]error{nil}, 1},
		"moved once":            {[]error{&MovedError{File: "u"}, nil}, 2},
		"changed while read":    {[]error{fmt.Errorf("x: %w", &fetch.ChangedError{}), nil}, 2},
		"gone, and needed":      {[]error{Gone("u", "i", gone), nil}, 2},
		"gone, and nobody says": {[]error{gone}, 1},
		"stays at odds":         {[]error{&MovedError{File: "u"}, &MovedError{File: "u"}}, 2},
		"the disk":              {[]error{fs.ErrPermission}, 1},
	} {
		calls := 0
		err := Steady(t.Context(), env, "s", func() error { calls++; return test.errs[calls-1] })
		if calls != test.calls || !errors.Is(err, test.errs[calls-1]) {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
}

// Whose fault it is, and that no class of a bundle is left in it.
func TestBlame(t *testing.T) {
	malformed := fmt.Errorf("line 3: no colon: %w", bundle.ErrMalformed)
	for name, test := range map[string]struct {
		err  error
		want error
	}{
		"malformed":     {malformed, fetch.ErrUpstream},
		"no class":      {io.ErrUnexpectedEOF, fetch.ErrUpstream},
		"of the fetch":  {&fetch.StatusError{URL: "u", Status: 500}, fetch.ErrUpstream},
		"a refusal":     {fmt.Errorf("x: %w", fetch.ErrRefused), fetch.ErrRefused},
		"the spec":      {fmt.Errorf("x: %w", bundle.ErrUsage), bundle.ErrUsage},
		"a set":         {fmt.Errorf("x: %w", bundle.ErrIncomplete), bundle.ErrIncomplete},
		"the disk":      {&fs.PathError{Op: "read", Path: "scratch", Err: fs.ErrInvalid}, fs.ErrInvalid},
		"end of a call": {context.Canceled, context.Canceled},
	} {
		err := Blame("index", test.err)
		if !errors.Is(err, test.want) || errors.Is(err, bundle.ErrMalformed) || errors.Is(err, fetch.ErrUpstream) != errors.Is(test.want, fetch.ErrUpstream) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if Blame("index", nil) != nil {
		t.Error("no error became one")
	}
	if got := Blame("index", malformed).Error(); got != "index: line 3: no colon" {
		t.Errorf("got %q", got)
	}
}

// An error of the own disk is the disk's, also below a decoder.
func TestUnpacked(t *testing.T) {
	env := plantest.NewNamedEnv(t, t.TempDir(), nil)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("0123456789"))
	_ = z.Close()
	put := func(b []byte) {
		if err := env.Scratch.WriteFile("l", b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(limit int64) (string, error) {
		r, err := Unpacked(env, "l", "index.gz", "http://u/index.gz", limit)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), errors.Join(err, r.Close())
	}
	put(packed.Bytes())
	if got, err := read(10); err != nil || got != "0123456789" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := read(9); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "http://u/index.gz") {
		t.Errorf("too long: %v", err)
	}
	put(packed.Bytes()[:15])
	if _, err := read(10); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("cut off: %v", err)
	}
	if err := env.Scratch.Remove("l"); err != nil {
		t.Fatal(err)
	}
	if err := env.Scratch.Mkdir("l", 0o700); err != nil { // a folder cannot be read
		t.Fatal(err)
	}
	if _, err := read(10); err == nil || errors.Is(err, fetch.ErrUpstream) || !IsLocal(err) {
		t.Errorf("the disk: %v", err)
	}
}

func all(t *testing.T, open bundle.Open) (string, error) {
	t.Helper()
	c, err := open(t.Context(), 0, "")
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(c.Body)
	return string(b), errors.Join(err, c.Body.Close())
}

// Content that has a checksum of its own is given out whole only if it holds; whoever
// was not content gets the next mirror.
func TestOpen(t *testing.T) {
	bad, good := upstreamtest.New(t), upstreamtest.New(t)
	bad.Put("/x", []byte("contenT"))
	good.Put("/x", []byte("content"))
	env, p := plantest.NewNamedEnv(t, t.TempDir(), nil), At(bad.URL("/"), good.URL("/"))
	want := Want{Sum: Sum{Algorithm: "sha512"}.Of([]byte("content")), Size: 7}
	open := p.Open(env, want, "x")
	if got, err := all(t, open); !errors.Is(err, bundle.ErrCorrupt) || len(got) >= 7 || !strings.Contains(err.Error(), bad.URL("/x")) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := all(t, open); err != nil || got != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	plain := p.Open(env, Want{Sum: SHA256(bundle.DigestOf([]byte("content"))), Size: 7}, "x")
	if got, err := all(t, plain); err != nil || got != "contenT" {
		t.Errorf("SHA-256 is Collect's: got %q, %v", got, err)
	}
	endless := At(good.URL("/")).OpenChecked(env, Want{Sum: want.Sum, Size: 3}, nil, "x")
	if got, err := all(t, endless); !errors.Is(err, bundle.ErrCorrupt) || len(got) >= 7 {
		t.Errorf("longer than its index says: got %q, %v", got, err)
	}
	v := &verifier{}
	if got, err := all(t, p.OpenChecked(env, Want{Size: -1}, func(string) Verifier { return v }, "x")); !errors.Is(err, fetch.ErrRefused) || len(got) >= 7 || v.n != 7 || !v.closed {
		t.Errorf("got %q, %v, verifier %+v", got, err, v)
	}
}

// Content that does not end is not read beyond what its index says.
func TestCheckedEnds(t *testing.T) {
	in := &counted{r: io.LimitReader(zeros{}, 64<<20)}
	c := Checked(io.NopCloser(in), "u", Want{Sum: Sum{Algorithm: "sha512"}.Of([]byte("abc")), Size: 3}, nil)
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, bundle.ErrCorrupt) || in.n > 2*chunk {
		t.Errorf("%d bytes were read, %v", in.n, err)
	}
}

// Content whose size no index tells ends after its limit.
func TestUnsized(t *testing.T) {
	server := upstreamtest.New(t)
	server.Put("/x", []byte("endless"))
	env := plantest.NewNamedEnv(t, t.TempDir(), nil)
	open := At(server.URL("/")).Open(env, Want{Size: -1, Limit: 5}, "x")
	if got, err := all(t, open); !errors.Is(err, fetch.ErrUpstream) || len(got) > 5 || !strings.Contains(err.Error(), "at most 5") {
		t.Errorf("got %q, %v", got, err)
	}
	c := &capped{ReadCloser: io.NopCloser(strings.NewReader("endless")), left: 5, limit: 5, what: "u"}
	if got, err := io.ReadAll(c); !errors.Is(err, fetch.ErrUpstream) || len(got) > 5 || !strings.Contains(err.Error(), "u: more than 5 bytes") {
		t.Errorf("got %q, %v", got, err)
	}
}

// What is known by its digest is read for its other checks, and other content is
// upstream's doing.
func TestReadThrough(t *testing.T) {
	server := upstreamtest.New(t)
	server.Put("/x", []byte("content"))
	env, p := plantest.NewNamedEnv(t, t.TempDir(), nil), At(server.URL("/"))
	want := Want{Sum: Sum{Algorithm: "sha512"}.Of([]byte("content")), Size: 7}
	if err := ReadThrough(p.Open(env, want, "x"))(t.Context()); err != nil {
		t.Error(err)
	}
	server.Put("/x", []byte("contenT"))
	if err := ReadThrough(p.Open(env, want, "x"))(t.Context()); !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), server.URL("/x")) {
		t.Errorf("got %v", err)
	}
	v := &verifier{}
	if err := ReadThrough(p.OpenChecked(env, want, func(string) Verifier { return v }, "gone"))(t.Context()); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("got %v", err)
	}
	server.Put("/x", []byte("content"))
	if err := ReadThrough(p.OpenChecked(env, want, func(string) Verifier { return v }, "x"))(t.Context()); !errors.Is(err, fetch.ErrRefused) || !v.closed {
		t.Errorf("got %v", err)
	}
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type verifier struct {
	n      int
	closed bool
}

func (v *verifier) Write(p []byte) (int, error) { v.n += len(p); return len(p), nil }
func (v *verifier) Verdict() error              { return fmt.Errorf("package: not signed: %w", fetch.ErrRefused) }
func (v *verifier) Close()                      { v.closed = true }

// FuzzUnpacked: an index ends where its bound says, whatever is in it.
func FuzzUnpacked(f *testing.F) {
	f.Add(".xz", []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F"))
	f.Add(".zst", []byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Add(".bz2", []byte("BZh91AY&SY"))
	f.Add("", []byte("plain"))
	f.Fuzz(func(t *testing.T, suffix string, b []byte) {
		const limit = 100
		env := plantest.NewNamedEnv(t, t.TempDir(), nil)
		if err := env.Scratch.WriteFile("l", b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Unpacked(env, "l", "a"+suffix, "index", limit)
		if err != nil {
			if !errors.Is(err, fetch.ErrUpstream) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		n, err := io.Copy(io.Discard, r)
		if n > limit || err != nil && !errors.Is(err, fetch.ErrUpstream) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
