package registry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	fake "github.com/gapbundle/gapbundle/internal/test/registrytest"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	canary = "c4nary" // in every secret; nowhere else
	user   = "user"
)

// rig is one registry and a client with a login for it.
type rig struct {
	*fake.Registry
	client *registry.Client
	log    bytes.Buffer
	waited []time.Duration
}

type setup struct {
	registry fake.Options
	options  registry.Options
	hosts    map[string]fetch.HostOptions
	env      map[string]string
	// config is docker's config.json; HOST is the registry. "": no such file.
	config string
}

func loginFor(user, password string) string {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return `{"auths":{"HOST":{"auth":"` + auth + `"}}}`
}

func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{Registry: fake.New(t, s.registry)}
	r.client = r.connect(t, s)
	return r
}

func (r *rig) connect(t *testing.T, s setup) *registry.Client {
	t.Helper()
	home := t.TempDir()
	if s.config != "" {
		writeFile(t, filepath.Join(home, ".docker", "config.json"), strings.ReplaceAll(s.config, "HOST", r.Host()))
	}
	hosts := map[string]fetch.HostOptions{}
	for key, h := range s.hosts {
		hosts[key] = h
	}
	if h := hosts[r.Host()]; !s.registry.Plain {
		h.CA = r.CA()
		hosts[r.Host()] = h
	}
	env := map[string]string{"XDG_RUNTIME_DIR": home, "PATH": filepath.Join(home, "bin") + ":/usr/bin:/bin"}
	for k, v := range s.env {
		env[k] = strings.ReplaceAll(v, "HOME", home)
	}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := fetch.New(fetch.Options{Hosts: hosts, Home: home, Log: log, Env: func(name string) string { return env[name] },
		Wait: func(ctx context.Context, d time.Duration) error {
			r.waited = append(r.waited, d)
			return context.Cause(ctx)
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Name(r.Host() + "/app")
	s.options.Log = log
	if s.registry.Plain {
		s.options.PlainHTTP = append(s.options.PlainHTTP, r.Host())
	}
	client, err := registry.New(c, s.options)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (r *rig) repository(t *testing.T, name string) *registry.Repository {
	t.Helper()
	repo, err := r.client.Repository(r.Host() + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

var index = []byte(`{"schemaVersion":2,"manifests":[]}`)

// TestLogins: every place that a login may be in opens the registry, by Basic
// and by token.
func TestLogins(t *testing.T) {
	podman := loginFor(user, canary)
	helper := "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get HOST' ] || exit 1\necho '{\"Username\":\"%s\",\"Secret\":\"%s\"}'\n"
	file := func(name, text string) func(*testing.T, string, string) {
		return func(t *testing.T, home, host string) {
			writeFile(t, filepath.Join(home, name), strings.ReplaceAll(text, "HOST", host))
		}
	}
	for name, c := range map[string]struct {
		set   setup
		files func(t *testing.T, home, host string)
		only  string // "token": by a token service alone
	}{
		"docker's file":         {set: setup{config: podman}},
		"docker's file, a URL":  {set: setup{config: strings.ReplaceAll(podman, "HOST", "https://HOST/v1/")}},
		"podman's, run time":    {files: file("containers/auth.json", podman)},
		"podman's, config":      {files: file(".config/containers/auth.json", podman)},
		"REGISTRY_AUTH_FILE":    {set: setup{env: map[string]string{"REGISTRY_AUTH_FILE": "HOME/x"}}, files: file("x", podman)},
		"by name space":         {files: file("containers/auth.json", `{"auths":{"HOST":{"auth":"eDp5"},"HOST/org":{"auth":"`+base64.StdEncoding.EncodeToString([]byte(user+":"+canary))+`"}}}`)},
		"helper":                {set: setup{config: `{"credHelpers":{"HOST":"fake"}}`}, files: file("bin/docker-credential-fake", fmt.Sprintf(helper, user, canary))},
		"store":                 {set: setup{config: `{"credsStore":"fake"}`}, files: file("bin/docker-credential-fake", fmt.Sprintf(helper, user, canary))},
		"identity of a helper":  {only: "token", set: setup{config: `{"credsStore":"fake"}`}, files: file("bin/docker-credential-fake", fmt.Sprintf(helper, "<token>", canary+"-id"))},
		"identity in the file":  {only: "token", set: setup{config: `{"auths":{"HOST":{"auth":"eDp5","identitytoken":"` + canary + `-id"}}}`}},
		"hosts, by environment": {set: setup{env: map[string]string{"LOGIN": user + ":" + canary}, hosts: map[string]fetch.HostOptions{"HOST": {BasicEnv: "LOGIN"}}}},
	} {
		for _, realm := range []string{"", "own"} {
			if c.only == "token" && realm == "" {
				continue
			}
			t.Run(name+" "+realm, func(t *testing.T) {
				s := c.set
				s.registry = fake.Options{User: user, Password: canary, Identity: canary + "-id", Realm: realm}
				r := &rig{Registry: fake.New(t, s.registry)}
				if h, ok := s.hosts["HOST"]; ok {
					s.hosts = map[string]fetch.HostOptions{r.Host(): h}
				}
				home := t.TempDir()
				if c.files != nil {
					c.files(t, home, r.Host())
				}
				if s.config != "" {
					writeFile(t, filepath.Join(home, ".docker", "config.json"), strings.ReplaceAll(s.config, "HOST", r.Host()))
				}
				s.env = map[string]string{"HOME": home, "XDG_RUNTIME_DIR": home, "PATH": filepath.Join(home, "bin") + ":/usr/bin:/bin",
					"XDG_CONFIG_HOME": filepath.Join(home, ".config"), "DOCKER_CONFIG": filepath.Join(home, ".docker"),
					"REGISTRY_AUTH_FILE": strings.ReplaceAll(c.set.env["REGISTRY_AUTH_FILE"], "HOME", home), "LOGIN": c.set.env["LOGIN"]}
				s.config = ""
				r.client = r.connect(t, s)
				r.PutManifest("org/image", ocispec.MediaTypeImageIndex, index, "v1")
				m, err := r.repository(t, "org/image").Manifest(t.Context(), "v1")
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(m.Content, index) || m.Descriptor.MediaType != ocispec.MediaTypeImageIndex || m.Descriptor.Digest.String() != fake.Digest(index) {
					t.Errorf("manifest: %+v", m)
				}
				r.quiet(t, "")
			})
		}
	}
}

// quiet fails if a secret is in what was logged, or in told.
func (r *rig) quiet(t *testing.T, told string) {
	t.Helper()
	for _, secret := range []string{canary, base64.StdEncoding.EncodeToString([]byte(user + ":" + canary)), "token-a", "token-M", "token-N", "token-O"} {
		if all := told + r.log.String(); strings.Contains(all, secret) {
			t.Errorf("told %q: %s", secret, all)
		}
	}
}

// TestTokens are fetched once for each repository and action, and again when the
// registry wants another one in mid-run.
func TestTokens(t *testing.T) {
	r := newRig(t, setup{registry: fake.Options{User: user, Password: canary, Realm: "own"}, config: loginFor(user, canary)})
	content := noise(100_000)
	for _, name := range []string{"a", "b/c"} {
		r.PutManifest(name, ocispec.MediaTypeImageIndex, index, "v1")
		r.PutBlob(name, content)
		repo := r.repository(t, name)
		for range 3 {
			if _, err := repo.Manifest(t.Context(), "v1"); err != nil {
				t.Fatal(err)
			}
			if _, err := repo.Resolve(t.Context(), "v1"); err != nil {
				t.Fatal(err)
			}
			readBlob(t, repo, content)
		}
	}
	if r.Issued() != 2 {
		t.Errorf("%d tokens for 2 repositories", r.Issued())
	}
	r.ExpireTokens()
	repo := r.repository(t, "a")
	if _, err := repo.Tags(t.Context()); err != nil {
		t.Error(err)
	}
	// A blob that is cut after its token has ended.
	r.Fail("/v2/a/blobs/"+fake.Digest(content), up.Both(up.Do(0, r.ExpireTokens), up.Cut(40_000)))
	readBlob(t, repo, content)
	if r.Issued() != 4 {
		t.Errorf("%d tokens, want 2 more", r.Issued())
	}
	if got := r.Bytes("/v2/a/blobs/" + fake.Digest(content)); got > 4*100_000+1000 {
		t.Errorf("%d bytes were sent: not resumed", got)
	}
	if err := repo.PushManifest(t.Context(), descriptor(ocispec.MediaTypeImageIndex, index), index, "v2"); err != nil {
		t.Error(err)
	}
	for _, seen := range r.Seen("/v2/") {
		if seen.Header.Get("Authorization") != "" {
			t.Error("the ping carried a login")
		}
	}
	r.quiet(t, "")
}

func readBlob(t *testing.T, repo *registry.Repository, want []byte) {
	t.Helper()
	body, err := repo.Blob(t.Context(), digest.FromBytes(want), -1, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func descriptor(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// TestForeignTokenService: a registry that sends on to a token service
// elsewhere does not get the login there, unless somebody has named it.
func TestForeignTokenService(t *testing.T) {
	for name, c := range map[string]struct {
		named, login bool
		want         error
	}{
		"hostile":   {login: true, want: fetch.ErrRefused},
		"named":     {login: true, named: true},
		"anonymous": {},
	} {
		t.Run(name, func(t *testing.T) {
			thief := up.NewTLS(t)
			// 127.0.0.1 and localhost are two hosts with one server each.
			realm := strings.Replace(thief.URL("/token"), "127.0.0.1", "localhost", 1)
			o := fake.Options{Realm: realm}
			s := setup{registry: o, hosts: map[string]fetch.HostOptions{}}
			if c.login {
				s.registry.User, s.registry.Password, s.config = user, canary, loginFor(user, canary)
			}
			r := &rig{Registry: fake.New(t, s.registry)}
			thief.Handle(http.HandlerFunc(r.ServeToken))
			other := strings.Replace(thief.Host(), "127.0.0.1", "localhost", 1)
			s.hosts[other] = fetch.HostOptions{CA: thief.CA()}
			if c.named {
				s.hosts[r.Host()] = fetch.HostOptions{TokenService: []string{other}}
			}
			r.client = r.connect(t, s)
			r.PutManifest("a", ocispec.MediaTypeImageIndex, index, "v1")
			_, err := r.repository(t, "a").Manifest(t.Context(), "v1")
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("error: %v", err)
			}
			if c.want != nil && (thief.AllRequests() > 0 || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), "token-service")) {
				t.Errorf("%d requests to the thief, error: %v", thief.AllRequests(), err)
			}
			if !c.login {
				for _, seen := range thief.Seen("/token") {
					if seen.Header.Get("Authorization") != "" {
						t.Error("a login from nowhere")
					}
				}
			}
			r.quiet(t, fmt.Sprint(err))
		})
	}
}

// TestTokenServiceRedirects: nothing is sent along.
func TestTokenServiceRedirects(t *testing.T) {
	for _, config := range []string{loginFor(user, canary), `{"auths":{"HOST":{"identitytoken":"` + canary + `"}}}`} {
		thief := up.New(t)
		r := newRig(t, setup{registry: fake.Options{User: user, Password: canary, Realm: "own"}, config: config})
		r.FailAlways("/token", up.Status(http.StatusTemporaryRedirect, "Location", thief.URL("/token?sig="+canary)))
		_, err := r.repository(t, "a").Manifest(t.Context(), "v1")
		if !errors.Is(err, fetch.ErrRefused) || thief.AllRequests() > 0 {
			t.Errorf("%d requests, error: %v", thief.AllRequests(), err)
		}
		r.quiet(t, fmt.Sprint(err))
	}
}

// TestBlobStorage: a blob that is stored elsewhere is fetched from there, without login.
func TestBlobStorage(t *testing.T) {
	for _, realm := range []string{"", "own"} {
		storage := up.NewTLS(t)
		content := noise(50_000)
		storage.Put("/blob", content)
		s := setup{registry: fake.Options{User: user, Password: canary, Realm: realm}, config: loginFor(user, canary)}
		r := &rig{Registry: fake.New(t, s.registry)}
		s.hosts = map[string]fetch.HostOptions{storage.Host(): {CA: storage.CA()}, r.Host(): {RedirectTo: []string{storage.Host()}}}
		r.client = r.connect(t, s)
		r.Fail("/v2/a/blobs/"+fake.Digest(content), nil)
		right := up.Redirect(storage.URL("/blob?X-Signature=" + canary))
		r.FailAlways("/v2/a/blobs/"+fake.Digest(content), right)
		storage.Fail("/blob", up.Cut(20_000))
		readBlob(t, r.repository(t, "a"), content)
		for _, seen := range storage.Seen("/blob") {
			if seen.Header.Get("Authorization") != "" {
				t.Errorf("storage got %s", seen.Header.Get("Authorization"))
			}
		}
		if got := storage.Bytes("/blob"); got > 60_000 {
			t.Errorf("%d bytes: not resumed", got)
		}
		r.quiet(t, "")
	}
}

// TestFaults that another attempt cures, and those that are told.
func TestFaults(t *testing.T) {
	large := bytes.Repeat([]byte(" "), registry.MaxManifest+1)
	for name, c := range map[string]struct {
		faults []up.Fault
		always bool
		want   error
		told   string
		waited time.Duration
	}{
		"429 with Retry-After": {faults: []up.Fault{up.Status(429, "Retry-After", "7")}, waited: 7 * time.Second},
		"503":                  {faults: []up.Fault{up.Status(503), up.Status(503)}},
		"reset":                {faults: []up.Fault{up.Reset(-1)}},
		"cut":                  {faults: []up.Fault{up.Cut(10), up.Cut(0)}},
		"429 for ever":         {faults: []up.Fault{up.Status(429)}, always: true, want: fetch.ErrUpstream, told: "429"},
		"404":                  {faults: []up.Fault{up.Status(404)}, want: fetch.ErrUpstream, told: "status 404"},
		"403":                  {faults: []up.Fault{up.Status(403)}, want: fetch.ErrUpstream, told: "credential: none, no login for"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, setup{})
			d := r.PutManifest("a", ocispec.MediaTypeImageIndex, index, "v1")
			path := "/v2/a/manifests/" + d
			if c.always {
				r.FailAlways(path, c.faults[0])
			} else {
				r.Fail(path, c.faults...)
			}
			m, err := r.repository(t, "a").Manifest(t.Context(), d)
			if c.want == nil {
				if err != nil || !bytes.Equal(m.Content, index) {
					t.Errorf("manifest %v, error: %v", m, err)
				}
			} else if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.told) || registry.NotFound(err) != (c.told == "status 404") {
				t.Errorf("error: %v", err)
			}
			if c.waited > 0 && !slices.Contains(r.waited, c.waited) {
				t.Errorf("waited %v", r.waited)
			}
		})
	}
	t.Run("wrong bytes", func(t *testing.T) {
		r := newRig(t, setup{})
		want := fake.Digest(index)
		r.PutFile("/v2/a/manifests/"+want, up.File{Content: []byte("{}"), Type: ocispec.MediaTypeImageIndex})
		_, err := r.repository(t, "a").Manifest(t.Context(), want)
		if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "digest mismatch: want "+want) {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		r := newRig(t, setup{})
		r.PutFile("/v2/a/manifests/v1", up.File{Content: large})
		_, err := r.repository(t, "a").Manifest(t.Context(), "v1")
		if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "more than 4194304 bytes") {
			t.Errorf("error: %v", err)
		}
	})
}

// TestWrongPassword says which login it was, by Basic and by token, and stops.
func TestWrongPassword(t *testing.T) {
	for _, realm := range []string{"", "own"} {
		r := newRig(t, setup{registry: fake.Options{User: user, Password: "right", Realm: realm}, config: loginFor(user, canary)})
		_, err := r.repository(t, "a").Manifest(t.Context(), "v1")
		if err == nil || !strings.Contains(err.Error(), "status 401") || !strings.Contains(err.Error(), "login of "+r.Host()+" in ") ||
			!strings.Contains(err.Error(), ".docker/config.json") {
			t.Errorf("error: %v", err)
		}
		if r.AllRequests() > 4 {
			t.Errorf("%d requests", r.AllRequests())
		}
		r.quiet(t, fmt.Sprint(err))
	}
}

// TestMirrors are asked first, in their order; the registry is asked last.
func TestMirrors(t *testing.T) {
	cache := fake.New(t, fake.Options{})
	s := setup{hosts: map[string]fetch.HostOptions{cache.Host(): {CA: cache.CA()}}}
	r := &rig{Registry: fake.New(t, fake.Options{})}
	s.options.Mirrors = map[string][]string{r.Host(): {cache.URL("/hub")}}
	r.client = r.connect(t, s)
	both, here := noise(1000), noise(2000)
	cache.PutBlob("hub/a", both)
	r.PutBlob("a", both)
	r.PutBlob("a", here)
	cache.PutManifest("hub/a", ocispec.MediaTypeImageIndex, index, "v1")
	subject := fmt.Sprintf(`{"schemaVersion":2,"artifactType":"x/y","subject":{"digest":%q}}`, fake.Digest(index))
	referrer := r.PutManifest("a", ocispec.MediaTypeImageManifest, []byte(subject))
	repo := r.repository(t, "a")
	readBlob(t, repo, both)
	if _, err := repo.Manifest(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	if r.AllRequests() > 0 {
		t.Error("the registry was asked for what its mirror has")
	}
	readBlob(t, repo, here)
	found, err := repo.Referrers(t.Context(), digest.Digest(fake.Digest(index)), "")
	if err != nil || len(found) != 1 || found[0].Digest.String() != referrer {
		t.Errorf("referrers %v, %v: a mirror that has none is believed", found, err)
	}
	if _, err := repo.Manifest(t.Context(), "v2"); !registry.NotFound(err) || !strings.Contains(err.Error(), "mirror: ") {
		t.Errorf("error: %v", err)
	}
}
