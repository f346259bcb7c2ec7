package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestErrorsWithoutTypes: an error about a document shows no type of this program.
func TestErrorsWithoutTypes(t *testing.T) {
	type document struct {
		Layers []struct {
			Size int64 `json:"size"`
		} `json:"layers"`
		Entries map[string]yaml.Node `yaml:"entries"`
	}
	asJSON := func(text string, into any) error { return json.Unmarshal([]byte(text), into) }
	for _, test := range []struct {
		err  error
		want string
	}{
		{asJSON(`{"layers":"x"}`, new(document)), "JSON: field layers: unexpected string"},
		{asJSON(`{"layers":[{"size":"x"}]}`, new(document)), "JSON: field layers.size: unexpected string"},
		{asJSON(`{"layers":[{"size":1e99}]}`, new(document)), "JSON: field layers.size: unexpected number 1e99"},
		{asJSON(`[1]`, new(document)), "JSON: unexpected array"},
		{asJSON(`"s"`, new(struct {
			A []struct{ B int } `json:"a"`
		})), "JSON: unexpected string"},
		{asJSON(`{"k":1}`, new([]map[string]*document)), "JSON: unexpected object"},
		{asJSON(`{"k":1}`, new(map[string]string)), "JSON: unexpected number"},
		{yaml.Unmarshal([]byte("<html>}{ x</html>"), new(struct {
			Entries map[string]yaml.Node `yaml:"entries"`
		})), "YAML: line 1: unexpected text `<html>}...`"},
		{yaml.Unmarshal([]byte("entries: [1]"), new(document)), "YAML: line 1: unexpected list"},
		{asJSON(`{`, new(document)), "unexpected end of JSON input"},
	} {
		wrapped := fmt.Errorf("https://up.example/x: %w: %w", test.err, bundle.ErrMalformed)
		want := "https://up.example/x: " + test.want + ": " + bundle.ErrMalformed.Error()
		if got := errorLines(t.Context(), wrapped); len(got) != 1 || got[0] != want {
			t.Errorf("%v:\ngot  %q\nwant %q", test.err, got, want)
		}
	}
	if got := errorLines(t.Context(), errors.New("a: cannot unmarshal\nb")); strings.Join(got, "|") != "a: cannot unmarshal|b" {
		t.Errorf("got %q", got)
	}
}
