package render

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	chart "helm.sh/helm/v4/pkg/chart/v2"
)

// schemaName is what a chart's schema is called while it is compiled: a name
// that no loader answers to.
const schemaName = "chart:///values.schema.json"

// nowhere is the loader of references that leave a schema.
type nowhere struct{}

// Load refuses.
func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("a reference to %s is not followed; schema: ignore leaves the schema out of account", url)
}

// checkSchemas checks the values of a chart and its subcharts by their
// schemas, as helm's ValidateAgainstSchema does, without its loaders.
func checkSchemas(c *chart.Chart, values map[string]any) error {
	var errs []error
	if c.Schema != nil {
		if err := checkSchema(c.Schema, values); err != nil {
			errs = append(errs, fmt.Errorf("values.schema.json of chart %s: %w", c.Name(), err))
		}
	}
	for _, sub := range c.Dependencies() {
		below, ok := values[sub.Name()]
		if !ok || below == nil {
			continue
		}
		if table, ok := below.(map[string]any); ok {
			errs = append(errs, checkSchemas(sub, table))
		} else {
			errs = append(errs, fmt.Errorf("values of subchart %s: want a mapping, got %T", sub.Name(), below))
		}
	}
	return errors.Join(errs...)
}

func checkSchema(content []byte, values map[string]any) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nowhere{})
	if err := compiler.AddResource(schemaName, document); err != nil {
		return err
	}
	schema, err := compiler.Compile(schemaName)
	if err != nil {
		return err
	}
	if err := schema.Validate(values); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), schemaName, "values.schema.json"))
	}
	return nil
}
