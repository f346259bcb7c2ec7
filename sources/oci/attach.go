package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// maxAttachment bounds how far attachments of attachments are followed: an
// SBOM has a signature, and hardly anything is attached to that.
const maxAttachment = 3

// maxAttached bounds the referrers of one image, of all its manifests and of what refers to
// them: each manifest's list has a bound of its own, and a registry can make up manifests.
const maxAttached = 10_000

// attachments are what is found attached to one manifest.
type attachments struct {
	tags      map[string]v1.Descriptor
	referrers []v1.Descriptor
}

// attach finds what is attached to the manifests that are carried: to what is
// asked for, and to each image of an index. Attestations that lie in an index
// themselves have nothing attached.
func (g *gatherer) attach(ctx context.Context, roots []root) error {
	var subjects []bundle.Digest
	seen := map[bundle.Digest]bool{}
	add := func(d bundle.Digest) {
		if !seen[d] {
			seen[d] = true
			subjects = append(subjects, d)
		}
	}
	for _, r := range roots {
		add(r.digest)
	}
	for depth := subjects; len(depth) > 0; { // what is added is looked at in turn
		var next []bundle.Digest
		for _, d := range depth {
			before := len(subjects)
			for _, c := range g.found.nodes[d].children {
				if c.manifest && !c.aside {
					add(c.digest)
				}
			}
			next = append(next, subjects[before:]...)
		}
		depth = next
	}
	for depth := 0; len(subjects) > 0; depth++ {
		if depth == maxAttachment {
			g.found.notes = append(g.found.notes, fmt.Sprintf("%s: what is attached to attachments is followed %d deep and no further", g.of.image, maxAttachment))
			return nil
		}
		found := make([]attachments, len(subjects))
		err := sources.Each(ctx, len(subjects), func(ctx context.Context, i int) (err error) {
			if found[i], err = g.attachedTo(ctx, subjects[i]); err != nil {
				err = fmt.Errorf("%s: what is attached to it (signatures: none carries it without): %w", g.of.image, err)
			}
			return err
		})
		if err != nil {
			return err
		}
		var next []bundle.Digest
		for i, d := range subjects {
			more, err := g.addAttachments(ctx, d, found[i])
			if err != nil {
				return err
			}
			for _, m := range more {
				if !seen[m] {
					seen[m] = true
					next = append(next, m)
				}
			}
		}
		subjects = next
	}
	return nil
}

// attachedTo asks for the tags by which cosign attaches, and for referrers.
func (g *gatherer) attachedTo(ctx context.Context, d bundle.Digest) (attachments, error) {
	if len(g.of.stores) > 0 {
		return g.of.attachedInStores(d), nil
	}
	found := attachments{tags: map[string]v1.Descriptor{}}
	for _, suffix := range []string{suffixSignature, suffixAttestation, suffixSBOM} {
		name := attachedTag(d, suffix)
		at, err := g.of.repo.Resolve(ctx, name)
		switch {
		case err == nil:
			found.tags[name] = at
		case !isAbsent(err):
			return found, err
		}
	}
	var err error
	found.referrers, err = g.of.repo.Referrers(ctx, digest.NewDigestFromEncoded(digest.SHA256, d.Hex()), "")
	return found, err
}

// isAbsent reports whether a registry does not have a tag next to a manifest that was
// read, by the one rule of upstream.IsAbsent.
func isAbsent(err error) bool {
	var answer *registry.AnswerError
	if errors.As(err, &answer) {
		err = &fetch.StatusError{URL: answer.URL, Status: answer.Status}
	}
	return upstream.IsAbsent(err)
}

// addAttachments walks what was found attached to d, and returns the referrers:
// things may be attached to them again.
func (g *gatherer) addAttachments(ctx context.Context, d bundle.Digest, found attachments) ([]bundle.Digest, error) {
	why := want{ref: ref{image: g.of.image}, entry: g.of.owner, pos: g.of.owner.pos, why: "attached to " + d.String()}
	for name, at := range found.tags {
		if err := checkDescriptor(&at); err != nil {
			return nil, upstream.Blame(g.of.address(name), err)
		}
		target := digestOf(at)
		g.steps = 0
		if err := g.walk(ctx, target, child{digest: target, size: at.Size, mediaType: at.MediaType, manifest: true}, 0); err != nil {
			return nil, err
		}
		g.found.tags[name] = &tag{name: name, upstream: target, target: target, want: why}
	}
	var next []bundle.Digest
	var kept []v1.Descriptor
	if g.attached += len(found.referrers); g.attached > maxAttached {
		return nil, fmt.Errorf("%s: more than %d referrers, those of referrers included: %w", g.of.image, maxAttached, fetch.ErrUpstream)
	}
	for _, r := range found.referrers {
		if err := checkDescriptor(&r); err != nil {
			return nil, upstream.Blame(g.of.image.String()+": referrers of "+d.String(), err)
		}
		target := digestOf(r)
		g.steps = 0
		if err := g.walk(ctx, target, child{digest: target, size: r.Size, mediaType: r.MediaType, manifest: true}, 0); err != nil {
			return nil, err
		}
		next = append(next, target)
		kept = append(kept, v1.Descriptor{
			MediaType: r.MediaType, Digest: r.Digest, Size: r.Size, ArtifactType: r.ArtifactType, Annotations: r.Annotations,
		})
	}
	slices.SortFunc(kept, func(a, b v1.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	kept = slices.CompactFunc(kept, func(a, b v1.Descriptor) bool { return a.Digest == b.Digest })
	if len(kept) > 0 {
		g.found.referrers[d] = kept
	}
	return next, nil
}
