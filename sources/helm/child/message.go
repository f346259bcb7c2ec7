package child

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gapbundle/gapbundle/sources/helm/images"
)

const (
	// MaxRequest bounds a request: a package and values.
	MaxRequest = 256 << 20 // bytes
	// MaxReply bounds an answer: rendered documents.
	MaxReply = 64 << 20 // bytes
)

// Request is a chart to render.
type Request struct {
	// Chart is the package, a .tgz.
	Chart []byte `json:"chart"`
	Options
	// Documents asks for the rendered documents besides the images.
	Documents bool `json:"documents,omitempty"`
}

// Options are what the images of a chart depend on, besides the chart.
type Options struct {
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	// KubeVersion is .Capabilities.KubeVersion; "": helm's own default.
	KubeVersion string `json:"kubeVersion,omitempty"`
	// APIVersions are added to helm's own list.
	APIVersions []string `json:"apiVersions,omitempty"`
	// Values are the contents of value files, in the order of -f.
	Values [][]byte `json:"values,omitempty"`
	// Set and SetString are arguments as of --set and --set-string.
	Set       []string `json:"set,omitempty"`
	SetString []string `json:"setString,omitempty"`
	// IgnoreSchema leaves values.schema.json out of account.
	IgnoreSchema bool `json:"ignoreSchema,omitempty"`
	// Tests takes in the images of hooks of type test.
	Tests bool `json:"tests,omitempty"`
}

// Reply is what a chart renders to.
type Reply struct {
	// Error is why it does not; the chart's or the values' fault.
	Error string `json:"error,omitempty"`
	// Images are those that the chart names.
	Images []images.Found `json:"images,omitempty"`
	// Registry means that the chart takes global.imageRegistry.
	Registry bool `json:"registry,omitempty"`
	// Documents are sorted by the names of their templates, if asked for.
	Documents []Document `json:"documents,omitempty"`
}

// Document is what one template rendered to.
type Document struct {
	Template string `json:"template"`
	Text     string `json:"text"`
}

// progress is a line that the child writes before its answer: what it begins to do.
// A child that is killed reports no more than that.
type progress struct {
	Rendering *string `json:"rendering"` // a template; "": something else
}

// Rendering reports to the parent which template is rendered from here on; "": none of them is.
func Rendering(w io.Writer, template string) error {
	return json.NewEncoder(w).Encode(progress{&template})
}

// split separates the lines of an output into the last one, which is the answer of a child
// that came to its end, and the template that was last reported before it.
func split(output []byte) (template string, last []byte) {
	for line := range bytes.Lines(output) {
		var p progress
		if bytes.HasPrefix(line, []byte(`{"rendering":`)) && json.Unmarshal(line, &p) == nil && p.Rendering != nil {
			template = *p.Rendering
			continue
		}
		last = line
	}
	return template, last
}

// ReadRequest returns the child's side of the input.
func ReadRequest(r io.Reader) (*Request, error) {
	var q Request
	if err := json.NewDecoder(io.LimitReader(bufio.NewReader(r), MaxRequest)).Decode(&q); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return &q, nil
}

// Write writes the child's side of the output.
func (p *Reply) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return err
	}
	return b.Flush()
}
