package simple

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

const (
	// MaxMetadata bounds a METADATA file, in bytes.
	MaxMetadata = 16 << 20
	// maxUnpacked bounds how much of a source archive is unpacked to find it.
	maxUnpacked = 4 << 30
	// maxEntries bounds the files of a wheel or a source archive.
	maxEntries = 1 << 20
	// maxFields bounds the requirements of one file.
	maxFields = 100_000
)

// Metadata is the part of a file's core metadata that decides.
type Metadata struct {
	Version        string // of the metadata, such as "2.1"
	Name           string // of the project, in normal form
	Release        pep440.Version
	RequiresPython pep440.Set
	Requires       []marker.Requirement
	Extras         []string // in normal form
	Dynamic        []string // fields that a build may change, in lower case
	Summary        string   // for people
	Licence        string   // the expression, or what older metadata state in its place
}

// ParseMetadata reads the header of METADATA or PKG-INFO. A field that counts
// and is not valid is an error, except for Requires-Python: clients ignore one.
func ParseMetadata(content []byte) (*Metadata, error) {
	if !utf8.Valid(content) { // pip gives up with an exception
		return nil, fmt.Errorf("metadata: not UTF-8: %w", ErrInvalid)
	}
	m := &Metadata{}
	fields := 0
	for key, value := range header(string(content)) {
		if fields++; fields > maxFields {
			return nil, fmt.Errorf("metadata: more than %d fields: %w", maxFields, ErrInvalid)
		}
		var err error
		switch strings.ToLower(key) {
		case "metadata-version":
			m.Version = value
		case "name":
			err = marker.CheckName(value)
			m.Name = marker.NormalName(value)
		case "version":
			m.Release, err = pep440.Parse(value)
		case "requires-python":
			m.RequiresPython, _ = pep440.ParseSet(value)
		case "requires-dist":
			var q marker.Requirement
			q, err = marker.ParseRequirement(value)
			m.Requires = append(m.Requires, q)
		case "provides-extra":
			m.Extras = append(m.Extras, marker.NormalName(value))
		case "summary":
			m.Summary = value
		case "license-expression":
			m.Licence = value
		case "license":
			if m.Licence == "" {
				m.Licence = value
			}
		case "dynamic":
			m.Dynamic = append(m.Dynamic, strings.ToLower(value))
		}
		if err != nil {
			return nil, fmt.Errorf("metadata: %s: %w: %w", key, err, ErrInvalid)
		}
	}
	if m.Name == "" || m.Release.IsZero() {
		return nil, fmt.Errorf("metadata: no name or no version: %w", ErrInvalid)
	}
	return m, nil
}

// header yields fields up to the first empty line; lines that begin with a
// blank continue the one before.
func header(text string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		key, value := "", ""
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				break
			}
			if line[0] == ' ' || line[0] == '\t' {
				value += " " + strings.TrimSpace(line)
				continue
			}
			if key != "" && !yield(key, strings.TrimSpace(value)) {
				return
			}
			key, value, _ = strings.Cut(line, ":")
		}
		if key != "" {
			yield(key, strings.TrimSpace(value))
		}
	}
}

// StaticDependencies reports whether the metadata of a source archive holds
// for everything built of it: version 2.2 and later, with no dependency that is
// dynamic (PEP 643).
func (m *Metadata) StaticDependencies() bool {
	v, err := pep440.Parse(m.Version)
	first, _ := pep440.Parse("2.2")
	return err == nil && v.Compare(first) >= 0 && !slices.ContainsFunc(m.Dynamic, func(field string) bool {
		return field == "requires-dist" || field == "provides-extra" || field == "requires-python"
	})
}

// WheelMetadata reads METADATA of a wheel.
func WheelMetadata(in io.ReaderAt, size int64) ([]byte, error) {
	z, err := zip.NewReader(in, size)
	if err != nil {
		return nil, wheelError(err)
	}
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("wheel: more than %d files: %w", maxEntries, ErrInvalid)
	}
	var found *zip.File
	for _, f := range z.File {
		folder, name, _ := strings.Cut(f.Name, "/")
		if name != "METADATA" || !strings.HasSuffix(folder, ".dist-info") {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("wheel: %s and %s: %w", found.Name, f.Name, ErrInvalid)
		}
		found = f
	}
	if found == nil {
		return nil, fmt.Errorf("wheel: no METADATA: %w", ErrInvalid)
	}
	r, err := found.Open()
	if err != nil {
		return nil, wheelError(err)
	}
	defer r.Close()
	content, err := bounded(r)
	return content, wheelError(err)
}

// wheelError keeps errors of reading what they are.
func wheelError(err error) error {
	if err == nil || errors.Is(err, ErrInvalid) {
		return err
	}
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, zip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("wheel: %w: %w", err, ErrInvalid)
	}
	return err
}

// bounded reads at most MaxMetadata bytes.
func bounded(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, MaxMetadata+1))
	if err == nil && len(content) > MaxMetadata {
		err = fmt.Errorf("more than %d bytes: %w", MaxMetadata, ErrInvalid)
	}
	return content, err
}

// Sdist is what of a source archive decides.
type Sdist struct {
	PKGInfo []byte // nil: there is none
	// Build are the requirements of its build: those of pyproject.toml, or
	// setuptools where it names none.
	Build []marker.Requirement
}

// ReadSdist reads a source archive, whose form follows from its name.
func ReadSdist(name string, in io.ReaderAt, size int64) (*Sdist, error) {
	s := &Sdist{}
	var project []byte
	err := sdistFiles(name, in, size, func(name string, r io.Reader) (err error) {
		_, rest, ok := strings.Cut(strings.TrimPrefix(path.Clean(name), "./"), "/")
		switch {
		case ok && rest == "PKG-INFO" && s.PKGInfo == nil:
			s.PKGInfo, err = bounded(r)
		case ok && rest == "pyproject.toml" && project == nil:
			project, err = bounded(r)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, err, ErrInvalid)
	}
	if s.Build, err = buildRequirements(project); err != nil {
		return nil, fmt.Errorf("%s: pyproject.toml: %w: %w", name, err, ErrInvalid)
	}
	return s, nil
}

// buildRequirements reads build-system.requires (PEP 518).
func buildRequirements(project []byte) ([]marker.Requirement, error) {
	var top struct {
		Build *struct {
			Requires []string `toml:"requires"`
		} `toml:"build-system"`
	}
	if err := toml.Unmarshal(project, &top); err != nil {
		return nil, err
	}
	texts := []string{"setuptools>=40.8.0"} // pip's own choice where nothing is named
	if top.Build != nil {
		texts = top.Build.Requires
	}
	var all []marker.Requirement
	for _, text := range texts {
		q, err := marker.ParseRequirement(text)
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	// Setuptools before 70.1 asks for wheel when it is run, and pip before 23.1
	// asks for it itself.
	if slices.ContainsFunc(all, func(q marker.Requirement) bool { return q.Name == "setuptools" }) &&
		!slices.ContainsFunc(all, func(q marker.Requirement) bool { return q.Name == "wheel" }) {
		all = append(all, marker.Requirement{Name: "wheel"})
	}
	return all, nil
}

func sdistFiles(name string, in io.ReaderAt, size int64, each func(name string, r io.Reader) error) error {
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.NewReader(in, size)
		if err != nil {
			return err
		}
		for i, f := range z.File {
			if i >= maxEntries {
				return fmt.Errorf("more than %d files", maxEntries)
			}
			r, err := f.Open()
			if err != nil {
				return err
			}
			if err := errors.Join(each(f.Name, r), r.Close()); err != nil {
				return err
			}
		}
		return nil
	}
	var unpacked io.Reader = io.NewSectionReader(in, 0, size)
	var err error
	switch {
	case strings.HasSuffix(name, ".gz"), strings.HasSuffix(name, ".tgz"):
		unpacked, err = gzip.NewReader(unpacked)
	case strings.HasSuffix(name, ".bz2"), strings.HasSuffix(name, ".tbz"):
		unpacked = bzip2.NewReader(unpacked)
	case strings.HasSuffix(name, ".xz"), strings.HasSuffix(name, ".txz"):
		err = errors.New("packed by xz: want a wheel or a .tar.gz")
	}
	if err != nil {
		return err
	}
	archive := tar.NewReader(io.LimitReader(unpacked, maxUnpacked))
	for range maxEntries {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			if err := each(h.Name, archive); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("more than %d files", maxEntries)
}
