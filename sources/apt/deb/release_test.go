package deb_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

func releaseText() string {
	return fmt.Sprintf(`Origin: Ubuntu
Suite: noble
Codename: noble
Date: Thu,  2 May 2024 10:16:37 UTC
Valid-Until: Thu, 09 May 2024 10:16:37 +0000
Architectures: amd64 arm64
Components: main universe
Acquire-By-Hash: yes
NotAutomatic: yes
No-Support-for-Architecture-all: Packages
Description: Ubuntu Noble
MD5Sum:
 %032x 10 main/binary-amd64/Packages
 %032x 4 Contents-amd64.gz
SHA256:
 %064x         10 main/binary-amd64/Packages
 %064x 11 ./main/binary-amd64/Packages.gz
`, 1, 2, 3, 4)
}

func TestParseRelease(t *testing.T) {
	r, err := deb.ParseRelease([]byte(releaseText()))
	if err != nil {
		t.Fatal(err)
	}
	date := time.Date(2024, 5, 2, 10, 16, 37, 0, time.UTC)
	if r.Origin != "Ubuntu" || r.Suite != "noble" || !r.Date.Equal(date) || !r.ValidUntil.Equal(date.AddDate(0, 0, 7)) || !slices.Equal(r.Components, []string{"main", "universe"}) ||
		!r.AcquireByHash || !r.NotAutomatic || r.ButAutomaticUpgrades || r.ArchitectureAll != "Packages" || r.Field("description") != "Ubuntu Noble" {
		t.Errorf("got %+v", r)
	}
	var paths []string
	for _, f := range r.Files {
		paths = append(paths, f.Path)
	}
	if want := []string{"Contents-amd64.gz", "main/binary-amd64/Packages", "main/binary-amd64/Packages.gz"}; !slices.Equal(paths, want) {
		t.Errorf("files %s", paths)
	}
	f, ok := r.File("main/binary-amd64/Packages")
	if !ok || f.Size != 10 || f.MD5 != fmt.Sprintf("%032x", 1) || f.SHA256 != fmt.Sprintf("%064x", 3) || f.SHA1 != "" {
		t.Errorf("got %+v, %v", f, ok)
	}
	if want := []string{"main/binary-amd64/by-hash/MD5Sum/" + f.MD5, "main/binary-amd64/by-hash/SHA256/" + f.SHA256}; !slices.Equal(f.ByHash(), want) || f.Strongest() != want[1] {
		t.Errorf("by hash %s", f.ByHash())
	}
	if _, ok := r.File("main/binary-amd64"); ok {
		t.Error("found what is not listed")
	}
}

func TestMarshalRelease(t *testing.T) {
	r, err := deb.ParseRelease([]byte(releaseText()))
	if err != nil {
		t.Fatal(err)
	}
	text := r.Marshal()
	again, err := deb.ParseRelease(text)
	if err != nil {
		t.Fatal(err)
	}
	r.Paragraph, again.Paragraph = "", ""
	if !reflect.DeepEqual(r, again) {
		t.Errorf("written:\n%s\ngot %+v\nwant %+v", text, again, r)
	}
	if !strings.Contains(string(text), "Date: Thu, 02 May 2024 10:16:37 UTC\n") {
		t.Errorf("written:\n%s", text)
	}
}

func TestParseReleaseRefuses(t *testing.T) {
	change := func(old, with string) string { return strings.Replace(releaseText(), old, with, 1) }
	for name, text := range map[string]string{
		"empty":               "",
		"two paragraphs":      releaseText() + "\nA: b\n",
		"field twice":         releaseText() + "suite: other\n",
		"table twice":         releaseText() + "MD5SUM:\n",
		"two sizes":           change("10 main/binary-amd64/Packages", "12 main/binary-amd64/Packages"),
		"two hashes":          releaseText() + fmt.Sprintf(" %064x 10 main/binary-amd64/Packages\n", 9),
		"path upwards":        releaseText() + fmt.Sprintf(" %064x 10 ../x\n", 9),
		"absolute path":       releaseText() + fmt.Sprintf(" %064x 10 /etc/x\n", 9),
		"digest of other use": releaseText() + fmt.Sprintf(" %032x 10 x\n", 9),
		"digest upper case":   releaseText() + fmt.Sprintf(" %064X 10 x\n", 0xabc),
		"size":                releaseText() + fmt.Sprintf(" %064x -10 x\n", 9),
		"four words":          releaseText() + fmt.Sprintf(" %064x 10 x y\n", 9),
	} {
		if r, err := deb.ParseRelease([]byte(text)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

// What apt does not read is told apart, and its moment is known where the text says one.
func TestParseReleaseDates(t *testing.T) {
	for value, want := range map[string]string{
		"Thu,  2 May 2024 10:16:37 UTC":   "2024-05-02T10:16:37Z",
		"Thu, 02 May 2024 10:16:37 -0000": "2024-05-02T10:16:37Z",
		"Thu, 02 May 2024 10:16:37 Z":     "2024-05-02T10:16:37Z",
		"Thu, 02 May 2024 10:16:37 +0200": "2024-05-02T08:16:37Z bad",
		"Thu,  2 May 2024 10:16:37 -0730": "2024-05-02T17:46:37Z bad",
		"Thu, 02 May 2024 10:16:37 PDT":   "2024-05-02T17:16:37Z bad",
		"Thu, 02 May 2024 10:16:37 UT":    "2024-05-02T10:16:37Z bad",
		"2 May 2024 10:16 +0100":          "2024-05-02T09:16:00Z bad",
		"02 May 2024 10:16:37 UTC":        "2024-05-02T10:16:37Z bad",
		"Thu, 02 May 2024 10:16:37 CEST":  "bad", // no zone that the RFC knows
		"Thu, 02 May 2024 10:16:37":       "bad",
		"2024-05-02T10:16:37Z":            "bad",
		"soon":                            "bad",
	} {
		for _, field := range []string{"Date", "Valid-Until"} {
			r, err := deb.ParseRelease([]byte("Suite: s\n" + field + ": " + value + "\n"))
			if err != nil {
				t.Errorf("%s: %v", value, err)
				continue
			}
			moment, bad := r.Date, r.BadDate
			if field == "Valid-Until" {
				moment, bad = r.ValidUntil, r.BadValidUntil
			}
			var got []string
			if !moment.IsZero() {
				got = append(got, moment.Format(time.RFC3339))
			}
			if bad != "" {
				got = append(got, "bad")
			}
			if s := strings.Join(got, " "); s != want || bad != "" && bad != value {
				t.Errorf("%s %q: got %q (%q), want %q", field, value, s, bad, want)
			}
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte(releaseText()))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := deb.ParseRelease(text)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		for _, file := range r.Files {
			if bundle.CheckPath(file.Path) != nil || file.Size < 0 || len(file.ByHash()) == 0 {
				t.Errorf("got %+v", file)
			}
		}
	})
}
