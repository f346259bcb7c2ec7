package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// maxConfig is the largest config that a plan reads. For an image with a larger one the
// contents list states no platform; the config is carried like every blob.
const maxConfig = 1 << 20 // bytes

// readPlatforms reads what an image that no index leads to was built for: its config
// states it and nothing else does (image specification, "Image Configuration"). The
// configs are kept, so that they are not fetched again. An image whose platform the base
// has recorded is not asked for it.
func readPlatforms(ctx context.Context, g *gatherer, roots []root) error {
	type image struct {
		of     *node
		config child
		want   want
	}
	var images []image
	seen := map[bundle.Digest]bool{}
	for _, r := range roots {
		n := g.found.nodes[r.digest]
		if seen[r.digest] || !n.isImage() || len(n.platforms) > 0 || isAttachedTag(r.want.tag) {
			continue
		}
		seen[r.digest] = true
		if config := n.children[0]; config.size <= maxConfig {
			images = append(images, image{of: n, config: config, want: r.want})
		}
	}
	err := sources.Each(ctx, len(images), func(ctx context.Context, i int) error {
		content, err := readConfig(ctx, g, images[i].config)
		if err != nil {
			return images[i].want.at(err)
		}
		if name := configPlatform(content); name != "" {
			images[i].of.platforms = []string{name}
		}
		return nil
	})
	g.noteOthers(roots)
	return err
}

// noteOthers reports images that no index leads to and that are for another platform than
// the chosen ones. They are carried: there is no other image of that name.
func (g *gatherer) noteOthers(roots []root) {
	for _, r := range roots {
		n := g.found.nodes[r.digest]
		if !n.isImage() || len(n.platforms) != 1 || isAttachedTag(r.want.tag) {
			continue
		}
		var q platform
		if q.UnmarshalText([]byte(n.platforms[0])) == nil && !g.of.platforms.takes(&v1.Platform{OS: q.os, Architecture: q.arch, Variant: q.variant}) {
			g.found.notes = append(g.found.notes, fmt.Sprintf("%s: is for %s alone, and platforms has %s: it is carried all the same", r.want.ref, q, g.of.platforms))
		}
	}
}

// isImage reports whether a manifest has the config of an image as its first child.
func (n *node) isImage() bool {
	return n != nil && !n.index && !n.artifact && n.file.MediaType != mediaTypeArtifact && len(n.children) > 0
}

// readConfig reads a config from where the image is, and keeps it.
func readConfig(ctx context.Context, g *gatherer, c child) (_ []byte, err error) {
	blob, err := g.of.blobOf(ctx, c, 0, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, blob.Body.Close()) }()
	content, err := bundle.ReadAllBounded(blob.Body, c.digest.String(), maxConfig)
	if err != nil {
		return nil, fmt.Errorf("%s: config: %w: %w", g.of.image, err, fetch.ErrUpstream)
	}
	if have := bundle.DigestOf(content); have != c.digest || int64(len(content)) != c.size {
		return nil, fmt.Errorf("%s: config: want %s of %s, got %s of %s: %w", g.of.image, c.digest, bundle.Count(c.size, "byte"), have, bundle.Count(len(content), "byte"), fetch.ErrUpstream)
	}
	return content, g.r.keep(c.digest, content)
}

// configPlatform returns the platform that a config states, "" where it states none that
// can be read.
func configPlatform(content []byte) string {
	var config struct{ v1.Platform }
	if json.Unmarshal(content, &config) != nil || config.OS == "" || config.Architecture == "" {
		return ""
	}
	return platformName(&config.Platform)
}
