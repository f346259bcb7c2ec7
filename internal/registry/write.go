package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/spelling"
)

// HasBlob asks the registry itself, not its mirrors, whether it has a blob.
func (r *Repository) HasBlob(ctx context.Context, d digest.Digest) (bool, error) {
	return r.has(ctx, "/blobs/"+d.String())
}

// HasManifest asks the registry itself whether it has a manifest of that digest.
func (r *Repository) HasManifest(ctx context.Context, d digest.Digest) (bool, error) {
	return r.has(ctx, "/manifests/"+d.String())
}

func (r *Repository) has(ctx context.Context, path string) (bool, error) {
	url := r.own().base + path
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return false, fmt.Errorf("%s: not a usable URL: %w", fetch.Redact(url), fetch.ErrConfig)
	}
	req.Header.Set("Accept", accepted)
	resp, err := r.c.fetch.Exchange(req, maxAnswer)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode == http.StatusOK:
		return true, nil
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	}
	return false, answerError(resp)
}

// PushBlob sends a blob, as often as it takes, by opening it again each time.
// Its bytes are compared with the digest while they are sent; where they
// differ the upload is broken off before its end and the error matches the one
// that open's reader returned, or is a *MismatchError. from is the name of
// another repository of the same registry, without host, that may have the
// blob: then it is mounted if the registry can, and sent reports it.
func (r *Repository) PushBlob(ctx context.Context, d ocispec.Descriptor, from string, open func() (io.ReadCloser, error)) (sent bool, err error) {
	p, again := r.own(), false
	err = r.c.fetch.Attempts(ctx, func() error {
		// An error of our own bytes: no other attempt cures it. They are
		// read by the transport, maybe still while its answer is looked at.
		var local atomic.Pointer[error]
		get := func() (io.ReadCloser, error) {
			sent = true
			f, err := open()
			if err != nil {
				local.Store(&err)
				return nil, err
			}
			return &checkedBody{ReadCloser: f, d: d, hash: sha256.New(), wrong: &local}, nil
		}
		sent = false
		err := p.upload(ctx, d, from, get)
		if unauthorized(err) && sent && !again {
			// The token ended between the begin and the upload: now there is a new one.
			again = true
			sent = false
			err = p.upload(ctx, d, from, get)
		}
		if wrong := local.Load(); wrong != nil {
			return *wrong
		}
		return p.fault(ctx, err)
	})
	return sent, err
}

func (p place) upload(ctx context.Context, d ocispec.Descriptor, from string, get func() (io.ReadCloser, error)) error {
	if from != "" {
		return p.repo.Blobs().(mounter).Mount(ctx, d, from, get)
	}
	body, err := get()
	if err != nil {
		return err
	}
	defer body.Close()
	return p.repo.Blobs().Push(ctx, d, body)
}

type mounter interface {
	Mount(ctx context.Context, d ocispec.Descriptor, from string, get func() (io.ReadCloser, error)) error
}

// PushManifest puts a manifest under its digest and, where reference is a tag,
// under that: reference "" is the digest alone. A manifest with a subject is
// added to the tag of referrers where the registry has no API for them.
func (r *Repository) PushManifest(ctx context.Context, d ocispec.Descriptor, content []byte, reference string) error {
	if have := digest.FromBytes(content); have != d.Digest {
		return &MismatchError{What: "manifest", Want: d.Digest, Have: have}
	}
	p := r.own()
	if reference == "" {
		return p.fault(ctx, p.repo.Manifests().Push(ctx, d, bytes.NewReader(content)))
	}
	return p.fault(ctx, p.repo.Manifests().PushReference(ctx, d, bytes.NewReader(content), reference))
}

// MismatchError means that what was to be sent is not what it is called. It is
// about our own bytes, and matches no class of fetch.
type MismatchError struct {
	What       string
	Want, Have digest.Digest
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s: digest mismatch: want %s, got %s", e.What, e.Want, e.Have)
}

// checkedBody is a blob on its way out. Its last byte is only handed on when
// all of it has the digest, so that a wrong blob is never a complete request.
type checkedBody struct {
	io.ReadCloser
	d    ocispec.Descriptor
	hash hash.Hash
	n    int64
	// wrong is what was wrong with the bytes.
	wrong *atomic.Pointer[error]
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	b.n += int64(n)
	if b.n >= b.d.Size || err == io.EOF {
		have := digest.NewDigest(digest.SHA256, b.hash)
		if b.n != b.d.Size {
			return 0, b.fail(&MismatchError{What: fmt.Sprintf("blob of %s, want %d", spelling.Count(b.n, "byte"), b.d.Size), Want: b.d.Digest, Have: have})
		}
		if have != b.d.Digest {
			return 0, b.fail(&MismatchError{What: "blob", Want: b.d.Digest, Have: have})
		}
	}
	if err != nil && err != io.EOF {
		return n, b.fail(err)
	}
	return n, err
}

func (b *checkedBody) fail(err error) error {
	b.wrong.Store(&err)
	return err
}

func unauthorized(err error) bool {
	var status *fetch.StatusError
	return errors.As(err, &status) && status.Status == http.StatusUnauthorized
}
