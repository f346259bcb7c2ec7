package files

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// A folder is one thing, and its files have names while they are few.
func TestFolderNames(t *testing.T) {
	for count, want := range map[int]int{0: 0, 1: 2, maxNamedFiles: maxNamedFiles + 1, maxNamedFiles + 1: 1, 3 * maxNamedFiles: 1} {
		var got, entries int
		var folder sources.Entry
		last := ""
		n := folderNames{folder: &folder0, yield: func(a sources.Artifact, err error) bool {
			if err != nil || a.File.Path <= last {
				t.Fatalf("%s after %s, %v", a.File.Path, last, err)
			}
			last = a.File.Path
			got++
			for e := range a.Entries.All() {
				entries++
				if e.Type == bundle.TypeFolder {
					folder = e
				} else if e.Name != a.File.Path {
					t.Fatalf("%s is called %s", a.File.Path, e.Name)
				}
			}
			return true
		}}
		for i := range count {
			if !n.add(seen{name: fmt.Sprintf("%08d", i), size: 2}) {
				t.Fatal("ended early")
			}
		}
		if most := 64 * maxNamedFiles; cap(n.held) > 2*most || len(n.held) > most {
			t.Errorf("%d files: %d bytes are held back", count, cap(n.held))
		}
		n.end()
		if got != count || entries != want {
			t.Errorf("%d files: %d handed out, %d entries, want %d", count, got, entries, want)
		}
		if count > 0 && (folder.Name != "local" || folder.Size != int64(2*count) || folder.Summary != bundle.Count(count, "file")) {
			t.Errorf("%d files: %+v", count, folder)
		}
	}
}

var folder0 = folder{name: "local"}

// Whoever wants no more files gets no more.
func TestFolderNamesEndEarly(t *testing.T) {
	for _, stop := range []int{1, maxNamedFiles, maxNamedFiles + 1, maxNamedFiles + 2} {
		got := 0
		n := folderNames{folder: &folder0, yield: func(sources.Artifact, error) bool { got++; return got < stop }}
		more := true
		for i := 0; more && i < 2*maxNamedFiles; i++ {
			more = n.add(seen{name: fmt.Sprint(i)})
		}
		if more || got != stop {
			t.Errorf("stopped at %d: %d files, more: %t", stop, got, more)
		}
	}
}

// A name has host and path, and nothing that is secret or guessed.
func TestNameOf(t *testing.T) {
	var got []string
	for _, origin := range []string{"https://a.example/b/c%20d-1.2.tar.gz", "http://a.example:8080/x?token=REDACTED", "https://a.example/%0Ax", ""} {
		got = append(got, nameOf(&sources.Artifact{File: bundle.File{Path: "path"}, Evidence: bundle.Evidence{Origin: origin}}))
	}
	if want := []string{"a.example/b/c d-1.2.tar.gz", "a.example:8080/x", "a.example/%0Ax", "path"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
