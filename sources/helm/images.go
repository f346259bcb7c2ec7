package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/child"
	"github.com/gapbundle/gapbundle/sources/helm/images"
	"github.com/gapbundle/gapbundle/sources/replay"
)

// listName is the list of images in a repository, maxList its size.
const (
	listName = "images.json"
	maxList  = 64 << 20 // bytes
	// maxKept is what the exporter keeps of one document.
	maxKept = 4 << 20 // bytes
)

// list is images.json.
type list struct {
	Version int      `json:"version"`
	Charts  []record `json:"charts"`
	// Added are those of the spec's own, Images all that are carried.
	Added  []string `json:"added,omitempty"`
	Images []string `json:"images"`
}

// record is what one chart, with the options of the spec, names.
type record struct {
	Chart   string `json:"chart"`
	Version string `json:"version"`
	// Digest is that of the package, Mark of all that the images are a function of.
	Digest string `json:"digest"`
	Mark   string `json:"mark"`
	// Registry means that the chart takes global.imageRegistry.
	Registry bool       `json:"globalImageRegistry,omitempty"`
	Images   []decision `json:"images"`
}

// decision is an image and what becomes of it.
type decision struct {
	images.Found
	Status string `json:"status"`
	// As are the images that are carried for it, if not itself.
	As []string `json:"as,omitempty"`
}

// The decisions about an image.
const (
	statusCarried = "carried"
	statusMaybe   = "maybe"
	statusDropped = "dropped"
)

// listVersion changes when the same charts and options name other images than before.
const listVersion = 1

// rendering is a chart with the options of one request.
type rendering struct {
	chart   *chart
	request *request
	base    *base
	record
	options child.Options
	ready   bool
}

// remembered takes the images from the base, if its list has them for the same chart
// and options. The package need not be at hand then.
func (r *rendering) remembered(env *sources.Env) (bool, error) {
	r.options = r.request.template(r.chart.Name)
	for _, name := range r.request.Values {
		content, err := bundle.ReadNamed(sources.Within(r.request.entry.spec.Dir, name), maxValues)
		if err != nil {
			return false, r.request.Pos.Errorf("values: %w", err)
		}
		r.options.Values = append(r.options.Values, content)
	}
	if r.chart.digest.IsZero() {
		return false, nil
	}
	if err := r.mark(env); err != nil {
		return false, err
	}
	known, ok := r.base.found[r.Mark]
	if ok {
		r.Images, r.Registry, r.ready = known.Images, known.Registry, true
	}
	return ok, nil
}

func (r *rendering) mark(env *sources.Env) (err error) {
	r.Chart, r.Version, r.Digest = r.chart.Name, r.chart.Version, r.chart.digest.String()
	r.Mark, err = replay.Mark(env, struct {
		Version int
		Digest  string
		Options child.Options
	}{listVersion, r.Digest, r.options})
	return err
}

// render finds the images.
func (r *rendering) render(ctx context.Context, env *sources.Env) error {
	if r.ready {
		return nil
	}
	if err := r.mark(env); err != nil {
		return err
	}
	scratch := sources.ScratchName(Name, "images-"+r.Mark)
	if kept, err := env.Scratch.ReadFile(scratch); err == nil {
		return json.Unmarshal(kept, &r.record)
	}
	content, err := r.chart.opened(env)(ctx, 0, "")
	if err != nil {
		return err
	}
	defer content.Body.Close()
	q := &child.Request{Options: r.options}
	if q.Chart, err = io.ReadAll(content.Body); err != nil { // as large as it was when it was read before
		return err
	}
	reply, err := child.Runner{Program: env.Program}.Render(ctx, q)
	var limit *child.Limit
	switch {
	case errors.As(err, &limit):
		return r.request.Pos.Wrap(fmt.Errorf("chart %s: %w: set values that switch that part off, or images: {mode: none, add: [...]} with the images that you know: %w", r.chart.name(), err, fetch.ErrUpstream))
	case err != nil:
		return fmt.Errorf("chart %s: %w", r.chart.name(), err)
	case reply.Error != "":
		return r.request.Pos.Errorf("chart %s does not render with these values: %s", r.chart.name(), reply.Error)
	}
	for _, f := range reply.Images {
		r.Images = append(r.Images, decision{Found: f})
	}
	r.Registry = reply.Registry
	kept, err := json.Marshal(r.record)
	if err != nil {
		return err
	}
	return env.KeepScratch(scratch, written(kept))
}

// checkImages checks what the spec states about images.
func (e *entry) checkImages() error {
	o := e.options.Images
	var errs []error
	whole := func(option, image string) {
		named, err := reference.ParseNormalizedNamed(image)
		if err == nil && reference.IsNameOnly(named) {
			err = errors.New("want a tag or a digest")
		}
		if err != nil {
			errs = append(errs, e.options.Pos.Errorf("images: %s: %q: %w", option, image, err))
		}
	}
	for _, i := range o.Add {
		whole("add", i)
	}
	for image, others := range o.Instead {
		whole("instead", image)
		for _, i := range others {
			whole("instead", i)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return strictyaml.Join(errs...)
}

// decide reports what becomes of each image of a rendering.
func (r *rendering) decide() error {
	o := r.request.entry.options.Images
	var errs []error
	for i := range r.Images {
		d := &r.Images[i]
		d.Status, d.As = statusCarried, nil
		switch {
		case matches(o.Drop, d.Image):
			d.Status = statusDropped
			continue
		case d.Maybe != "" && !matches(o.Accept, d.Image):
			d.Status = statusMaybe
			continue
		case strings.Contains(d.Image, "{{"):
			errs = append(errs, r.request.Pos.Errorf("chart %s: accept: %s is no image yet, a template is left in it: name the images under add", r.chart.name(), d.Image))
			continue
		}
		d.As = r.instead(d.Image)
		if d.As != nil || !d.NodeOS {
			continue
		}
		if len(r.request.NodeOS) == 0 {
			errs = append(errs, r.request.Pos.Errorf("chart %s: image %s (%s): its operator appends the system of the node to the tag: set node-os: [ubuntu24.04] for the chart, or images: {instead: {%q: [...]}}",
				r.chart.name(), d.Image, strings.Join(d.Where, ", "), d.Image))
		}
		for _, os := range r.request.NodeOS {
			d.As = append(d.As, d.Image+"-"+os)
		}
	}
	return strictyaml.Join(errs...)
}

// listed makes the list of images of a source.
func (s *selection) listed() (*list, error) {
	l := &list{Version: listVersion, Images: []string{}}
	var errs []error
	for _, c := range s.charts {
		for _, r := range c.renders {
			errs = append(errs, r.decide())
			if r.Images == nil {
				r.Images = []decision{}
			}
			l.Charts = append(l.Charts, r.record)
			for _, d := range r.Images {
				switch {
				case d.Status != statusCarried:
				case d.As != nil:
					l.Images = append(l.Images, d.As...)
				default:
					l.Images = append(l.Images, d.Image)
				}
			}
		}
	}
	errs = append(errs, s.unmatched(l))
	for _, i := range s.entry.options.Images.Add {
		l.Added = append(l.Added, full(i))
	}
	l.Images = append(l.Images, l.Added...)
	slices.Sort(l.Images)
	l.Images = slices.Compact(l.Images)
	slices.SortStableFunc(l.Charts, func(a, b record) int {
		if c := strings.Compare(a.Chart+"\x00"+a.Version, b.Chart+"\x00"+b.Version); c != 0 {
			return c
		}
		return strings.Compare(a.Mark, b.Mark)
	})
	return l, strictyaml.Join(errs...)
}

// notes returns a line for each image with its chart and the rule that found it, and the number
// of uncertain ones.
func (l *list) notes(mode string) []string {
	var notes []string
	maybe := map[string]bool{}
	for _, r := range l.Charts {
		for _, d := range r.Images {
			text := d.Image
			if d.As != nil {
				text += " as " + strings.Join(d.As, ", ")
			}
			why := string(d.Rule) + ", " + d.Where[0]
			if d.Maybe != "" {
				why += ", " + d.Maybe
			}
			status := d.Status
			if mode == modeList && status == statusCarried {
				status = "found"
			}
			notes = append(notes, fmt.Sprintf("%s-%s: %s: %s (%s)", r.Chart, r.Version, text, status, why))
			if d.Status == statusMaybe {
				maybe[d.Image] = true
			}
		}
	}
	for _, i := range l.Added {
		notes = append(notes, i+": added by the spec")
	}
	verb := "are carried"
	if mode == modeList {
		verb = "are listed and not carried"
	}
	notes = append(notes, fmt.Sprintf("%s %s", bundle.Count(len(l.Images), "image"), verb))
	if len(maybe) > 0 {
		notes = append(notes, fmt.Sprintf("%s may be needed too and are not carried: %s lists them; name them under accept to carry them", bundle.Count(len(maybe), "image"), listName))
	}
	return notes
}

// parseList reads images.json. Errors match bundle.ErrMalformed.
func parseList(content []byte) (*list, error) {
	var l list
	if err := json.Unmarshal(content, &l); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", listName, err, bundle.ErrMalformed)
	}
	if l.Version != listVersion {
		return nil, fmt.Errorf("%s: version %d, want %d: %w", listName, l.Version, listVersion, bundle.ErrMalformed)
	}
	return &l, nil
}

// recall reads what the last export recorded of a source.
func recall(env *sources.Env, source string) (*base, error) {
	b := &base{files: map[string]sources.Recorded{}, found: map[string]record{}}
	if env.Base == nil {
		return b, nil
	}
	for r, err := range env.Base.Files(source) {
		if err != nil {
			return nil, err
		}
		b.files[r.File.Path] = r
	}
	kept, err := env.Content(b.files[listName].File.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil // then the charts are rendered once more
	}
	if err != nil {
		return nil, err
	}
	l, err := parseList(kept)
	if err != nil {
		return b, nil // of another version of the program
	}
	for _, r := range l.Charts {
		b.found[r.Mark] = r
	}
	return b, nil
}
