package rpmmd

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// MaxMetalink bounds a metalink or a list of mirrors, in bytes.
	MaxMetalink = 4 << 20
	// maxMirrors bounds how many mirrors are remembered: more than that are not tried.
	maxMirrors = 256
)

// Metalink is what a metalink (version 3, as mirror managers write it) states about
// a repomd.xml.
type Metalink struct {
	// Current is the repomd.xml of today, Alternates are older ones that
	// mirrors may still have.
	Current    Version
	Alternates []Version
	// URLs are where it is, the preferred first; http and https alone.
	URLs []string
}

// Version is one repomd.xml by size and checksums; a size of -1 is not known.
type Version struct {
	Size      int64
	Checksums []Checksum
}

// Strongest returns the checksum that counts; false: there is none that does.
func (v *Version) Strongest() (Checksum, bool) {
	for _, kind := range []string{"sha512", "sha384", "sha256"} {
		for _, c := range v.Checksums {
			if c.Type == kind {
				return c, true
			}
		}
	}
	return Checksum{}, false
}

// ParseMetalink reads a metalink. Errors match bundle.ErrMalformed.
func ParseMetalink(b []byte) (*Metalink, error) {
	d, err := newDocument(bytes.NewReader(b), "metalink")
	if err != nil {
		return nil, err
	}
	m := &metalinkReader{m: &Metalink{Current: Version{Size: -1}}}
	for {
		start, err := d.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if start.name != "files" {
			continue
		}
		if err := d.each("files", m.token); err != nil {
			return nil, err
		}
		if err := m.finish(); err != nil {
			return nil, err
		}
	}
	if _, ok := m.m.Current.Strongest(); !ok {
		return nil, fmt.Errorf("has no SHA-256 of repomd.xml: %w", bundle.ErrMalformed)
	}
	slices.SortStableFunc(m.urls, func(a, b mirror) int { return cmp.Compare(b.preference, a.preference) })
	for _, u := range m.urls {
		m.m.URLs = append(m.m.URLs, u.url)
	}
	return m.m, nil
}

type mirror struct {
	url        string
	preference int64
}

type metalinkReader struct {
	m     *Metalink
	urls  []mirror
	other bool // within a file that is not repomd.xml
	text  strings.Builder
	end   func(text string) error
}

func (m *metalinkReader) finish() error {
	end := m.end
	m.end = nil
	text := strings.TrimSpace(m.text.String())
	m.text.Reset()
	if end == nil {
		return nil
	}
	return end(text)
}

func (m *metalinkReader) token(path []string, t *token) error {
	if t.kind == charData {
		if m.end != nil && m.text.Len() < maxText {
			m.text.Write(t.text)
		}
		return nil
	}
	if err := m.finish(); err != nil {
		return err
	}
	if t.kind != startTag {
		return nil
	}
	if len(path) == 2 && path[1] == "file" {
		m.other = attr(t, "name") != "repomd.xml"
	}
	if m.other {
		return nil
	}
	version := &m.m.Current
	if n := len(m.m.Alternates); n > 0 && slices.Contains(path, "mm0:alternate") {
		version = &m.m.Alternates[n-1]
	}
	switch path[len(path)-1] {
	case "mm0:alternate":
		if len(m.m.Alternates) == maxMirrors {
			return fmt.Errorf("more than %d alternates: %w", maxMirrors, bundle.ErrMalformed)
		}
		m.m.Alternates = append(m.m.Alternates, Version{Size: -1})
	case "size":
		m.end = func(text string) (err error) {
			version.Size, err = size(text, -1)
			return err
		}
	case "hash":
		kind := strings.ReplaceAll(strings.ToLower(attr(t, "type")), "-", "")
		m.end = func(text string) error {
			if c, err := checksum(kind, text); err == nil && len(version.Checksums) < 16 {
				version.Checksums = append(version.Checksums, c)
			}
			return nil // of a kind that is not known
		}
	case "url":
		preference, err := size(attr(t, "preference"), 0)
		if err != nil {
			return err
		}
		m.end = func(text string) error {
			if (strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")) && len(m.urls) < maxMirrors {
				m.urls = append(m.urls, mirror{text, preference})
			}
			return nil
		}
	}
	return nil
}
