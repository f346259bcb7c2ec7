package oci

import (
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// readReferrers reads an answer to a question for referrers back, as a registry's is read.
func readReferrers(meant []v1.Descriptor) rebuild.Read {
	return rebuild.Whole(func(content []byte) error {
		var got v1.Index
		if err := json.Unmarshal(content, &got); err != nil {
			return err
		}
		same := func(a, b v1.Descriptor) bool {
			return a.Digest == b.Digest && a.Size == b.Size && a.MediaType == b.MediaType && a.ArtifactType == b.ArtifactType
		}
		if got.MediaType != v1.MediaTypeImageIndex || !slices.EqualFunc(got.Manifests, meant, same) {
			return fmt.Errorf("manifests: want %d, got %d of %q, or other ones", len(meant), len(got.Manifests), got.MediaType)
		}
		return nil
	})
}
