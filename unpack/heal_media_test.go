package unpack_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// Two signed bundles of one number are equivocation also where neither was accepted.
func TestTwoBundlesOfOneNumberAtHand(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	one := e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "1"})}, bundletest.Options{})
	e.Sequence--
	two := e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "2"})}, bundletest.Options{Full: true})
	_, err := r.Receive(t.Context(), append(one.Dirs, two.Dirs...), unpack.ImportOptions{})
	var twice *verify.EquivocationError
	if !errors.As(err, &twice) || !twice.AtHand || twice.Have == twice.Got {
		t.Errorf("%v, want an EquivocationError", err)
	}
	// a stranger's root next to a signed one is no equivocation: nobody has signed it
	stranger := bundletest.New(t, "site").Export(t, []bundletest.Repository{apt(map[string]string{"x": "3"})}, bundletest.Options{})
	if _, err := r.Receive(t.Context(), append(one.Dirs, stranger.Dirs...), unpack.ImportOptions{}); !errors.Is(err, bundle.ErrCorrupt) || errors.As(err, &twice) {
		t.Errorf("%v, want bundle.ErrCorrupt", err)
	}
}

// The signature of a key of the policy is not lost after files of strangers.
func TestStrangersSignaturesHideNone(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "1"})}, bundletest.Options{})
	for i := range 40 {
		must(t, os.WriteFile(filepath.Join(made.Dirs[0], fmt.Sprintf("bundle.%016d.sigstore.json", i)), fmt.Appendf(nil, "%d", i), 0o644))
	}
	res := r.receive(made.Dirs...)
	if text := strings.Join(res.Notes, "\n"); !strings.Contains(text, "not read, because a bundle has at most 16 signature files") {
		t.Errorf("notes %q", text)
	}
}

// A dry run reads volumes, and names what an import would.
func TestDryRunReadsVolumes(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"x": noise("x", 5000)})}, bundletest.Options{})
	must(t, os.WriteFile(filepath.Join(made.Dirs[0], "holiday.jpg"), nil, 0o644))
	r.reopen(unpack.Options{DryRun: true})
	res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{})
	if err != nil || len(res.Notes) == 0 || !strings.Contains(strings.Join(res.Notes, "\n"), `"holiday.jpg"`) || !strings.Contains(strings.Join(res.Notes, "\n"), "hours apart") {
		t.Fatalf("%v, %+v", err, res)
	}
	overwrite(t, filepath.Join(made.Dirs[0], "volume-00001.tar.zst"))
	res, err = r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{})
	var damage *verify.DamageError
	if !errors.As(err, &damage) || res.Bundles[0].Outcome == unpack.Imported {
		t.Errorf("a dry run of a damaged volume: %v, %+v", err, res.Bundles)
	}
}

// Of a stick with a whole bundle and one that is not, the whole one is published, and the
// other is reported.
func TestWholeNextToUnfinished(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string)
		class error
	}{
		"not signed yet":      {func(dir string) { must(t, os.Rename(dir, dir+".partial")) }, bundle.ErrIncomplete},
		"no root":             {func(dir string) { must(t, os.Remove(filepath.Join(dir, "bundle.json"))) }, bundle.ErrIncomplete},
		"a damaged root":      {func(dir string) { overwrite(t, filepath.Join(dir, "bundle.json")) }, bundle.ErrUntrusted},
		"a damaged catalogue": {func(dir string) { overwrite(t, filepath.Join(dir, "catalog-01.tar.zst")) }, bundle.ErrCorrupt},
		"a damaged volume":    {func(dir string) { overwrite(t, filepath.Join(dir, "volume-00001.tar.zst")) }, bundle.ErrCorrupt},
		"a missing volume":    {func(dir string) { must(t, os.Remove(filepath.Join(dir, "volume-00001.tar.zst"))) }, bundle.ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			e := bundletest.New(t, "site")
			r := newRig(t, e)
			stick := t.TempDir()
			o := bundletest.Options{Targets: []string{stick}}
			r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "1"})}, bundletest.Options{}).Dirs...)
			e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "2"})}, o)
			c.spoil(e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "3", "y": "3"})}, o).Dirs[0])
			res, _ := r.refused(c.class, unpack.ImportOptions{}, stick)
			r.expect(map[string]string{"apt/debs/x": "2"})
			if got := fmt.Sprint(outcomes(res)); !strings.Contains(got, "site-000002 imported") || !strings.Contains(got, "site-000003 ") {
				t.Errorf("outcomes %s", got)
			}
		})
	}
}

// What is left to be put on record after a switch is no reason to deny it.
func TestSwitchIsReported(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"x": "1"})}, bundletest.Options{})
	// before the switch: nothing is published where the record could not be written
	receipts := filepath.Join(r.dir, "state/receipts")
	must(t, os.Remove(receipts))
	must(t, os.WriteFile(receipts, nil, 0o600))
	if res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{}); err == nil || res != nil && res.Generation != 0 {
		t.Errorf("%v, %+v", err, res)
	}
	r.expect(map[string]string{})
	must(t, os.Remove(receipts))
	must(t, os.Mkdir(receipts, 0o700))
	// after it: it is said, and the next command finishes
	must(t, os.Mkdir(filepath.Join(receipts, "site-000001.receipt.json.tmp"), 0o700))
	res, err := r.Receive(t.Context(), made.Dirs, unpack.ImportOptions{})
	var unrecorded *unpack.UnrecordedError
	if !errors.As(err, &unrecorded) || res.Generation != 1 || !strings.Contains(err.Error(), "generation 1 is published") {
		t.Errorf("%v, %+v", err, res)
	}
	r.expect(map[string]string{"apt/debs/x": "1"})
	must(t, os.Remove(filepath.Join(receipts, "site-000001.receipt.json.tmp")))
	if res := r.receive(made.Dirs...); res.Bundles[0].Outcome != unpack.AlreadyImported || res.Bundles[0].Receipt == "" {
		t.Errorf("%+v", res.Bundles)
	}
}
