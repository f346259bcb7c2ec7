package galaxytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Server is a Galaxy on loopback. Its API is below /api/, as that of galaxy.ansible.com is.
type Server struct {
	*upstreamtest.Server
	// Page is how many entries a page of a list has; 0: 100.
	Page int
	// V2 leaves version 3 of the API out.
	V2 bool

	t           testing.TB
	mu          sync.Mutex
	collections []*Collection
	roles       []*Role
}

// New starts an empty one.
func New(t testing.TB) *Server {
	s := &Server{Server: upstreamtest.New(t), t: t}
	s.Handle(http.HandlerFunc(s.answer))
	return s
}

// Root returns the address that is put into a spec.
func (s *Server) Root() string { return s.URL("/") }

// Add publishes versions of collections.
func (s *Server) Add(all ...*Collection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range all {
		s.collections = append(s.collections, c)
		s.Put(ArtifactPath(c), c.Archive(s.t))
	}
}

// Withdraw takes a version of a collection back.
func (s *Server) Withdraw(c *Collection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collections = slices.DeleteFunc(s.collections, func(o *Collection) bool { return o == c })
	s.Remove(ArtifactPath(c))
}

// AddRoles publishes versions of roles.
func (s *Server) AddRoles(all ...*Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range all {
		s.roles = append(s.roles, r)
		s.Put(RolePath(r), r.Archive(s.t))
	}
}

// ArtifactPath returns where a collection's archive is on the server, RolePath where that of a role is.
func ArtifactPath(c *Collection) string { return "/download/" + c.FileName() }

// RolePath returns where the archive of a role is on the server.
func RolePath(r *Role) string { return "/archive/" + r.Owner + "/" + r.Name + "/" + r.Tag + ".tar.gz" }

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] != "api" {
		http.Error(w, "<html>not the API</html>", http.StatusOK)
		return
	}
	parts = parts[1:]
	var answer any
	switch {
	case len(parts) == 0:
		versions := map[string]string{"v3": "v3/", "pulp-v3": "pulp/api/v3/", "v1": "v1/"}
		if s.V2 {
			versions = map[string]string{"v2": "v2/", "v1": "v1/"}
		}
		answer = map[string]any{"available_versions": versions, "server_version": "4.10.0"}
	case parts[0] == "v1":
		answer = s.v1(r, parts[1:])
	case parts[0] == "v3" && !s.V2 || parts[0] == "v2" && s.V2:
		answer = s.collectionsAnswer(r, parts[1:])
	}
	if answer == nil {
		http.Error(w, `{"errors":[{"status":"404","code":"not_found","title":"Not found."}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func (s *Server) collectionsAnswer(r *http.Request, parts []string) any {
	if len(parts) == 0 || parts[0] != "collections" {
		return nil
	}
	parts = parts[1:]
	var some []*Collection
	for _, c := range s.collections {
		if (len(parts) == 0 || c.Namespace == parts[0]) && (len(parts) < 2 || c.Name == parts[1]) && (len(parts) < 4 || c.Version == parts[3]) {
			some = append(some, c)
		}
	}
	if len(parts) > 1 && len(some) == 0 {
		return nil
	}
	switch len(parts) {
	case 0:
		var names []any
		seen := map[string]bool{}
		for _, c := range some {
			if !seen[c.FullName()] {
				names = append(names, map[string]any{"namespace": c.Namespace, "name": c.Name, "deprecated": false})
			}
			seen[c.FullName()] = true
		}
		return s.page(r, names)
	case 2:
		return map[string]any{"namespace": s.namespace(some[0]), "name": some[0].Name, "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-02T00:00:00Z"}
	case 3:
		var versions []any
		for _, c := range some {
			versions = append(versions, map[string]any{"version": c.Version, "href": s.href(c), "created_at": created(c), "requires_ansible": c.RequiresAnsible})
		}
		return s.page(r, versions)
	case 4:
		return s.version(some[0])
	}
	return nil
}

func (s *Server) namespace(c *Collection) any {
	if s.V2 {
		return map[string]any{"name": c.Namespace}
	}
	return c.Namespace
}

func (s *Server) href(c *Collection) string {
	api := "v3"
	if s.V2 {
		api = "v2"
	}
	return "/api/" + api + "/collections/" + c.Namespace + "/" + c.Name + "/versions/" + c.Version + "/"
}

// created returns a time that follows from the version.
func created(c *Collection) string {
	return fmt.Sprintf("2024-03-%02dT10:00:00.000000Z", 1+len(c.Version)%28)
}

func (s *Server) version(c *Collection) any {
	content := c.Archive(s.t)
	sum := sha256.Sum256(content)
	dependencies := c.Dependencies
	if dependencies == nil {
		dependencies = map[string]string{}
	}
	var signatures []any
	for _, text := range c.Signatures {
		signatures = append(signatures, map[string]any{"signature": text, "pubkey_fingerprint": "", "signing_service": "test", "pulp_created": created(c)})
	}
	return map[string]any{
		"version": c.Version, "href": s.href(c), "created_at": created(c), "requires_ansible": c.RequiresAnsible,
		"namespace": map[string]any{"name": c.Namespace}, "collection": map[string]any{"name": c.Name}, "name": c.Name,
		"download_url": s.URL(ArtifactPath(c)),
		"artifact":     map[string]any{"filename": c.FileName(), "sha256": hex.EncodeToString(sum[:]), "size": len(content)},
		"metadata":     map[string]any{"dependencies": dependencies, "authors": []string{"nobody"}, "description": "made for a test"},
		"signatures":   signatures,
	}
}

// page cuts a list as the API does, by limit and offset.
func (s *Server) page(r *http.Request, all []any) any {
	size := s.Page
	if size == 0 {
		size = 100
	}
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	end := min(offset+size, len(all))
	var next any
	if end < len(all) {
		q := r.URL.Query()
		q.Set("offset", strconv.Itoa(end))
		next = r.URL.Path + "?" + q.Encode()
	}
	some := append([]any{}, all[min(offset, end):end]...)
	if s.V2 || strings.Contains(r.URL.Path, "/v1/") {
		if text, ok := next.(string); ok {
			next = s.URL(text)
		}
		return map[string]any{"count": len(all), "next": next, "results": some}
	}
	return map[string]any{"meta": map[string]any{"count": len(all)}, "links": map[string]any{"next": next}, "data": some}
}

func (s *Server) v1(r *http.Request, parts []string) any {
	if len(parts) == 0 || parts[0] != "roles" {
		return nil
	}
	var results []any
	switch {
	case len(parts) == 1:
		owner, name := r.URL.Query().Get("owner__username"), r.URL.Query().Get("name")
		for i, role := range s.roles {
			if role.Owner == owner && role.Name == name && s.first(role) == i {
				results = append(results, map[string]any{"id": i + 1, "name": name, "github_user": owner, "github_repo": "ansible-" + name, "github_branch": "main"})
			}
		}
	case len(parts) == 3 && parts[2] == "versions":
		id, _ := strconv.Atoi(parts[1])
		if id < 1 || id > len(s.roles) {
			return nil
		}
		for _, role := range s.roles {
			if s.first(role) == id-1 {
				results = append(results, map[string]any{"name": role.Tag, "download_url": s.URL(RolePath(role))})
			}
		}
	default:
		return nil
	}
	return s.page(r, results)
}

// first returns the place of the first version of a role, which makes its number.
func (s *Server) first(role *Role) int {
	return slices.IndexFunc(s.roles, func(o *Role) bool { return o.Owner == role.Owner && o.Name == role.Name })
}
