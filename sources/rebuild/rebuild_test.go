package rebuild

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
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
	one, err1 := p.PutBytes("x", []byte("one"))
	two, err2 := p.Put("y", func(w io.Writer) error { _, err := w.Write([]byte("one")); return err })
	three, err3 := p.Put("z", func(w io.Writer) error { _, err := io.WriteString(w, "three"); return err })
	foreign, err4 := other.PutBytes("x", []byte("foreign"))
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
	if _, err := p.Put("w", func(io.Writer) error { return io.ErrShortWrite }); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	closed := p.Closed("InRelease")
	a := closed.Artifact(env)
	if _, err := a.Open(t.Context(), 0, ""); a.File.Size != -1 || !a.File.Digest.IsZero() || !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("a signature of a plan: %+v, %v", a.File, err)
	}
}
