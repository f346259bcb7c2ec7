package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/push"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	fake "github.com/gapbundle/gapbundle/internal/test/registrytest"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestPush(t *testing.T) {
	for name, o := range map[string]fake.Options{"strict": {Strict: true}, "without referrers": {Strict: true, NoReferrers: true}} {
		t.Run(name, func(t *testing.T) {
			c := several()
			m, _ := publish(t, map[string]*content{"site": c})
			r := newRig(t, o)
			r.o.Prefix = "mirror/a"
			report, err := push.Run(t.Context(), published(t, m), r.client, r.o)
			if err != nil {
				t.Fatal(err)
			}
			r.same(t, c, alpine, "mirror/a/library/alpine")
			r.same(t, c, tool, "mirror/a/team/tool")
			if report.Mounted != 1+1 && report.Mounted != 1 || len(report.Images) != 2 || !report.Images[0].Complete {
				t.Errorf("report: %+v", report)
			}
			if report.Bytes < 200_000 || report.Bytes > 210_000 {
				t.Errorf("%d bytes: the shared layer was sent more than once", report.Bytes)
			}
			r.ResetCounts()
			again, err := push.Run(t.Context(), published(t, m), r.client, r.o)
			if err != nil {
				t.Fatal(err)
			}
			if n := r.writes(t, "mirror/a/library/alpine", "mirror/a/team/tool"); n > 0 || again.Manifests+again.Tags+again.Blobs+again.Mounted > 0 {
				t.Errorf("second push: %d writes, %+v", n, again)
			}
		})
	}
}

func TestNamesAndFilters(t *testing.T) {
	c := several()
	m, _ := publish(t, map[string]*content{"site": c})
	for name, tt := range map[string]struct {
		o    push.Options
		want []string
	}{
		"default":           {want: []string{"library/alpine", "team/tool"}},
		"scoped":            {o: push.Options{Scoped: true, Prefix: "p"}, want: []string{"p/docker.io/library/alpine", "p/registry.lan_5000/team/tool"}},
		"by last part":      {o: push.Options{Images: []string{"alp*"}}, want: []string{"library/alpine"}},
		"by name":           {o: push.Options{Images: []string{"team/*"}}, want: []string{"team/tool"}},
		"by name with host": {o: push.Options{Images: []string{"docker.io/*/*"}}, want: []string{"library/alpine"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, fake.Options{Strict: true})
			tt.o.Registry = r.Host()
			if _, err := push.Run(t.Context(), published(t, m), r.client, tt.o); err != nil {
				t.Fatal(err)
			}
			if got := r.Repositories(); !slices.Equal(got, tt.want) {
				t.Errorf("repositories %v, want %v", got, tt.want)
			}
		})
	}
	r := newRig(t, fake.Options{})
	for _, pattern := range []string{"none", "[", ""} {
		if _, err := push.Run(t.Context(), published(t, m), r.client, push.Options{Registry: r.Host(), Images: []string{pattern}}); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestClash(t *testing.T) {
	c := newContent()
	c.image("docker.io/a/b", "{}", []string{"x"}, "v1")
	c.image("quay.io/a/b", "{}", []string{"y"}, "v1")
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{})
	_, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	var clash *push.ClashError
	if !errors.As(err, &clash) || !errors.Is(err, bundle.ErrUsage) || !slices.Equal(clash.Images, []string{"docker.io/a/b", "quay.io/a/b"}) || r.AllRequests() > 0 {
		t.Errorf("%d requests, error: %v", r.AllRequests(), err)
	}
}

func TestDryRun(t *testing.T) {
	m, _ := publish(t, map[string]*content{"site": several()})
	r := newRig(t, fake.Options{Strict: true})
	r.o.DryRun = true
	report, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	if err != nil || len(r.Repositories()) > 0 || report.Manifests < 5 || report.Bytes < 200_000 || report.Bytes > 210_000 {
		t.Errorf("report %+v, repositories %v, error: %v", report, r.Repositories(), err)
	}
	r.o.DryRun = false
	real, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	if err != nil || real.Blobs != report.Blobs || real.Mounted != report.Mounted || real.Manifests != report.Manifests || real.Tags != report.Tags {
		t.Errorf("%v: dry %+v, real %+v", err, report, real)
	}
}

// TestSparse: an index of which a platform was left out. A registry that takes
// it gets it; one that does not gets everything else, and it is named.
func TestSparse(t *testing.T) {
	c := newContent()
	amd, text := c.image(alpine, "{}", []string{"amd"}, "3.20-amd64")
	sparse := index(amd, descriptor(ocispec.MediaTypeImageManifest, "left out"))
	c.manifest(alpine, ocispec.MediaTypeImageIndex, sparse, "3.20")
	c.image(tool, "{}", []string{"x"}, "v1")
	m, _ := publish(t, map[string]*content{"site": c})
	lax := newRig(t, fake.Options{})
	if _, err := push.Run(t.Context(), published(t, m), lax.client, lax.o); err != nil {
		t.Error(err)
	}
	lax.same(t, c, alpine, "library/alpine")
	r := newRig(t, fake.Options{Strict: true})
	report, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	var refused *push.SparseError
	if !errors.As(err, &refused) || !errors.Is(err, bundle.ErrIncomplete) || refused.Digest != fake.Digest([]byte(sparse)) ||
		!slices.Equal(refused.Tags, []string{"3.20"}) || refused.Missing != 1 || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("error: %v", err)
	}
	if got, _ := r.Manifest("library/alpine", "3.20-amd64"); string(got) != text {
		t.Error("the rest of the image was lost")
	}
	r.same(t, c, tool, "team/tool")
	if report.Images[0].Complete || !report.Images[1].Complete {
		t.Errorf("report: %+v", report)
	}
}

// TestLostInMirror: a blob that is gone or spoilt is named, nothing of it is
// sent whole, and the other images arrive.
func TestLostInMirror(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string){
		"gone": func(t *testing.T, file string) { check(t, os.Remove(file)) },
		"flipped": func(t *testing.T, file string) {
			text, err := os.ReadFile(file)
			check(t, err)
			check(t, os.Chmod(file, 0o600))
			text[0] ^= 1
			check(t, os.WriteFile(file, text, 0o600))
		},
		"cut": func(t *testing.T, file string) { check(t, os.Chmod(file, 0o600)); check(t, os.Truncate(file, 3)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := several()
			m, dir := publish(t, map[string]*content{"site": c})
			lost := fake.Digest([]byte("amd layer"))
			spoil(t, filepath.Join(dir, "current", "v2", alpine, "blobs", lost))
			r := newRig(t, fake.Options{Strict: true})
			report, err := push.Run(t.Context(), published(t, m), r.client, r.o)
			if !errors.Is(err, bundle.ErrCorrupt) || errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), alpine+"@sha256:") || !strings.Contains(err.Error(), lost) {
				t.Errorf("error: %v", err)
			}
			r.same(t, c, tool, "team/tool")
			if r.Blob("library/alpine", lost) != nil || r.Blob("library/alpine", fake.Digest([]byte("arm layer"))) == nil {
				t.Error("the wrong blob arrived, or the right ones did not")
			}
			if got, _ := r.Manifest("library/alpine", "latest"); got != nil || report.Images[0].Complete {
				t.Error("an image that lacks a blob was tagged")
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRegistryFails: what cannot be cured is named; everything else arrives,
// and the same push finishes the work later.
func TestRegistryFails(t *testing.T) {
	c := several()
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{Strict: true})
	full := "/v2/library/alpine/blobs/uploads/"
	r.FailAlways(full, up.Status(http.StatusInsufficientStorage))
	_, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	var answer *registry.AnswerError
	if !errors.As(err, &answer) || answer.Status != 507 || !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), alpine) {
		t.Errorf("error: %v", err)
	}
	r.same(t, c, tool, "team/tool")
	r.Heal()
	r.FailAlways("/v2/library/alpine/manifests/"+fake.Digest([]byte(c.files[alpine+"/manifests/latest"])), up.Status(http.StatusInternalServerError))
	_, err = push.Run(t.Context(), published(t, m), r.client, r.o)
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "status 500") || !strings.Contains(err.Error(), "7 attempts") {
		t.Errorf("error: %v", err)
	}
	r.Heal()
	// A complete index that is refused is not one that lacks platforms.
	r.FailAlways("/v2/library/alpine/manifests/"+fake.Digest([]byte(c.files[alpine+"/manifests/latest"])), func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPut {
				right = up.Status(http.StatusRequestEntityTooLarge)(right)
			}
			right.ServeHTTP(w, req)
		})
	})
	if _, err = push.Run(t.Context(), published(t, m), r.client, r.o); !errors.As(err, &answer) || answer.Status != 413 || errors.As(err, new(*push.SparseError)) {
		t.Errorf("error: %v", err)
	}
	r.Heal()
	report, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	if err != nil || report.Blobs != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	r.same(t, c, alpine, "library/alpine")
}

// TestHopeless: a registry that does not know us is asked once, not for every image.
func TestHopeless(t *testing.T) {
	c := newContent()
	for i := range 50 {
		c.image(fmt.Sprintf("docker.io/a/%d", i), "{}", []string{"x"}, "v1")
	}
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{User: "u", Password: "p"})
	_, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	if err == nil || strings.Count(err.Error(), "status 401") > 2 || r.AllRequests() > 10 || !strings.Contains(err.Error(), "no login for "+r.Host()+" in ") {
		t.Errorf("%d requests, error: %v", r.AllRequests(), err)
	}
}

// TestEnded: a push that is ended in the middle of a blob goes on.
func TestEnded(t *testing.T) {
	c := several()
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{Strict: true, NoReferrers: true})
	for i := 1; ; i++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := errors.New("ended")
		n := 0
		r.FailAlways(up.Any, func(right http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodPut || req.Method == http.MethodPost {
					if n++; n == i {
						cancel(ended)
						panic(http.ErrAbortHandler)
					}
				}
				right.ServeHTTP(w, req)
			})
		})
		o := r.o
		o.Jobs, o.Prefix = 1, fmt.Sprintf("p%d", i)
		_, err := push.Run(ctx, published(t, m), r.client, o)
		cancel(nil)
		r.Heal()
		if err == nil {
			if i < 8 {
				t.Errorf("only %d writes", i)
			}
			break
		}
		if !errors.Is(err, ended) {
			t.Fatalf("write %d: %v", i, err)
		}
		if _, err := push.Run(t.Context(), published(t, m), r.client, o); err != nil {
			t.Fatalf("after write %d: %v", i, err)
		}
		r.same(t, c, alpine, o.Prefix+"/library/alpine")
		r.same(t, c, tool, o.Prefix+"/team/tool")
	}
}

// TestOthersReferrers: what the site added itself to a tag of referrers stays.
func TestOthersReferrers(t *testing.T) {
	c := several()
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{NoReferrers: true})
	tag := "sha256-" + fake.Digest([]byte(c.files[alpine+"/manifests/latest"]))[7:]
	own := descriptor(ocispec.MediaTypeImageManifest, "own")
	r.PutManifest("library/alpine", ocispec.MediaTypeImageIndex, []byte(index(own)), tag)
	if _, err := push.Run(t.Context(), published(t, m), r.client, r.o); err != nil {
		t.Fatal(err)
	}
	got, _ := r.Manifest("library/alpine", tag)
	var have ocispec.Index
	check(t, json.Unmarshal(got, &have))
	if len(have.Manifests) != 2 || !bytes.Contains(got, []byte(fake.Digest([]byte("own")))) {
		t.Errorf("referrers: %s", got)
	}
}

// TestUnlistedReferrer: a referrer that is there and not listed, because a push
// ended between the two, is listed by the next.
func TestUnlistedReferrer(t *testing.T) {
	c := several()
	tag := "sha256-" + fake.Digest([]byte(c.files[alpine+"/manifests/latest"]))[7:]
	delete(c.files, alpine+"/manifests/"+tag) // upstream had the API
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{NoReferrers: true})
	for range 2 {
		if _, err := push.Run(t.Context(), published(t, m), r.client, r.o); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Manifest("library/alpine", tag); !bytes.Contains(got, []byte("spdx")) {
			t.Errorf("referrers: %s", got)
		}
		r.RemoveTag("library/alpine", tag)
	}
}

// TestMovedTag is told.
func TestMovedTag(t *testing.T) {
	c := newContent()
	c.image(alpine, "{}", []string{"new"}, "latest")
	m, _ := publish(t, map[string]*content{"site": c})
	r := newRig(t, fake.Options{})
	r.PutManifest("library/alpine", ocispec.MediaTypeImageIndex, []byte(index()), "latest", "own")
	report, err := push.Run(t.Context(), published(t, m), r.client, r.o)
	if err != nil || !slices.Equal(report.Images[0].Moved, []string{"latest"}) || !slices.Equal(r.Tags("library/alpine"), []string{"latest", "own"}) {
		t.Errorf("%+v, %v", report, err)
	}
	r.same(t, c, alpine, "library/alpine")
}

// TestWhileImporting: a push reads the generation it began with to its end.
func TestWhileImporting(t *testing.T) {
	before, after := newContent(), newContent()
	before.image(alpine, "{}", []string{string(noise(100_000)), "old"}, "v1")
	after.image(alpine, "{}", []string{"new"}, "v1")
	m, _ := publish(t, nil)
	e := bundletest.New(t, "site")
	imported(t, m, e, before)
	p := published(t, m)
	imported(t, m, e, after)
	r := newRig(t, fake.Options{Strict: true})
	if _, err := push.Run(t.Context(), p, r.client, r.o); err != nil {
		t.Fatal(err)
	}
	r.same(t, before, alpine, "library/alpine")
}
