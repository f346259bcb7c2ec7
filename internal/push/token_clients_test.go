//go:build clients

package push_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/push"
	"github.com/gapbundle/gapbundle/internal/registry"
	fake "github.com/gapbundle/gapbundle/internal/test/registrytest"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// tokenService gives out what distribution takes: signed tokens with exactly
// the access that was requested (distribution, "Token Authentication
// Implementation").
type tokenService struct {
	*up.Server
	root string // file of the authority of its key
	cert tls.Certificate

	mu     sync.Mutex
	scopes []string // of every token
}

func newTokenService(t *testing.T) *tokenService {
	t.Helper()
	ca, cert, key := up.ServerCert(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(t, err)
	s := &tokenService{Server: up.NewTLS(t), root: ca, cert: pair}
	s.Handle(http.HandlerFunc(s.token))
	return s
}

func (s *tokenService) token(w http.ResponseWriter, r *http.Request) {
	if user, pass, _ := r.BasicAuth(); user != pusher || pass != password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	type access struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	}
	granted := []access{}
	for _, scope := range r.URL.Query()["scope"] {
		parts := strings.SplitN(scope, ":", 3)
		granted = append(granted, access{parts[0], parts[1], strings.Split(parts[2], ",")})
	}
	s.mu.Lock()
	s.scopes = append(s.scopes, strings.Join(r.URL.Query()["scope"], " "))
	id := len(s.scopes)
	s.mu.Unlock()
	encode := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	signed := encode(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.cert.Certificate[0])}}) + "." +
		encode(map[string]any{"iss": "test", "sub": pusher, "aud": r.URL.Query().Get("service"), "exp": now + 300, "nbf": now - 10, "iat": now, "jti": fmt.Sprint(id), "access": granted})
	sum := sha256.Sum256([]byte(signed))
	x, y, err := ecdsa.Sign(rand.Reader, s.cert.PrivateKey.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	signature := append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": signed + "." + base64.RawURLEncoding.EncodeToString(signature), "expires_in": 300})
}

// TestDistributionTokens: a real registry with a token service, which checks
// that every request has the scopes that it needs, those of mounts included.
func TestDistributionTokens(t *testing.T) {
	for _, program := range []string{version2, version3} {
		t.Run(program, func(t *testing.T) {
			c := several()
			m, _ := publish(t, map[string]*content{"site": c})
			s := newTokenService(t)
			d := startDistribution(t, program, fmt.Sprintf("{token: {realm: %q, service: fake, issuer: test, rootcertbundle: %s}}", s.URL("/token"), s.root), "")
			client, err := fetch.New(fetch.Options{Hosts: map[string]fetch.HostOptions{d.host: {CA: d.ca}, s.Host(): {CA: s.CA()}}, Home: d.home, Env: func(string) string { return "" }})
			check(t, err)
			t.Cleanup(client.Close)
			to, err := registry.New(client, registry.Options{})
			check(t, err)
			report, err := push.Run(t.Context(), published(t, m), to, push.Options{Registry: d.host, Jobs: 1})
			if err != nil || report.Mounted == 0 {
				t.Fatalf("%+v, %v", report, err)
			}
			// Two repositories, to read and to write, and one mount.
			if len(s.scopes) > 6 || !slices.Contains(s.scopes, "repository:library/alpine:pull repository:team/tool:pull,push") {
				t.Errorf("%d tokens: %q", len(s.scopes), s.scopes)
			}
			repo, err := to.Repository(d.host + "/library/alpine")
			check(t, err)
			got, err := repo.Manifest(t.Context(), "latest")
			if err != nil || string(got.Content) != c.files[alpine+"/manifests/latest"] || got.Descriptor.Digest.String() != fake.Digest(got.Content) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
