package render

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/template"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"

	"github.com/gapbundle/gapbundle/sources/helm/child"
)

// Functions that are added to each template that is rendered by itself: at its beginning
// and at its end. They print nothing, so the documents are those that helm makes.
const (
	enterName = "gapbundleEnter"
	leaveName = "gapbundleLeave"
)

// traced returns helm's engine, and marks the templates of a chart so that the parent
// learns which of them is rendered. A template that includes another is still the one that
// is reported: the limits are about what helm renders as a document.
func traced(c *chart.Chart, parent io.Writer) engine.Engine {
	mark(c)
	depth := 0
	return engine.Engine{CustomTemplateFuncs: template.FuncMap{
		enterName: func(name string) (string, error) {
			depth++
			if depth > 1 {
				return "", nil
			}
			return "", child.Rendering(parent, name)
		},
		leaveName: func() (string, error) {
			depth--
			if depth > 0 {
				return "", nil
			}
			return "", child.Rendering(parent, "")
		},
	}}
}

// mark replaces the templates of a chart and its subcharts. The marks are on the first and
// the last line, so that the lines in helm's errors stay right.
func mark(c *chart.Chart) {
	c.Templates = slices.Clone(c.Templates) // subcharts with two aliases share them
	for i, t := range c.Templates {
		if strings.HasPrefix(path.Base(t.Name), "_") {
			continue // helm does not render it
		}
		name := path.Join(c.ChartFullPath(), t.Name)
		text := fmt.Sprintf("{{%s %q}}%s{{%s}}", enterName, name, t.Data, leaveName)
		c.Templates[i] = &common.File{Name: t.Name, ModTime: t.ModTime, Data: []byte(text)}
	}
	for _, sub := range c.Dependencies() {
		mark(sub)
	}
}
