package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// releaseKey makes a release key: the files of its halves, and its fingerprint.
func releaseKey(t *testing.T, dir string) (private, public, fingerprint string) {
	t.Helper()
	t.Setenv(keys.PassphraseEnv, "x")
	secret, open, fingerprint, err := keys.GenerateSite("gapbundle release", []byte("x"), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(dir, fingerprint+".key"), filepath.Join(dir, fingerprint+".asc")
	for file, content := range map[string][]byte{private: secret, public: open} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public, fingerprint
}

// emptyReadme returns a README without a release key.
func emptyReadme(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "README.md")
	page := "# A page\n\n" + placeBegin + "No key.\n" + placeEnd + "\nThe rest.\n"
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestOtherKeysAreRefused: a release is signed with the key of the README alone. The error names
// both keys and the command that puts one there, and nothing is made.
func TestOtherKeysAreRefused(t *testing.T) {
	dir := t.TempDir()
	readme := emptyReadme(t, dir)
	private, _, fingerprint := releaseKey(t, dir)
	_, public, other := releaseKey(t, dir)
	refused := func(wants ...string) {
		t.Helper()
		o := options{out: filepath.Join(dir, "dist"), systems: "linux/amd64", key: private, readme: readme}
		err := run(t.Context(), io.Discard, o)
		if err == nil {
			t.Fatal("signed")
		}
		for _, want := range append(wants, private, fingerprint, readme, adoptCommand) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: does not name %s", err, want)
			}
		}
		if _, err := os.Stat(o.out); err == nil {
			t.Error("something was made")
		}
	}
	refused("no release key", "--rehearsal")
	if _, _, err := adoptKey(public, readme); err != nil {
		t.Fatal(err)
	}
	refused(other)
}

// TestAdoptKey: the README gets a key in its place, another one after it, and nothing else changes.
func TestAdoptKey(t *testing.T) {
	dir := t.TempDir()
	readme := emptyReadme(t, dir)
	first, firstPublic, one := releaseKey(t, dir)
	_, secondPublic, two := releaseKey(t, dir)
	for i, c := range []struct{ file, adopted string }{{firstPublic, one}, {secondPublic, two}, {firstPublic, one}} {
		var log bytes.Buffer
		if err := run(t.Context(), &log, options{adopt: c.file, readme: readme}); err != nil {
			t.Fatal(err)
		}
		before := []string{"none", one, two}[i]
		if !strings.Contains(log.String(), c.adopted) || !strings.Contains(log.String(), before) {
			t.Errorf("%q: want %s and %s", log.String(), c.adopted, before)
		}
		page, err := os.ReadFile(readme)
		if err != nil {
			t.Fatal(err)
		}
		block, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page, bytes.TrimSpace(block)) || bytes.Count(page, []byte(pgpkeys.Armored)) != 1 || !strings.Contains(string(page), "`"+c.adopted+"`") {
			t.Errorf("the page does not have the key:\n%s", page)
		}
		if !bytes.HasPrefix(page, []byte("# A page\n\n"+placeBegin)) || !bytes.HasSuffix(page, []byte(placeEnd+"\nThe rest.\n")) {
			t.Errorf("the page changed:\n%s", page)
		}
	}
	signer, err := keys.LoadSite(first, func(string) ([]byte, error) { return []byte("x"), nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := sameKey(signer, first, readme); err != nil {
		t.Error(err)
	}
}

// TestAdoptRefuses: what is not one public key, and a page without the place.
func TestAdoptRefuses(t *testing.T) {
	dir := t.TempDir()
	readme := emptyReadme(t, dir)
	private, public, _ := releaseKey(t, dir)
	_, other, _ := releaseKey(t, dir)
	write := func(name string, content ...string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(strings.Join(content, "")), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	page := read(readme)
	for what, c := range map[string]struct{ file, readme, want string }{
		"private":    {private, readme, "private"},
		"two":        {write("two.asc", read(public), read(other)), readme, "want one"},
		"no key":     {write("none.asc", "text"), readme, "none.asc"},
		"no place":   {public, write("a.md", "# A page\n"), "release key"},
		"two places": {public, write("b.md", page, page), "each once"},
		"reversed":   {public, write("c.md", placeEnd, placeBegin), "before"},
	} {
		before := read(c.readme)
		if _, _, err := adoptKey(c.file, c.readme); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
		if read(c.readme) != before {
			t.Errorf("%s: the page was written", what)
		}
	}
}

// TestReadme: the project's README has the place, with one release key or none.
func TestReadme(t *testing.T) {
	key, err := readmeKey("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if none := strings.Contains(string(page), "No release has been made yet"); none != (key == nil) {
		t.Errorf("the README's text and its key differ: key %v", key)
	}
}

// TestOneMode: a release has exactly one way to be signed.
func TestOneMode(t *testing.T) {
	for _, o := range []options{{}, {key: "k", unsigned: true}, {key: "k", rehearsal: true}, {rehearsal: true, unsigned: true}, {key: "k", adopt: "a"}} {
		o.out = filepath.Join(t.TempDir(), "dist")
		if err := run(t.Context(), io.Discard, o); err == nil || !strings.Contains(err.Error(), "want one of") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
