package oci

import (
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// said is what a manifest states about itself for people. It is kept with the names that the
// base recorded, so that a manifest that has not changed is not read for it.
type said struct {
	// platforms are those of the images of an index that are carried, or that of the
	// one image: readPlatforms.
	platforms      []string
	title, licence string
	artifact       bool // no image: a chart, a policy and the like
}

// said reads what a manifest states. A config whose media type is none of an image is
// an artifact (image specification, "Guidelines for Artifact Usage").
func (m *manifest) said() said {
	s := said{title: m.annotations[v1.AnnotationTitle], licence: m.annotations[v1.AnnotationLicenses]}
	switch m.artifactType {
	case "", v1.MediaTypeImageConfig, dockerConfig:
	default:
		s.artifact = true
	}
	return s
}

// dockerConfig is the media type of the config of an image in Docker's schema 2.
const dockerConfig = "application/vnd.docker.container.image.v1+json"

// platformsOf returns the platforms of the images of an index, sorted.
func platformsOf(kept []v1.Descriptor) []string {
	var all []string
	for _, d := range kept {
		if leadsToManifest(d) && !isUnknown(d.Platform) && d.Platform != nil {
			all = append(all, platformName(d.Platform))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// recallNames reads what the base recorded of a source by name.
func (r *reading) recallNames(e *entry) error {
	entries, ok := r.env.Entries(e.name)
	if !ok {
		return nil
	}
	for at, err := range entries {
		if err != nil {
			return err
		}
		d := r.base[at.Path].File.Digest
		if hex, ok := r.base[at.Path].File.Annotations[resolvedKey]; ok {
			var err error
			if d, err = bundle.ParseHex(hex); err != nil {
				continue // read again
			}
		}
		for one := range at.Entries.All() {
			s := said{licence: one.Licence, artifact: one.Type == bundle.TypeArtifact}
			if s.title, _, _ = cutNote(one.Summary); one.Arch != "" {
				s.platforms = strings.Split(one.Arch, ",")
			}
			r.named[d] = s
		}
	}
	return nil
}

const noteBegin, noteEnd = " (attached: ", ")"

// withNote puts a note after a title, which is cut where both do not fit.
func withNote(title, note string) string {
	if note == "" {
		return title
	}
	note = noteBegin + note + noteEnd
	return strings.TrimSpace(sources.OneLine(title, bundle.MaxSummary-len(note)) + note)
}

// cutNote reverses withNote.
func cutNote(summary string) (title, note string, ok bool) {
	text, ok := strings.CutSuffix(" "+summary, noteEnd)
	i := strings.LastIndex(text, noteBegin)
	if !ok || i < 0 {
		return summary, "", false
	}
	return strings.TrimSpace(text[:i]), text[i+len(noteBegin):], true
}

// compareVersions orders tags as semantic versions, where both are; other tags are older
// than those: "latest" does not show its age.
func compareVersions(_, a, b string) int {
	x, errA := version(a)
	y, errB := version(b)
	switch {
	case errA != nil && errB != nil:
		return 0
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	}
	return x.Compare(y)
}
