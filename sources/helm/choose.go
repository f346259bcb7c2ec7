package helm

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/index"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// selection is what one source carries.
type selection struct {
	entry   *entry
	charts  []*chart
	indexes []*repository // those that it was chosen from
	keys    keyring.Keys
	client  *registry.Client
	left    []string // remarks on charts that are left out
}

// chart is one version of a chart of a source.
type chart struct {
	*index.Entry
	of       *selection
	requests []*request // that chose it
	from     string     // its upstream, without secrets: one for each name
	// One of these: a repository with addresses, or a registry, or a file.
	repo  *repository
	urls  []string
	oci   string // host/name:tag
	local string

	mu sync.Mutex // of what opened sets
	gathered
}

// choose picks the versions.
func (s *source) choose(o *offers) ([]*selection, error) {
	var all []*selection
	var errs []error
	for _, e := range s.entries {
		sel := &selection{entry: e, keys: o.keys[e], client: o.clients[e]}
		for _, r := range e.requests {
			errs = append(errs, sel.add(o, r))
		}
		if strictyaml.Join(errs...) == nil {
			errs = append(errs, sel.unneeded())
		}
		all = append(all, sel)
	}
	return all, strictyaml.Join(errs...)
}

// add chooses what one request asks for.
func (s *selection) add(o *offers, r *request) error {
	switch {
	case r.file != "":
		return s.addFile(r)
	case r.oci != "":
		return s.addVersions(r, o.tags[r.oci], func(e *index.Entry) *chart {
			named := *e
			named.Name = path.Base(r.oci)
			tag := strings.ReplaceAll(e.Version, "+", "_")
			return &chart{Entry: &named, oci: r.oci + ":" + tag, from: "oci://" + r.oci}
		})
	}
	repo := o.indexes[r.repo]
	if !slices.Contains(s.indexes, repo) {
		s.indexes = append(s.indexes, repo)
	}
	if len(repo.Charts[r.Chart]) == 0 && slices.Contains(repo.Names, r.Chart) {
		err := fmt.Errorf("%s: helm can use none of its entries%s", r.what(), repo.whyNot(r.Chart))
		return s.leave(upstream.Blame(r.what(), err))
	}
	if len(repo.Charts[r.Chart]) == 0 {
		return r.Pos.Errorf("%s: upstream has no such chart; it has %s", r.what(), someOf(repo.Names))
	}
	return s.addVersions(r, repo.Charts[r.Chart], func(e *index.Entry) *chart {
		return &chart{Entry: e, repo: repo, from: upstream.At(repo.url).Where("")}
	})
}

// whyNot returns why an entry of a chart was left out, as far as it is known.
func (x *repository) whyNot(chart string) string {
	for _, skipped := range x.Skipped {
		if strings.HasPrefix(skipped, chart+", ") {
			return " (" + skipped + ")"
		}
	}
	return ""
}

// addVersions chooses among the versions that an upstream has.
func (s *selection) addVersions(r *request, offered []*index.Entry, make func(*index.Entry) *chart) error {
	chosen, err := index.Choose(offered, r.Version, r.Newest)
	if err != nil {
		return r.Pos.Wrap(err)
	}
	if len(chosen) == 0 {
		return r.Pos.Errorf("%s: no version that %s fits: upstream has %s", r.what(), describe(r.Version), newest(offered))
	}
	var errs []error
	for _, e := range chosen {
		errs = append(errs, s.take(r, make(e)))
	}
	return strictyaml.Join(errs...)
}

// leave notes that a chart is left out because of err if the spec wants that; otherwise it
// returns the error.
func (s *selection) leave(err error) error {
	if !s.entry.options.Absent.Skips() {
		return fmt.Errorf("%w; %s", err, rebuild.SkipHint)
	}
	s.left = append(s.left, rebuild.LeftOut(err))
	return nil
}

func describe(constraint string) string {
	if constraint == "" {
		return "a release"
	}
	return fmt.Sprintf("%q", constraint)
}

// someOf names a few charts, for people.
func someOf(names []string) string {
	const most = 10
	if len(names) == 0 {
		return "none"
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// newest names a few versions, for people.
func newest(offered []*index.Entry) string {
	if len(offered) == 0 {
		return "no such chart"
	}
	sorted := slices.Clone(offered)
	index.Sort(sorted)
	var versions []string
	for _, e := range sorted[:min(len(sorted), 5)] {
		versions = append(versions, e.Version)
	}
	if len(sorted) > len(versions) {
		versions = append(versions, "...")
	}
	return strings.Join(versions, ", ")
}

// take adds a chart, or a further request for one that is there.
func (s *selection) take(r *request, c *chart) error {
	for _, other := range s.charts {
		switch {
		case other.Name != c.Name:
		case other.from != c.from:
			return r.Pos.Errorf("source %s: chart %s of %s and of %s: a repository has one chart of a name: make two sources", s.entry.spec.Name, c.Name, other.from, c.from)
		case other.Version == c.Version && other.local == c.local:
			other.requests = append(other.requests, r)
			return nil
		case other.Version == c.Version:
			return r.Pos.Errorf("%s: is %s %s, as another file is", r.File, c.Name, c.Version)
		}
	}
	c.of, c.requests = s, []*request{r}
	s.charts = append(s.charts, c)
	return nil
}

// addFile takes a package from the disk.
func (s *selection) addFile(r *request) error {
	f, err := os.Open(r.file)
	if err != nil {
		return r.Pos.Errorf("file: %w", err)
	}
	defer f.Close()
	hash := bundle.NewHash()
	bounded := &io.LimitedReader{R: f, N: pack.MaxPackage}
	info, err := pack.Read(io.TeeReader(bounded, hash))
	if err == nil {
		_, err = io.Copy(hash, bounded)
	}
	if err == nil && bounded.N == 0 {
		err = fmt.Errorf("more than %d bytes", pack.MaxPackage)
	}
	if err != nil {
		return r.Pos.Errorf("file: %s: %w", r.File, err)
	}
	entry, err := index.FromChart(info.Metadata, info.Made)
	if err != nil {
		return r.Pos.Errorf("file: %s: %w", r.File, err)
	}
	c := &chart{Entry: entry, local: r.file, from: "file"}
	c.digest, c.size, c.vouched = bundle.SumOf(hash), pack.MaxPackage-bounded.N, bundle.VouchedLocal
	c.info = info
	return s.take(r, c)
}

// name returns the chart with its version.
func (c *chart) name() string { return c.Name + "-" + c.Version }

// file returns the path of the package in the repository.
func (c *chart) file() string { return pack.File(c.Name, c.Version) }

// where returns the origin of the package, without secrets.
func (c *chart) where() string {
	switch {
	case len(c.urls) > 0:
		return upstream.At(c.urls...).Where("")
	case c.oci != "":
		return "oci://" + c.oci
	}
	return "" // a local file
}

// open returns how the package is read; what it has to be is not checked.
func (c *chart) open(env *sources.Env) bundle.Open {
	switch {
	case c.local != "":
		return func(context.Context, int64, string) (*bundle.Content, error) {
			f, err := os.Open(c.local)
			if err != nil {
				return nil, err
			}
			return &bundle.Content{Body: f}, nil
		}
	case c.artifact != nil:
		return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
			body, err := c.artifact.repo.Blob(ctx, digest.NewDigestFromEncoded(digest.SHA256, c.artifact.chart.Digest.Encoded()), c.artifact.chart.Size, at, validator)
			if err != nil {
				return nil, err
			}
			return &bundle.Content{Body: body, At: body.At, Validator: body.Meta.Validator()}, nil
		}
	}
	return upstream.At(c.urls...).Open(env, upstream.Want{Sum: upstream.SHA256(c.digest), Size: -1, Limit: pack.MaxPackage})
}

// opened returns how the package is read after it was checked: it is fetched into scratch
// once in an export, and given from there. It is small, and the plan, the bundle and the
// check of completeness want it.
func (c *chart) opened(env *sources.Env) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		if c.local != "" {
			return c.open(env)(ctx, at, validator)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.info == nil {
			if err := c.fetch(ctx, env); err != nil {
				return nil, err
			}
		}
		return upstream.Validated(env.InScratch(c.scratch), c.validator)(ctx, 0, "")
	}
}
