package pages

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/lockfile"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
)

// readPage reads the page of a project back that is in the folder at.
func readPage(media, at string, links []simple.Link) func([]byte) error {
	return func(content []byte) error {
		page, err := simple.Parse(media, inside+at, content)
		if err != nil {
			return err
		}
		if len(page.Files) != len(links) {
			return fmt.Errorf("files: want %d, got %d", len(links), len(page.Files))
		}
		for i, l := range links {
			got := page.Files[i]
			if got.Name != l.Name || got.SHA256 != l.SHA256 || got.MetadataSHA256 != l.MetadataSHA256 || got.Yanked != l.Yanked || !strings.HasPrefix(got.URL, inside+FilesDir) {
				return fmt.Errorf("want %s with sha256:%s, got %s with sha256:%s at %s, or another digest of its metadata", l.Name, l.SHA256, got.Name, got.SHA256, got.URL)
			}
		}
		return nil
	}
}

// readRoot reads the list of projects back.
func readRoot(names []string, parse func([]byte) ([]string, error)) func([]byte) error {
	return func(content []byte) error {
		got, err := parse(content)
		if err == nil && !slices.Equal(got, names) {
			err = fmt.Errorf("projects: want %d, got %d, or other ones", len(names), len(got))
		}
		return err
	}
}

// parseRootHTML returns what the list of projects as HTML leads to.
func parseRootHTML(content []byte) ([]string, error) {
	page, err := simple.Parse(simple.TextHTML, inside+SimpleDir, content)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range page.Files {
		names = append(names, path.Base(strings.TrimPrefix(f.URL, inside+SimpleDir)))
	}
	return names, nil
}

// readLock reads a lock back.
func readLock(at string, pins []Pin) func([]byte) error {
	return func(content []byte) error {
		lines := &lockfile.Requirements{}
		reader := &lockfile.Reader{Read: func(string) ([]byte, error) { return content, nil }}
		if err := reader.Requirements(at, lines); err != nil {
			return err
		}
		if len(lines.Wanted) != len(pins) {
			return fmt.Errorf("pins: want %d, got %d", len(pins), len(lines.Wanted))
		}
		for i, p := range pins {
			if got := &lines.Wanted[i]; got.Name != p.Project || !slices.Equal(got.Hashes, []string{p.SHA256}) || !got.Set.Contains(p.Version) {
				return fmt.Errorf("want %s==%s with sha256:%s, got %s with %q", p.Project, p.Version, p.SHA256, got.Requirement.String(), got.Hashes)
			}
		}
		return nil
	}
}

// CheckRecord reads a record back.
func CheckRecord(content []byte) error {
	_, err := ReadRecord(content)
	return err
}
