package images

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fields applies rule 4: an image of which a map holds the parts.
func (s *Scanner) fields(d document, at []string, fields map[string]*yaml.Node) {
	repository, registry := text(fields["repository"]), text(fields["registry"])
	if repository == "" || strings.Contains(repository, "://") {
		return // of git, or of charts
	}
	name, image := repository, text(fields["image"])
	tag, digest := text(fields["tag"]), text(fields["digest"])
	version := text(fields["version"])
	switch {
	case image != "":
		name += "/" + image
	case registry == "" && text(fields["name"]) != "" && !hasTagOf(repository):
		name += "/" + text(fields["name"])
	case registry != "" || hasHost(repository):
		version = "" // without image and name it is that of something else
	case !d.values:
		return
	}
	if registry != "" {
		name = registry + "/" + name
	}
	if tag == "" {
		tag = version
	}
	if strings.HasPrefix(tag, "sha256:") {
		tag, digest = "", tag
	}
	s.composed(d, at, fields, name, tag, digest)
}

// hasTagOf reports whether a repository names an image by itself already.
func hasTagOf(repository string) bool {
	_, whole, ok := normalize(repository)
	return ok && whole
}

// composed records the image that parts make.
func (s *Scanner) composed(d document, at []string, fields map[string]*yaml.Node, name, tag, digest string) {
	written, maybe := name, ""
	if tag != "" {
		written += ":" + tag
	}
	if digest != "" {
		written += "@" + digest
	}
	full, whole, ok := normalize(written)
	switch {
	case strings.Contains(written, "{{"):
		full, maybe = written, maybeTemplate
	case !ok:
		return
	case !whole && !d.values:
		return // in rendered documents a repository alone is not yet an image
	case !whole:
		maybe = maybeNoTag
	case text(fields["enabled"]) == "false":
		maybe = maybeOff
	}
	if !d.values && digest == "" && finishedByNode(d, at) {
		s.add(Found{Image: full, Rule: RuleFields, Where: []string{d.place(at)}, Maybe: maybe, NodeOS: true})
		return
	}
	s.report(d, at, RuleFields, full, maybe)
}

// finish is a form of custom resource whose operator makes the tag of an image
// complete on each node.
type finish struct {
	group, kind string
	paths       []string // of the map that has the parts
}

// finishes are the known forms.
//
// NVIDIA GPU Operator: the controllers of ClusterPolicy and NVIDIADriver append
// "-" and the node's system with its version, as in "-ubuntu24.04", to the tag of
// what is compiled for it, unless a digest is given
// (github.com/NVIDIA/gpu-operator, controllers/object_controls.go and
// internal/image, api/nvidia/v1alpha1/nvidiadriver_types.go).
var finishes = []finish{
	{group: "nvidia.com", kind: "ClusterPolicy", paths: []string{"spec.driver", "spec.gds", "spec.gdrcopy", "spec.vgpuManager"}},
	{group: "nvidia.com", kind: "NVIDIADriver", paths: []string{"spec", "spec.gds", "spec.gdrcopy"}},
}

func finishedByNode(d document, at []string) bool {
	path := strings.Join(at, ".")
	return slices.ContainsFunc(finishes, func(f finish) bool {
		return f.group == d.group && f.kind == d.kind && slices.Contains(f.paths, path)
	})
}
