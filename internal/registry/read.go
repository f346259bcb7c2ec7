package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

// Media types of Docker's own manifests ("Image Manifest Version 2, Schema 2").
const (
	DockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// accepted is what a manifest may be.
var accepted = strings.Join([]string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, DockerManifestList, DockerManifest,
	"application/vnd.oci.artifact.manifest.v1+json"}, ", ")

// Manifest is a manifest or an index, byte for byte as the registry has it.
type Manifest struct {
	// Descriptor has media type, digest and size: the digest of Content, which
	// is the one that was requested if one was.
	Descriptor ocispec.Descriptor
	Content    []byte
	URL        string // where it came from in the end, without secrets
}

// Manifest reads the manifest of a tag or digest, MaxManifest bytes at most.
// Where there is none the error matches as NotFound states; a digest that is
// another one than asked for matches fetch.ErrUpstream.
func (r *Repository) Manifest(ctx context.Context, reference string) (*Manifest, error) {
	var m *Manifest
	err := r.each(func(p place) error {
		var err error
		m, err = r.manifest(ctx, p, http.MethodGet, reference)
		return err
	})
	return m, err
}

// Resolve asks for media type, digest and size of the manifest of a tag or
// digest, without its content where the registry knows it. It is the
// registry's word. Until HEAD has succeeded once at a registry or proxy, what GET is
// answered decides after any other answer to HEAD, as docker does.
func (r *Repository) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	var d ocispec.Descriptor
	err := r.each(func(p place) error {
		m, err := r.resolve(ctx, p, reference)
		if err == nil {
			d = m.Descriptor
		}
		return err
	})
	return d, err
}

func (r *Repository) resolve(ctx context.Context, p place, reference string) (*Manifest, error) {
	if p.seen.noHead.Load() {
		return r.manifest(ctx, p, http.MethodGet, reference)
	}
	m, err := r.manifest(ctx, p, http.MethodHead, reference)
	if err == nil {
		p.seen.head.Store(true)
		return m, nil
	}
	if status := statusOf(err); status == 0 || status == http.StatusTooManyRequests || p.seen.head.Load() {
		return nil, err
	}
	if m, err = r.manifest(ctx, p, http.MethodGet, reference); err == nil {
		p.seen.noHead.Store(true)
	}
	return m, err
}

// statusOf returns the status of an answer that refuses, 0 for any other error.
func statusOf(err error) int {
	var answer *AnswerError
	var status *fetch.StatusError
	switch {
	case errors.As(err, &answer):
		return answer.Status
	case errors.As(err, &status):
		return status.Status
	}
	return 0
}

func (r *Repository) manifest(ctx context.Context, p place, method, reference string) (*Manifest, error) {
	if err := checkReference(reference); err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	url := p.base + "/manifests/" + reference
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: not a usable URL: %w", fetch.Redact(url), fetch.ErrConfig)
	}
	req.Header.Set("Accept", accepted)
	resp, err := r.c.fetch.Exchange(req, MaxManifest)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answerError(resp)
	}
	m := &Manifest{URL: fetch.Redact(resp.Request.URL.String())}
	m.Descriptor.MediaType, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
	if method == http.MethodHead {
		told, err := digest.Parse(resp.Header.Get("Docker-Content-Digest"))
		if err != nil || resp.ContentLength < 0 || m.Descriptor.MediaType == "" {
			return r.manifest(ctx, p, http.MethodGet, reference)
		}
		m.Descriptor.Digest, m.Descriptor.Size = told, resp.ContentLength
	} else {
		if m.Content, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
		m.Descriptor.Digest, m.Descriptor.Size = digest.FromBytes(m.Content), int64(len(m.Content))
	}
	return m, m.check(reference)
}

// check compares a manifest with the digest that was requested.
func (m *Manifest) check(reference string) error {
	if !strings.Contains(reference, ":") {
		return nil // a tag
	}
	want, have := digest.Digest(reference), m.Descriptor.Digest
	if m.Content != nil && want.Algorithm() != have.Algorithm() {
		have = want.Algorithm().FromBytes(m.Content)
		m.Descriptor.Digest = have
	}
	if want != have {
		return fmt.Errorf("%s: digest mismatch: want %s, got %s: %w", m.URL, want, have, fetch.ErrUpstream)
	}
	return nil
}

// checkReference wants a tag or a digest (distribution specification, "Pulling
// manifests").
func checkReference(s string) error {
	if _, err := digest.Parse(s); err == nil {
		return nil
	}
	for i, c := range []byte(s) {
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !word && (i == 0 || c != '.' && c != '-') {
			s = ""
			break
		}
	}
	if s == "" || len(s) > 128 {
		return fmt.Errorf("not a tag or a digest: %w", fetch.ErrConfig)
	}
	return nil
}

// Blob opens a blob at byte at, see fetch.Client.Open; Body.At states where it
// begins. size is -1 if it is not known. Whoever reads the bytes compares the digest.
func (r *Repository) Blob(ctx context.Context, d digest.Digest, size, at int64, validator string) (*fetch.Body, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("%s: digest %.100q: not usable: %w", r.name, d, fetch.ErrConfig)
	}
	want := &fetch.Wanted{Size: size, Hash: d.Algorithm().Hash}
	if sum, err := hex.DecodeString(d.Encoded()); err == nil {
		want.Sum = sum
	}
	var body *fetch.Body
	err := r.each(func(p place) error {
		var err error
		body, err = r.c.fetch.OpenWanted(ctx, p.base+"/blobs/"+d.String(), nil, at, validator, want)
		return err
	})
	return body, err
}

// Tags reads the tags, MaxTags at most, in the registry's order.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	var tags []string
	err := r.each(func(p place) error {
		tags = nil
		return p.fault(ctx, p.repo.Tags(ctx, "", func(page []string) error {
			if len(tags)+len(page) > MaxTags {
				return fmt.Errorf("%s/tags/list: more than %d tags: %w", p.base, MaxTags, fetch.ErrUpstream)
			}
			for _, tag := range page {
				if err := checkReference(tag); err != nil {
					return fmt.Errorf("%s/tags/list: tag %.140q: not a tag: %w", p.base, tag, fetch.ErrUpstream)
				}
			}
			tags = append(tags, page...)
			return nil
		}))
	})
	return tags, err
}

// Referrers reads what refers to a manifest, MaxReferrers at most, by the API
// or, where the registry has none, from the tag sha256-<hex> (distribution
// specification, "Listing Referrers"). artifactType "" is all. That there are
// none is believed of the registry itself alone: caches know what they were
// asked for, and many of them nothing of referrers.
//
// The API is optional, and registries that lack it answer in many ways: 400, 403, 405,
// 406 and 501 count as 404 does, for a manifest that was read. NoReferrers reports it.
func (r *Repository) Referrers(ctx context.Context, d digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	var all []ocispec.Descriptor
	err := r.each(func(p place) error {
		var err error
		all, err = p.referrers(ctx, d, artifactType)
		status := statusOf(err)
		if slices.Contains(noReferrersAPI, status) && p.repo.SetReferrersCapability(false) == nil {
			p.seen.noReferrers.CompareAndSwap(0, int32(status))
			all, err = p.referrers(ctx, d, artifactType)
		}
		switch none := err == nil && len(all) == 0 || NotFound(err); {
		case none && p == r.own():
			return nil
		case none:
			return &AnswerError{URL: p.base + "/referrers/" + d.String(), Status: http.StatusNotFound}
		}
		return err
	})
	return all, err
}

// noReferrersAPI are the answers of registries that have no API for referrers, besides
// 404, which oras knows.
var noReferrersAPI = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}

// NoReferrers returns the status by which the registry itself refused the question for
// referrers, 0 if it did not.
func (r *Repository) NoReferrers() int { return int(r.own().seen.noReferrers.Load()) }

// referrers asks one place.
func (p place) referrers(ctx context.Context, d digest.Digest, artifactType string) (all []ocispec.Descriptor, err error) {
	err = p.repo.Referrers(ctx, ocispec.Descriptor{Digest: d}, artifactType, func(page []ocispec.Descriptor) error {
		if len(all)+len(page) > MaxReferrers {
			return fmt.Errorf("%s/referrers/%s: more than %d: %w", p.base, d, MaxReferrers, fetch.ErrUpstream)
		}
		all = append(all, page...)
		return nil
	})
	return all, p.fault(ctx, err)
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
