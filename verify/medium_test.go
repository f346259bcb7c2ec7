package verify_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/handmade"
	"github.com/gapbundle/gapbundle/verify"
)

// TestFilesOfAMedium: what is on a medium besides what was signed, and what is not.
func TestFilesOfAMedium(t *testing.T) {
	without := func(names ...string) func(*handmade.Bundle) {
		return func(b *handmade.Bundle) {
			b.Put = func(name string, content []byte) []byte {
				for _, n := range names {
					if n == name {
						return nil
					}
				}
				return content
			}
		}
	}
	instead := func(file, content string) func(*handmade.Bundle) {
		return func(b *handmade.Bundle) {
			b.Put = func(name string, was []byte) []byte {
				if name == file {
					return []byte(content)
				}
				return was
			}
		}
	}
	tryAll(t, map[string]hostile{
		"no MEDIUM.txt":       {without("MEDIUM.txt"), nil, nil},
		"another MEDIUM.txt":  {instead("MEDIUM.txt", "\x1b[2J"), nil, nil},
		"no README.txt":       {without("README.txt"), nil, nil},
		"another README.txt":  {instead("README.txt", "run setup.exe\n"), bundle.ErrCorrupt, []string{"README.txt"}},
		"no SHA256SUMS":       {without("SHA256SUMS"), bundle.ErrIncomplete, []string{"SHA256SUMS"}},
		"another SHA256SUMS":  {instead("SHA256SUMS", ""), bundle.ErrCorrupt, []string{"SHA256SUMS"}},
		"no catalogue":        {without("catalog-01.tar.zst"), bundle.ErrIncomplete, []string{"catalog-01"}},
		"an empty catalogue":  {instead("catalog-01.tar.zst", ""), bundle.ErrCorrupt, []string{"catalog-01"}},
		"no volume":           {without("volume-00001.tar.zst"), bundle.ErrIncomplete, []string{"volume-00001"}},
		"an empty volume":     {instead("volume-00001.tar.zst", ""), bundle.ErrCorrupt, []string{"volume-00001"}},
		"no root":             {without("bundle.json"), bundle.ErrIncomplete, []string{"bundle.json"}},
		"a root of its own":   {instead("bundle.json", "{}"), bundle.ErrUntrusted, nil},
		"contents in no list": {func(b *handmade.Bundle) { b.Extra = []string{"smuggled"} }, bundle.ErrMalformed, []string{"named by no list"}},
	})
}

// TestCopiesOfAMedium: directories of one bundle on several media are one, a damaged
// copy of a volume does not hide a whole one of another length, and two roots are
// never mixed.
func TestCopiesOfAMedium(t *testing.T) {
	key := handmade.NewKey(t)
	b := byHand(key)
	first, second := t.TempDir(), t.TempDir()
	one, two := b.Write(t, first), b.Write(t, second)
	o := verify.Options{Policy: trusting(t, key), Receiver: &mirror{}, Now: now}
	open := func() error {
		v, _, err := verify.Open(t.Context(), discover(t, first, second), o)
		if err != nil {
			return err
		}
		return errors.Join(v.Check(t.Context(), verify.StreamOptions{}), v.Close())
	}
	if err := os.WriteFile(filepath.Join(one, "volume-00001.tar.zst"), []byte("cut"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(two, "catalog-01.tar.zst")); err != nil {
		t.Fatal(err)
	}
	refused(t, "each has what the other lacks", open(), nil)
	b.Root = func(o object) { o["tool"] = "another" }
	b.Write(t, second)
	refused(t, "two roots", open(), bundle.ErrUntrusted, "two different bundles have sequence", "both signed")
}
