//go:build unix

package upstream

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

func TestCheckAddress(t *testing.T) {
	for raw, want := range map[string]string{
		"file:///mnt/dvd": "file:///mnt/dvd", "file:/mnt/dvd/": "file:///mnt/dvd/", "file:///a%20b": "file:///a%20b", "https://a.example/x": "https://a.example/x",
		"file://": "", "file:mnt": "", "file://host/mnt": "", "file:///mnt?x": "", "file:///mnt#x": "", "file://u@/mnt": "", "file:///%zz": "", "ftp://a.example/": "", "/mnt": "",
	} {
		got, err := CheckAddress(raw)
		if want == "" && !errors.Is(err, fetch.ErrConfig) || want != "" && (err != nil || got != want) {
			t.Errorf("%s: %s, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"cdrom:[Debian]/", "copy:/mnt/dvd", "/mnt/dvd", "ftp://a.example/"} {
		if _, err := CheckAddress(raw); err == nil || !strings.Contains(err.Error(), "or file:///mnt/dvd for a folder of this machine") {
			t.Errorf("%s: %v does not name the form of a folder", raw, err)
		}
	}
	if err := fetch.CheckURL("file:///etc/passwd"); err == nil {
		t.Error("an upstream may name a file of this machine")
	}
}

// TestLocalFolder: a folder of this machine is read as a server is; what it lacks is not
// there, and what is no plain file neither.
func TestLocalFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"Release": "release\n", "pool/a b+c": "content"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := plantest.NewEnv(t, dir, nil)
	place := At("file://" + dir + "/")
	page, err := place.Read(t.Context(), env, "Release", 100)
	if err != nil || string(page.Content) != "release\n" || page.Meta.Secure || page.Meta.URL != "file://"+dir+"/Release" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := place.Read(t.Context(), env, "Release", 3); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "more than 3 bytes") {
		t.Error(err)
	}
	for _, name := range []string{"InRelease", "pool", "pipe", "Release/x"} {
		if page, err := place.Optional(t.Context(), env, name, 100); page != nil || err != nil {
			t.Errorf("%s: %v, %v", name, page, err)
		}
		if has, err := place.Has(t.Context(), env, name); has || err != nil {
			t.Errorf("%s: %v, %v", name, has, err)
		}
	}
	want := Want{Sum: SHA256(bundle.DigestOf([]byte("content"))), Size: 7}
	if d, n, err := place.Download(t.Context(), env, "local", want, "pool/a b+c"); err != nil || n != 7 || d != bundle.DigestOf([]byte("content")) {
		t.Errorf("%v, %d, %v", d, n, err)
	}
	open := place.Open(env, want, "pool/a b+c")
	first, err := open(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := open(t.Context(), 4, first.Validator)
	if err != nil || second.At != 4 {
		t.Fatalf("%+v, %v", second, err)
	}
	rest, err := io.ReadAll(second.Body)
	if err := errors.Join(err, first.Body.Close(), second.Body.Close()); err != nil || string(rest) != "ent" {
		t.Errorf("%q, %v", rest, err)
	}
	if again, err := open(t.Context(), 4, "Sat, 31 Oct 2026 12:00:00 GMT 7"); err != nil || again.At != 0 {
		t.Errorf("another version: %+v, %v", again, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pool/a b+c"), []byte("CONTENT"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := place.Download(t.Context(), env, "local", want, "pool/a b+c"); !errors.As(err, new(*MovedError)) {
		t.Errorf("another content: %v", err)
	}
}
