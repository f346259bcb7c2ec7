package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/strvals"

	"github.com/gapbundle/gapbundle/sources/helm/child"
	"github.com/gapbundle/gapbundle/sources/helm/images"
)

// notes ends the names of templates whose text is for people.
const notes = "NOTES.txt"

// render does what "helm template" does, and scans the documents.
func render(q *child.Request, parent io.Writer) (*child.Reply, error) {
	c, err := loader.LoadArchive(bytes.NewReader(q.Chart))
	if err != nil {
		return nil, err
	}
	if c.Metadata.Type == "library" {
		return &child.Reply{}, nil
	}
	values, err := merged(&q.Options)
	if err != nil {
		return nil, err
	}
	s := images.NewScanner()
	s.Tests = q.Tests
	every, err := coalesced(c, values) // before conditions take subcharts away
	if err != nil {
		return nil, err
	}
	documents, top, err := templates(c, values, &q.Options, parent)
	if err != nil {
		return nil, err
	}
	for _, d := range documents {
		if err := s.Documents(d.Template, []byte(d.Text)); err != nil {
			return nil, err
		}
	}
	if err := listed(s, c, top); err != nil {
		return nil, err
	}
	if err := s.Values(every); err != nil {
		return nil, err
	}
	p := &child.Reply{Images: s.Found()}
	if global, ok := every["global"].(map[string]any); ok {
		_, p.Registry = global["imageRegistry"]
	}
	if q.Documents {
		p.Documents = documents
	}
	return p, nil
}

// merged returns the values of the person: files, then --set, then --set-string,
// as helm's pkg/cli/values has it.
func merged(o *child.Options) (map[string]any, error) {
	values := map[string]any{}
	for i, content := range o.Values {
		more, err := loader.LoadValues(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("value file %d: %w", i+1, err)
		}
		values = loader.MergeMaps(values, more)
	}
	for _, argument := range o.Set {
		if err := strvals.ParseInto(argument, values); err != nil {
			return nil, fmt.Errorf("set %s: %w", argument, err)
		}
	}
	for _, argument := range o.SetString {
		if err := strvals.ParseIntoString(argument, values); err != nil {
			return nil, fmt.Errorf("set-string %s: %w", argument, err)
		}
	}
	return values, nil
}

// coalesced returns the values of the chart and all its subcharts. Both are copied.
func coalesced(c *chart.Chart, values map[string]any) (map[string]any, error) {
	return commonutil.CoalesceValues(c, loader.MergeMaps(map[string]any{}, values))
}

// templates renders the chart: the documents by the names of their templates,
// and the values that they were rendered with.
func templates(c *chart.Chart, values map[string]any, o *child.Options, parent io.Writer) ([]child.Document, map[string]any, error) {
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		return nil, nil, fmt.Errorf("dependencies: %w", err)
	}
	caps, err := capabilities(c, o)
	if err != nil {
		return nil, nil, err
	}
	release := common.ReleaseOptions{Name: o.Release, Namespace: o.Namespace, Revision: 1, IsInstall: true}
	top, err := commonutil.ToRenderValuesWithSchemaValidation(c, values, release, caps, true)
	if err != nil {
		return nil, nil, err
	}
	all, err := top.Table("Values")
	if err != nil {
		return nil, nil, err
	}
	if !o.IgnoreSchema {
		if err := checkSchemas(c, all); err != nil {
			return nil, nil, err
		}
	}
	files, err := traced(c, parent).RenderWithContext(context.Background(), c, top)
	if err != nil {
		return nil, nil, err
	}
	var documents []child.Document
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, notes) || strings.HasPrefix(path.Base(name), "_") || strings.TrimSpace(files[name]) == "" {
			continue
		}
		documents = append(documents, child.Document{Template: name, Text: files[name]})
	}
	return documents, all, nil
}

// capabilities returns what the chart learns about the cluster.
func capabilities(c *chart.Chart, o *child.Options) (*common.Capabilities, error) {
	caps := common.DefaultCapabilities.Copy()
	if o.KubeVersion != "" {
		v, err := common.ParseKubeVersion(o.KubeVersion)
		if err != nil {
			return nil, fmt.Errorf("kube-version %s: %w", o.KubeVersion, err)
		}
		caps.KubeVersion = *v
	}
	caps.APIVersions = append(slices.Clip(caps.APIVersions), o.APIVersions...)
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return nil, fmt.Errorf("the chart wants Kubernetes %s, and kube-version is %s", want, caps.KubeVersion.Version)
	}
	return caps, nil
}

// listed reads the lists of images that the chart and its subcharts bring.
func listed(s *images.Scanner, c *chart.Chart, values map[string]any) error {
	on := func(condition string) (met, known bool) {
		v, err := common.Values(values).PathValue(condition)
		met, known = v.(bool)
		return met, known && err == nil
	}
	errs := []error{s.Annotations(c.Name(), c.Metadata.Annotations, on)}
	for _, f := range c.Raw {
		if images.IsList(f.Name) && !strings.HasPrefix(f.Name, "charts/") && !strings.HasPrefix(f.Name, "templates/") {
			errs = append(errs, s.File(c.Name()+"/"+f.Name, f.Data))
		}
	}
	for _, sub := range c.Dependencies() {
		below, _ := common.Values(values).Table(sub.Name())
		errs = append(errs, listed(s, sub, below))
	}
	return errors.Join(errs...)
}
