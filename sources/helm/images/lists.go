package images

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Annotations of a chart that list its images.
var listAnnotations = []string{"artifacthub.io/images", "helm.sh/images"}

// On reports whether the condition of an entry of a list is met. The condition is a path into
// the values, as that of a dependency; known is false if the values do not have it.
type On func(condition string) (met, known bool)

// Annotations applies the part of rule 5 about the annotations of Chart.yaml:
// Artifact Hub's (docs "Helm annotations") and "helm.sh/images" are YAML lists
// of maps with image and, in the second, condition.
func (s *Scanner) Annotations(chart string, annotations map[string]string, on On) error {
	for _, key := range listAnnotations {
		if annotations[key] == "" {
			continue
		}
		var list yaml.Node
		if err := yaml.Unmarshal([]byte(annotations[key]), &list); err != nil {
			return fmt.Errorf("annotation %s of chart %s: %w", key, chart, err)
		}
		if len(list.Content) != 1 {
			continue
		}
		s.entries("Chart.yaml of "+chart+" "+key, list.Content[0], on)
	}
	return nil
}

// entries reads those of a list of maps with image and condition, or of references.
func (s *Scanner) entries(where string, list *yaml.Node, on On) {
	list = resolve(list)
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	for _, item := range list.Content {
		if s.values++; s.values > MaxValues {
			return
		}
		fields := fieldsOf(resolve(item))
		image, condition := text(fields["image"]), text(fields["condition"])
		if fields == nil {
			image = text(item)
		}
		maybe := ""
		if met, known := on(condition); condition != "" && known && !met {
			maybe = condition + ": false"
		}
		s.listed(where, image, maybe)
	}
}

func (s *Scanner) listed(where, image, maybe string) {
	full, whole, ok := normalize(image)
	if !ok {
		return
	}
	if !whole && maybe == "" {
		maybe = maybeNoTag
	}
	s.add(Found{Image: full, Rule: RuleList, Where: []string{where}, Maybe: maybe})
}

// listFiles are files of a package that list its images, in lower case: text
// with one reference on a line, or Bitnami's Images.lock.
var listFiles = []string{"images.txt", "image-list.txt", "images-list.txt", "imagelist.txt", "images.lock"}

// IsList reports whether a file of a package lists images.
func IsList(name string) bool { return slices.Contains(listFiles, strings.ToLower(path.Base(name))) }

// File applies the part of rule 5 about lists in the package.
func (s *Scanner) File(name string, content []byte) error {
	if strings.ToLower(path.Base(name)) == "images.lock" {
		var lock struct {
			Images yaml.Node `yaml:"images"`
		}
		if err := yaml.Unmarshal(content, &lock); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.entries(name, &lock.Images, func(string) (bool, bool) { return false, false })
		return nil
	}
	for line := range strings.Lines(string(content)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			s.listed(name, line, "")
		}
	}
	return nil
}
