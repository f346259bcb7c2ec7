package pack

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

// Bounds of a package: helm's own (3.18 and 4), so that what is carried can be used.
const (
	MaxChart = 100 << 20 // bytes, unpacked
	MaxFile  = 5 << 20   // bytes of one file
	// MaxPackage bounds the packed bytes.
	MaxPackage = 100 << 20 // bytes
	// maxNesting bounds packages inside of packages.
	maxNesting = 8
	// maxEntries bounds the files of a package.
	maxEntries = 100_000
	// maxMetadata bounds Chart.yaml and its like.
	maxMetadata = 1 << 20 // bytes
	maxName     = 200     // bytes of a chart's name
)

// Chart is what a package states about itself.
type Chart struct {
	Name, Version string
	// Library charts provide templates to others and are never installed.
	Library bool
	// Metadata is Chart.yaml as it is, Made when that file was last changed.
	Metadata []byte
	Made     time.Time
}

// metadata is the part of Chart.yaml, requirements.yaml and the lock files that is used.
type metadata struct {
	APIVersion   string       `yaml:"apiVersion"`
	Name         string       `yaml:"name"`
	Version      string       `yaml:"version"`
	Type         string       `yaml:"type"`
	Dependencies []dependency `yaml:"dependencies"`
}

type dependency struct {
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
}

// contents are the files of a chart that matter, by their paths in it.
type contents struct {
	metadata     []byte // Chart.yaml
	made         time.Time
	requirements []byte
	locks        [][]byte
	inside       []metadata // of the charts below charts/
	named        map[string]bool
	entries      int
}

// CheckName refuses a name that helm refuses, or that cannot be part of a path.
// Errors match bundle.ErrMalformed.
func CheckName(name string) error {
	if name == "" || name == "." || name == ".." || name != path.Base(name) || len(name) > maxName || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("name of a chart: %.100q: %w", name, bundle.ErrMalformed)
	}
	return nil
}

// CheckVersion refuses a version that is none. Errors match bundle.ErrMalformed.
func CheckVersion(version string) error {
	if _, err := semver.NewVersion(version); err != nil || len(version) > maxName {
		return fmt.Errorf("version of a chart: %.100q: %w", version, bundle.ErrMalformed)
	}
	return nil
}

// File returns the name of a package's file in a repository.
func File(name, version string) string { return name + "-" + version + ".tgz" }

// Read reads a package to its end. Errors are the reader's own, or match
// bundle.ErrMalformed.
func Read(r io.Reader) (*Chart, error) {
	left := int64(MaxChart)
	c, m, err := read(r, &left, 0)
	if err != nil {
		return nil, err
	}
	if err := c.complete(m); err != nil {
		return nil, err
	}
	return &Chart{Name: m.Name, Version: m.Version, Library: m.Type == "library", Metadata: c.metadata, Made: c.made}, nil
}

// read reads a package, at most left bytes of it unpacked.
func read(r io.Reader, left *int64, nesting int) (*contents, metadata, error) {
	if nesting > maxNesting {
		return nil, metadata{}, fmt.Errorf("packages in packages: more than %d: %w", maxNesting, bundle.ErrMalformed)
	}
	source := &failing{r: r}
	z, err := gzip.NewReader(bufio.NewReader(source))
	if err != nil {
		return nil, metadata{}, source.blame(fmt.Errorf("package: %w: %w", err, bundle.ErrMalformed))
	}
	c := &contents{named: map[string]bool{}}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = c.add(h, t, left, nesting)
		} else {
			err = fmt.Errorf("package: %w: %w", err, bundle.ErrMalformed)
		}
		if err != nil {
			return nil, metadata{}, source.blame(err)
		}
	}
	// Bytes after the archive's end belong to the package, too: a bomb may be there.
	n, err := io.Copy(io.Discard, io.LimitReader(z, *left+1))
	if *left -= n; err != nil || *left < 0 {
		return nil, metadata{}, source.blame(fmt.Errorf("package: after the last file: %w", errors.Join(err, bundle.ErrMalformed)))
	}
	m, err := c.parse()
	return c, m, err
}

// failing remembers the error of its reader: what is wrong with the transport is not the package's fault.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func (f *failing) blame(err error) error {
	if f.err != nil {
		return f.err
	}
	return err
}

// place returns the path of an entry below the chart's folder; "" for the folder itself.
func place(name string) (string, error) {
	clean := strings.ReplaceAll(name, "\\", "/")
	_, below, _ := strings.Cut(strings.TrimSuffix(clean, "/"), "/")
	for part := range strings.SplitSeq(clean, "/") {
		if part == ".." {
			return "", fmt.Errorf("package: %.200q leads out of its folder: %w", name, bundle.ErrMalformed)
		}
	}
	if path.IsAbs(clean) || strings.HasPrefix(below, "/") || strings.Contains(clean, ":/") || strings.ContainsRune(clean, 0) {
		return "", fmt.Errorf("package: %.200q: not a path: %w", name, bundle.ErrMalformed)
	}
	if below == "" {
		return "", nil
	}
	return path.Clean(below), nil
}

// add takes one entry in.
func (c *contents) add(h *tar.Header, r io.Reader, left *int64, nesting int) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeDir:
	default:
		return fmt.Errorf("package: %.200q: neither a file nor a folder: %w", h.Name, bundle.ErrMalformed)
	}
	name, err := place(h.Name)
	if err != nil {
		return err
	}
	if c.entries++; c.entries > maxEntries {
		return fmt.Errorf("package: more than %d files: %w", maxEntries, bundle.ErrMalformed)
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	switch {
	case name == "":
		return fmt.Errorf("package: %.200q: not in a folder: %w", h.Name, bundle.ErrMalformed)
	case h.Size > MaxFile:
		return fmt.Errorf("package: %.200q: %s, at most %d: %w", h.Name, bundle.Count(h.Size, "byte"), MaxFile, bundle.ErrMalformed)
	case h.Size > *left:
		return fmt.Errorf("package: more than %d bytes: %w", MaxChart, bundle.ErrMalformed)
	case c.named[name]:
		return fmt.Errorf("package: %.200q occurs twice: %w", name, bundle.ErrMalformed)
	}
	c.named[name] = true
	*left -= h.Size
	return c.file(name, h, r, left, nesting)
}

// file reads the files that state something about the chart.
func (c *contents) file(name string, h *tar.Header, r io.Reader, left *int64, nesting int) error {
	below, isBelow := strings.CutPrefix(name, "charts/")
	sub, rest, inFolder := strings.Cut(below, "/")
	switch {
	case name == "Chart.yaml":
		c.made = h.ModTime.UTC()
		return text(name, r, &c.metadata)
	case name == "requirements.yaml":
		return text(name, r, &c.requirements)
	case name == "Chart.lock" || name == "requirements.lock":
		c.locks = append(c.locks, nil)
		return text(name, r, &c.locks[len(c.locks)-1])
	case !isBelow || strings.HasPrefix(sub, "_") || strings.HasPrefix(sub, "."):
		return nil // helm does not look at those either
	case inFolder && rest == "Chart.yaml":
		var b []byte
		if err := text(name, r, &b); err != nil {
			return err
		}
		m, err := decode(name, b)
		c.inside = append(c.inside, m)
		return err
	case !inFolder && strings.HasSuffix(sub, ".tgz"):
		_, m, err := read(r, left, nesting+1)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.inside = append(c.inside, m)
	}
	return nil
}

func text(name string, r io.Reader, into *[]byte) error {
	b, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err != nil {
		return fmt.Errorf("package: %s: %w: %w", name, err, bundle.ErrMalformed)
	}
	if len(b) > maxMetadata {
		return fmt.Errorf("package: %s: more than %d bytes: %w", name, maxMetadata, bundle.ErrMalformed)
	}
	*into = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return nil
}

func decode(name string, b []byte) (m metadata, err error) {
	if err := yaml.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("package: %s: %w: %w", name, err, bundle.ErrMalformed)
	}
	return m, nil
}

// parse reads Chart.yaml and the lists of dependencies.
func (c *contents) parse() (metadata, error) {
	if c.metadata == nil {
		return metadata{}, fmt.Errorf("package: no Chart.yaml in it: %w", bundle.ErrMalformed)
	}
	m, err := decode("Chart.yaml", c.metadata)
	if err == nil {
		err = errors.Join(CheckName(m.Name), CheckVersion(m.Version))
	}
	if err != nil || c.requirements == nil {
		return m, err
	}
	more, err := decode("requirements.yaml", c.requirements)
	m.Dependencies = append(m.Dependencies, more.Dependencies...)
	return m, err
}

// complete checks that all dependencies are inside.
func (c *contents) complete(m metadata) error {
	wanted := m.Dependencies
	for _, l := range c.locks {
		lock, err := decode("lock file", l)
		if err != nil {
			return err
		}
		wanted = append(wanted[:len(wanted):len(wanted)], lock.Dependencies...)
	}
	var errs []error
	for _, d := range wanted {
		if !c.has(d) {
			errs = append(errs, fmt.Errorf("chart %s %s: dependency %.100s %.100s is not in its charts/: %w", m.Name, m.Version, d.Name, d.Version, bundle.ErrMalformed))
		}
	}
	return errors.Join(errs...)
}

func (c *contents) has(d dependency) bool {
	for _, m := range c.inside {
		if m.Name == d.Name && fits(d.Version, m.Version) {
			return true
		}
	}
	return false
}

// fits reports whether a version is in a range, as helm's IsCompatibleRange does.
func fits(constraint, version string) bool {
	if constraint == "" || constraint == version {
		return true
	}
	r, err := semver.NewConstraint(constraint)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(version)
	return err == nil && r.Check(v)
}

// Is refuses a package that is of another chart or version than it should be.
// Errors match bundle.ErrMalformed.
func (c *Chart) Is(name, version string) error {
	if c.Name != name || c.Version != version {
		return fmt.Errorf("want the chart %s %s, got %s %s: %w", name, version, c.Name, c.Version, bundle.ErrMalformed)
	}
	return nil
}
