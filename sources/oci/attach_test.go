package oci

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// TestManyReferrers: a registry that makes up more and more of what refers to an image is
// refused before any of it is fetched.
func TestManyReferrers(t *testing.T) {
	g := &gatherer{of: &request{image: image{host: "registry.example", name: "app"}, owner: &entry{}}, found: &graph{}, attached: maxAttached - 1}
	_, err := g.addAttachments(t.Context(), bundle.DigestOf([]byte("x")), attachments{referrers: make([]v1.Descriptor, 2)})
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "registry.example/app: more than 10000 referrers") {
		t.Errorf("got %v", err)
	}
}
