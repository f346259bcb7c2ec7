// Package registrytest is a container registry on loopback for tests: it keeps
// the rules of the OCI distribution specification in memory, asks for a login
// or a token when a test wants it to, and meets the faults of upstreamtest.
package registrytest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Options are what a registry is like. The zero value is an open one by TLS,
// with the API for referrers, that takes any manifest.
type Options struct {
	Plain       bool // without TLS
	NoReferrers bool // as before version 1.1 of the specification
	// Strict refuses manifests whose children, layers or config it lacks, as
	// most registries do.
	Strict bool
	// User and Password are wanted by Basic; with Realm by a token service.
	User, Password string
	// Identity is an identity token that the token service takes instead.
	Identity string
	// Realm is the URL of the token service; "own": the registry's own host;
	// "": none, a login goes to the registry itself.
	Realm string
}

// Registry is a registry that ends with the test. Faults, counts and requests
// are those of the server in it.
type Registry struct {
	*up.Server
	o Options

	mu      sync.Mutex
	repos   map[string]*repo
	tokens  map[string]string // scope by token that lives
	issued  int
	uploads int
}

type repo struct {
	blobs     map[string][]byte
	manifests map[string]manifest // by digest
	tags      map[string]string
}

type manifest struct {
	content   []byte
	mediaType string
}

// New starts a registry.
func New(t testing.TB, o Options) *Registry {
	r := &Registry{o: o, repos: map[string]*repo{}, tokens: map[string]string{}}
	if o.Plain {
		r.Server = up.New(t)
	} else {
		r.Server = up.NewTLS(t)
	}
	if r.o.Realm == "own" {
		r.o.Realm = r.URL("/token")
	}
	r.Handle(r)
	return r
}

// Digest returns the digest of content as registries write it.
func Digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// PutBlob puts a blob into a repository.
func (r *Registry) PutBlob(name string, content []byte) (digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repo(name).blobs[Digest(content)] = content
	return Digest(content)
}

// PutManifest puts a manifest into a repository, under tags too.
func (r *Registry) PutManifest(name, mediaType string, content []byte, tags ...string) (digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	repo := r.repo(name)
	digest = Digest(content)
	repo.manifests[digest] = manifest{content, mediaType}
	for _, tag := range tags {
		repo.tags[tag] = digest
	}
	return digest
}

// PutPath puts what a file of a mirror has: path is that of a blob or a manifest below "/v2/", by
// digest or tag.
func (r *Registry) PutPath(path, mediaType string, content []byte) {
	if name, _, isBlob := strings.Cut(path, "/blobs/"); isBlob {
		r.PutBlob(name, content)
		return
	}
	name, reference, _ := strings.Cut(path, "/manifests/")
	var tags []string
	if !strings.HasPrefix(reference, "sha256:") {
		tags = []string{reference}
	}
	r.PutManifest(name, mediaType, content, tags...)
}

// Manifest returns what a repository has under a tag or digest; nil: nothing.
func (r *Registry) Manifest(name, reference string) (content []byte, mediaType string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, _ := r.repo(name).find(reference)
	return m.content, m.mediaType
}

// Blob returns a blob of a repository; nil: it has none such.
func (r *Registry) Blob(name, digest string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repo(name).blobs[digest]
}

// Tags returns the tags of a repository, sorted.
func (r *Registry) Tags(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var tags []string
	for tag := range r.repo(name).tags {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}

// RemoveTag takes a tag away.
func (r *Registry) RemoveTag(name, tag string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.repo(name).tags, tag)
}

// Digests returns the digests of a repository's manifests, sorted.
func (r *Registry) Digests(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.repo(name).manifests))
}

// Repositories returns the names of all that hold something, sorted.
func (r *Registry) Repositories() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, repo := range r.repos {
		if len(repo.blobs)+len(repo.manifests) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ExpireTokens ends all tokens that were given out.
func (r *Registry) ExpireTokens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.tokens)
}

// Issued returns how many tokens were given out.
func (r *Registry) Issued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.issued
}

func (r *Registry) repo(name string) *repo {
	if r.repos[name] == nil {
		r.repos[name] = &repo{map[string][]byte{}, map[string]manifest{}, map[string]string{}}
	}
	return r.repos[name]
}

func (r *repo) find(reference string) (manifest, string) {
	if digest, ok := r.tags[reference]; ok {
		reference = digest
	}
	return r.manifests[reference], reference
}

var route = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|tags|referrers)/(.*)$`)

// ServeHTTP answers as a registry does.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.o.Realm == r.URL("/token") && req.URL.Path == "/token" {
		r.ServeToken(w, req)
		return
	}
	parts := route.FindStringSubmatch(req.URL.Path)
	if !r.allowed(w, req, parts) {
		return
	}
	if req.URL.Path == "/v2/" {
		return
	}
	if parts == nil {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	name, area, reference := parts[1], parts[2], parts[3]
	switch {
	case area == "manifests" && req.Method == http.MethodPut:
		r.takeManifest(w, req, name, reference)
	case area == "manifests":
		r.sendManifest(w, req, name, reference)
	case area == "blobs" && strings.HasPrefix(reference, "uploads/"):
		r.upload(w, req, name)
	case area == "blobs":
		r.sendBlob(w, req, name, reference)
	case area == "tags":
		r.listTags(w, req, name)
	default:
		r.listReferrers(w, name, reference)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"text of the registry"}]}`, code)
}

// allowed asks for what Options want.
func (r *Registry) allowed(w http.ResponseWriter, req *http.Request, parts []string) bool {
	if r.o.User == "" && r.o.Realm == "" {
		return true
	}
	if r.o.Realm == "" {
		user, password, _ := req.BasicAuth()
		if user == r.o.User && password == r.o.Password {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="a registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return false
	}
	scope := ""
	if parts != nil {
		action := "pull"
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			action = "pull,push"
		}
		scope = "repository:" + parts[1] + ":" + action
		if from := req.URL.Query().Get("from"); from != "" {
			scope += " repository:" + from + ":pull"
		}
	}
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	r.mu.Lock()
	granted, ok := r.tokens[token]
	r.mu.Unlock()
	if ok && covers(granted, scope) {
		return true
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="fake",scope=%q`, r.o.Realm, scope))
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	return false
}

// covers reports whether every scope of want is among those of have.
func covers(have, want string) bool {
	for _, w := range strings.Fields(want) {
		i := strings.LastIndexByte(w, ':')
		ok := slices.ContainsFunc(strings.Fields(have), func(h string) bool {
			j := strings.LastIndexByte(h, ':')
			granted := strings.Split(h[j+1:], ",")
			return h[:j] == w[:i] && !slices.ContainsFunc(strings.Split(w[i+1:], ","), func(a string) bool { return !slices.Contains(granted, a) })
		})
		if !ok {
			return false
		}
	}
	return true
}

// ServeToken answers as the token service, which another server may be.
func (r *Registry) ServeToken(w http.ResponseWriter, req *http.Request) {
	user, password, _ := req.BasicAuth()
	ok := user == r.o.User && password == r.o.Password
	scopes := strings.Join(req.URL.Query()["scope"], " ")
	if req.Method == http.MethodPost {
		ok = r.o.Identity != "" && req.PostFormValue("refresh_token") == r.o.Identity && req.PostFormValue("grant_type") == "refresh_token"
		scopes = req.PostFormValue("scope")
	}
	if !ok {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	r.mu.Lock()
	r.issued++
	token := "token-" + base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(r.issued)))
	r.tokens[token] = scopes
	r.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
}

func (r *Registry) sendManifest(w http.ResponseWriter, req *http.Request, name, reference string) {
	r.mu.Lock()
	m, digest := r.repo(name).find(reference)
	r.mu.Unlock()
	if m.content == nil {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", m.mediaType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(m.content)))
	if req.Method != http.MethodHead {
		_, _ = w.Write(m.content)
	}
}

func (r *Registry) sendBlob(w http.ResponseWriter, req *http.Request, name, digest string) {
	content := r.Blob(name, digest)
	if content == nil {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("ETag", `"`+digest+`"`)
	http.ServeContent(w, req, "", time.Time{}, strings.NewReader(string(content)))
}

// takeManifest reads what it needs of a manifest: what it refers to.
func (r *Registry) takeManifest(w http.ResponseWriter, req *http.Request, name, reference string) {
	content, err := io.ReadAll(io.LimitReader(req.Body, 4<<20))
	var m struct {
		Subject           *struct{ Digest string }
		Config            struct{ Digest string }
		Layers, Manifests []struct{ Digest string }
	}
	if err != nil || json.Unmarshal(content, &m) != nil || strings.Contains(reference, ":") && reference != Digest(content) {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	repo := r.repo(name)
	missing := m.Config.Digest != "" && repo.blobs[m.Config.Digest] == nil
	for _, l := range m.Layers {
		missing = missing || repo.blobs[l.Digest] == nil
	}
	for _, c := range m.Manifests {
		missing = missing || repo.manifests[c.Digest].content == nil
	}
	if r.o.Strict && missing {
		refuse(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN")
		return
	}
	digest := Digest(content)
	repo.manifests[digest] = manifest{content, req.Header.Get("Content-Type")}
	if !strings.Contains(reference, ":") {
		repo.tags[reference] = digest
	}
	if m.Subject != nil && !r.o.NoReferrers {
		w.Header().Set("OCI-Subject", m.Subject.Digest)
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+name+"/manifests/"+digest)
	w.WriteHeader(http.StatusCreated)
}

// upload begins one, mounts instead, or takes all of a blob.
func (r *Registry) upload(w http.ResponseWriter, req *http.Request, name string) {
	query := req.URL.Query()
	if req.Method == http.MethodPost {
		r.mu.Lock()
		defer r.mu.Unlock()
		if content := r.repo(query.Get("from")).blobs[query.Get("mount")]; content != nil {
			r.repo(name).blobs[query.Get("mount")] = content
			w.Header().Set("Docker-Content-Digest", query.Get("mount"))
			w.WriteHeader(http.StatusCreated)
			return
		}
		r.uploads++
		w.Header().Set("Location", fmt.Sprintf("/v2/%s/blobs/uploads/%d?_state=%s", name, r.uploads, url.QueryEscape("a state")))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	content, err := io.ReadAll(req.Body)
	if err != nil || Digest(content) != query.Get("digest") {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
		return
	}
	r.PutBlob(name, content)
	w.Header().Set("Docker-Content-Digest", Digest(content))
	w.WriteHeader(http.StatusCreated)
}

// listTags answers by pages, as the specification states ("Listing Tags").
func (r *Registry) listTags(w http.ResponseWriter, req *http.Request, name string) {
	tags := r.Tags(name)
	if tags == nil {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	query := req.URL.Query()
	if i, found := slices.BinarySearch(tags, query.Get("last")); found {
		tags = tags[i+1:]
	} else {
		tags = tags[i:]
	}
	if n, err := strconv.Atoi(query.Get("n")); err == nil && n < len(tags) {
		tags = tags[:n]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?n=%d&last=%s>; rel="next"`, name, n, tags[n-1]))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": tags})
}

func (r *Registry) listReferrers(w http.ResponseWriter, name, digest string) {
	if r.o.NoReferrers {
		http.NotFound(w, nil)
		return
	}
	type descriptor struct {
		MediaType    string `json:"mediaType"`
		Digest       string `json:"digest"`
		Size         int    `json:"size"`
		ArtifactType string `json:"artifactType,omitempty"`
	}
	found := []descriptor{}
	r.mu.Lock()
	for d, m := range r.repo(name).manifests {
		var c struct {
			ArtifactType string
			Subject      *struct{ Digest string }
		}
		if json.Unmarshal(m.content, &c) == nil && c.Subject != nil && c.Subject.Digest == digest {
			found = append(found, descriptor{m.mediaType, d, len(m.content), c.ArtifactType})
		}
	}
	r.mu.Unlock()
	slices.SortFunc(found, func(a, b descriptor) int { return strings.Compare(a.Digest, b.Digest) })
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found})
}
