package rebuild

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources"
)

func TestMode(t *testing.T) {
	for _, test := range []struct {
		mode    Mode
		selects bool
		rebuilt bool
		says    string
	}{
		{"", false, false, ""}, {"", true, true, ""}, {Verbatim, false, false, ""}, {Rebuilt, false, true, ""}, {Rebuilt, true, true, ""},
		{Verbatim, true, false, "packages need rebuilt"}, {"Rebuilt", false, false, `"Rebuilt"`},
	} {
		rebuilt, err := test.mode.Decide(strictyaml.Pos{File: "s", Line: 3}, test.selects, "packages")
		if rebuilt != test.rebuilt || (err == nil) != (test.says == "") || err != nil && (!errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), "s:3")) {
			t.Errorf("%q, selects %t: got %t, %v", test.mode, test.selects, rebuilt, err)
		}
	}
}

// An index that is made of unsigned input is not counted as vouched for.
func TestVouched(t *testing.T) {
	for want, inputs := range map[string][]string{
		bundle.VouchedMade: {"openpgp:AB", bundle.VouchedIndex, bundle.VouchedPinned, bundle.VouchedMade},
		bundle.VouchedTLS:  {"openpgp:AB", bundle.VouchedTLS},
		bundle.VouchedNone: {bundle.VouchedTLS, bundle.VouchedNone, "openpgp:AB"},
	} {
		if got := Vouched(inputs...); got != want {
			t.Errorf("%v: got %s, want %s", inputs, got, want)
		}
	}
}

// A content is in scratch once, whatever its names.
func TestPress(t *testing.T) {
	env := plantest.NewEnv(t, t.TempDir(), nil)
	p := NewPress(env, "apt", "a/b", "index of the selection", "openpgp:AB")
	other := NewPress(env, "apt", "a-b", "")
	one, err1 := p.PutBytes("x", []byte("one"), wants("one"))
	two, err2 := p.Put("y", func(w io.Writer) error { _, err := w.Write([]byte("one")); return err }, nil) // the content was read before
	three, err3 := p.Put("z", func(w io.Writer) error { _, err := io.WriteString(w, "three"); return err }, wants("three"))
	foreign, err4 := other.PutBytes("x", []byte("foreign"), wants("foreign"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if one.More.Local != two.More.Local || one.More.Local == three.More.Local || p.Bytes != 8 || foreign.More.Local == one.More.Local {
		t.Errorf("got %+v, %+v, %+v, %+v, %d bytes", one.More, two.More, three.More, foreign.More, p.Bytes)
	}
	if one.Path != "x" || two.Path != "y" || one.Size != 3 || two.Digest != bundle.DigestOf([]byte("one")) || two.Reason != "index of the selection" || two.More.Vouched != bundle.VouchedMade {
		t.Errorf("got %+v", two)
	}
	if b, err := env.Scratch.ReadFile(three.More.Local); err != nil || string(b) != "three" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := p.Put("w", func(io.Writer) error { return io.ErrShortWrite }, wants("")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	closed := p.Closed("InRelease")
	a := closed.Artifact(env)
	if _, err := a.Open(t.Context(), 0, ""); a.File.Size != -1 || !a.File.Digest.IsZero() || !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("a signature of a plan: %+v, %v", a.File, err)
	}
}

func wants(text string) Read {
	return Whole(func(content []byte) error {
		if string(content) != text {
			return fmt.Errorf("want %q, got %q: %w", text, content, bundle.ErrMalformed)
		}
		return nil
	})
}

// What was made and does not read as it was meant, or not to its end, is a mistake of this
// program, of no other class; an error of the disk stays one.
func TestReadBack(t *testing.T) {
	p := NewPress(plantest.NewEnv(t, t.TempDir(), nil), "rpm", "r", "made")
	for name, test := range map[string]struct {
		read Read
		says string
	}{
		"as meant":    {wants("one\n"), ""},
		"refused":     {wants("two\n"), `want "two\n", got "one\n"`},
		"not all":     {func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 2)); return err }, "bytes after its end: 2"},
		"more wanted": {func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 9)); return err }, "unexpected EOF"},
	} {
		_, pressed := p.Put("repodata/"+name, func(w io.Writer) error { _, err := io.WriteString(w, "one\n"); return err }, test.read)
		clear(p.known)
		for _, err := range []error{pressed, ReadBack("repodata/"+name, []byte("one\n"), test.read)} {
			var made *sources.MadeError
			switch {
			case test.says == "" && err == nil:
			case !errors.As(err, &made) || made.Path != "repodata/"+name || test.says == "" || !strings.Contains(err.Error(), test.says):
				t.Errorf("%s: got %v", name, err)
			case errors.Is(err, bundle.ErrMalformed):
				t.Errorf("%s: %v has the class of what somebody else made", name, err)
			}
		}
	}
	full := errors.New("disk")
	err := readBack("x", func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(full)), nil }, wants(""))
	if !errors.Is(err, full) || errors.As(err, new(*sources.MadeError)) {
		t.Errorf("got %v", err)
	}
}

// The suite of kinds sees each file with its reader, and may refuse it.
func TestWatch(t *testing.T) {
	no := errors.New("no")
	stop := Watch(func(path string, open func() (io.ReadCloser, error), read Read) error {
		in, err := open()
		if err != nil || read(in) != nil || path != "x" {
			t.Errorf("%s: %v", path, err)
		}
		return errors.Join(no, in.Close())
	})
	if err := ReadBack("x", []byte("one"), wants("one")); !errors.As(err, new(*sources.MadeError)) || !strings.Contains(err.Error(), "no") {
		t.Errorf("got %v", err)
	}
	stop()
	if err := ReadBack("x", []byte("one"), wants("one")); err != nil {
		t.Error(err)
	}
}
