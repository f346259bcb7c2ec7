package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
)

const (
	maxManifest = registry.MaxManifest
	// maxDepth is how deep indexes may lie within each other: nobody makes
	// more than two, and a longer chain would only fill the stack.
	maxDepth    = 16
	defaultJobs = 4
)

// Options are how images are pushed. The zero value is right.
type Options struct {
	// Registry is where to: host, or host:port.
	Registry string
	// Prefix goes before the names there, as a project of Harbor; "": nothing.
	Prefix string
	// Scoped keeps the host of the registry that an image came from in its
	// name there: docker.io/library/alpine instead of library/alpine.
	Scoped bool
	// Images are patterns (path.Match) for names with or without that host;
	// a pattern without '/' is compared with the last part too. None: all.
	Images   []string
	DryRun   bool            // ask, and send nothing
	Jobs     int             // images, and blobs of one, at a time; 0: 4
	Progress bundle.Progress // nil: nobody
}

// Report is what a push did. Counts are of things, not of requests.
type Report struct {
	Registry string        `json:"registry"`
	DryRun   bool          `json:"dryRun"`
	Images   []ImageReport `json:"images"` // by name
	// Manifests, Tags and Blobs were sent, Mounted are blobs that the registry
	// took over from another of its repositories, Present was there before.
	Manifests int   `json:"manifests"`
	Tags      int   `json:"tags"`
	Blobs     int   `json:"blobs"`
	Mounted   int   `json:"mounted"`
	Present   int   `json:"present"`
	Bytes     int64 `json:"bytes"`
}

// ImageReport is a Report's line for one image.
type ImageReport struct {
	Image  string `json:"image"`  // as in the mirror
	Target string `json:"target"` // there, with its host
	// Moved are tags that pointed to something else there.
	Moved     []string `json:"moved,omitempty"`
	Manifests int      `json:"manifests"`
	Tags      int      `json:"tags"`
	Blobs     int      `json:"blobs"`
	Mounted   int      `json:"mounted"`
	Present   int      `json:"present"`
	Bytes     int64    `json:"bytes"`
	Complete  bool     `json:"complete"`
}

// ClashError means that images of two registries would get one name. It matches
// bundle.ErrUsage.
type ClashError struct {
	Name   string
	Images []string
}

func (e *ClashError) Error() string {
	return fmt.Sprintf("image name %s: wanted by %s", e.Name, strings.Join(e.Images, " and "))
}

// Unwrap returns bundle.ErrUsage.
func (e *ClashError) Unwrap() error { return bundle.ErrUsage }

// SparseError means that a registry did not take an index because platforms
// that it names were left out of the mirror on purpose. It matches
// bundle.ErrIncomplete.
type SparseError struct {
	Image, Digest string
	Tags          []string
	Missing       int // manifests that the index names and the mirror does not have
	Cause         error
}

func (e *SparseError) Error() string {
	name := e.Image + "@" + e.Digest
	if len(e.Tags) > 0 {
		name += " (" + strings.Join(e.Tags, ", ") + ")"
	}
	return fmt.Sprintf("%s: index refused: %d of its manifests are not in the mirror: %v", name, e.Missing, e.Cause)
}

// Unwrap returns bundle.ErrIncomplete.
func (e *SparseError) Unwrap() error { return bundle.ErrIncomplete }

// RegistryError is what went wrong between here and the registry. The error in
// it is of package fetch's classes.
type RegistryError struct {
	Registry string
	err      error
}

func (e *RegistryError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RegistryError) Unwrap() error { return e.err }

// run is one push.
type run struct {
	o    Options
	tree Tree
	to   *registry.Client

	mu    sync.Mutex
	blobs map[bundle.Digest]*blob
}

// blob is what is known about a blob over all images: only one of them sends it.
type blob struct {
	mu sync.Mutex
	in string // a repository of the registry that has it; "": not known
}

// Run pushes the images. If one cannot be pushed, it continues with the others,
// and returns all errors, each with the image's name; the Report has what was
// done even then.
func Run(ctx context.Context, p Published, to *registry.Client, o Options) (*Report, error) {
	if o.Jobs <= 0 {
		o.Jobs = defaultJobs
	}
	if o.Progress == nil {
		o.Progress = bundle.NoProgress
	}
	for _, pattern := range o.Images {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: not readable: %w", pattern, bundle.ErrUsage)
		}
	}
	images, err := catalog(p, o.wants)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 && len(o.Images) > 0 {
		return nil, fmt.Errorf("image %s: none of that name is published: %w", strings.Join(o.Images, ", "), bundle.ErrUsage)
	}
	if err := o.clashes(images); err != nil {
		return nil, err
	}
	r := &run{o: o, tree: p.Tree, to: to, blobs: map[bundle.Digest]*blob{}}
	return r.all(ctx, images)
}

// all pushes the images. The first goes alone: where the registry cannot be
// reached or does not know us, it is said once and not for every image.
func (r *run) all(ctx context.Context, images []*image) (*Report, error) {
	report := &Report{Registry: r.o.Registry, DryRun: r.o.DryRun, Images: make([]ImageReport, len(images))}
	errs := make([]error, len(images))
	group := errgroup.Group{}
	group.SetLimit(r.o.Jobs)
	for i, img := range images {
		report.Images[i], errs[i] = ImageReport{Image: img.name, Target: r.o.Registry + "/" + r.o.target(img.name)}, nil
		push := func() error {
			errs[i] = r.image(ctx, img, &report.Images[i])
			return nil
		}
		if i > 0 {
			group.Go(push)
			continue
		}
		_ = push()
		if hopeless(errs[0]) || ctx.Err() != nil {
			report.Images = report.Images[:1]
			break
		}
	}
	_ = group.Wait() // errs has them
	for _, i := range report.Images {
		report.Manifests, report.Tags, report.Blobs = report.Manifests+i.Manifests, report.Tags+i.Tags, report.Blobs+i.Blobs
		report.Mounted, report.Present, report.Bytes = report.Mounted+i.Mounted, report.Present+i.Present, report.Bytes+i.Bytes
	}
	if ctx.Err() != nil {
		return report, context.Cause(ctx)
	}
	return report, errors.Join(errs...)
}

// hopeless reports whether what stopped one image will stop all others.
func hopeless(err error) bool {
	var at *RegistryError
	var status *fetch.StatusError
	var answer *registry.AnswerError
	switch {
	case !errors.As(err, &at):
		return false
	case errors.As(err, &status):
		return status.Status == 401
	}
	return !errors.As(err, &answer) // no answer at all, or not one of a registry
}

// wants reports whether a name of the mirror is asked for.
func (o Options) wants(name string) bool {
	if len(o.Images) == 0 {
		return true
	}
	for _, pattern := range o.Images {
		for _, form := range []string{name, bundle.ImageAlias(name), path.Base(name)} {
			if ok, err := path.Match(pattern, form); err == nil && ok {
				return true
			}
		}
	}
	return false
}

// target returns the name that an image gets.
func (o Options) target(name string) string {
	if !o.Scoped {
		name = bundle.ImageAlias(name)
	}
	return path.Join(o.Prefix, name)
}

func (o Options) clashes(images []*image) error {
	names := map[string][]string{}
	for _, i := range images {
		names[o.target(i.name)] = append(names[o.target(i.name)], i.name)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if len(names[name]) > 1 {
			errs = append(errs, &ClashError{name, names[name]})
		}
	}
	return errors.Join(errs...)
}

func (r *run) blob(d bundle.Digest) *blob {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blobs[d] == nil {
		r.blobs[d] = &blob{}
	}
	return r.blobs[d]
}
